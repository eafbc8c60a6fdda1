"""A study as data: what cannot be is refused with range, value and remedy."""

import json
from dataclasses import replace

import pytest
from study.tiny import BASE, SPEC, changed

from dwindle.errors import RangeError, UnknownNameError
from dwindle.store.records import Scale
from dwindle.store.spec import AxisSpec, ProblemFacts, StudySpec


def test_a_spec_survives_json():
    """A spec read back from text is the same spec."""
    assert StudySpec.from_dict(json.loads(json.dumps(SPEC.as_dict()))) == SPEC


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seeds": 0}, "seeds must be a whole number from 1 to .*Got 0"),
        ({"low": -1e-5}, r"low must be from 1e-30 to 1e\+30\. Got -1e-05"),
        ({"low": float("nan")}, r"low must be from 1e-30 to 1e\+30\. Got nan"),
        ({"high": 1e-4}, r"low must be below high = 0\.0001\. Got 0\.004\. Swap"),
        ({"points": 2}, "points must be a whole number from 3 to 1,000.*Got 2"),
        ({"axes": ()}, r"axes must be one or more.*Got none.*width = \[16"),
        ({"base": replace(BASE, batch_size=65)}, "at most dataset_size = 64.*Got 65"),
        (
            {"base": replace(BASE, epochs=0)},
            r"epochs must be above 0, and at most 1,000,000\. Got 0",
        ),
        ({"base": replace(BASE, lr=0.0)}, r"lr must be from 1e-30 to 1e\+30\. Got 0"),
        (
            {"optimizer": replace(SPEC.optimizer, momentum=1.0)},
            r"momentum must be at least 0 and below 1\. Got 1\.0",
        ),
        (
            {"optimizer": replace(SPEC.optimizer, nesterov=True, dampening=0.5)},
            "nesterov must be false, or momentum above 0 and dampening 0",
        ),
        (
            {"optimizer": replace(SPEC.optimizer, betas=(0.9, 1.0))},
            r"betas must be two numbers, .* below 1\. Got \(0\.9, 1\.0\)",
        ),
        (
            {"axes": (AxisSpec(axis="batch_size", values=(16, 128)),)},
            r"batch_size must be at most dataset_size = 64\. Got 128\. Lower it",
        ),
        (
            {"axes": (AxisSpec(axis="width", values=(4, 8, 4)),)},
            "values of width must be at least one number, none of them twice",
        ),
        (
            {"axes": (AxisSpec(axis="depth", values=(1.5,)),)},
            r"depth must be a whole number from 0 to 1,000\. Got 1\.5",
        ),
    ],
)
def test_impossible_numbers_are_refused(change, told):
    """A number that cannot be is refused with its range, its value and the way out."""
    with pytest.raises(RangeError, match=told):
        changed(**change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"normalization": "layermean"}, "normalization.*'layermean'.*layer-mean"),
        ({"optimizer": replace(SPEC.optimizer, name="sdg")}, "optimizer.*'sdg'.*sgd"),
        (
            {"optimizer": replace(SPEC.optimizer, schedule="cosin")},
            "schedule.*'cosin'.*cosine",
        ),
        ({"axes": (AxisSpec(axis="widht", values=(1,)),)}, "axis.*'widht'.*width"),
        (
            {"axes": (AxisSpec(axis="batch_size", values=(1,), lr="squared"),)},
            "lr policy.*'squared'.*sqrt",
        ),
        (
            {"axes": (AxisSpec(axis="batch_size", values=(1,), hold="step"),)},
            "hold.*'step'.*steps",
        ),
    ],
)
def test_unknown_names_are_refused(change, told):
    """A name that is in no table is refused with the nearest ones."""
    with pytest.raises(UnknownNameError, match=told):
        changed(**change)


def test_a_problem_without_hidden_layers_is_one_layer():
    """Whatever width and depth say, a logistic regression has one matrix."""
    scale = Scale(width=8, depth=3, batch_size=1, dataset_size=1, epochs=1, lr=0.1)
    facts = ProblemFacts(inputs=64, classes=10, hidden=False)
    assert facts.layer_shapes(scale) == ((64, 10),)
