"""The headline follows from the numbers and takes no side of its own."""

import dataclasses

from findings.simulated_study import AXES, simulated_findings, study_spec

from dwindle.findings.headline import answer_headline
from dwindle.findings.model import Findings
from dwindle.store.spec import AxisSpec


def widths(exponent: float) -> Findings:
    spec = study_spec(axes=AXES[:1])
    return simulated_findings({"width": exponent}, spec=spec)


def test_reversed_slopes_reverse_the_headline() -> None:
    """Where λ fell it rises, and the other way round."""
    assert "the best λ falls with width" in answer_headline([widths(-0.6)])
    assert "the best λ rises with width" in answer_headline([widths(0.6)])
    assert answer_headline([widths(0.6)]).startswith("Yes: with SGD, ")


def test_a_wrong_proposal_is_advised_against() -> None:
    """λ that rises with width loses more when it is divided than when left alone."""
    said = answer_headline([widths(0.6)])
    assert "but do not divide it by the number of weights" in said


def test_a_right_proposal_is_advised() -> None:
    """λ that falls as one over the weights loses less when it is divided."""
    said = answer_headline([widths(-1.47)])
    assert "and dividing it by the number of weights pays" in said


def test_regrets_that_overlap_decide_nothing() -> None:
    """Two costs whose intervals overlap are told, not ranked."""
    study = widths(-0.6)
    axis = study.axes[0]
    rules = tuple(
        dataclasses.replace(rule, regret_low=0.0, regret_high=9.0)
        for rule in axis.rules
    )
    blurred = dataclasses.replace(axis, rules=rules)
    said = answer_headline([dataclasses.replace(study, axes=(blurred,))])
    assert "beats leaving it alone is open: it loses" in said


def test_weak_evidence_is_no_verdict() -> None:
    """Where decay matters nowhere, the headline says that it cannot tell."""
    width = AxisSpec(axis="width", values=(16, 64, 256))
    spec = study_spec(axes=(width,))
    weak = dict.fromkeys((scale for _, scale in width.cells(spec.base)), 0.0)
    said = answer_headline([simulated_findings({}, spec=spec, weak=weak)])
    assert said == "Undecided: with SGD, these runs cannot tell what moves the best λ."


def test_without_a_plain_study_the_question_is_open() -> None:
    """A study with the asker's normalization alone answers nothing."""
    only = dataclasses.replace(widths(0.0), normalization="layer-mean")
    assert "the question is open" in answer_headline([only])
