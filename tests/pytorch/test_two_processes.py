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


@pytest.fixture
def wrapped(seen):
    """Groups and penalties of a model in its wrappings, per process."""
    return [process["wrapped_model"] for process in seen]


@pytest.fixture
def held(seen):
    """What became of a model whose decay was held, per process."""
    return [process["held_model"] for process in seen]


@pytest.fixture
def audited(seen):
    """What was found in a model and in its wrappings, per process."""
    return [process["audited_model"] for process in seen]


@pytest.mark.parametrize(
    "how",
    [
        "ddp",
        "compile",
        "compile of ddp",
        "ddp of compile",
        "fully_shard",
        "fully_shard of compile",
    ],
)
def test_a_wrapped_model_has_the_groups_of_the_model(wrapped, how):
    """Names, roles, original shapes, factors and groups are the same in every wrap."""
    for process in wrapped:
        assert process[how] == process["plain"]
        assert process[how]["own"]


def test_the_plain_model_has_something_of_everything(wrapped):
    """The model of the comparison decays some, spares some, and has frozen ones."""
    rows = wrapped[0]["plain"]["rows"]
    assert {row[2] for row in rows} == {"weight", "bias", "norm", "embedding", "vector"}
    assert {row[4] for row in rows} == {True, False}
    assert {row[7] for row in rows} == {0, 1, None}


@pytest.mark.parametrize(
    "how", ["ddp trained", "fsdp trained", "fsdp trained, penalty first"]
)
def test_a_penalty_in_two_processes_is_that_of_one(wrapped, how):
    """Values and weights of three steps are those of one process with all the data."""
    alone = wrapped[0]["alone"]
    assert len(set(alone["values"])) == len(alone["values"])
    for process in wrapped:
        for part in ("values", "weights"):
            found, expected = (
                torch.tensor(each[part]) for each in (process[how], alone)
            )
            # float64: the gradients of two halves are added in another order.
            assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_penalty_of_a_sharded_model_is_in_the_precision_of_its_weights(wrapped):
    """FSDP2 computes in bfloat16; the squares are those of the float32 weights."""
    for process in wrapped:
        before, after = process["mixed"]["before"], process["mixed"]["after"]
        assert after == digits(before, rel=1e-6)  # float32, summed shard by shard


@pytest.mark.parametrize("optimizer", MECHANISMS)
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_decay_as_one(held, kind, optimizer):
    """Each rank decays exactly as asked, and both keep the same weights.

    A layer with zero gradients goes the path of the half-life along a cosine, to 12
    digits; weights that are pulled are equal bit by bit on both ranks. Under FSDP2 the
    parameters are DTensors, and shapes in the saved state are whole ones.
    """
    ranks = [each[f"{kind} {optimizer}"] for each in held]
    shrink = 1 - 2 ** (-1 / 10)
    for seen in ranks:
        kept = math.prod(1 - shrink * lr / seen["lrs"][0] for lr in seen["lrs"])
        assert seen["mechanisms"] == [MECHANISMS[optimizer]]
        assert [seen["least"], seen["most"]] == digits([kept, kept], rel=1e-12)
        assert seen["e_folds"] == digits([-math.log(kept)], rel=1e-12)
        assert seen["sharded"] == (kind == "fsdp")
        assert "(8, 3)" in seen["groups"][0]
    assert ranks[0]["weights"] == ranks[1]["weights"]


def test_the_plain_model_has_findings_of_many_kinds(audited):
    """Vectors and an embedding decay, rows lack gradients, a norm follows a weight."""
    codes = [each["code"] for each in audited[0]["plain"]["findings"]]
    assert codes == ["DW001", "DW002", "DW015", "DW003", "DW016"]


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_a_wrapped_model_has_the_findings_of_the_model(audited, how):
    """Codes, names, numbers, lines and the table are the same in every process."""
    for process in audited:
        plain, found = process["plain"], process[how]
        assert found["groups"] == plain["groups"]
        assert without_rows(found["findings"]) == without_rows(plain["findings"])


def without_rows(findings):
    """Of a sharded embedding each process counts its own rows."""
    return [
        each | ({"evidence": "", "values": {}} if each["code"] == "DW015" else {})
        for each in findings
    ]


def test_an_optimizer_that_was_built_before_sharding_is_found(audited):
    """It holds tensors that the model no longer has, and none that it has."""
    for process in audited:
        found = process["sharded too late"]["findings"]
        assert [each["code"] for each in found] == ["DW004"]
        values = found[0]["values"]
        assert (values["lost"], values["trainable"], values["strangers"]) == (6, 6, 6)
