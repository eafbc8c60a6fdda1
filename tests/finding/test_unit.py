"""The number that is typed, to the search: backwards, converted, at a scale."""

import math

import pytest

from dwindle.decay.run import Run
from dwindle.errors import UsageError
from dwindle.finding.unit import Unit

RUN = Run(lr=0.1, batch_size=10, dataset_size=100)
UNITS = {
    "a decay": ("torch.optim.AdamW", None, False),
    "a C": ("sklearn.linear_model.LogisticRegression", None, True),
    "a half-life": ("half-life:epochs", "torch.optim.AdamW", True),
    "of one's own": ("own:reg", None, False),
}


@pytest.mark.parametrize("name", UNITS)
def test_there_and_back_and_no_decay_at_all(name):
    """A number is itself again; more decay is a larger x, and none is -infinity."""
    knob, typed, backwards = UNITS[name]
    unit = Unit.from_given(knob, typed, RUN)
    assert unit.runs_backwards == backwards
    assert unit.is_converted == (typed is not None)
    assert (unit.x_from_number(3.0) > unit.x_from_number(2.0)) != backwards
    for number in (0.5, 30.0):
        x = unit.x_from_number(number)
        assert unit.number_from_x(x) == pytest.approx(number, rel=1e-15)
        # A training gets six digits.
        assert unit.x_from_typed(unit.typed_from_x(x)) == pytest.approx(x, abs=1e-5)
    none = math.inf if backwards else 0.0
    assert unit.x_from_number(none) == -math.inf
    assert unit.number_from_x(-math.inf) == none
    assert unit.typed_from_x(-math.inf) == (0.0 if typed else none)
    assert unit.x_from_typed(0.0 if typed else none) == -math.inf


def test_a_half_life_is_typed_as_the_decay_that_it_is():
    """7 epochs of 10 steps at lr 0.1: a step takes 1 - 2^(-1/70)."""
    unit = Unit.from_names("half-life:epochs", "torch.optim.AdamW", RUN)
    per_step = 1 - 2 ** (-1 / 70)
    found = unit.typed_from_x(unit.x_from_number(7.0))
    assert found == pytest.approx(per_step / 0.1, rel=1e-5)
    # An interval that is open: no decay for ever, and a decay without limit.
    typed = unit.typed_of(7.0, 0.0, math.inf)
    assert (typed.value, typed.low, typed.high) == (found, 0.0, math.inf)


def test_a_quantity_of_scale_is_a_fact_of_the_run():
    """What a run knows is taken from the scale, whole where it is; not both."""
    unit = Unit.from_names("half-life:epochs", "torch.optim.AdamW", Run(lr=0.1))
    there = unit.at({"batch_size": 10.0, "dataset_size": 100.0, "width": 64.0})
    assert there.run == RUN
    assert isinstance(there.run.batch_size, int)
    assert unit.at({"width": 64.0}) is unit
    with pytest.raises(UsageError) as raised:
        unit.at({"lr": 0.2})
    assert raised.value.got == "0.1 and 0.2"


REFUSED = (
    ("half-life:epochs", None),
    ("shrink", None),
    ("half-life", "torch.optim.AdamW"),
    ("torch.optim.SGD", "torch.optim.AdamW"),
    ("half-life:epochs", "shrink"),
    ("half-life:epochs", "half-life:steps"),
)


@pytest.mark.parametrize(("knob", "typed"), REFUSED)
def test_what_no_training_could_take_is_refused(knob, typed):
    """A rate needs the argument that is typed; an argument needs no other one."""
    with pytest.raises(UsageError) as raised:
        Unit.from_names(knob, typed, RUN)
    assert raised.value.remedy
