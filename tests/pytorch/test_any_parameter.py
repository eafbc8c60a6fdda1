"""Any parameter that a model may have: no dimensions, no entries, complex, frozen."""

import math

import pytest
import torch
from quick import combined
from tolerance import digits
from torch import nn
from torch.nn import Parameter

from dwindle.decay.run import Run
from dwindle.errors import RangeError
from dwindle.pytorch import DecayController, L2Penalty, audit, decay_groups
from dwindle.pytorch.probe import probe

MATRIX = (6, 4)
# What stands beside a matrix in the same group.
OTHERS = {
    "no dimensions, as CLIP's logit_scale": lambda: torch.tensor(2.6592),
    "one entry": lambda: torch.ones(1),
    "no entries": lambda: torch.empty(0, 5),
    "five dimensions": lambda: torch.ones(2, 1, 2, 1, 2),
    "complex": lambda: torch.ones(3, 2, dtype=torch.complex64),
    "complex without dimensions": lambda: torch.tensor(1 + 2j),
    "float64": lambda: torch.ones(3, dtype=torch.float64),
    "zeros": lambda: torch.zeros(3, 3),
}
FROZEN = {
    "frozen": lambda: torch.ones(3, 2),
    "frozen integers, as quantized weights are": lambda: torch.ones(
        3, 2, dtype=torch.uint8
    ),
    "frozen truth values": lambda: torch.ones(3, dtype=torch.bool),
}
EVERY = OTHERS | FROZEN
KINDS = {
    "AdamW": lambda ps: torch.optim.AdamW(ps, lr=0.1, weight_decay=0.02),
    "Adam": lambda ps: torch.optim.Adam(ps, lr=0.1, weight_decay=0.02),
    "SGD": lambda ps: torch.optim.SGD(ps, lr=0.1, weight_decay=0.02),
}
of_every_other = pytest.mark.parametrize("other", EVERY)
of_every_pair = combined("kind other", [*KINDS], [*EVERY], one_in=len(KINDS))


def left_of(weight, start):
    """The share of each entry that is left."""
    return (weight.detach() / start).flatten().tolist()


class Model(nn.Module):
    """A matrix and another parameter."""

    def __init__(self, other):
        super().__init__()
        self.matrix = Parameter(torch.ones(MATRIX))
        self.other = Parameter(EVERY[other](), requires_grad=other in OTHERS)


@of_every_pair
def test_a_matrix_is_probed_and_audited_beside_it(kind, other):
    """AdamW and SGD take lr·weight_decay, 0.002 of a step, beside any parameter."""
    model = Model(other)
    optimizer = KINDS[kind](model.parameters())
    group = probe(optimizer).groups[0]
    shrink = None if kind == "Adam" else digits(0.002, rel=1e-9)
    assert group.shrink_per_step == shrink
    assert group.walk == ("linear" if kind == "Adam" else "geometric")
    assert "Model" in str(audit(model, optimizer, run=Run(steps=100)))


@pytest.mark.parametrize("other", OTHERS)
def test_a_probe_of_it_alone(other):
    """Without a matrix it is probed by itself."""
    group = probe(KINDS["AdamW"]([Model(other).other])).groups[0]
    assert group.half_life_steps == digits(math.log(2) / 0.002, rel=2e-3)
    assert group.decouples
    assert probe(KINDS["Adam"]([Model(other).other])).groups[0].walk == "linear"


def test_integers_alone_are_no_parameters_that_decay():
    """A group of them is as good as empty, also where a penalty is held."""
    model = Model("frozen integers, as quantized weights are")
    optimizer = KINDS["SGD"]([{"params": [model.other]}, {"params": [model.matrix]}])
    assert probe(optimizer).groups[0].dtype == ""
    held = DecayController(optimizer, penalty=0.1)
    assert held.mechanisms == ("penalty", "penalty")


@of_every_pair
def test_a_half_life_is_held_beside_it(kind, other):
    """Ten steps at a half-life of ten leave half of the matrix, and of the other."""
    model = Model(other)
    optimizer = KINDS[kind](model.parameters())
    DecayController(optimizer, half_life="10 steps")
    start = model.other.detach().clone()
    for _ in range(10):
        for each in filter(lambda p: p.requires_grad, model.parameters()):
            each.grad = torch.zeros_like(each)
        optimizer.step()
    left = left_of(model.matrix, torch.ones(MATRIX))
    assert left == digits([0.5] * len(left), rel=1e-6)  # ten steps in float32
    kept = 0.5 if other in OTHERS else 1.0
    if start.numel():
        assert torch.allclose(model.other.detach(), (kept * start).to(start.dtype))


@of_every_other
def test_groups_and_penalties_beside_it(other):
    """In both the matrix is there; the other one is a bias, or left out."""
    # SGD's own knob holds a penalty; one step takes lr·penalty.
    model = Model(other)
    groups = decay_groups(model, weight_decay=0.1)
    listed = {id(each) for group in groups for each in group["params"]}
    assert {id(p) for p in model.parameters() if p.requires_grad} == listed
    penalty = L2Penalty(model, 0.5, decay=["matrix"])()
    # ½ Σ w² at 0.5, for a matrix of ones.
    assert penalty.item() >= 0.25 * model.matrix.numel() * (1 - 1e-6)
    optimizer = KINDS["SGD"](model.parameters())
    DecayController(optimizer, penalty=0.5)
    for each in filter(lambda p: p.requires_grad, model.parameters()):
        each.grad = torch.zeros_like(each)
    optimizer.step()
    left = left_of(model.matrix, torch.ones(MATRIX))
    assert left == digits([1 - 0.1 * 0.5] * len(left), rel=1e-6)  # float32


@pytest.mark.parametrize("name", ["lr", "weight_decay"])
@pytest.mark.parametrize("value", [-1e-4, math.nan, math.inf, "1e-3", None])
def test_an_option_that_is_no_number_is_named_with_its_group(name, value):
    """Probe, controller and audit name the second group, and what stands there."""
    model = Model("one entry")
    groups = [{"params": [model.other]}, {"params": [model.matrix]}]
    optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.1)
    optimizer.param_groups[1][name] = value
    constant = {"half_life": "10 steps", "schedule": "constant"}
    place = f"{name} of group 1"
    calls = [
        (place, lambda: probe(optimizer)),
        (place, lambda: DecayController(optimizer, **constant)),
        (place, lambda: DecayController(optimizer, penalty=0.1)),
    ]
    # A decay that is a text is a finding of the audit, and one of None counts as 0.
    if isinstance(value, float) or (name, value) == ("lr", "1e-3"):
        there = f'optimizer.param_groups[1]["{name}"]'
        calls.append((there, lambda: audit(model, optimizer, run=Run(steps=10))))
    for where, call in calls:
        with pytest.raises(RangeError) as raised:
            call()
        assert raised.value.name == where
