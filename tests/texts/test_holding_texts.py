"""Probe and controller: every text once; --snapshot-update rewrites."""

import logging
import math

import pytest
import torch
from pytorch.planted_optimizers import CoupledMasters, RebuildsWhatIsDriven
from pytorch.test_controller_refusals import Averages, DecaysUnderWd, TrustRatio
from pytorch.test_controller_wrappers import Hookless, Sam
from torch.optim import ASGD, LBFGS, SGD, Adam, AdamW, lr_scheduler

from dwindle.errors import DwindleError
from dwindle.pytorch import DecayController
from dwindle.pytorch.holding.lr_peaks import peaks_read
from dwindle.pytorch.probe import probe
from dwindle.pytorch.probing.group_probe import GroupProbe

KNOB = {"lr": 0.1, "number": 0.01, "knob": "weight_decay", "works": True}
GEOMETRIC = KNOB | {
    "walk": "geometric",
    "shrink_per_step": 1e-3,
    "half_life_steps": 692.8,
    "knob_walk": "geometric",
}
SHARES = {"first_step_shrink": 2e-3, "last_step_shrink": 1e-3}
SEEN = {
    "no parameters": {"dtype": ""},
    "no knob": {},
    "lr 0": {"lr": 0.0},
    "knob 0": KNOB | {"number": 0.0},
    "decoupled": GEOMETRIC | {"decouples": True, "driven": True},
    "delayed": GEOMETRIC | SHARES | {"walk": "delayed", "coupled_sgd": True},
    "oscillating": KNOB | {"walk": "oscillating", "period_steps": 12.3456},
    "linear": KNOB
    | {"walk": "linear", "amount_per_step": 1e-3, "lr_power": 1, "knob_power": 0},
    "periodic": GEOMETRIC | {"walk": "periodic", "period_steps": 6},
    "power law": KNOB | SHARES | {"walk": "power-law", "works": False},
    "another, half felt": KNOB | {"walk": "other", "knob_power": 0.9},
    "it finds its lr": KNOB | {"walk": "other", "adapts": True},
    "without the lr": GEOMETRIC | {"lr_power": 0, "knob_power": 1, "per_lr": 10.0},
    "lr squared": GEOMETRIC
    | {"lr_power": 2, "knob_power": 1, "per_lr": 0.12345, "driven": True},
    "hidden": KNOB | {"hidden": 1e-5, "hidden_by": "lambd"},
    "rounded away": GEOMETRIC | {"dtype": "bfloat16", "measured_shrink": 0.0},
    "rounded": GEOMETRIC | {"dtype": "bfloat16", "measured_shrink": 0.0012345},
    "broken": GEOMETRIC | {"dtype": "float16", "breaks": True},
    "a run": GEOMETRIC | {"run_steps": 60, "kept": 0.94175, "e_folds": 0.0600312},
    "a run by epochs": GEOMETRIC | {"run_steps": 11_730, "scheduler_every": 391},
    "uneven": GEOMETRIC | {"uneven": True},
}


def test_the_sentence_of_a_group(snapshot):
    """What a step takes, what the knob does, what is hidden, rounded and left."""
    groups = {
        name: GroupProbe(group=0, **{"dtype": "float32"} | seen)
        for name, seen in SEEN.items()
    }
    assert {name: each.sentence for name, each in groups.items()} == snapshot


def _weight(dtype=torch.float64):
    return torch.nn.Parameter(torch.tensor([1.0, -0.5, 0.3, 1.7], dtype=dtype))


def _adamw(dtype=torch.float64, **options):
    return AdamW([_weight(dtype)], **{"lr": 0.1} | options)


def _held(optimizer, half_life="10 steps", **options):
    return DecayController(optimizer, half_life=half_life, **options)


def _twice():
    optimizer = _adamw()
    return _held(optimizer) and _held(optimizer)


def _one_group_less():
    optimizer = AdamW([{"params": [_weight()]}, {"params": [_weight()]}])
    _held(optimizer)
    del optimizer.param_groups[0]
    optimizer.step()


def _another_state():
    _held(_adamw()).load_state_dict(_held(SGD([_weight()], lr=0.1)).state_dict())


def _without_lr():
    optimizer = SGD([_weight()], lr=0.1)
    optimizer.param_groups[0]["lr"] = None
    _held(optimizer)


def _far_above_the_peak():
    optimizer = _adamw(lr=1e-6)
    _held(optimizer, "3 steps")
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()


def _scheduled(build, *, show=probe, **options):
    optimizer = _adamw()
    return show(optimizer, scheduler=build(optimizer), **{"steps": 10} | options)


class Breaks(lr_scheduler.LRScheduler):
    """A scheduler of one's own that fails at its fourth step."""

    def get_lr(self):
        return [1 / (3 - self.last_epoch)]


