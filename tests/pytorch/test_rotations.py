"""DW016 says what to keep when the lr changes, or nothing: held against real steps."""

import math

import pytest
import torch
from pytorch.planted_optimizers import EachWeight
from pytorch.planted_programs import cnn, grouped, of
from tolerance import digits
from torch import nn

from dwindle.pytorch.audit import audit
from dwindle.pytorch.probing.measuring import steps_by_size

LR, DECAY = 1e-2, 0.02


class Lamb(EachWeight):
    """A trust ratio around a step by signs: each step is a share of the weight."""

    def move(self, group, weight):
        update = weight.grad.sign() + group["weight_decay"] * weight
        size = update.norm()
        weight.sub_(group["lr"] * (weight.norm() / size if size else 1.0) * update)


def rotation(kind, lr, weight_decay, **options):
    """Angle per step, once decay and updates balance, of a weight without a size."""
    noise = torch.Generator().manual_seed(0)
    options |= {"lr": lr, "weight_decay": weight_decay}
    start = torch.randn(256, dtype=torch.float64, generator=noise)
    weight = nn.Parameter(start)
    optimizer, angles = kind([weight], **options), []
    for step in range(1500):
        size = weight.detach().norm()
        unit = weight.detach() / size
        pull = torch.randn(256, dtype=torch.float64, generator=noise)
        # The gradient of what has no size: across the weight, one over its size.
        weight.grad = (pull - unit * (pull @ unit)) / size
        optimizer.step()
        if step >= 1000:
            now = weight.detach() / weight.detach().norm()
            angles.append(math.acos(min(1.0, float(now @ unit))))
    return sum(angles) / len(angles)


def dw016(kind, **options):
    model = cnn()
    optimizer = kind(grouped(model, DECAY), lr=LR, **options)
    return of(audit(model, optimizer), "DW016")


BALANCED = {
    "AdamW": (torch.optim.AdamW, {}, "linear", 50.0),
    "SGD": (torch.optim.SGD, {"momentum": 0.9}, "linear", 50.0),
    "Adam": (torch.optim.Adam, {}, "quadratic", 5.0),
    "NAdam": (torch.optim.NAdam, {}, "quadratic", 5.0),
    "RMSprop": (torch.optim.RMSprop, {}, "quadratic", 5.0),
}


@pytest.mark.parametrize("name", BALANCED)
def test_what_is_advised_keeps_the_rotation(name):
    """At twice the lr the advised number turns weights as far as before."""
    kind, options, kept, stronger = BALANCED[name]
    finding = dw016(kind, **options)
    assert finding.case == kept
    share = finding.values["number"] / DECAY
    assert share == digits(0.25 if kept == "quadratic" else 0.5, rel=1e-12)
    names = {}
    exec(finding.line, names)  # noqa: S102  the line of our own finding
    assert names["weight_decay"] == share * DECAY
    before = rotation(kind, LR, stronger * DECAY, **options)
    after = rotation(kind, 2 * LR, stronger * DECAY * share, **options)
    # A random walk of 500 angles, and a balance that a finite run nearly reaches.
    assert after == pytest.approx(before, rel=0.04)


def test_a_product_is_not_kept_under_a_coupled_adam():
    """Twice the lr and half of the decay turn weights a quarter further: 2^(1/3)."""
    before = rotation(torch.optim.Adam, LR, 5 * DECAY)
    after = rotation(torch.optim.Adam, 2 * LR, 5 * DECAY / 2)
    # As above; what the angles of a thousand more steps leave of it.
    assert after / before == pytest.approx(2 ** (1 / 3), rel=0.04)


def test_under_a_trust_ratio_the_decay_sets_no_effective_lr():
    """There the lr alone turns a weight, and no line is written."""
    weak, strong = (rotation(Lamb, LR, decay) for decay in (DECAY, DECAY / 2))
    assert weak == pytest.approx(strong, rel=0.02)
    finding = dw016(Lamb)
    assert (finding.case, finding.line) == ("by-size", "")


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.Adamax])
def test_of_other_rules_nothing_is_claimed(kind):
    """Their weights were not seen to balance."""
    finding = dw016(kind)
    assert (finding.case, finding.line) == ("", "")


def test_steps_that_grow_with_the_weight_are_seen():
    """By stepping a copy, whatever the class is called."""
    weights = [nn.Parameter(torch.ones(3, 3))]
    assert steps_by_size(Lamb(weights, weight_decay=0.1), at=0)
    for kind in (torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop):
        assert not steps_by_size(kind(weights, lr=0.1), at=0)
