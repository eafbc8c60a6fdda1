"""One axis: the exponent from the cells that can tell, and the anchor."""

import math
import re

import pytest
from findings.simulated_study import (
    BASE,
    findings_of_rows,
    simulated_findings,
    simulated_rows,
    study_spec,
)

from dwindle.store.spec import AxisSpec

WIDTH = AxisSpec(axis="width", values=(16, 32, 64, 128, 256))


def at(width):
    return WIDTH.scale_at(width, BASE)


def axis_of(exponents, axis=WIDTH, **how):
    return simulated_findings(exponents, spec=study_spec(axes=(axis,)), **how).axes[0]


@pytest.mark.parametrize("exponent", [-1.0, -0.3, 0.0, 0.5, 1.2])
def test_the_simulated_exponent_is_found(exponent):
    """The interval holds the law that the curves were made from."""
    axis = axis_of({"width": exponent})
    assert axis.low <= exponent <= axis.high
    assert axis.high - axis.low < 1
    assert axis.why_null == ""


def test_cells_where_decay_does_not_matter_enter_no_slope():
    """A flat cell is dropped and named, and the others give the exponent."""
    axis = axis_of({"width": -0.5}, weak={at(16): 0.0, at(32): 0.0})
    assert [cell.matters == "yes" for cell in axis.cells] == [0, 0, 1, 1, 1]
    assert axis.low <= -0.5 <= axis.high
    assert "16" in axis.note
    assert "left out" in axis.note


def test_a_cell_at_an_edge_enters_no_slope():
    """An optimum beyond the grid is a bound: dropped, named, never a number."""
    axis = axis_of({"width": 3.2})
    lost = [cell for cell in axis.cells if cell.at_edge]
    assert lost
    assert all(cell.optimum is None for cell in lost)
    assert axis.low <= 3.2 <= axis.high
    assert "edge of the grid" in axis.note


def test_two_cells_check_no_law():
    """With two cells left the note says that the power law is not checked."""
    weak = {at(width): 0.0 for width in (16, 32, 256)}
    assert "not checked" in axis_of({}, weak=weak).note


def test_without_two_telling_cells_there_is_no_exponent():
    """One cell gives no slope; why stands where the number would."""
    weak = {at(width): 0.0 for width in (16, 32, 128, 256)}
    axis = axis_of({"width": -0.5}, weak=weak)
    assert (axis.exponent, axis.low, axis.high) == (None, None, None)
    assert axis.why_null.startswith("only 1 of 5 cells show a best λ")
    assert axis.anchor == 64


def test_the_anchor_is_the_base_cell():
    """Rules start from the scale that the study starts from."""
    assert axis_of({"width": -0.5}).anchor == 64


def test_if_the_base_cannot_tell_the_nearest_cell_is_the_anchor():
    """A flat base hands over to the nearest cell in ln width that can tell."""
    assert axis_of({}, weak={at(64): 0.0, at(128): 0.0}).anchor == 32


def test_if_no_cell_can_tell_there_is_no_anchor_and_no_regret():
    """Nothing to start from: rules keep their exponents and lose their regrets."""
    axis = axis_of({}, weak={at(width): 0.0 for width in WIDTH.values})
    assert axis.anchor is None
    question = axis.rules[0]
    assert question.rule == "question-layer-mean"
    assert question.exponent < -1
    assert question.regret is None
    assert question.agrees is None
    assert set(question.predictions) == {None}


def test_a_cell_that_axes_share_is_one_cell():
    """The base cell has the same optimum and the same limits on every axis."""
    found = simulated_findings({"width": -0.5, "depth": 0.3})
    shared = [
        cell for axis in found.axes for cell in axis.cells if cell.value == axis.anchor
    ]
    assert len(shared) == len(found.axes)
    assert len({(cell.optimum, cell.low, cell.high) for cell in shared}) == 1


def test_what_would_tell_is_said_once_with_numbers():
    """Seeds where the noise hides the gain, a grid where it ends too early."""
    weak = {at(width): 0.01 for width in WIDTH.values}
    axis = axis_of({}, weak=weak, noise=1.0)
    assert axis.exponent is None
    assert re.fullmatch(r"about \d+ seeds instead of 5.*", axis.would_tell)
    beyond = axis_of({"width": 5.0}, axis=AxisSpec(axis="width", values=(64, 256, 512)))
    assert "a grid that goes above 0.1" in beyond.would_tell


def test_a_course_that_is_known_needs_nothing_to_tell():
    """An exponent on one side of 0, or close around it, asks for no more trainings."""
    assert axis_of({"width": -1.0}).would_tell == ""
    assert axis_of({"width": 0.0}).would_tell == ""


def test_a_scatter_of_the_cells_is_not_cured_by_seeds():
    """Cells off any power law: more values of the quantity, not more seeds."""
    found = simulated_findings({}, spec=study_spec(axes=(WIDTH,)), noise=0.1)
    assert found.axes[0].would_tell == ""
    jumping = AxisSpec(axis="width", values=(16, 64, 256))
    spec = study_spec(axes=(jumping,))
    rows = [
        row
        for width, exponent in ((16, -1.0), (64, 0.0), (256, 1.0))
        for row in simulated_rows(spec, {"width": exponent}, noise=0.1)
        if row[0].scale.width == width
    ]
    axis = findings_of_rows(spec, rows).axes[0]
    assert "more values over a wider range" in axis.would_tell
    assert "seeds" not in axis.would_tell


def test_a_coarse_grid_asks_for_a_finer_one():
    """Three λ over four decades, as an older store has them: no number of seeds."""
    spec = study_spec(axes=(WIDTH,), points=3)
    found = simulated_findings({}, spec=study_spec(axes=(WIDTH,)), noise=1.0)
    rows = [
        (trial, outcome)
        for trial, outcome in simulated_rows(study_spec(axes=(WIDTH,)), {})
        if trial.weight_decay == 0
        or any(math.isclose(trial.weight_decay, at) for at in (1e-5, 1e-3, 1e-1))
    ]
    axis = findings_of_rows(spec, rows).axes[0]
    assert axis.would_tell.startswith("a finer grid")
    assert all(cell.optimum == pytest.approx(1e-3) for cell in axis.cells)
    assert found.axes[0].would_tell == ""


def test_a_cell_at_zero_is_named_as_left_out():
    """Depth 0 has a best λ and no logarithm: the slope is that of the other cells."""
    axis = axis_of({}, axis=AxisSpec(axis="depth", values=(0, 1, 2, 4)))
    assert axis.cells[0].matters == "yes"
    assert "left out: 0: no power law reaches 0" in axis.note
