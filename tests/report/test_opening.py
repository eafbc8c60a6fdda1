"""The first screen: the λ to type, what would decide, and one large figure."""

import re
from dataclasses import replace

import pytest
from report import synthetic

from dwindle.report import loss_figure, opening, render, vega
from dwindle.wording import interval


def test_the_value_to_type_is_the_best_of_the_base_cell() -> None:
    """One value per study whose λ an optimizer takes, with its interval and scope."""
    study = synthetic.findings()
    normalized = replace(study, normalization="layer-mean")
    value, *_ = opening.cards((study, normalized))
    assert value.typed == "weight_decay = 0.001"
    base = next(cell for cell in study.axes[0].cells if cell.value == 64)
    ((_, text),) = value.entries
    assert interval(base.low, base.high) in text
    assert "width 64" in text


def test_without_a_best_value_the_reason_stands_there() -> None:
    """Where decay does not matter at the base scale, nothing is to be typed."""
    flat = synthetic.changed(synthetic.axis("depth"), cells={"matters": "no"})
    study = synthetic.study_over(flat)
    value, *_ = opening.cards((study,))
    assert not value.typed
    assert "does not matter" in value.entries[0][1]
    shown = loss_figure.shown_first((study,))
    assert shown is not None
    assert (shown.typed, shown.has_flat) == (None, True)


def test_what_would_decide_is_printed_once() -> None:
    """Axes that the same would decide share a line; decided ones have none."""
    study = synthetic.findings(axes=("depth", "width", "epochs"))
    would = {"would_tell": "9 seeds instead of 5"}
    open_ = [synthetic.changed(axis, **would) for axis in study.axes[:2]]
    *_, card = opening.cards((replace(study, axes=(*open_, study.axes[2])),))
    assert card.entries == (("depth, width", "9 seeds instead of 5."),)


def test_the_value_to_type_is_in_the_figure_of_any_axis() -> None:
    """The base cell is on every axis, though it has another value on each."""
    shown = {
        name: loss_figure.shown_first((synthetic.findings(axes=(name,)),))
        for name in synthetic.AXES
    }
    shown["all"] = loss_figure.shown_first((synthetic.findings(),))
    assert not [name for name, each in shown.items() if not each or not each.typed]
    # A study in which all trainings diverged has nothing to draw.
    assert opening.large_figure((synthetic.unknown(),)) is None


@pytest.mark.parametrize(("low", "text"), [(1e-5, "10⁻⁵"), (1e-12, "10⁻¹²")])
def test_small_powers_of_ten_are_raised(low: float, text: str) -> None:
    """A tick that would be written 1e-5 shows ten to its power."""
    shown = {"data": {"values": [{"x": low}]}, "mark": "point"}
    spec = shown | {"encoding": {"x": vega.decay_axis((low, 0.1), title="λ")}}
    assert f">{text}</text>" in render.svg(spec, name="f", alt="")


def test_every_symbol_has_its_values_without_a_script() -> None:
    """Under the pointer stand λ, loss and seeds of a training, and each best λ."""
    study = synthetic.findings(axes=("depth",))
    drawn = opening.large_figure((study,))
    assert drawn is not None
    tooltips = re.findall(r"<title>([^<]*)</title>", drawn.views[0].wide)
    (axis,) = study.axes
    low = [p for c in axis.cells for p in c.decayed if p.mean and p.mean < 1]
    assert len(tooltips) >= len(axis.cells) + len(low)
    base = axis.cells[1]
    assert f"best λ at 2: 0.001, 90 % {interval(base.low, base.high)}" in tooltips
    assert "<title>" not in drawn.views[0].wide.partition("<g")[0]
