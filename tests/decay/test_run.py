"""Run: facts that are checked, derived, or named when they are missing."""

import dataclasses

import numpy as np
import pytest
import torch
from tolerance import digits

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError, UnknownNameError

# (the fact that is refused, what was given); the texts are in test_runs_texts.
IMPOSSIBLE = [
    ("lr", {"lr": -0.1}),
    ("lr", {"lr": float("nan")}),
    ("lr", {"lr": float("inf")}),
    ("momentum", {"momentum": 1.0}),
    ("momentum", {"momentum": -0.1}),
    ("dampening", {"dampening": 1.0}),
    ("dampening", {"dampening": -0.1}),
    ("betas", {"betas": (-0.1, 0.9)}),
    ("betas", {"betas": (0.9,)}),
    ("betas", {"betas": (0.9, 1.0)}),
    ("betas", {"betas": 0.9}),
    ("betas", {"betas": (None, 0.9)}),
    ("batch_size", {"batch_size": 0}),
    ("dataset_size", {"dataset_size": 0}),
    ("epochs", {"epochs": 0}),
    ("epochs", {"epochs": "1e400"}),
    ("steps", {"steps": 0}),
    ("steps", {"steps": 10**400}),
    ("tokens_per_example", {"tokens_per_example": 0}),
    ("width", {"width": 0}),
    ("depth", {"depth": -1}),
    ("units", {"units": (784,)}),
    ("units", {"units": (784, 0)}),
    ("units", {"units": 5}),
    ("units", {"units": (3.5, 2)}),
    ("units", {"units": (10**400, 2)}),
    ("parameters", {"parameters": 0}),
    ("lr", {"lr": 10**400}),
    ("lr", {"lr": [1]}),
    # True is 1 to Python, and a slip where somebody typed it.
    ("lr", {"lr": True}),
    ("batch_size", {"batch_size": True}),
    ("betas", {"betas": (False, 0.9)}),
    ("lr", {"lr": torch.ones(2)}),
    ("nesterov", {"nesterov": "yes"}),
    ("schedule", {"schedule": {"shape": "cosine"}}),
    ("schedule", {"schedule": 5}),
    # Two facts that contradict each other.
    ("batch_size", {"batch_size": 9, "dataset_size": 8}),
    ("momentum", {"nesterov": True, "momentum": 0}),
    ("dampening", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("depth", {"units": (4, 3, 2), "depth": 2}),
    ("parameters", {"units": (4, 3, 2), "parameters": 9}),
    ("width", {"units": (4, 3, 2), "width": 5}),
    ("steps", {"batch_size": 8, "dataset_size": 80, "epochs": 2, "steps": 21}),
]


def refused(facts):
    """Return the fact that is refused."""
    try:
        Run(**facts)
    except RangeError as error:
        return error.name
    return None


def test_impossible_facts_are_refused():
    """Every fact has a range, and two facts may not contradict each other."""
    found = [(refused(facts), facts) for _, facts in IMPOSSIBLE]
    assert found == IMPOSSIBLE


def test_steps_follow_from_epochs_with_a_short_last_batch():
    """A short last batch is a step; part of an epoch rounds to whole steps."""
    run = Run(batch_size=32, dataset_size=600, epochs=30)
    assert (run.steps_per_epoch, run.total_steps) == (19, 570)
    assert Run(batch_size=32, dataset_size=600, epochs=0.5).total_steps == 10
    assert Run(batch_size=8, dataset_size=8, epochs=0.1).total_steps == 1
    assert run.examples_per_step == digits(600 / 19, rel=1e-15)
    assert Run(batch_size=32, steps=7).examples_per_step == 32


def test_a_missing_fact_names_the_formula_that_needs_it():
    """Which fact, what for, and the option that gives it."""
    missing = {
        "steps": lambda: Run(lr=0.1, epochs=3).total_steps,
        "lr": lambda: Run().require("lr", "The shrink of AdamW"),
        "weights": lambda: Run(width=3).require("weights", "A normalization"),
    }
    found = {}
    for fact, question in missing.items():
        with pytest.raises(MissingFactError) as raised:
            question()
        found[fact] = (raised.value.fact, raised.value.needed_for)
    assert found == {
        "steps": ("steps", "The length of the run"),
        "lr": ("lr", "The shrink of AdamW"),
        "weights": ("weights", "A normalization"),
    }
    assert Run(lr=0.5).require("lr", "anything") == 0.5


PASSES = {"batch_size": 10, "dataset_size": 95, "tokens_per_example": 2, "lr": 0.1}
SCALE = PASSES | {"epochs": 5, "steps": 50, "tokens_per_step": 20, "tokens": 950}
# What was given, and the quantities of scale that follow; the rest is absent.
QUANTITIES = [
    ({}, {}),
    (PASSES | {"steps": 50}, SCALE),
    (PASSES | {"epochs": 5}, SCALE),
    (PASSES | {"epochs": 5, "steps": 50}, SCALE),  # which agree
    (
        {"parameters": "124e6", "batch_size": 512, "tokens_per_example": 1024},
        {"weights": 124e6, "batch_size": 512, "tokens_per_example": 1024}
        | {"tokens_per_step": 2**19},
    ),
    # Biases are not counted; an uneven width is not one number.
    ({"units": (4, 3, 3, 2)}, {"width": 3, "depth": 2, "weights": 12 + 9 + 6}),
    ({"units": [4, 3, 5, 2]}, {"depth": 2, "weights": 12 + 15 + 10}),
    # The ends of the ranges belong to them.
    ({"units": (1, 1)}, {"depth": 0, "weights": 1}),
    ({"width": 1, "depth": 0}, {"width": 1, "depth": 0}),
    ({"steps": 1, "betas": (0.0, 0.0)}, {"steps": 1}),
]


def test_quantities_follow_from_each_other():
    """Steps give epochs, epochs give steps, both tokens; layers all that they are."""
    found = [(facts, Run(**facts).quantities()) for facts, _ in QUANTITIES]
    assert found == QUANTITIES
    run = Run(units=[4, 3, 2])
    assert (run.layers, Run().layers) == (((4, 3), (3, 2)), None)
    assert hash(run) == hash(Run(units=(4, 3, 2)))  # as a key of a cache it is one
    assert run.require("depth", "a rule") == 1
    # A derived width is not carried over into another network.
    assert dataclasses.replace(run, units=(4, 6, 2)).quantities()["width"] == 6


def test_a_schedule_may_be_its_name():
    """The shape alone is a Schedule; a name that is none is refused at once."""
    assert Run(schedule="cosine").schedule == Schedule(shape="cosine")
    with pytest.raises(UnknownNameError) as raised:
        Run(schedule="cosin")
    assert (raised.value.kind, raised.value.nearest[0]) == ("schedule", "cosine")
    with pytest.raises(UnknownNameError) as raised:
        Schedule(shape=3)
    assert (raised.value.kind, raised.value.name) == ("schedule", "3")


FORMATS = {
    "bfloat16": ["bf16", "BF16", torch.bfloat16],
    "float16": ["fp16", "half", torch.half],
    "float32": ["fp32", "float", "torch.float32", np.float32],
    "float64": ["double", np.dtype("float64"), float],
}


def test_a_number_format_has_several_names():
    """Names of a format in torch, NumPy and in use are known; a mistake is refused."""
    for name, given in FORMATS.items():
        assert {Run(dtype=each).dtype for each in given} == {name}
    for wrong in ("bf17", torch.int64, "mixed_bfloat16", None, "float46"):
        with pytest.raises(UnknownNameError) as raised:
            Run(dtype=wrong)
        assert (raised.value.kind, raised.value.name) == ("dtype", str(wrong))


LONG = {"batch_size": 32, "dataset_size": 600, "epochs": 30}  # 19 steps an epoch


WARMUPS = {
    "5 epochs": 95,
    "1/2 epoch": 10,  # half of 19, rounded
    "57 steps": 57,
    "57 its": 57,
    "6000 examples": 190,
    "10%": 57,
    "10% of the run": 57,
    "0.1": 57,
    "0 steps": 0,
}


def test_a_warm_up_may_be_counted():
    """Epochs and steps are divided by the length of the run."""
    for warmup, steps in WARMUPS.items():
        run = Run(schedule=Schedule(shape="cosine", warmup=warmup), **LONG)
        assert run.multipliers().index(1.0) == steps, warmup
        assert run.schedule.warmup == digits(steps / 570, rel=1e-12)


def test_a_warm_up_that_cannot_be_is_refused():
    """It is shorter than the run, on a clock that there is."""
    for warmup in ("31 epochs", "-1 steps", "500", "soon"):
        with pytest.raises(RangeError) as raised:
            Run(schedule=Schedule(warmup=warmup), **LONG)
        assert raised.value.name == "warmup"
    with pytest.raises(UnknownNameError) as unknown:
        Run(schedule=Schedule(warmup="5 lunches"), **LONG)
    assert (unknown.value.kind, unknown.value.name) == ("clock", "lunches")


def test_a_counted_warm_up_needs_the_length_of_the_run():
    """Without it the missing fact is named; a schedule alone counts steps only."""
    with pytest.raises(MissingFactError) as missing:
        Run(schedule=Schedule(warmup="5 epochs"), lr=0.1)
    assert missing.value.fact == "steps"
    steps = Schedule(warmup="2 steps").multipliers(4)
    assert steps == Schedule(warmup=0.5).multipliers(4)
    with pytest.raises(RangeError) as raised:
        Schedule(warmup="2 epochs").multipliers(4)
    assert (raised.value.name, raised.value.value) == ("warmup", "2 epochs")


def test_a_schedule_that_was_given_is_not_a_missing_one():
    """A constant schedule counts as given, though it equals the default."""
    given = Run(schedule=Schedule())
    assert given == Run()
    assert given.is_given("schedule")
    assert not Run().is_given("schedule")
    assert Run(schedule="constant").is_given("schedule")


def test_the_ends_of_a_schedule_may_be_lrs():
    """From 1e-3 to 1e-5 has its peak in it; another lr beside it contradicts."""
    text, shares = "cosine from 1e-3 to 1e-5", Schedule(shape="cosine", final=0.01)
    for given in ({}, {"lr": 1e-3}, {"lr": 1e-5}):
        assert Run(schedule=text, **given) == Run(lr=1e-3, schedule=shares)
    with pytest.raises(RangeError) as raised:
        Run(schedule=text, lr=2e-3)
    assert (raised.value.name, raised.value.value) == ("lr", 2e-3)
