"""The verdict table, and which rule costs least."""

from dataclasses import replace
from functools import cache

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec

from dwindle.findings.names import regret
from dwindle.findings.verdict import (
    COLUMNS,
    find_rule,
    rank_rules,
    tied_with_best,
    verdict_rows,
)
from dwindle.store.spec import AxisSpec

TRUE = {"width": 0.0, "depth": 0.0, "batch_size": 0.0, "dataset_size": -1.0}


@cache
def measured():
    """A study over four axes."""
    return simulated_findings(TRUE, spec=study_spec(axes=AXES[:4]))


def test_a_row_per_axis_has_the_numbers_of_its_axis():
    """Exponent and limits as measured, and each rule as it was judged there."""
    rows = verdict_rows([measured(), measured()])
    assert [r.axis for r in rows] == [a.axis for a in AXES[:4]] * 2
    for axis, row in zip(measured().axes, rows, strict=False):
        limits = (axis.exponent, axis.low, axis.high)
        assert (row.exponent, row.low, row.high) == limits
        assert row.cells == len(axis.cells)
        assert row.rules == {name: find_rule(axis, name) for name in COLUMNS}
    assert rows[3].exponent == pytest.approx(-1, abs=0.3)
    # Silence is nothing, not a zero: Bengio has no rule for width, the answer has 0.
    assert rows[0].rules["bengio-map"] is None
    assert rows[0].rules["answer"].exponent == pytest.approx(0)


def test_without_an_exponent_the_row_counts_the_cells_that_tell():
    """No number is made up for an axis with one telling cell."""
    two = AxisSpec(axis="width", values=(32, 64))
    spec = study_spec(axes=(two,))
    weak = {two.scale_at(32, spec.base): 0.0}
    (shown,) = verdict_rows([simulated_findings({}, spec=spec, weak=weak)])
    assert (shown.exponent, shown.telling, shown.cells) == (None, 1, 2)


def test_an_axis_that_hangs_on_the_split_is_marked(monkeypatch):
    """Only in studies of that net with that optimizer, without a normalization."""
    found = replace(measured(), conditions={"problem": "digits-mlp"})
    other = replace(found, optimizer="adam")
    spread = replace(found, normalization="layer-mean")
    hangs = frozenset([("digits-mlp", found.optimizer, "batch_size")])
    monkeypatch.setattr("dwindle.findings.verdict.split_contradictions", lambda: hangs)
    marked = [
        row.axis
        for row in verdict_rows([found, other, spread])
        if row.changes_with_split
    ]
    assert marked == ["batch_size"]


def test_a_price_beyond_the_grid_is_a_bound():
    """A regret read at the edge of the grid is at least so much."""
    far = study_spec(axes=(AxisSpec(axis="width", values=(16, 64, 4096)),))
    (shown,) = verdict_rows([simulated_findings({}, spec=far)])
    assert regret(shown.rules["question-layer-mean"]).startswith("≥ ")


def test_a_silent_rule_pays_for_leaving_decay_alone():
    """The question is silent on data: there it costs what changing nothing costs."""
    costs = {cost.rule: cost for cost in rank_rules(measured())}
    unchanged = [axis.unchanged.regret for axis in measured().axes]
    own = [find_rule(axis, "question-layer-mean") for axis in measured().axes]
    expected = [
        max(0, rule.regret if rule else kept)
        for rule, kept in zip(own, unchanged, strict=True)
    ]
    assert costs["question-layer-mean"].regret == pytest.approx(sum(expected) / 4)


def test_the_rule_that_is_true_ranks_first():
    """Best λ ∝ 1/N and nothing else; to leave λ alone is measurably worse."""
    tied = [cost.rule for cost in tied_with_best(rank_rules(measured()))]
    assert tied[0] == "bengio-map"
    assert "unchanged" not in tied
    assert rank_rules(replace(measured(), axes=())) == ()


def test_a_ranking_is_joint_over_axes():
    """Each seed's mean over all axes, so that what seeds have in common cancels."""
    cost, other = rank_rules(measured())[:2]
    followed = [find_rule(a, cost.rule) or a.unchanged for a in measured().axes]
    means = [sum(r.by_seed[s] for r in followed) / 4 for s in range(5)]
    assert list(cost.by_seed.values()) == pytest.approx(means)
    at_first = [rule.by_anchor[0] for rule in followed]
    assert cost.by_anchor[0] == pytest.approx(sum(at_first) / 4)
    # A rule that costs every seed a hundredth more is dearer, however the seeds spread.
    spread = {seed: float(seed) for seed in range(5)}
    above = {seed: cost + 0.01 for seed, cost in spread.items()}
    best = replace(cost, regret=2.0, high=4.0, by_seed=spread, by_anchor=(0.1, 0.0))
    rival = replace(other, regret=2.01, high=4.0, by_seed=above, by_anchor=(0.1, 0.0))
    assert tied_with_best([best, rival]) == (best,)
    # From another place of the anchor the rival may be better.
    assert tied_with_best([best, replace(rival, by_anchor=(0.0, 0.0))])[1:]
