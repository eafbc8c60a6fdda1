"""Run: facts that are checked, derived, or named when they are missing."""

import dataclasses

import numpy as np
import pytest
import torch
from tolerance import digits

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError, UnknownNameError


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"lr": -0.1}, r"lr must be a finite number, 0 or more\. Got -0\.1"),
        ({"lr": float("nan")}, r"lr must be .*Got nan"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)\. Got 1\.0"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\)\. Got -0\.1"),
        ({"dampening": 1.0}, r"dampening must be in \[0, 1\)\. Got 1\.0"),
        ({"dampening": -0.1}, r"dampening must be in \[0, 1\)\. Got -0\.1"),
        ({"betas": (-0.1, 0.9)}, r"betas must be two numbers.*Got \(-0\.1, 0\.9\)"),
        ({"betas": (0.9,)}, r"betas must be two numbers.*Got \(0\.9,\)"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers.*Got \(0\.9, 1\.0\)"),
        ({"batch_size": 0}, "batch_size must be at least 1. Got 0"),
        ({"dataset_size": 0}, "dataset_size must be at least 1. Got 0"),
        ({"epochs": 0}, "epochs must be a finite number above 0. Got 0"),
        ({"steps": 0}, "steps must be at least 1. Got 0"),
        ({"tokens_per_example": 0}, "tokens_per_example must be .*Got 0"),
        ({"width": 0}, "width must be at least 1. Got 0"),
        ({"depth": -1}, "depth must be at least 0 hidden layers. Got -1"),
        ({"units": (784,)}, "units must be two or more layer sizes"),
        ({"units": (784, 0)}, "units must be two or more layer sizes"),
        (
            {"batch_size": 9, "dataset_size": 8},
            r"at most dataset_size, 8\. Got 9\. One batch holds .*give batch_size=8\.",
        ),
        (
            {"nesterov": True, "momentum": 0},
            r"momentum must be above 0.*torch\.optim\.SGD insists",
        ),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening must be 0"),
        ({"units": (4, 3, 2), "depth": 2}, "depth must be 1, as units say. Got 2"),
        ({"parameters": 0}, "parameters must be at least 1. Got 0"),
        ({"units": (4, 3, 2), "parameters": 9}, "parameters must be 18, as units say"),
        ({"units": (4, 3, 2), "width": 5}, "width must be 3, as units say. Got 5"),
        (
            {"batch_size": 8, "dataset_size": 80, "epochs": 2, "steps": 21},
            "steps must be 20, as epochs, dataset_size and batch_size say. Got 21",
        ),
    ],
)
def test_impossible_facts_are_refused(facts, message):
    """Every fact has a range, and two facts may not contradict each other."""
    with pytest.raises(RangeError, match=message):
        Run(**facts)


def test_an_unknown_dtype_offers_the_nearest():
    """Formats are named as torch names them."""
    with pytest.raises(
        UnknownNameError, match=r"dtype.*Got 'float46'\. Nearest: float"
    ):
        Run(dtype="float46")


def test_steps_follow_from_epochs_with_a_short_last_batch():
    """A short last batch is a step; part of an epoch rounds to whole steps."""
    run = Run(batch_size=32, dataset_size=600, epochs=30)
    assert (run.steps_per_epoch, run.total_steps) == (19, 570)
    assert Run(batch_size=32, dataset_size=600, epochs=0.5).total_steps == 10
    assert Run(batch_size=8, dataset_size=8, epochs=0.1).total_steps == 1
    assert run.examples_per_step == digits(600 / 19, rel=1e-15)
    assert Run(batch_size=32, steps=7).examples_per_step == 32


def test_facts_that_agree_may_both_be_given():
    """Steps beside epochs are fine where they say the same."""
    run = Run(batch_size=8, dataset_size=80, epochs=2, steps=20)
    assert run.total_steps == 20


def test_the_length_of_a_run_that_is_not_known():
    """The error names both ways to give it."""
    with pytest.raises(
        MissingFactError, match=r"length of the run needs steps.*--epochs"
    ):
        _ = Run(lr=0.1, epochs=3).total_steps


