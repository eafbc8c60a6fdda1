"""The conclusion follows from the numbers: other numbers, another conclusion.

What it says word by word stands in the snapshot of ``tests/texts``.
"""

import dataclasses

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec
from report import synthetic

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.findings.verdict import course_of, surely_costs_less
from dwindle.store.records import Optimizer
from dwindle.store.spec import AxisSpec

TRUE = {"width": -0.3, "dataset_size": -0.9}
SPEC = study_spec(axes=(AXES[0], AXES[3]))
ADAMW = dataclasses.replace(SPEC, name="adamw", optimizer=Optimizer(name="adamw"))
LAYER_MEAN = study_spec(name="asker", normalization="layer-mean", axes=AXES[:1])


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


@pytest.fixture(scope="module")
def conclusions():
    return {factor: answer_of(factor) for factor in (1, -1)}


def width_only(exponent, **how) -> Findings:
    return simulated_findings(
        {"width": exponent}, spec=study_spec(axes=AXES[:1]), **how
    )


def changed(study, **changes):
    """A study of one axis whose finding is changed."""
    axis = dataclasses.replace(study.axes[0], **changes)
    return dataclasses.replace(study, axes=(axis,))


def test_an_answer_has_a_sentence_for_size_and_one_per_optimizer(conclusions):
    """Size with the normalization, the rest with the rules, the other optimizer."""
    sentences = conclusions[1].sentences
    assert len(sentences) == 3
    assert "AdamW" in sentences[2]


def test_reversed_slopes_change_every_sentence(conclusions):
    """Reversed slopes leave no sentence as it was; falls becomes rises."""
    one, other = conclusions[1], conclusions[-1]
    assert not {*one.sentences, one.headline} & {*other.sentences, other.headline}
    assert "the best λ falls with width" in one.headline
    assert "rises with width" in other.headline


def test_the_reply_comes_first():
    """Yes where a quantity surely moves λ, no where none does, else undecided."""
    replies = [
        answered(changed(width_only(0.0), exponent=0.1, low=low, high=high))
        for low, high in ((0.05, 0.2), (-0.1, 0.2), (-1.0, 1.0))
    ]
    first = [each.headline.partition(":")[0] for each in replies]
    assert first == ["Yes", "No", "Undecided"]


def test_the_best_rule_changes_with_the_slopes():
    """Data whose best λ falls as 1/N speak for the prior, reversed data against it."""
    data = study_spec(axes=AXES[3:4])
    said, other = (
        conclude(simulated_findings({"dataset_size": slope}, spec=data)).sentences[0]
        for slope in (-1.0, 1.0)
    )
    assert "Bengio's 1/N" in said
    assert "Bengio's 1/N" not in other


@pytest.mark.parametrize(
    ("low", "high", "course"),
    [
        (0.1, 0.3, "up"),
        (-0.3, -0.1, "down"),
        (None, None, "unknown"),
        (-0.8, 1.0, "unknown"),  # noise that hides a square root
        (-0.3, 0.4, "still"),
    ],
)
def test_the_course_of_an_axis(low, high, course):
    """Above zero is up, below is down; a wide interval around zero tells nothing."""
    (axis,) = changed(width_only(0.0), exponent=low, low=low, high=high).axes
    assert course_of(axis) == course


def test_excluding_the_question_is_not_the_same_as_excluding_everything():
    """An interval from -0.9 to 0.2 rules the question out and settles nothing else."""
    found = width_only(0.0)
    wide = {"exponent": -0.4, "low": -0.9, "high": 0.2}

    def sentence(agrees):
        rules = (dataclasses.replace(r, agrees=agrees) for r in found.axes[0].rules)
        return conclude(changed(found, **wide, rules=tuple(rules))).sentences[0]

    said, excluded = map(sentence, (None, False))
    assert said != excluded
    assert all("cannot tell" in each for each in (said, excluded))


