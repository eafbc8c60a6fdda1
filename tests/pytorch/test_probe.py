"""The probe: what an optimizer does is found out, whatever it is called."""

import pytest
import torch
from tolerance import digits
from torch import nn

from dwindle.decay.coordinates import shrink_from_number
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.pytorch.probe import probe


def parameters():
    return [nn.Parameter(torch.randn(3, 5)), nn.Parameter(torch.randn(5))]


def only_group(name, **options):
    mine = parameters()[: 1 if name == "Muon" else 2]
    (group,) = probe(getattr(torch.optim, name)(mine, **options)).groups
    return group


DECOUPLED = {
    "AdamW": {},
    "Adam": {"decoupled_weight_decay": True},
    "NAdam": {"decoupled_weight_decay": True},
    "RAdam": {"decoupled_weight_decay": True},
    "Adafactor": {},
    "Muon": {},
}
ADAPTIVE = ["Adam", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adamax"]


@pytest.mark.parametrize("name", DECOUPLED)
def test_a_decoupled_knob_is_told_by_what_it_does(name):
    """Each step takes lr·weight_decay, and both have the power 1."""
    group = only_group(name, lr=0.02, weight_decay=0.05, **DECOUPLED[name])
    assert (group.family, group.decouples) == ("geometric", True)
    assert group.shrink_per_step == digits(0.001, rel=1e-11)  # eps/0.001, 64 steps
    assert (group.lr_power, group.knob_power) == (1, 1)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_coupled_adaptive_knob_sets_no_rate(name):
    """The family is linear: there is no shrink, and no half-life to report."""
    group = only_group(name, weight_decay=0.01)
    assert (group.family, group.decouples) == ("linear", False)
    assert group.shrink_per_step is None
    assert group.half_life_steps is None
    assert not group.coupled_sgd
    assert (group.lr_power, group.knob_power) == (1, 0)


MOMENTA = [
    {},
    {"momentum": 0.5},
    {"momentum": 0.9},
    {"momentum": 0.99},
    {"momentum": 0.9, "dampening": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.9, "nesterov": True},
]


@pytest.mark.parametrize("options", MOMENTA, ids=str)
@pytest.mark.parametrize("lr", [1e-3, 0.02])
def test_sgd_shrinks_as_our_mathematics_says(options, lr):
    """The asymptotic shrink is the slow root; the knob is a penalty, not decoupled."""
    group = only_group("SGD", lr=lr, weight_decay=1e-3, **options)
    expected = shrink_from_number(KNOBS["torch.optim.SGD"], 1e-3, Run(lr=lr, **options))
    # Two roots from 64 steps: each step is known to 1e-16 of 1e-6, some digits go.
    assert group.shrink_per_step == digits(expected, rel=1e-7)
    assert (group.coupled_sgd, group.decouples) == (True, False)
    assert group.family == ("delayed" if options else "geometric")
