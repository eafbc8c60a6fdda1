"""Groups, roles and penalties: every text of a refusal; --snapshot-update rewrites."""

import torch
from torch import nn

from dwindle.errors import DwindleError
from dwindle.pytorch import L2Penalty, decay_groups

MODEL = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
BARE = nn.ParameterDict({"table": nn.Parameter(torch.ones(3, 4))})
FLATTENED = type("FullyShardedDataParallel", (nn.Module,), {})
GROUP = {"params": MODEL[0].weight}
REFUSED = {
    "a list": lambda: decay_groups([1]),
    "lazy": lambda: decay_groups(nn.Sequential(nn.LazyLinear(3))),
    "flattened": lambda: decay_groups(nn.Sequential(FLATTENED())),
    "nothing": lambda: decay_groups(nn.Identity()),
    "a typing error": lambda: decay_groups(MODEL, no_decay="*.wieght"),
    "a text": lambda: decay_groups(MODEL, weight_decay="1e-3"),
    "no fan-in": lambda: decay_groups(BARE, normalization="fan-in"),
    "no lr": lambda: decay_groups(MODEL, lr_scales={"0.*": 0.5}),
    "a foreign tensor": lambda: decay_groups(BARE, groups=[GROUP]),
    "twice": lambda: decay_groups(MODEL, groups=[GROUP, GROUP]),
    "no group": lambda: decay_groups(MODEL, groups=[{"lr": 1}]),
    "no penalty": lambda: L2Penalty(MODEL, 0.1, convention="torch.optim.AdamW"),
    "no weights": lambda: L2Penalty(nn.LayerNorm(2), 0.1),
    "no prior": lambda: L2Penalty(MODEL, 0, convention="prior"),
    "no size": L2Penalty(MODEL, 0.1, reduction="sum"),
}


def _text(make):
    try:
        return repr(make())
    except DwindleError as error:
        return str(error)


def test_refusals(snapshot):
    """What is wrong, what was given, and what to do instead."""
    assert {name: _text(make) for name, make in REFUSED.items()} == snapshot


def test_what_a_penalty_is(snapshot):
    """The repr has strength, convention, normalization, reduction and size."""
    words = {"normalization": "fan-in", "reduction": "sum", "batch_size": 2}
    assert repr(L2Penalty(MODEL, 1e-4, **words)) == snapshot
