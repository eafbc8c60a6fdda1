"""Corrections bring λ to the anchor's scale, and only what is known is corrected."""

import math
from dataclasses import replace

import pytest
from report import synthetic

from dwindle.findings.names import rule_title
from dwindle.report import collapse

DATA = synthetic.axis("dataset_size")
WIDTH = synthetic.axis("width")


def test_a_correction_is_of_the_rules_that_come_to_it() -> None:
    """Factors are λ(anchor) over λ(cell): 1/N over a fourth of the data is a fourth."""
    typed, bengio, *_ = collapse.corrections(DATA)
    assert (typed.title, typed.changes_nothing) == ("as typed", True)
    assert bengio.title == "Bengio, MAP"
    # Cells 150, 300, 600, 1200 with the anchor at 600.
    assert bengio.factors == pytest.approx((0.25, 0.5, 1.0, 2.0))
    # Equal corrections are drawn once, and name each other.
    assert {"Neal's prior", "half-life in epochs"} <= set(bengio.also)
    # Over width the answer corrects nothing: it stands with λ as typed.
    assert rule_title("answer") in collapse.corrections(WIDTH)[0].also


def test_the_true_law_lines_optima_up() -> None:
    """Corrected by the exponent that made them, all optima fall on one λ."""
    measured = collapse.measured_factors(DATA)
    assert measured is not None
    # A step of the grid is a factor of 2.15, and a tenth of it the noise of a place.
    assert collapse.spread(DATA, measured) == pytest.approx(1.0, rel=0.1)
    raw = collapse.corrections(DATA)[0]
    assert collapse.spread(DATA, raw.factors) == pytest.approx(1200 / 150, rel=0.2)


def test_panels_are_few() -> None:
    """However many rules there are, a reader compares at most six panels."""
    rule = WIDTH.rules[0]
    many = tuple(
        replace(
            rule,
            rule=name,
            predictions=tuple(p * i**j for j, p in enumerate(rule.predictions)),
        )
        for i, name in enumerate((*collapse.HEADLINE_RULES, "a", "b", "c"), 2)
    )
    crowded = replace(WIDTH, rules=many)
    assert len(collapse.corrections(crowded)) <= collapse.MOST_PANELS


def test_what_is_not_known_is_not_corrected() -> None:
    """No anchor, no prediction; a missing one stays missing, and is no factor of 1."""
    axis = replace(WIDTH, anchor=None)
    assert [c.title for c in collapse.corrections(axis)] == ["as typed"]
    rule = next(r for r in DATA.rules if r.rule == "bengio-map")
    silent = replace(rule, predictions=(None, *rule.predictions[1:]))
    factors = collapse.rule_factors(DATA, silent)
    assert factors is not None
    assert [factor is None for factor in factors] == [True, False, False, False]


def test_only_optima_where_decay_matters_are_spread() -> None:
    """A flat cell's best λ is noise; one optimum lines up with nothing."""
    noisy = synthetic.changed(WIDTH, first={"optimum": 1e3})
    ones = tuple(1.0 for _ in WIDTH.cells)
    assert collapse.spread(noisy, ones) == collapse.spread(WIDTH, ones)
    one = replace(WIDTH, cells=WIDTH.cells[1:2])
    assert collapse.spread(one, (1.0,)) is None


def test_what_the_main_figure_shows() -> None:
    """The axis with the largest exponent per uncertainty, by a rule that agrees."""
    clearest = collapse.clearest_axis(synthetic.findings().axes)
    assert clearest is not None
    assert clearest.axis == "dataset_size"
    assert collapse.clearest_axis(synthetic.unknown().axes) is None
    # The measured exponent always fits its own cells: it stands where no rule agrees.
    refused = synthetic.changed(DATA, rules={"agrees": False})
    best = [collapse.best_correction(axis) for axis in (DATA, refused)]
    assert [(c.title == "Bengio, MAP", c.is_measured) for c in best if c] == [
        (True, False),
        (False, True),
    ]


def test_the_ceiling_shows_what_decay_buys() -> None:
    """A panel is high enough for the gain, and finite where no gain is known."""
    gains = [cell.gain for cell in WIDTH.cells[1:] if cell.gain]
    assert collapse.loss_ceiling(WIDTH) > max(gains)
    assert collapse.loss_ceiling(synthetic.unknown().axes[0]) == 1.0
    flat = synthetic.changed(WIDTH, cells={"matters": "no"})
    assert 0 < collapse.loss_ceiling(flat) < math.inf
