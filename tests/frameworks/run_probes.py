"""The probe on the optimizers of other libraries: each is described by what it does."""

from importlib import import_module

import pytest
import torch
from frameworks.checks.partial import module
from pytorch.untouched import left_alone
from tolerance import digits
from torch import nn

from dwindle.pytorch.probe import probe

pytestmark = pytest.mark.filterwarnings("default")  # other people's deprecations

LR, NUMBER = 1e-3, 0.02
_PARTIAL = {
    "timm": ("timm", "timm.models"),
    "composer": ("composer", "composer.optim", "composer.utils"),
}


def parameters():
    return [nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.randn(6))]


def found_in(path):
    """The class at such a path: a library's, or that of one of its files."""
    where, _, name = path.rpartition(".")
    library = where.partition(".")[0]
    if library in _PARTIAL:
        return getattr(module(where, *_PARTIAL[library]), name)
    return getattr(import_module(where), name)


def only_group(path, **options):
    optimizer = found_in(path)(parameters(), lr=LR, weight_decay=NUMBER, **options)
    with left_alone(optimizer):
        (group,) = probe(optimizer).groups
    return group


FLOAT32 = 0.01  # a share of 2e-5, in numbers with seven digits
FLOAT64 = 1e-9  # the same in numbers with sixteen
TIMM, OF_TIMM = "timm.optim", {"corrected_weight_decay": True}
MOMENTUM = {"momentum": 0.9}


def decouples(rel=FLOAT64):
    """A step takes lr·weight_decay, also of what gradients pull at."""
    share = digits(LR * NUMBER, rel=rel)
    return {"walk": "geometric", "decouples": True, "shrink_per_step": share}


def scaled(power):
    """At the lr that it was built with, a step takes weight_decay itself."""
    return {
        "shrink_per_step": digits(NUMBER, rel=FLOAT64),
        "lr_power": power,
        "knob_power": 1,
        "per_lr": digits(1 / LR, rel=FLOAT64),
        "decouples": False,
    }


