"""One axis: the exponent of the cells with a best λ, the anchor, what would decide it.

Remarks and reasons stand word by word in the snapshot of ``tests/texts``.
"""

from dataclasses import replace

import pytest
from evidence import judged_by
from findings.simulated_study import (
    BASE,
    DIGITS,
    findings_of_rows,
    simulated_findings,
    simulated_rows,
    study_spec,
    study_with,
)
from plane import measure_grid

from dwindle.store.spec import AxisSpec

WIDTH = AxisSpec(axis="width", values=(16, 32, 64, 128, 256))


def flat_at(*widths):
    """Cells of these widths gain nothing from decay."""
    return {"weak": {WIDTH.scale_at(width, BASE): 0.0 for width in widths}}


def axis_of(exponents, axis=WIDTH, **how):
    return simulated_findings(exponents, spec=study_spec(axes=(axis,)), **how).axes[0]


def test_the_simulated_exponent_is_found():
    """The interval holds the law that the curves were made from."""
    for exponent in (-1.0, -0.3, 0.0, 0.5, 1.2):
        axis = axis_of({"width": exponent})
        assert axis.low <= exponent <= axis.high, exponent
        assert axis.high - axis.low < 1
        assert (axis.why_null, axis.note != "", axis.anchor) == ("", True, 64)


@pytest.mark.parametrize(
    ("exponent", "flat", "telling"),
    [
        (-0.5, (16, 32), [0, 0, 1, 1, 1]),
        (0.0, (16, 32, 256), [0, 0, 1, 1, 0]),
        (3.2, (), [0, 1, 1, 1, 0]),  # the best λ of the others is beyond the grid
    ],
)
def test_cells_that_show_no_best_decay_enter_no_slope(exponent, flat, telling):
    """A flat cell and an optimum beyond the grid are dropped; the others count."""
    axis = axis_of({"width": exponent}, **flat_at(*flat))
    shown = [cell.matters == "yes" and cell.at_edge is None for cell in axis.cells]
    assert shown == [bool(each) for each in telling]
    assert axis.low <= exponent <= axis.high
    assert all((cell.optimum is None) >= bool(cell.at_edge) for cell in axis.cells)


@pytest.mark.parametrize(
    ("flat", "anchor"),
    [
        ((), 64),  # rules start from the scale that the study starts from
        ((64, 128), 32),  # else from the nearest cell, in ln width, with a best λ
        ((16, 32, 128, 256), 64),
        (WIDTH.values, None),
    ],
)
def test_the_anchor_is_the_cell_nearest_to_the_base(flat, anchor):
    """One telling cell gives an anchor and no slope; why stands where it would."""
    axis = axis_of({}, **flat_at(*flat))
    assert axis.anchor == anchor
    assert (axis.exponent is None) == (axis.why_null != "") == (len(flat) > 3)
    question = axis.rules[0]
    assert question.rule == "question-layer-mean"
    assert question.exponent < -1  # of all cells, where none has a best λ
    if anchor is None:
        assert (question.regret, question.agrees) == (None, None)
        assert set(question.predictions) == {None}


def test_a_cell_that_axes_share_is_one_cell():
    """The base cell has the same optimum and the same limits on every axis."""
    found = simulated_findings({"width": -0.5, "depth": 0.3})
    shared = [
        cell for axis in found.axes for cell in axis.cells if cell.value == axis.anchor
    ]
    assert len(shared) == len(found.axes)
    assert len({(cell.optimum, cell.low, cell.high) for cell in shared}) == 1


def test_an_exponent_that_leans_on_one_cell_names_it():
    """Four widths without a trend and one far away with one: the trend is its."""
    far = AxisSpec(axis="width", values=(48, 56, 64, 76, 1024))
    spec = study_spec(axes=(far,))
    rows = [
        row
        for exponent, widths in ((0.0, (48, 56, 64, 76)), (-1.0, (1024,)))
        for row in simulated_rows(spec, {"width": exponent}, noise=0.05)
        if row[0].scale.width in widths
    ]
    axis = findings_of_rows(spec, rows).axes[0]
    alone = axis.leans_on
    assert alone.value == 1024
    assert alone.low <= 0 <= alone.high
    assert not axis.low <= alone.exponent <= axis.high
    assert axis_of({"width": -0.5}, noise=0.05).leans_on is None


@pytest.mark.parametrize("metric", ["loss", "error"])
def test_a_grid_of_two_axes_has_both_exponents(metric):
    """The plane over every combination finds the law behind the curves."""
    planted = {"width": -0.5, "lr": -0.8}
    axes = tuple(
        AxisSpec(axis=name, values=values)
        for name, values in (("width", (32, 64, 128)), ("lr", (0.025, 0.05, 0.1)))
    )
    spec = study_spec(axes=axes, grid=True)
    rows = [
        (trial, replace(outcome, accuracy=1 - outcome.loss / 4))
        for trial, outcome in simulated_rows(spec, planted, noise=0.1)
    ]
    stored = study_with(spec, rows, replace(DIGITS, validation_samples=10_000))
    plane = measure_grid(judged_by(stored, metric))
    assert plane.first.low <= -0.5 <= plane.first.high
    assert plane.second.low <= -0.8 <= plane.second.high
