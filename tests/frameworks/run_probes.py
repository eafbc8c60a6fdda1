"""The probe on the optimizers of other libraries: each is told by what it does."""

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

# Path, options, how exactly its share is lr·weight_decay.
DECOUPLED = [
    ("optimi.AdamW", {}, FLOAT64),
    ("optimi.Adam", {"decouple_wd": True}, FLOAT64),
    ("optimi.Lion", {}, FLOAT64),
    ("optimi.SGD", {"momentum": 0.9, "decouple_wd": True}, FLOAT64),
    ("lion_pytorch.Lion", {}, FLOAT64),
    ("bitsandbytes.optim.Adam", {}, FLOAT32),
    ("bitsandbytes.optim.AdamW", {}, FLOAT32),
    ("bitsandbytes.optim.Lion", {}, FLOAT32),
    ("timm.optim.adamw.AdamWLegacy", {}, FLOAT64),
    ("timm.optim.sgdw.SGDW", {"momentum": 0.9}, FLOAT64),
    ("timm.optim.radam.RAdamLegacy", {}, FLOAT32),
    ("timm.optim.lion.Lion", {}, FLOAT64),
    ("timm.optim.lamb.Lamb", {"decoupled_decay": True}, FLOAT64),
    ("timm.optim.muon.Muon", {}, FLOAT64),
    ("timm.optim.adabelief.AdaBelief", {}, FLOAT64),
    ("pytorch_optimizer.Lion", {}, FLOAT64),
    ("pytorch_optimizer.AdaBelief", {}, FLOAT64),
]


@pytest.mark.parametrize(("path", "options", "rel"), DECOUPLED, ids=str)
def test_these_decouple(path, options, rel):
    """Whatever the class is called: a step takes lr·weight_decay, also when pulled."""
    group = only_group(path, **options)
    assert (group.walk, group.decouples) == ("geometric", True)
    assert group.shrink_per_step == digits(LR * NUMBER, rel=rel)


ADAPTIVE = [
    ("optimi.Adam", {}),
    ("optimi.RAdam", {}),
    ("bitsandbytes.optim.RMSprop", {}),
    ("bitsandbytes.optim.Adagrad", {}),
    ("timm.optim.nadam.NAdamLegacy", {}),
    ("timm.optim.adopt.Adopt", {}),
]


@pytest.mark.parametrize(("path", "options"), ADAPTIVE, ids=str)
def test_these_divide_their_decay_away(path, options):
    """Every step takes an amount, whatever the weight and the knob."""
    group = only_group(path, **options)
    assert (group.walk, group.decouples) == ("linear", False)
    assert (group.lr_power, group.knob_power) == (1, 0)


# Path, options, power of the lr: these take the knob times a part of the schedule.
SCALED = [
    ("optimi.AdamW", {"decouple_lr": True}, 1),
    ("lion_pytorch.Lion", {"decoupled_weight_decay": True}, 1),
    ("composer.optim.decoupled_weight_decay.DecoupledSGDW", {}, 1),
    ("composer.optim.decoupled_weight_decay.DecoupledAdamW", {}, 1),
    ("timm.optim.adabelief.AdaBelief", {"fixed_decay": True}, 0),
    ("pytorch_optimizer.Lion", {"fixed_decay": True}, 0),
]


@pytest.mark.parametrize(("path", "options", "power"), SCALED, ids=str)
def test_these_leave_the_size_of_the_lr_out(path, options, power):
    """At the lr that they were built with, a step takes weight_decay itself."""
    group = only_group(path, **options)
    assert group.shrink_per_step == digits(NUMBER, rel=FLOAT64)
    assert (group.lr_power, group.knob_power) == (power, 1)
    assert group.per_lr == digits(1 / LR, rel=FLOAT64)
    assert not group.decouples


@pytest.mark.parametrize("name", ["adamw.AdamWLegacy", "lion.Lion", "sgdw.SGDW"])
def test_a_corrected_decay_goes_with_the_square_of_the_lr(name):
    """Under a schedule the decay is lr²/lr_peak."""
    group = only_group(f"timm.optim.{name}", corrected_weight_decay=True)
    assert (group.lr_power, group.knob_power) == (2, 1)
    assert not group.decouples


PENALTIES = [
    ("optimi.SGD", {"momentum": 0.9}),
    ("bitsandbytes.optim.SGD", {"momentum": 0.9}),
]


@pytest.mark.parametrize(("path", "options"), PENALTIES, ids=str)
def test_these_have_a_penalty_behind_momentum(path, options):
    """The knob joins the gradient, and the momentum delays it."""
    group = only_group(path, **options)
    assert (group.walk, group.coupled_sgd) == ("delayed", True)
    assert not group.decouples


FREE = ["SGDScheduleFree", "AdamWScheduleFree", "AdamWScheduleFreeClosure"]


@pytest.mark.parametrize("name", FREE)
def test_schedule_free_has_no_rate(name):
    """In training mode, into which only the copy is put, the share changes."""
    group = only_group(f"schedulefree.{name}")
    assert group.walk in {"power-law", "other"}
    assert group.shrink_per_step is None
    assert group.works
    assert not group.decouples


def test_a_clipped_step_size_is_seen_when_gradients_pull():
    """StableAdamW at rest decays by lr·weight_decay, and by less after a spike."""
    group = only_group("optimi.StableAdamW")
    assert group.shrink_per_step == digits(LR * NUMBER, rel=FLOAT64)
    assert (group.driven, group.decouples) == (False, False)


def test_a_trust_ratio_is_seen():
    """LAMB's decay at rest is the lr, whatever the knob; and it is not decoupled."""
    group = only_group("timm.optim.lamb.Lamb")
    assert group.shrink_per_step == digits(LR, rel=FLOAT64)
    assert group.knob_power == 0
    assert not group.decouples


def test_a_proximal_decay_is_nearly_decoupled_and_not_taken_for_it():
    """Adan divides by 1 + lr·weight_decay."""
    group = only_group("timm.optim.adan.Adan")
    kept = 1 / (1 + LR * NUMBER)
    assert group.shrink_per_step == digits(1 - kept, rel=FLOAT64)
    assert not group.decouples


def test_a_projection_is_seen():
    """AdamP decays matrices by a tenth of what vectors get, where nothing pulls."""
    group = only_group("timm.optim.adamp.AdamP")
    assert group.per_lr == digits(0.1, rel=FLOAT64)
    assert group.uneven


@pytest.mark.parametrize(
    ("path", "period"), [("timm.optim.lookahead", 6), ("optimi.Ranger", 6)]
)
def test_a_lookahead_comes_again(path, period):
    """The slow weights are caught up with every few steps."""
    if path.endswith("lookahead"):
        lookahead = found_in(f"{path}.Lookahead")
        inner = torch.optim.AdamW(parameters(), lr=LR, weight_decay=NUMBER)
        (group,) = probe(lookahead(inner)).groups
    else:
        group = only_group(path)
    assert (group.walk, group.period_steps) == ("periodic", period)
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
