"""Two processes with one model: its groups, its penalty, its decay, what is audited.

DDP and FSDP2 over gloo, and compiled models.
"""

import math

import pytest
import torch
from pytorch.two_processes import seen_by_each
from tolerance import digits

MECHANISMS = {"AdamW": "native", "SGD": "multiply"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What each of two processes saw, over loopback."""
    return seen_by_each(tmp_path_factory.mktemp("ranks"))


WRAPS = ("ddp", "compile", "compile of ddp", "ddp of compile")
WRAPS += ("fully_shard", "fully_shard of compile")


def test_a_wrapped_model_has_the_groups_of_the_model(seen):
    """Names, roles, original shapes, factors and groups are the same in every wrap."""
    for process in seen:
        found = process["wrapped_model"]
        plain = found["plain"]
        assert plain["own"]
        assert [how for how in WRAPS if found[how] != plain] == []
        # The model decays some, spares some, and has frozen ones.
        roles = {row[2] for row in plain["rows"]}
        assert roles == {"weight", "bias", "norm", "embedding", "vector"}
        assert {row[4] for row in plain["rows"]} == {True, False}
        assert {row[7] for row in plain["rows"]} == {0, 1, None}


def test_a_penalty_in_two_processes_is_that_of_one(seen):
    """Values and weights of three steps are those of one process with all the data."""
    alone = seen[0]["wrapped_model"]["alone"]
    assert len(set(alone["values"])) == len(alone["values"])
    for process in seen:
        for how in ("ddp trained", "fsdp trained", "fsdp trained, penalty first"):
            for part in ("values", "weights"):
                found = torch.tensor(process["wrapped_model"][how][part])
                # float64: the gradients of two halves are added in another order.
                expected = torch.tensor(alone[part])
                assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14), how


def test_the_penalty_of_a_sharded_model_is_in_the_precision_of_its_weights(seen):
    """FSDP2 computes in bfloat16; the squares are those of the float32 weights."""
    for process in seen:
        mixed = process["wrapped_model"]["mixed"]
        assert mixed["after"] == digits(mixed["before"], rel=1e-6)  # shard by shard


@pytest.mark.parametrize(
    ("kind", "optimizer"), [("ddp", "AdamW"), ("fsdp", "AdamW"), ("fsdp", "SGD")]
)
def test_two_processes_decay_as_one(seen, kind, optimizer):
    """Each rank decays exactly as requested, and both keep the same weights."""
    # A layer with zero gradients goes the path of the half-life along a cosine, to 12
    # digits; weights that are pulled are equal bit by bit on both ranks. Under FSDP2
    # the parameters are DTensors, and shapes in the saved state are whole ones.
    ranks = [each["held_model"][f"{kind} {optimizer}"] for each in seen]
    shrink = 1 - 2 ** (-1 / 10)
    for rank in ranks:
        kept = math.prod(1 - shrink * lr / rank["lrs"][0] for lr in rank["lrs"])
        assert rank["mechanisms"] == [MECHANISMS[optimizer]]
        assert [rank["least"], rank["most"]] == digits([kept, kept], rel=1e-12)
        assert rank["e_folds"] == digits([-math.log(kept)], rel=1e-12)
        assert rank["sharded"] == (kind == "fsdp")
        assert "(8, 3)" in rank["groups"][0]
    assert ranks[0]["weights"] == ranks[1]["weights"]


def test_a_sharded_model_has_the_findings_of_the_model(seen):
    """Codes, names, numbers, lines and the table are the same in every process."""
    for process in seen:
        plain, found = (process["audited_model"][how] for how in ("plain", "fsdp"))
        codes = [each["code"] for each in plain["findings"]]
        # Vectors and an embedding decay, rows lack gradients, a norm follows a weight.
        assert codes == ["DW001", "DW002", "DW015", "DW003", "DW016"]
        assert found["groups"] == plain["groups"]
        assert without_rows(found["findings"]) == without_rows(plain["findings"])


def without_rows(findings):
    """Of a sharded embedding each process counts its own rows."""
    return [
        each | ({"evidence": "", "values": {}} if each["code"] == "DW015" else {})
        for each in findings
    ]


def test_an_optimizer_that_was_built_before_sharding_is_found(seen):
    """It holds tensors that the model no longer has, and none that it has."""
    for process in seen:
        (found,) = process["audited_model"]["sharded too late"]["findings"]
        assert found["code"] == "DW004"
        values = found["values"]
        assert (values["lost"], values["trainable"], values["strangers"]) == (6, 6, 6)
