"""Rules beside cells: predictions, agreement, and what following them costs."""

import dataclasses
import math

import pytest
from findings.simulated_study import (
    AXES,
    BASE,
    findings_of_rows,
    simulated_findings,
    simulated_rows,
    study_spec,
)

from dwindle.findings.rule_verdict import drop_uninformative_agreement
from dwindle.stats.regret import limits_of
from dwindle.stats.slope import Slope
from dwindle.store.records import Optimizer, Outcome
from dwindle.store.spec import AxisSpec

BY_AXIS = {axis.axis: axis for axis in AXES}


def held(axis, exponent, *, spec=None, **how):
    """Findings of one axis whose best λ follows an exponent, rules by name."""
    spec = spec or study_spec(axes=(BY_AXIS[axis],))
    found = simulated_findings({axis: exponent}, spec=spec, **how).axes[0]
    return found, {rule.rule: rule for rule in found.rules}


def test_a_rule_that_is_true_agrees_and_costs_nothing():
    """Data whose best λ falls as 1/N: Bengio agrees, and doing nothing does not."""
    axis, rules = held("dataset_size", -1.0)
    bengio = rules["bengio-map"]
    assert bengio.exponent == pytest.approx(-1)
    assert bengio.agrees is True
    assert bengio.regret_low == 0
    assert rules["answer"].agrees is False
    assert rules["answer"].regret > 10 * max(bengio.regret, 1e-4)
    assert axis.unchanged.regret == pytest.approx(rules["answer"].regret)


def test_the_regret_of_a_rule_is_the_loss_between_the_curves():
    """Regret equals the simulated loss at the rule's λ minus that at the optimum."""
    axis, rules = held("width", 0.0, noise=1e-6)
    losses = []
    for cell, decay in zip(axis.cells, rules["neal"].predictions, strict=True):
        if cell.value != axis.anchor:
            near = sorted(
                cell.curve[1:], key=lambda p: abs(math.log(p.weight_decay / decay))
            )
            losses.append(near[0].mean - cell.loss_at_optimum)
    # Predictions fall between grid points: the nearest point is only a rough check.
    assert rules["neal"].regret == pytest.approx(sum(losses) / 4, rel=0.25)
    # A share is of the gain: as bad as no decay at all loses all that decay buys.
    gains = [cell.gain for cell in axis.cells if cell.value != axis.anchor]
    expected = rules["neal"].regret / (sum(gains) / len(gains))
    assert rules["neal"].share_lost == pytest.approx(expected, rel=1e-6)


# (axis, optimizer) -> the exponent that each rule predicts, None where it has none.
PREDICTED = {
    ("batch_size", "sgd"): {"question-layer-mean": None, "answer": 0},
    # Half-lives in steps or epochs need λ ∝ 1/lr, a prior none of it.
    ("lr", "sgd"): {"half-life-epochs": -1, "bengio-map": 0},
    # Under decoupled decay a prior has no λ.
    ("dataset_size", "adamw"): {"bengio-map": None, "half-life-epochs": -1},
}


def test_each_rule_predicts_what_its_statement_means():
    """A rule that predicts nothing is not applicable, which is no exponent of 0."""
    for (axis, optimizer), exponents in PREDICTED.items():
        spec = study_spec(axes=(BY_AXIS[axis],), optimizer=Optimizer(name=optimizer))
        _, rules = held(axis, -1.0, spec=spec)
        for name, exponent in exponents.items():
            rule = rules[name]
            assert rule.applies == (exponent is not None) == (not rule.why_not), name
            assert (rule.exponent is None) == (exponent is None)
            if exponent is not None:
                assert rule.exponent == pytest.approx(exponent)
                assert rule.agrees is (exponent == -1)


def test_the_answer_undoes_the_askers_normalization_and_the_asker_changes_nothing():
    """λ before it follows the asker; to keep one weight's decay it grows as weights."""
    spec = study_spec(axes=(BY_AXIS["width"],), normalization="layer-mean")
    _, rules = held("width", 1.4, spec=spec)
    assert rules["question-layer-mean"].exponent == pytest.approx(0, abs=1e-12)
    assert rules["question-layer-mean"].agrees is False
    weights = [64 * w + w * w + 10 * w for w in (16, 32, 64, 128, 256)]
    predicted = rules["answer"].predictions
    for found, count in zip(predicted, weights, strict=True):
        assert found / predicted[2] == pytest.approx(count / weights[2])


def test_where_decay_buys_nothing_for_sure_there_is_no_share():
    """A share of a gain that may be zero is no number."""
    wide = AxisSpec(axis="width", values=(32, 64))
    weak = {wide.scale_at(32, BASE): 0.0}
    spec = study_spec(axes=(wide,))
    axis, rules = held("width", 0.0, spec=spec, weak=weak, noise=0.01)
    assert axis.cells[0].matters == "no"
    assert rules["neal"].regret is not None
    assert rules["neal"].share_lost is None


