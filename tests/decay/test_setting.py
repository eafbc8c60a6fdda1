"""Settings: what a person types is read as meant, or refused with what to type."""

import math
from decimal import Decimal

import pytest

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.decay.setting import read_setting, target_knob
from dwindle.errors import RangeError, UnknownNameError

READ = [
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
]


def test_what_is_typed_is_read():
    """Numbers, texts, percentages and times become a number of the knob."""
    settings = [(value, knob, read_setting(value, knob)) for value, knob, *_ in READ]
    found = [(value, knob, it.knob.name, it.number) for value, knob, it in settings]
    assert found == READ


# What is typed, where, and the words that say what it must be.
WRONG = {
    "a number": [
        ("abc", "torch.SGD"),
        ("", "torch.SGD"),
        (None, "torch.SGD"),
        (True, "torch.SGD"),
        ("10 %%", "torch.SGD"),
        (HalfLife(3, "epochs"), "torch.SGD"),
        ("nan", "torch.AdamW"),
    ],
    "a finite number": [(10**400, "torch.AdamW")],
    "a finite number, 0 or more": [
        (-1e-3, "torch.SGD"),
        (math.nan, "torch.AdamW"),
        ("inf", "torch.AdamW"),
    ],
    "a finite number above 0": [
        (0, "gaussian-prior.sigma"),
        (-1, "LogisticRegression"),
        (math.inf, "neal1996.omega"),
    ],
    "a fraction of the weight in [0, 1)": [(1, "shrink"), ("150%", "shrink")],
    "a time with its clock": [(3, "half-life"), ("3", "half-life")],
    "above 0": [
        (0, "half-life:steps"),
        ("-2 epochs", "half-life"),
        (math.nan, "half-life:steps"),
    ],
    "in steps": [("3 epochs", "half-life:steps")],
}


def test_what_cannot_be_is_refused():
    """A value that a knob cannot take is refused with what it must be."""
    for must, settings in WRONG.items():
        for value, knob in settings:
            with pytest.raises(RangeError) as raised:
                read_setting(value, knob)
            assert raised.value.must == must, (value, knob)
    with pytest.raises(UnknownNameError) as unknown:
        read_setting("3 fortnights", "half-life")
    assert (unknown.value.kind, unknown.value.name) == ("clock", "fortnights")


def test_a_bare_half_life_gets_a_clock():
    """As a target, a half-life takes epochs where an epoch is known, else steps."""
    assert target_knob("half-life", Run()).clock == "steps"
    assert target_knob("half-life", Run(batch_size=2)).clock == "steps"
    assert target_knob("half-life", Run(batch_size=2, dataset_size=9)).clock == "epochs"
    assert target_knob("half-life:tokens", Run()).clock == "tokens"
