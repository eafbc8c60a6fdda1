"""Corrections bring λ to the anchor's scale, and only what is known is corrected."""

import dataclasses
import math

import pytest
from report import synthetic

from dwindle.findings.names import rule_title
from dwindle.report import collapse


def correction(axis_name: str, title: str) -> collapse.Correction:
    axis = synthetic.axis(axis_name)
    return next(c for c in collapse.corrections(axis) if c.title == title)


def test_a_rule_brings_its_own_law_to_one_point() -> None:
    """Factors are λ(anchor) over λ(cell): 1/N over a fourth of the data is a fourth."""
    found = correction("dataset_size", "Bengio, MAP")
    # Cells 150, 300, 600, 1200 with the anchor at 600.
    assert found.factors == pytest.approx((0.25, 0.5, 1.0, 2.0))


def test_the_true_law_lines_optima_up() -> None:
    """Corrected by the exponent that made them, all optima fall on one λ."""
    axis = synthetic.axis("dataset_size")
    measured = collapse.measured_factors(axis)
    assert measured is not None
    assert collapse.spread(axis, measured) == pytest.approx(1.0)
    raw = collapse.corrections(axis)[0]
    # 1200 / 150 = 8 to the power of 0.85.
    assert collapse.spread(axis, raw.factors) == pytest.approx(8**0.85)


def test_rules_that_agree_share_a_panel() -> None:
    """Equal corrections are drawn once and name each other; λ as typed comes first."""
    axis = synthetic.axis("dataset_size")
    first, second, *_ = collapse.corrections(axis)
    assert first.title == "as typed"
    assert first.changes_nothing
    assert second.title == "Bengio, MAP"
    assert "Neal's prior" in second.also
    assert "half-life in epochs" in second.also


def test_a_rule_without_effect_joins_the_typed_panel() -> None:
    """Over width the answer corrects nothing: it stands with λ as typed."""
    axis = synthetic.axis("width")
    assert rule_title("answer") in collapse.corrections(axis)[0].also


def test_panels_are_few() -> None:
    """However many rules speak, a reader compares at most six panels."""
    axis = synthetic.axis("width")
    many = tuple(
        dataclasses.replace(
            axis.rules[0],
            rule=name,
            predictions=tuple(
                p * i**j for j, p in enumerate(axis.rules[0].predictions)
            ),
        )
        for i, name in enumerate((*collapse.HEADLINE_RULES, "a", "b", "c"), 2)
    )
    crowded = dataclasses.replace(axis, rules=many)
    assert len(collapse.corrections(crowded)) <= collapse.MOST_PANELS


def test_without_anchor_nothing_is_corrected() -> None:
    """No anchor, no prediction: only λ as typed is shown."""
    axis = synthetic.changed(synthetic.axis("width"), anchor=None)
    assert [c.title for c in collapse.corrections(axis)] == ["as typed"]
    assert collapse.anchor_cell(axis) is None


def test_a_cell_the_rule_is_silent_on_has_no_factor() -> None:
    """A missing prediction stays missing: it is not a factor of 1."""
    axis = synthetic.axis("dataset_size")
    rule = next(r for r in axis.rules if r.rule == "bengio-map")
    silent = dataclasses.replace(rule, predictions=(None, *rule.predictions[1:]))
    factors = collapse.rule_factors(axis, silent)
    assert factors is not None
    assert factors[0] is None
    assert None not in factors[1:]


def test_flat_cells_do_not_count_for_the_spread() -> None:
    """Where decay does not matter, the best λ is noise and must not spread a law."""
    axis = synthetic.axis("width", flat_first=True)
    noisy = synthetic.changed(axis, first={"optimum": 1e3})
    ones = tuple(1.0 for _ in axis.cells)
    assert collapse.spread(noisy, ones) == collapse.spread(axis, ones)


def test_a_single_optimum_has_no_spread() -> None:
    """One optimum lines up with nothing: no number, rather than a perfect 1."""
    axis = synthetic.axis("width")
    one = dataclasses.replace(axis, cells=axis.cells[:1])
    assert collapse.spread(one, (1.0,)) is None


def test_the_clearest_axis_is_the_one_that_moves_most() -> None:
    """The main figure shows the axis with the largest exponent per uncertainty."""
    axes = synthetic.findings().axes
    clearest = collapse.clearest_axis(axes)
    assert clearest is not None
    assert clearest.axis == "dataset_size"
    assert collapse.clearest_axis(synthetic.unknown().axes) is None


def test_the_best_correction_is_a_rule_not_the_fit() -> None:
    """The measured exponent always fits its own cells, so a rule that agrees wins."""
    best = collapse.best_correction(synthetic.axis("dataset_size"))
    assert best.title == "Bengio, MAP"


def test_a_rule_that_does_not_agree_is_no_correction_to_show() -> None:
    """Where no rule agrees, the measured exponent stands there under its own name."""
    axis = synthetic.changed(synthetic.axis("dataset_size"), rules={"agrees": False})
    best = collapse.best_correction(axis)
    assert best.is_measured
    assert not best.agrees


def test_the_ceiling_shows_what_decay_buys() -> None:
    """A panel is high enough for the gain, and finite where no gain is known."""
    axis = synthetic.axis("width")
    gains = [cell.gain for cell in axis.cells if cell.gain]
    assert collapse.loss_ceiling(axis) > max(gains)
    assert collapse.loss_ceiling(synthetic.unknown().axes[0]) == 1.0
    flat = synthetic.changed(axis, cells={"matters": "no"})
    assert 0 < collapse.loss_ceiling(flat) < math.inf