def test_an_undecided_cell_costs_no_rule_anything():
    """Its noise would rank the rules: regrets are those of the decided cells."""
    narrow = AxisSpec(axis="width", values=(64, 128))
    wide = AxisSpec(axis="width", values=(32, 64, 128))
    weak = {wide.scale_at(32, BASE): 0.01}
    rows = simulated_rows(study_spec(axes=(wide,)), {}, weak=weak, noise=0.6)
    more = findings_of_rows(study_spec(axes=(wide,)), rows).axes[0]
    assert [cell.matters for cell in more.cells] == ["cannot tell", "yes", "yes"]
    fewer = findings_of_rows(study_spec(axes=(narrow,)), rows).axes[0]
    costs = [[rule.regret for rule in axis.rules] for axis in (more, fewer)]
    assert costs[0] == costs[1]
    assert any(costs[0])
    # Nor does one whose trainings all diverged.
    gone = Outcome(status="diverged", steps=1, seconds=0.1)
    rows = [(t, gone if t.scale.width == 32 else out) for t, out in rows]
    lost = findings_of_rows(study_spec(axes=(wide,)), rows).axes[0]
    assert [rule.regret for rule in lost.rules] == costs[1]
    # The anchor is not judged: with one cell nothing is.
    alone = study_spec(axes=(AxisSpec(axis="width", values=(64,)),))
    axis, rules = held("width", 0.0, spec=alone)
    assert not any(rule.applies for rule in rules.values())
    assert axis.unchanged.regret is None


@pytest.mark.parametrize(
    ("low", "high", "exponents", "agrees"),
    [
        (-1.2, 0.3, (-1.0,), None),  # holds the rule and no change at all
        (-1.2, -0.8, (-1.0,), True),  # excludes no change
        (-0.8, 0.9, (0.0,), None),  # all predict 0, and a square root is not excluded
        (-0.2, 0.3, (0.0,), True),
        (-0.2, 0.3, (0.0, 1.0), True),  # excludes the other rule
    ],
)
def test_an_interval_that_holds_everything_agrees_with_nothing(
    low, high, exponents, agrees
):
    """A rule agrees only where it could have failed."""
    template = held("width", 0.0)[0].unchanged
    slope = Slope(
        exponent=0.0, low=low, high=high, decided_by="seeds", law_checked=True
    )

    def rule(power):
        inside = low <= power <= high
        return dataclasses.replace(template, exponent=power, agrees=inside)

    unchanged = rule(0.0)
    rules = [*(rule(power) for power in exponents), unchanged]
    first, *_, last = drop_uninformative_agreement(rules, slope)
    assert first.agrees is agrees
    # Leaving λ as it is and a rule that predicts 0 are the same claim.
    assert last.agrees is (None if agrees is None else unchanged.agrees)


def test_no_regret_lies_outside_of_its_interval():
    """Even where noise puts an estimate below zero, value and limits agree."""
    found, rules = held("dataset_size", -1.0, noise=1.0)
    costs = [r for r in (*rules.values(), found.unchanged) if r.regret is not None]
    assert costs
    assert all(r.regret_low <= r.regret <= r.regret_high for r in costs)
    assert all(r.regret >= 0 for r in costs)


def test_an_agreement_with_a_wide_interval_is_only_not_excluded():
    """An interval of more than a square root to both sides agrees with everything."""
    jumping = AxisSpec(axis="depth", values=(1, 2, 4))
    spec = study_spec(axes=(jumping,))
    rows = [
        row
        for depth, exponent in ((1, 0.0), (2, 1.5), (4, 0.6))
        for row in simulated_rows(spec, {"depth": exponent}, noise=0.1)
        if row[0].scale.depth == depth
    ]
    axis = findings_of_rows(spec, rows).axes[0]
    assert axis.high - axis.low > 1
    rules = {rule.rule: rule for rule in (*axis.rules, axis.unchanged)}
    inside = [r for r in rules.values() if r.exponent and axis.low < r.exponent]
    assert all(r.agrees is None and r.not_excluded for r in inside)
    assert rules["unchanged"].not_excluded is (axis.low <= 0 <= axis.high)


def test_an_uncertain_anchor_widens_every_regret():
    """One noisy cell that rules start from, and judged cells without any noise."""
    spec = study_spec(axes=(BY_AXIS["dataset_size"],))
    quiet = simulated_rows(spec, {"dataset_size": -1.0}, noise=0.01)
    loud = simulated_rows(spec, {"dataset_size": -1.0}, noise=1.0)
    mixed = [b if a[0].scale == BASE else a for a, b in zip(quiet, loud, strict=True)]
    errors = {}
    for name, rows in (("quiet", quiet), ("mixed", mixed)):
        axis = findings_of_rows(spec, rows).axes[0]
        assert axis.anchor == BASE.dataset_size
        errors[name] = limits_of(axis.unchanged.by_anchor)[1]
        width = axis.unchanged.regret_high - axis.unchanged.regret
        assert width >= errors[name] > 0
    # Seeds of another anchor differ by more than its floor, which both have.
    assert errors["mixed"] > 1.5 * errors["quiet"]
