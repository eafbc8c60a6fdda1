"""The sentences follow from the numbers: other numbers, other sentences."""

import dataclasses

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec
from stats.simulated_curves import ADAMW_WIDE

from dwindle.findings.headline import answer_headline
from dwindle.findings.sentences import answer_sentences, course_of
from dwindle.store.records import Optimizer
from dwindle.store.spec import AxisSpec

TRUE = {
    "width": -0.3,
    "depth": -0.5,
    "batch_size": 0.6,
    "dataset_size": -0.9,
    "epochs": -0.5,
    "lr": -0.8,
}
ADAMW = study_spec(name="adamw", optimizer=Optimizer(name="adamw"))
LAYER_MEAN = study_spec(name="asker", normalization="layer-mean", axes=AXES[:1])


def answer(factor, noise=0.3):
    """Sentences of three studies whose slopes are all multiplied by a factor."""
    slopes = {axis: factor * slope for axis, slope in TRUE.items()}
    undone = {"width": factor * 1.2}
    return answer_sentences(
        (
            simulated_findings(slopes, noise=noise),
            simulated_findings(slopes, spec=ADAMW, noise=noise, kind=ADAMW_WIDE),
            simulated_findings(undone, spec=LAYER_MEAN, noise=noise),
        )
    )


def width_only(exponent, **how):
    spec = study_spec(axes=AXES[:1])
    return simulated_findings({"width": exponent}, spec=spec, **how)


def test_an_answer_is_two_or_three_sentences():
    """Size, the rest with the rules, and one for the other optimizer."""
    sentences = answer(1)
    assert len(sentences) == 3
    assert all(s.endswith(".") and s.count(". ") == 0 for s in sentences)
    assert "With AdamW" in sentences[2]


def test_reversed_slopes_change_every_sentence():
    """Findings with every slope reversed leave no sentence as it was."""
    for said, reversed_said in zip(answer(1), answer(-1), strict=True):
        assert said != reversed_said


def test_reversed_slopes_reverse_what_is_claimed():
    """Not only digits change: smaller becomes larger, growing becomes falling."""
    said, reversed_said = answer(1)[0], answer(-1)[0]
    assert "width calls for a smaller λ" in said
    assert "width calls for a larger λ" in reversed_said
    assert "λ has to grow again with width" in said
    assert "λ has to fall even further with width" in reversed_said


def test_flat_slopes_say_that_size_calls_for_nothing():
    """An interval that holds 0 and no square root: no correction."""
    said = answer(0)[0]
    assert "width does not call for a correction" in said
    assert "λ needs no further correction" in said


def test_the_best_rule_changes_with_the_slopes():
    """Data whose best λ falls as 1/N speak for the prior, reversed data against it."""
    data = study_spec(axes=AXES[3:4])
    (said,) = answer_sentences([simulated_findings({"dataset_size": -1.0}, spec=data)])
    (other,) = answer_sentences([simulated_findings({"dataset_size": 1.0}, spec=data)])
    assert "Bengio's 1/N" in said
    assert "leaving λ as it is" in other
    assert "Bengio's 1/N" not in other


def test_a_wide_interval_around_zero_is_no_evidence_for_nothing():
    """Noise that hides a square root is said to hide it."""
    axis = width_only(0.0).axes[0]
    wide = dataclasses.replace(axis, exponent=0.1, low=-0.8, high=1.0)
    assert course_of(wide) == "unknown"
    assert course_of(dataclasses.replace(wide, low=-0.3, high=0.4)) == "still"


@pytest.mark.parametrize(
    ("low", "high", "course"),
    [(0.1, 0.3, "up"), (-0.3, -0.1, "down"), (None, None, "unknown")],
)
def test_the_course_of_an_axis(low, high, course):
    """Above zero is up, below is down, nothing is unknown."""
    axis = dataclasses.replace(
        width_only(0.0).axes[0], exponent=low, low=low, high=high
    )
    assert course_of(axis) == course


def test_when_the_question_is_right_the_sentence_says_so():
    """An exponent that dividing by the number of weights predicts agrees with it."""
    (said,) = answer_sentences([width_only(-1.47)])
    assert "calls for a smaller λ, as the question proposes" in said


def test_weak_evidence_is_told_as_such():
    """Where decay matters nowhere, the sentence says how many cells could tell."""
    width = AxisSpec(axis="width", values=(16, 64, 256))
    spec = study_spec(axes=(width,))
    weak = dict.fromkeys((scale for _, scale in width.cells(spec.base)), 0.0)
    (said,) = answer_sentences([simulated_findings({}, spec=spec, weak=weak)])
    assert "cannot tell whether width calls for a correction" in said
    assert "0 of 3 cells show a best λ" in said


def test_excluding_the_question_is_not_the_same_as_excluding_everything():
    """An interval from -0.9 to 0.2 rules the question out and settles nothing else."""
    found = width_only(0.0)
    axis = found.axes[0]
    rules = tuple(
        dataclasses.replace(rule, agrees=False)
        if rule.rule == "question-layer-mean"
        else rule
        for rule in axis.rules
    )
    wide = dataclasses.replace(axis, exponent=-0.4, low=-0.9, high=0.2, rules=rules)
    (said,) = answer_sentences([dataclasses.replace(found, axes=(wide,))])
    assert "width does not call for the question's proposal" in said
    assert "these runs cannot tell" in said


def test_without_studies_nothing_is_said():
    """No numbers, no sentences."""
    assert answer_sentences([]) == ()


def test_a_loss_above_all_that_decay_buys_is_no_percentage():
    """Ten times what decay buys is "more than decay buys", never 1014 %."""
    study = width_only(0.6)
    axis = study.axes[0]
    rules = tuple(dataclasses.replace(rule, share_lost=10.14) for rule in axis.rules)
    unchanged = dataclasses.replace(axis.unchanged, share_lost=0.2)
    axis = dataclasses.replace(axis, rules=rules, unchanged=unchanged)
    wild = dataclasses.replace(study, axes=(axis,))
    said = [*answer_sentences((wild,)), answer_headline((wild,))]
    assert all("1014" not in sentence for sentence in said)
    assert "loses more than decay buys" in said[0]
    costs = "loses more than decay buys over width, leaving it alone 20 % of what decay"
    assert costs in said[-1]
