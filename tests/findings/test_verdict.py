"""The verdict table, which rule costs least, and the lines to copy.

What is concluded word by word, of every kind of study, stands in the snapshot of
``tests/texts``.
"""

import ast
import shlex
from dataclasses import replace
from functools import cache

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec

from dwindle.findings.conclusion import base_cell, next_steps, nothing_to_set
from dwindle.findings.names import regret
from dwindle.findings.verdict import (
    COLUMNS,
    course_of,
    find_rule,
    rank_rules,
    surely_costs_less,
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


def test_without_an_exponent_the_row_counts_the_sure_cells():
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
    rows = verdict_rows([found, other, spread])
    assert [row.axis for row in rows if row.changes_with_split] == ["batch_size"]


def test_a_price_beyond_the_grid_is_a_bound():
    """A regret read at the edge of the grid is at least so much."""
    far = study_spec(axes=(AxisSpec(axis="width", values=(16, 64, 4096)),))
    (shown,) = verdict_rows([simulated_findings({}, spec=far)])
    beyond = {name: shown.rules[name] for name in ("question-layer-mean", "answer")}
    assert [rule.beyond_grid for rule in beyond.values()] == [1, 0]
    assert [regret(rule).startswith("≥ ") for rule in beyond.values()] == [1, 0]


def test_the_course_of_an_axis():
    """Above zero is up, below is down; a wide interval around zero is unknown."""
    courses = {
        (0.1, 0.3): "up",
        (-0.3, -0.1): "down",
        (None, None): "unknown",
        (-0.8, 1.0): "unknown",  # noise that hides a square root
        (-0.3, 0.4): "still",
    }
    axis = measured().axes[0]
    found = {
        ends: course_of(replace(axis, exponent=ends[0], low=ends[0], high=ends[1]))
        for ends in courses
    }
    assert found == courses


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


def test_a_ranking_is_joint_over_axes():
    """Each seed's mean over all axes, so that what seeds have in common cancels."""
    ranked = rank_rules(measured())
    cost, other, *_ = ranked
    # Best λ ∝ 1/N and nothing else; to leave λ alone is measurably worse.
    assert cost.rule == "bengio-map"
    assert "unchanged" not in {tied.rule for tied in tied_with_best(ranked)}
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
    # Where a limit is missing, nobody knows which of two rules costs less.
    axis = measured().axes[0]
    bare = replace(axis.unchanged, regret_high=None, by_seed={})
    kept = (axis.unchanged, bare)
    assert [surely_costs_less(each, axis.rules[0]) for each in kept] == [True, False]


def test_lines_to_copy_can_be_run():
    """The optimizer at the best λ of the base cell, the law, and a rescale."""
    spec = study_spec(axes=(AXES[0], AXES[3]))
    found = simulated_findings({"dataset_size": -1.0}, spec=spec)
    _, line, law, command = next_steps([found])
    best = base_cell(found).optimum
    call = ast.parse(line, mode="eval").body
    facts = {keyword.arg: keyword.value.value for keyword in call.keywords}
    # Two digits are printed, so half of the second one may be lost.
    assert facts.pop("weight_decay") == pytest.approx(best, rel=0.05)
    assert facts == {"lr": 0.05, "momentum": 0.9}
    # The law is over what surely moves λ, and at the base gives the base's λ.
    formula = compile(law.partition("= ")[2], "law", "eval")
    assert formula.co_names == ("dataset_size",)
    at_base = eval(formula, {"dataset_size": 600})  # noqa: S307 - our own line
    assert at_base == pytest.approx(best, rel=0.05)
    assert eval(formula, {"dataset_size": 1200}) < at_base  # noqa: S307 - our own
    words = shlex.split(command)
    assert words[:2] == ["dwindle", "rescale"]
    assert words[2].startswith("torch.optim.SGD=")
    assert words[words.index("--dataset-size") + 1] == "600:1200"


def test_each_way_to_have_nothing_to_set_has_its_reason():
    """Where decay does not matter, the grid ends, or nobody knows."""
    ways = (
        {"matters": "no"},
        {"matters": "yes", "optimum": None, "at_edge": "high"},
        {"matters": "cannot tell"},
    )
    base = base_cell(measured())
    assert len({nothing_to_set(replace(base, **each)) for each in ways}) == 3
