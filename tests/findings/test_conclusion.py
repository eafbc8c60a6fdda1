"""The conclusion follows from the numbers: other numbers, another conclusion.

What it says word by word stands in the snapshot of ``tests/texts``.
"""

import dataclasses
from functools import cache

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec
from report import synthetic

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer
from dwindle.findings.verdict import course_of, surely_costs_less
from dwindle.store.records import Optimizer

TRUE = {"width": -0.3, "dataset_size": -0.9}
SPEC = study_spec(axes=(AXES[0], AXES[3]))
ADAMW = dataclasses.replace(SPEC, name="adamw", optimizer=Optimizer(name="adamw"))
LAYER_MEAN = study_spec(name="asker", normalization="layer-mean", axes=AXES[:1])


@cache
def over_width():
    """A study whose best decay does not depend on the width."""
    return simulated_findings({"width": 0.0}, spec=study_spec(axes=AXES[:1]))


def answered(*studies):
    return conclude(Answer(claims=(), studies=studies, seconds=0.0))


def answer_of(factor):
    """The conclusion of three studies whose slopes are multiplied by a factor."""
    slopes = {axis: factor * slope for axis, slope in TRUE.items()}
    return answered(
        simulated_findings(slopes, spec=SPEC),
        simulated_findings(slopes, spec=ADAMW),
        simulated_findings({"width": factor * 1.2}, spec=LAYER_MEAN),
    )


def changed(**changes):
    """The study over width with another finding."""
    axis = dataclasses.replace(over_width().axes[0], **changes)
    return dataclasses.replace(over_width(), axes=(axis,))


def test_reversed_slopes_change_every_sentence():
    """What moves λ with either optimizer, the normalization, the rules: all change."""
    one, other = answer_of(1), answer_of(-1)
    # Two optimizers: what moves their λ, and their rules; and the normalization.
    assert len(one.sentences) == len(other.sentences) == 5
    assert not {*one.sentences} & {*other.sentences}


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


def test_the_best_rule_changes_with_the_slopes():
    """Data whose best λ falls as 1/N speak for the prior, reversed data against it."""
    data = study_spec(axes=AXES[3:4])
    for slope in (-1.0, 1.0):
        found = conclude(simulated_findings({"dataset_size": slope}, spec=data))
        assert ("Bengio's 1/N" in found.sentences[1]) == (slope < 0)


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


@pytest.mark.parametrize("normalization", ["none", "layer-mean"])
def test_a_study_is_headed_by_all_of_its_courses(normalization):
    """Every axis is named once, under the way its λ goes; a normalization as well."""
    limits = {
        "width": (-0.1, 0.1),
        "batch_size": (0.3, 0.7),
        "dataset_size": (-1.2, -0.8),
    }
    study = synthetic.findings(axes=tuple(limits))
    axes = tuple(
        dataclasses.replace(axis, exponent=sum(each) / 2, low=each[0], high=each[1])
        for axis in study.axes
        for each in [limits[axis.axis]]
    )
    headed = dataclasses.replace(study, axes=axes, normalization=normalization)
    words = conclude(headed).headline.replace(",", ";").split("; ")
    courses = [
        "the best λ falls with dataset size",
        "it rises with batch size",
        "it does not move with width.",
    ]
    assert words[1:] == courses
    assert ("layer-mean" in words[0]) == (normalization != "none")
