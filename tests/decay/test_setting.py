"""Settings: what a person types is read as meant, or refused with what to type."""

import math
from decimal import Decimal

import pytest

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.decay.setting import read_setting, target_knob
from dwindle.errors import RangeError, UnknownNameError


@pytest.mark.parametrize(
    ("value", "knob", "name", "number"),
    [
        (5e-4, "torch.SGD", "torch.optim.SGD", 5e-4),
        ("1e-3", "torch.SGD", "torch.optim.SGD", 1e-3),
        (" 0 ", "torch.SGD", "torch.optim.SGD", 0.0),
        ("1/32768", "torch.SGD", "torch.optim.SGD", 2.0**-15),
        ("0.1%", "torch.AdamW", "torch.optim.AdamW", 1e-3),
        ("2**-15", "torch.AdamW", "torch.optim.AdamW", 2.0**-15),
        ("50k", "half-life:steps", "half-life:steps", 50_000.0),
        ("1/4", "half-life:run", "half-life:run", 0.25),
        (Decimal("0.1"), "torch.AdamW", "torch.optim.AdamW", 0.1),
        (2, "torch.AdamW", "torch.optim.AdamW", 2.0),
        ("0.1%", "shrink", "shrink", 1e-3),
        ("3 epochs", "half-life", "half-life:epochs", 3.0),
        ("2e9 tokens", "half-life", "half-life:tokens", 2e9),
        ("20% of the run", "half-life", "half-life:run", 0.2),
        (HalfLife(7, "steps"), "half-life", "half-life:steps", 7.0),
        ("500", "half-life:steps", "half-life:steps", 500.0),
        ("5e2", "half-life:steps", "half-life:steps", 500.0),
        (500, "half-life:steps", "half-life:steps", 500.0),
        ("500 steps", "half-life:steps", "half-life:steps", 500.0),
        ("inf", "half-life:steps", "half-life:steps", math.inf),
    ],
)
def test_what_is_typed_is_read(value, knob, name, number):
    """Numbers, texts, percentages and times become a number of the knob."""
    setting = read_setting(value, knob)
    assert (setting.knob.name, setting.number) == (name, number)


@pytest.mark.parametrize(
    ("value", "knob", "message"),
    [
        (
            "abc",
            "torch.SGD",
            r"torch.optim.SGD must be a number. Got 'abc'. Write torch",
        ),
        ("", "torch.SGD", "must be a number. Got ''"),
        (None, "torch.SGD", "must be a number. Got None"),
        ("10 %%", "torch.SGD", "must be a number. Got '10 %%'"),
        (HalfLife(3, "epochs"), "torch.SGD", "torch.optim.SGD must be a number"),
        (
            -1e-3,
            "torch.SGD",
            r"finite number, 0 or more. Got -0.001. It is read as: grad",
        ),
        (math.nan, "torch.AdamW", "finite number, 0 or more. Got nan"),
        ("inf", "torch.AdamW", "finite number, 0 or more. Got inf"),
        (0, "gaussian-prior.sigma", "finite number above 0. Got 0.0"),
        (-1, "LogisticRegression", "finite number above 0. Got -1.0"),
        (math.inf, "neal1996.omega", "finite number above 0. Got inf"),
        (1, "shrink", r"a fraction of the weight in \[0, 1\). Got 1.0"),
        ("150%", "shrink", r"a fraction of the weight in \[0, 1\). Got 1.5"),
        (3, "half-life", r"a time with its clock. Got 3. Write a number and a clock"),
        ("3", "half-life", "a time with its clock. Got 3"),
        (0, "half-life:steps", "half-life:steps must be above 0. Got 0.0"),
        ("-2 epochs", "half-life", "half_life must be above 0"),
        ("3 epochs", "half-life:steps", "half-life:steps must be in steps"),
        (math.nan, "half-life:steps", "must be above 0. Got nan"),
    ],
)
def test_what_cannot_be_is_refused(value, knob, message):
    """A value that a knob cannot take is refused with what it must be."""
    with pytest.raises(RangeError, match=message):
        read_setting(value, knob)


def test_an_unknown_clock_is_answered_with_those_there_are():
    """A half-life on no clock names the clocks."""
    with pytest.raises(UnknownNameError, match=r"clock must be one.*'fortnights'"):
        read_setting("3 fortnights", "half-life")


def test_a_bare_half_life_gets_a_clock():
    """As a target, a half-life takes epochs where an epoch is known, else steps."""
    assert target_knob("half-life", Run()).clock == "steps"
    assert target_knob("half-life", Run(batch_size=2)).clock == "steps"
    assert target_knob("half-life", Run(batch_size=2, dataset_size=9)).clock == "epochs"
    assert target_knob("half-life:tokens", Run()).clock == "tokens"