REFUSED = {
    "no optimizer": lambda: _held(torch.nn.Linear(1, 1)),
    "a second decay": lambda: _held(ASGD([_weight()])),
    "an average": lambda: _held(Averages([_weight()])),
    "a decay of its own": lambda: _held(DecaysUnderWd([_weight()])),
    "trust ratio": lambda: _held(TrustRatio([_weight()])),
    "rebuilt": lambda: _held(RebuildsWhatIsDriven([_weight()])),
    "copies": lambda: _held(CoupledMasters([_weight(torch.bfloat16)])),
    "no hooks": lambda: _held(Hookless(SGD([_weight()], lr=0.1))),
    "two steps": lambda: _held(Sam([_weight()], SGD, lr=0.1)),
    "no lr": _without_lr,
    "no penalty": lambda: DecayController(LBFGS([_weight()]), penalty=1e-4),
    "a second controller": _twice,
    "none": lambda: DecayController.of(_adamw()),
    "a group less": _one_group_less,
    "another state": _another_state,
    "rounded away": lambda: _held(_adamw(torch.bfloat16), "3000 steps"),
    "far above the peak": _far_above_the_peak,
    "missing": lambda: _held(_adamw(), "3 epochs"),
    "another fact": lambda: _held(_adamw(), batch_sise=3),
    "a foreign scheduler": lambda: _held(
        _adamw(), scheduler=lr_scheduler.StepLR(_adamw(), 5)
    ),
    "a scheduler that may go anywhere": lambda: _scheduled(
        lambda o: lr_scheduler.LambdaLR(o, lambda _: 1.0), show=peaks_read, steps=None
    ),
    "a scheduler that fails": lambda: _scheduled(Breaks, show=peaks_read),
    "a metric": lambda: _scheduled(lr_scheduler.ReduceLROnPlateau),
    "another's": lambda: _scheduled(lambda _: lr_scheduler.ConstantLR(_adamw())),
    "no scheduler": lambda: _scheduled(lambda _: len),
    "no lr on the way": lambda: _scheduled(
        lambda o: lr_scheduler.LambdaLR(o, lambda at: math.nan if at else 1.0)
    ),
    "an end": lambda: _scheduled(
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=5)
    ),
    "a short plan": lambda: _scheduled(
        lambda o: lr_scheduler.StepLR(o, 10), steps=11_730
    ),
    "epochs": lambda: _scheduled(
        lambda o: lr_scheduler.StepLR(o, 10), steps=11_730, every="epoch"
    ),
}


def _text(make):
    with pytest.raises(DwindleError) as raised:
        make()
    return str(raised.value)


def test_refusals(snapshot):
    """What was asked, why not, and what to do instead."""
    assert {name: _text(make) for name, make in REFUSED.items()} == snapshot


def _steps(optimizer, lrs):
    for lr in lrs:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()


def _never_stepped():
    optimizer, weight = _adamw(), _weight()
    optimizer.add_param_group({"params": [weight]})
    held = _held(optimizer)
    for _ in range(25):
        weight.grad = None
        (0.0 * weight).sum().backward()
    return held


def _knobs(kind, knobs, **options):
    groups = [{"params": [_weight()], "weight_decay": each} for each in knobs]
    return _held(kind(groups, lr=0.1, **options))


def _added():
    optimizer = SGD([{"params": [_weight()], "decay_scale": 1.0}], lr=0.1)
    _held(optimizer)
    optimizer.add_param_group({"params": [_weight()]})
    optimizer.step()


def _missed():
    optimizer = _adamw(lr=1.0)
    held = _held(optimizer, "30 steps")
    _steps(optimizer, [NOAM] * 3)
    held.remove()


NOAM = 512**-0.5 * 30**-0.5
WARNED = {
    "knobs of 0": lambda: _knobs(SGD, (0.1, 0.1), momentum=0.9),
    "two knobs": lambda: _knobs(AdamW, (0.1, 0.2)),
    "rounding": lambda: _held(_adamw(torch.bfloat16, lr=1e-3), "100 steps"),
    "above the peak": lambda: _held(o := _adamw()) and _steps(o, (0.1, 0.2, 0.3)),
    "a peak that is missed": _missed,
    "another half-life": lambda: _held(_adamw(), "9 steps").load_state_dict(
        _held(_adamw(), "5 steps").state_dict()
    ),
    "no step": _never_stepped,
    "a group that came later": _added,
}


def test_warnings(snapshot, caplog):
    """Each is one line, with what to do."""
    found = {}
    for name, happens in WARNED.items():
        caplog.clear()
        with caplog.at_level(logging.WARNING, "dwindle"):
            kept = happens()
        found[name] = [each.getMessage() for each in caplog.records]
        del kept
    assert found == snapshot


def test_tables(snapshot):
    """A controller of a half-life and of a penalty, and a probe."""
    facts = {"batch_size": 10, "dataset_size": 5000}
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(30, 50))]},
        {"params": [_weight()], "decay_scale": 0.0},
    ]
    held = _held(AdamW(groups, lr=3e-4), "3 epochs", **facts)
    penalty = DecayController(SGD([_weight()], lr=0.1), penalty=5e-4)
    seen = probe(Adam([_weight()], lr=1e-3, weight_decay=0.01))
    assert [repr(held), repr(penalty), str(seen)] == snapshot
