"""The conclusion follows from the numbers, and its lines to copy can be run.

What it says word by word, of every kind of study, stands in the snapshot of
``tests/texts``.
"""

import ast
import dataclasses
import shlex
from functools import cache

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec

from dwindle.findings.conclusion import base_cell, conclude, next_steps
from dwindle.findings.model import Answer
from dwindle.findings.verdict import course_of, surely_costs_less
from dwindle.store.records import Optimizer

SPEC = study_spec(axes=(AXES[0], AXES[3]))
ADAMW = dataclasses.replace(SPEC, name="adamw", optimizer=Optimizer(name="adamw"))


@cache
def over_width():
    """A study whose best decay does not depend on the width."""
    return simulated_findings({"width": 0.0}, spec=study_spec(axes=AXES[:1]))


def answered(*studies):
    return conclude(Answer(claims=(), studies=studies, seconds=0.0))


def changed(**changes):
    """The study over width with another finding."""
    axis = dataclasses.replace(over_width().axes[0], **changes)
    return dataclasses.replace(over_width(), axes=(axis,))


def test_the_reply_comes_first():
    """Yes where dividing by the weights pays, no where it costs, else undecided."""
    width = study_spec(axes=AXES[:1])
    # Weights grow as width^1.47 here: then the question's proposal is the truth.
    right, wrong = (simulated_findings({"width": e}, spec=width) for e in (-1.47, 0.0))
    axis = dataclasses.replace(right.axes[0], unchanged=None)
    silent = dataclasses.replace(right, axes=(axis,))
    heads = [answered(each).headline for each in (right, wrong, silent)]
    assert [head.partition(":")[0] for head in heads] == ["Yes", "No", "Undecided"]
    # A sentence for each reply, and by how much what was varied moves the best λ.
    both = answered(right, simulated_findings({"width": 1.0}, spec=ADAMW))
    assert both.headline.count("divide weight decay by") == 2
    assert "a network twice as wide wants 2 times the λ" in both.sentences[1]


def test_the_course_of_an_axis():
    """Above zero is up, below is down; a wide interval around zero tells nothing."""
    courses = {
        (0.1, 0.3): "up",
        (-0.3, -0.1): "down",
        (None, None): "unknown",
        (-0.8, 1.0): "unknown",  # noise that hides a square root
        (-0.3, 0.4): "still",
    }
    for (low, high), course in courses.items():
        (axis,) = changed(exponent=low, low=low, high=high).axes
        assert course_of(axis) == course


def test_rules_without_an_interval_are_never_ranked():
    """Where a limit is missing, nobody knows which of two rules costs less."""
    axis = over_width().axes[0]
    bare = dataclasses.replace(axis.unchanged, regret_high=None, by_seed={})
    assert surely_costs_less(axis.unchanged, axis.rules[0])
    assert not surely_costs_less(bare, axis.rules[0])


def test_without_studies_or_axes_nothing_is_concluded():
    """No numbers, no sentences; a study of the asker's λ alone answers nothing."""
    bare = dataclasses.replace(over_width(), axes=())
    asker = dataclasses.replace(over_width(), normalization="layer-mean")
    (headline,) = {each.headline for each in map(answered, (bare, asker))}
    assert answered().headline == headline != answered(over_width()).headline
    assert answered().sentences == conclude(bare).sentences == ()


@cache
def measured():
    """A study whose best decay is proportional to 1/N."""
    return simulated_findings({"dataset_size": -1.0}, spec=SPEC)


def test_the_first_line_sets_the_measured_decay():
    """The optimizer with its lr and momentum, at the best λ of the base cell."""
    _, line, *_ = next_steps([measured()])
    call = ast.parse(line, mode="eval").body
    facts = {keyword.arg: keyword.value.value for keyword in call.keywords}
    best = facts.pop("weight_decay")
    assert facts == {"lr": 0.05, "momentum": 0.9}
    # Two digits are printed, so half of the second one may be lost.
    assert best == pytest.approx(base_cell(measured()).optimum, rel=0.05)


def test_the_law_gives_the_decay_of_any_cell():
    """The formula holds what surely moves λ, and at the base gives the base's λ."""
    law = next(
        line for line in next_steps([measured()]) if line.startswith("weight_decay")
    )
    formula = compile(law.partition("= ")[2], "law", "eval")
    names = set(formula.co_names)
    assert names == {"dataset_size"}
    at_base = eval(formula, {"dataset_size": 600})  # noqa: S307 - our own line
    assert at_base == pytest.approx(base_cell(measured()).optimum, rel=0.05)
    assert eval(formula, {"dataset_size": 1200}) < at_base  # noqa: S307 - our own


def test_the_last_line_is_a_command():
    """A shell reads a rescale of the same knob with before:after facts."""
    words = shlex.split(next_steps([measured()])[-1])
    assert words[:2] == ["dwindle", "rescale"]
    assert words[2].startswith("torch.optim.SGD=")
    assert words[words.index("--dataset-size") + 1] == "600:1200"


def test_without_a_best_decay_there_is_a_reason_and_no_number():
    """A base cell that shows no best λ offers nothing to copy."""
    base, lines = base_cell(measured()), set()
    for changes in (
        {"matters": "no"},
        {"matters": "yes", "optimum": None, "at_edge": "high"},
        {"matters": "cannot tell"},
    ):
        blank = dataclasses.replace(base, **changes)
        axes = tuple(
            dataclasses.replace(
                axis, cells=tuple(blank if c == base else c for c in axis.cells)
            )
            for axis in measured().axes
        )
        (line,) = next_steps([dataclasses.replace(measured(), axes=axes)])
        assert "weight_decay=" not in line
        lines.add(line)
    assert len(lines) == 3