# Every step takes an amount, at any weight and knob.
ADAPTS = {"walk": "linear", "decouples": False, "lr_power": 1, "knob_power": 0}
# Under a schedule the decay is lr²/lr_peak.
CORRECTED = {"lr_power": 2, "knob_power": 1, "decouples": False}
# The knob joins the gradient, and the momentum delays it.
PENALTY = {"walk": "delayed", "coupled_sgd": True, "decouples": False}
# In training mode, into which only the copy is put, the share changes.
FREE = {"shrink_per_step": None, "works": True, "decouples": False}
# Path, options, and what is seen of its one group.
SEEN = [
    ("optimi.AdamW", {}, decouples()),
    ("optimi.Adam", {"decouple_wd": True}, decouples()),
    ("optimi.Lion", {}, decouples()),
    ("optimi.SGD", MOMENTUM | {"decouple_wd": True}, decouples()),
    ("lion_pytorch.Lion", {}, decouples()),
    ("bitsandbytes.optim.Adam", {}, decouples(FLOAT32)),
    ("bitsandbytes.optim.AdamW", {}, decouples(FLOAT32)),
    ("bitsandbytes.optim.Lion", {}, decouples(FLOAT32)),
    (f"{TIMM}.adamw.AdamWLegacy", {}, decouples()),
    (f"{TIMM}.sgdw.SGDW", MOMENTUM, decouples()),
    (f"{TIMM}.radam.RAdamLegacy", {}, decouples(FLOAT32)),
    (f"{TIMM}.lion.Lion", {}, decouples()),
    (f"{TIMM}.lamb.Lamb", {"decoupled_decay": True}, decouples()),
    (f"{TIMM}.muon.Muon", {}, decouples()),
    (f"{TIMM}.adabelief.AdaBelief", {}, decouples()),
    ("pytorch_optimizer.Lion", {}, decouples()),
    ("pytorch_optimizer.AdaBelief", {}, decouples()),
    ("optimi.Adam", {}, ADAPTS),
    ("optimi.RAdam", {}, ADAPTS),
    ("bitsandbytes.optim.RMSprop", {}, ADAPTS),
    ("bitsandbytes.optim.Adagrad", {}, ADAPTS),
    (f"{TIMM}.nadam.NAdamLegacy", {}, ADAPTS),
    (f"{TIMM}.adopt.Adopt", {}, ADAPTS),
    ("optimi.AdamW", {"decouple_lr": True}, scaled(1)),
    ("lion_pytorch.Lion", {"decoupled_weight_decay": True}, scaled(1)),
    ("composer.optim.decoupled_weight_decay.DecoupledSGDW", {}, scaled(1)),
    ("composer.optim.decoupled_weight_decay.DecoupledAdamW", {}, scaled(1)),
    (f"{TIMM}.adabelief.AdaBelief", {"fixed_decay": True}, scaled(0)),
    ("pytorch_optimizer.Lion", {"fixed_decay": True}, scaled(0)),
    (f"{TIMM}.adamw.AdamWLegacy", OF_TIMM, CORRECTED),
    (f"{TIMM}.lion.Lion", OF_TIMM, CORRECTED),
    (f"{TIMM}.sgdw.SGDW", OF_TIMM, CORRECTED),
    ("optimi.SGD", MOMENTUM, PENALTY),
    ("bitsandbytes.optim.SGD", MOMENTUM, PENALTY),
    ("schedulefree.SGDScheduleFree", {}, FREE),
    ("schedulefree.AdamWScheduleFree", {}, FREE),
    ("schedulefree.AdamWScheduleFreeClosure", {}, FREE),
    # At rest it decays by lr·weight_decay, and by less after a spike of gradients.
    ("optimi.StableAdamW", {},
     decouples() | {"driven": False, "decouples": False}),
    # Inside of a trust ratio the decay at rest is the lr, at any knob.
    (f"{TIMM}.lamb.Lamb", {},
     {"shrink_per_step": digits(LR, rel=FLOAT64), "knob_power": 0,
      "decouples": False}),
    # Proximal: it divides by 1 + lr·weight_decay, and is nearly decoupled.
    (f"{TIMM}.adan.Adan", {},
     {"shrink_per_step": digits(1 - 1 / (1 + LR * NUMBER), rel=FLOAT64),
      "decouples": False}),
    # A projection: matrices get a tenth of what vectors get, where nothing pulls.
    (f"{TIMM}.adamp.AdamP", {},
     {"per_lr": digits(0.1, rel=FLOAT64), "uneven": True}),
    # The slow weights of a Lookahead are caught up with every six steps.
    ("optimi.Ranger", {},
     {"walk": "periodic", "period_steps": 6, "decouples": False}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "options", "expected"), SEEN)
def test_each_is_described_by_what_it_does(path, options, expected):
    """Not by the name of its class: its walk, its shares and its powers."""
    group = only_group(path, **options)
    assert {name: getattr(group, name) for name in expected} == expected
    if expected is FREE:
        assert group.walk in {"power-law", "other"}


def test_a_lookahead_of_timm_comes_again():
    """It wraps an optimizer of anybody's."""
    inner = torch.optim.AdamW(parameters(), lr=LR, weight_decay=NUMBER)
    (group,) = probe(found_in("timm.optim.lookahead.Lookahead")(inner)).groups
    assert (group.walk, group.period_steps) == ("periodic", 6)
    assert not group.decouples


def test_the_wrapper_of_accelerate_is_seen_through():
    """The optimizer and its scheduler may come from Accelerate."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    bare = torch.optim.AdamW(parameters(), lr=LR, weight_decay=NUMBER)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(bare, 50)
    optimizer, scheduler = accelerator.prepare(bare, schedule)
    with left_alone(bare):
        (group,) = probe(optimizer, scheduler=scheduler, steps=50).groups
    assert group.decouples
    assert 0 < group.e_folds < 50 * LR * NUMBER
