"""Groups and penalty of a model that is wrapped, sharded, compiled, or half frozen."""

from pathlib import Path

import pytest
import torch
from pytorch.two_processes import seen_by_each
from tolerance import digits
from torch import nn

from dwindle.pytorch import L2Penalty, decay_groups

PROGRAM = Path(__file__).parent / "programs" / "wrapped_model.py"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What each of two processes saw, over loopback."""
    return seen_by_each(PROGRAM, tmp_path_factory.mktemp("wrapped"))


@pytest.mark.parametrize(
    "wrapped",
    [
        "ddp",
        "compile",
        "compile of ddp",
        "ddp of compile",
        "fully_shard",
        "fully_shard of compile",
    ],
)
def test_a_wrapped_model_has_the_groups_of_the_model(seen, wrapped):
    """Names, roles, original shapes, factors and groups are the same in every wrap."""
    for process in seen:
        assert process[wrapped] == process["plain"]
        assert process[wrapped]["own"]


def test_the_plain_model_has_something_of_everything(seen):
    """The model of the comparison decays some, spares some, and has frozen ones."""
    rows = seen[0]["plain"]["rows"]
    assert {row[2] for row in rows} == {"weight", "bias", "norm", "embedding", "vector"}
    assert {row[4] for row in rows} == {True, False}
    assert {row[7] for row in rows} == {0, 1, None}


@pytest.mark.parametrize(
    "how", ["ddp trained", "fsdp trained", "fsdp trained, penalty first"]
)
def test_a_penalty_in_two_processes_is_that_of_one(seen, how):
    """Values and weights of three steps are those of one process with all the data."""
    alone = seen[0]["alone"]
    assert len(set(alone["values"])) == len(alone["values"])
    for process in seen:
        for part in ("values", "weights"):
            found, expected = (
                torch.tensor(each[part]) for each in (process[how], alone)
            )
            # float64: the gradients of two halves are added in another order.
            assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_penalty_of_a_sharded_model_is_in_the_precision_of_its_weights(seen):
    """FSDP2 computes in bfloat16; the squares are those of the float32 weights."""
    for process in seen:
        before, after = process["mixed"]["before"], process["mixed"]["after"]
        assert after == digits(before, rel=1e-6)  # float32, summed shard by shard


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter, as PEFT lays it out."""

    def __init__(self, base):
        super().__init__()
        self.base_layer = base.requires_grad_(requires_grad=False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(4, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 4, bias=False)})
        self.lora_magnitude_vector = nn.ParameterDict(
            {"default": nn.Parameter(torch.ones(4))}
        )
        nn.init.zeros_(self.lora_B["default"].weight)


def adapted():
    model = nn.Module()
    model.base_model = nn.Module()
    model.base_model.model = nn.Sequential(
        nn.LayerNorm(4).requires_grad_(requires_grad=False), Adapted(nn.Linear(4, 4))
    )
    return model


def test_of_a_model_with_adapters_only_their_matrices_decay():
    """PEFT-style: the frozen base is in no group, vectors of adapters do not decay."""
    groups = decay_groups(adapted(), weight_decay=0.1)
    where = {
        row.name.removeprefix("base_model.model.1."): row.group for row in groups.rows
    }
    assert {name for name, group in where.items() if group == 0} == {
        "lora_A.default.weight",
        "lora_B.default.weight",
    }
    assert [name for name, group in where.items() if group == 1] == [
        "lora_magnitude_vector.default"
    ]
    assert sum(group is None for group in where.values()) == 4


def test_a_penalty_on_adapters_pulls_at_them_alone():
    """The zeros of a fresh adapter have gradient zero, not NaN; the base has none."""
    model = adapted()
    L2Penalty(model, 0.5)().backward()
    layer = model.base_model.model[1]
    weight = layer.lora_A["default"].weight
    assert torch.equal(weight.grad, weight)  # 2 · 0.5 · w
    assert torch.equal(layer.lora_B["default"].weight.grad, torch.zeros(4, 2))
    assert layer.base_layer.weight.grad is None