@pytest.mark.parametrize(
    ("exponent", "advice"),
    [
        (0.6, "but do not divide it by the number of weights"),
        (-1.47, "and dividing it by the number of weights pays"),
    ],
)
def test_the_proposal_is_judged_by_its_price(exponent, advice):
    """λ that rises with width loses more when it is divided, one that falls less."""
    assert advice in answered(width_only(exponent)).headline


def test_regrets_that_overlap_decide_nothing():
    """Two costs whose intervals overlap are given, not ranked."""
    study = width_only(-0.6)
    rules = tuple(
        dataclasses.replace(rule, regret_low=0.0, regret_high=9.0)
        for rule in study.axes[0].rules
    )
    assert "is open" in answered(changed(study, rules=rules)).headline


def test_a_loss_above_all_that_decay_buys_is_no_percentage():
    """Ten times what decay buys is "more than decay buys", never 1014 %."""
    study = width_only(0.6)
    rules = tuple(
        dataclasses.replace(rule, share_lost=10.14) for rule in study.axes[0].rules
    )
    alone = dataclasses.replace(study.axes[0].unchanged, share_lost=0.2)
    found = answered(changed(study, rules=rules, unchanged=alone))
    for said in (found.headline, found.sentences[0]):
        assert "1014" not in said
        assert "more than decay buys" in said
    assert "20 %" in found.headline


def test_where_decay_surely_buys_nothing_a_cost_is_in_nats():
    """Without a share there is the loss itself, and beyond the grid a bound."""
    study = width_only(0.6)
    rules = tuple(
        dataclasses.replace(rule, share_lost=None, regret=0.125, beyond_grid=1)
        for rule in study.axes[0].rules
    )
    found = answered(changed(study, rules=rules))
    assert "at least 0.125 nats" in found.sentences[0]
    assert "divid" not in found.headline


def test_a_normalized_study_without_size_has_nothing_to_undo():
    """Its λ was divided by what did not vary: no course is claimed."""
    data = study_spec(axes=AXES[3:4], normalization="layer-mean")
    (sentence,) = conclude(simulated_findings({}, spec=data)).sentences
    assert "exponent" not in sentence


def test_rules_without_an_interval_are_never_ranked():
    """Where a limit is missing, nobody knows which of two rules costs less."""
    axis = width_only(0.6).axes[0]
    bare = dataclasses.replace(axis.unchanged, regret_high=None)
    assert not surely_costs_less(bare, axis.rules[0])


def test_weak_evidence_is_no_verdict():
    """Where decay matters nowhere, the reply says so, and how many cells show a λ."""
    width = AxisSpec(axis="width", values=(16, 64, 256))
    spec = study_spec(axes=(width,))
    weak = dict.fromkeys((scale for _, scale in width.cells(spec.base)), 0.0)
    found = answered(simulated_findings({}, spec=spec, weak=weak))
    assert found.headline.startswith("Undecided")
    assert "0 of 3 cells" in found.sentences[0]


def test_without_studies_or_axes_nothing_is_concluded():
    """No numbers, no sentences; a study of the asker's λ alone answers nothing."""
    bare = dataclasses.replace(width_only(0.0), axes=())
    asker = dataclasses.replace(width_only(0.0), normalization="layer-mean")
    for found in (answered(), answered(bare), answered(asker)):
        assert "so the question is open" in found.headline
    assert answered().sentences == conclude(bare).sentences == ()


def test_remarks_warn_of_half_a_study_and_of_lost_trainings():
    """A reader of half a study knows that it is half a study; one is singular."""
    study = width_only(0.0)
    half = dataclasses.replace(study, complete=False, trials={"ok": 3, "diverged": 1})
    assert conclude(study).remarks == ()
    assert [each.partition(" ")[0] for each in conclude(half).remarks] == ["Not", "1"]


def test_a_study_is_headed_by_all_of_its_courses():
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
    headed = conclude(dataclasses.replace(study, axes=axes)).headline
    assert headed == (
        "With SGD, the best λ falls with dataset size; it rises with batch size; it "
        "does not move with width."
    )
    asker = dataclasses.replace(study, axes=axes, normalization="layer-mean")
    assert "λ normalized by layer-mean" in conclude(asker).headline