def test_a_missing_fact_names_the_formula_that_needs_it():
    """Which fact, what for, and both ways to give it."""
    message = r"The shrink of AdamW needs lr\. Got no lr\. Give it as --lr, or Run\(lr="
    with pytest.raises(MissingFactError, match=message):
        Run().require("lr", "The shrink of AdamW")
    with pytest.raises(MissingFactError, match=r"needs weights.*--units"):
        Run(width=3).require("weights", "A normalization")
    assert Run(lr=0.5).require("lr", "anything") == 0.5


def test_parameters_and_tokens_are_quantities_of_scale():
    """What a transformer has instead of units, and a step instead of examples."""
    run = Run(parameters="124e6", batch_size=512, tokens_per_example=1024, steps=10)
    assert run.weights == 124_000_000
    assert run.quantities() == {
        "weights": 124e6,
        "batch_size": 512,
        "steps": 10,
        "tokens_per_example": 1024,
        "tokens_per_step": 2**19,
        "tokens": 10 * 2**19,
    }


def test_layers_tell_weights_width_and_depth():
    """Biases are not counted; an uneven width is not one number."""
    run = Run(units=(4, 3, 3, 2))
    assert run.layers == ((4, 3), (3, 3), (3, 2))
    assert run.quantities() == {"width": 3, "depth": 2, "weights": 12 + 9 + 6}
    assert "width" not in Run(units=(4, 3, 5, 2)).quantities()
    assert run.require("depth", "a rule") == 2
    assert Run().layers is None


def test_the_smallest_facts_are_possible():
    """One example, one step, no hidden layer: the ends of the ranges belong to them."""
    smallest = Run(
        batch_size=1, dataset_size=1, steps=1, width=1, depth=0, betas=(0.0, 0.0)
    )
    assert smallest.quantities()["depth"] == 0
    assert Run(units=(1, 1)).quantities() == {"depth": 0, "weights": 1}


def test_units_may_be_a_list():
    """What is read from a file or an option is as good as a tuple."""
    assert Run(units=[4, 3, 2]) == Run(units=(4, 3, 2))
    assert hash(Run(units=[4, 3, 2])) == hash(Run(units=(4, 3, 2)))


def test_replacing_the_layers_replaces_what_follows_from_them():
    """A derived width is not carried over into another network."""
    wider = dataclasses.replace(Run(units=(4, 3, 2)), units=(4, 6, 2))
    assert wider.quantities()["width"] == 6


def test_quantities_follow_from_each_other():
    """Steps give epochs, epochs give steps, both give tokens; the rest is absent."""
    facts = {"batch_size": 10, "dataset_size": 95, "tokens_per_example": 2}
    by_steps = Run(**facts, steps=50, lr=0.1).quantities()
    assert by_steps == Run(**facts, epochs=5, lr=0.1).quantities()
    assert by_steps["tokens"] == pytest.approx(5 * 95 * 2)
    assert Run().quantities() == {}


def test_the_multipliers_are_those_of_the_schedule_over_the_run():
    """A run knows its schedule step by step."""
    schedule = Schedule(shape="cosine", warmup=0.1)
    assert Run(schedule=schedule, steps=20).multipliers() == tuple(
        schedule.multipliers(20)
    )


def test_a_schedule_may_be_its_name():
    """The shape alone is a Schedule; a name that is none is refused at once."""
    assert Run(schedule="cosine").schedule == Schedule(shape="cosine")
    with pytest.raises(UnknownNameError, match=r"Got 'cosin'\. Nearest: cosine"):
        Run(schedule="cosin")
    with pytest.raises(UnknownNameError, match=r"schedule .*Got '3'\."):
        Run(schedule=Schedule(shape=3))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("bf16", "bfloat16"),
        ("BF16", "bfloat16"),
        ("fp16", "float16"),
        ("half", "float16"),
        ("fp32", "float32"),
        ("float", "float32"),
        ("torch.float32", "float32"),
        ("double", "float64"),
        (torch.bfloat16, "bfloat16"),
        (torch.half, "float16"),
        (np.float32, "float32"),
        (np.dtype("float64"), "float64"),
        (float, "float64"),
    ],
    ids=str,
)
def test_a_number_format_has_several_names(given, name):
    """What torch, NumPy and people call a format is that format."""
    assert Run(dtype=given).dtype == name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("bf17", "Nearest: bfloat16"),
        (torch.int64, "Got 'torch.int64'"),
        ("mixed_bfloat16", r"Under mixed precision weights stay in float32"),
        (None, "Got 'None'"),
    ],
    ids=str,
)
def test_a_format_that_is_none_is_refused(wrong, message):
    """An integer, a policy or a slip is no format of weights."""
    with pytest.raises(UnknownNameError, match=message):
        Run(dtype=wrong)


