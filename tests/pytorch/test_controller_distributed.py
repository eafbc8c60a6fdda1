"""Two processes that train together: DDP and FSDP2 over gloo."""

import math
from pathlib import Path

import pytest
from pytorch.two_processes import seen_by_each
from tolerance import digits

WORKER = Path(__file__).with_name("distributed_worker.py")
MECHANISMS = {"AdamW": "native", "SGD": "multiply"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What each of two ranks saw, in every kind of training."""
    return seen_by_each(WORKER, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("optimizer", MECHANISMS)
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_decay_as_one(trained, kind, optimizer):
    """Each rank decays exactly as asked, and both keep the same weights.

    A layer with zero gradients goes the path of the half-life along a cosine, to 12
    digits; weights that are pulled are equal bit by bit on both ranks. Under FSDP2 the
    parameters are DTensors, and shapes in the saved state are whole ones.
    """
    ranks = [each[f"{kind} {optimizer}"] for each in trained]
    shrink = 1 - 2 ** (-1 / 10)
    for seen in ranks:
        kept = math.prod(1 - shrink * lr / seen["lrs"][0] for lr in seen["lrs"])
        assert seen["mechanisms"] == [MECHANISMS[optimizer]]
        assert [seen["least"], seen["most"]] == digits([kept, kept], rel=1e-12)
        assert seen["e_folds"] == digits([-math.log(kept)], rel=1e-12)
        assert seen["sharded"] == (kind == "fsdp")
        assert "(8, 3)" in seen["groups"][0]
    assert ranks[0]["weights"] == ranks[1]["weights"]