LONG = {"batch_size": 32, "dataset_size": 600, "epochs": 30}  # 19 steps an epoch


@pytest.mark.parametrize(
    ("warmup", "steps"),
    [
        ("5 epochs", 95),
        ("1/2 epoch", 10),  # half of 19, rounded
        ("57 steps", 57),
        ("57 its", 57),
        ("6000 examples", 190),
        ("10%", 57),
        ("10% of the run", 57),
        ("0.1", 57),
        ("0 steps", 0),
    ],
)
def test_a_warm_up_may_be_counted(warmup, steps):
    """Epochs and steps are divided by the length of the run."""
    run = Run(schedule=Schedule(shape="cosine", warmup=warmup), **LONG)
    multipliers = run.multipliers()
    assert multipliers.index(1.0) == steps
    assert run.schedule.warmup == digits(steps / 570, rel=1e-12)


@pytest.mark.parametrize(
    ("warmup", "error", "message"),
    [
        ("31 epochs", RangeError, "shorter than the run, 570 steps. Got 31 epochs"),
        ("-1 steps", RangeError, "a share of the steps"),
        ("500", RangeError, r"a share of the steps in \[0, 1\)\. Got 500"),
        ("5 lunches", UnknownNameError, "clock must be one"),
        ("soon", RangeError, r'a number and a clock\. Got \'soon\'.*"5 epochs"'),
    ],
)
def test_a_warm_up_that_cannot_be_is_refused(warmup, error, message):
    """It is shorter than the run, on a clock that there is."""
    with pytest.raises(error, match=message):
        Run(schedule=Schedule(warmup=warmup), **LONG)


def test_a_counted_warm_up_needs_the_length_of_the_run():
    """Without it the missing fact is named; a schedule alone counts steps only."""
    with pytest.raises(MissingFactError, match=r"length of the run needs steps"):
        Run(schedule=Schedule(warmup="5 epochs"), lr=0.1)
    steps = Schedule(warmup="2 steps").multipliers(4)
    assert steps == Schedule(warmup=0.5).multipliers(4)
    with pytest.raises(RangeError, match="where no run says how long an epoch is"):
        Schedule(warmup="2 epochs").multipliers(4)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"schedule": {"shape": "cosine"}}, r'Schedule, or.*Write schedule="cosine"'),
        ({"schedule": 5}, r"Schedule, or the name of a shape\. Got 5"),
        ({"betas": 0.9}, r"two numbers in a list.*Got 0\.9\. Write betas=\(0\.9, 0"),
        ({"betas": (None, 0.9)}, r"two numbers in a list or tuple"),
        ({"units": 5}, r"sizes of layers.*Got 5\. Write units=\(784"),
        ({"units": (3.5, 2)}, r"sizes of layers"),
        ({"lr": 10**400}, r"lr must be a finite number\. Got a whole number above"),
        ({"steps": 10**400}, r"steps must be a finite.*Write steps=512"),
        ({"units": (10**400, 2)}, r"sizes of layers"),
        ({"nesterov": "yes"}, r"True, False or left out\. Got 'yes'"),
    ],
    ids=lambda given: "/".join(given) if isinstance(given, dict) else "",
)
def test_facts_of_another_type_are_refused_with_what_to_write(facts, message):
    """A fact that is no number, list or schedule is answered in the same words."""
    with pytest.raises(RangeError, match=message):
        Run(**facts)


def test_a_schedule_that_was_given_is_told_from_none():
    """A constant schedule that somebody gave is no missing one, though they compare."""
    given = Run(schedule=Schedule())
    assert given == Run()
    assert given.is_given("schedule")
    assert not Run().is_given("schedule")
    assert Run(schedule="constant").is_given("schedule")
