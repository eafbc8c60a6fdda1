"""Symbols lie inside of their plot, in every figure and size that a page has."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
import vl_convert
from finding.formula import Formula, search
from report import synthetic

import dwindle
from dwindle.finding.driver import Settings, run_search
from dwindle.finding.found import found_of
from dwindle.finding.records import find_from_stored
from dwindle.report import collapse, collapse_figure, figures, loss_figure
from dwindle.report.loss_figure import NARROW, WIDE
from dwindle.report.themes import LIGHT, PAGE
from dwindle.report.vega import Spec
from dwindle.store.store import read_store

ROUNDING = 0.01  # pixels
_NUMBER = re.compile(r"-?[\d.]+(?:e-?\d+)?")


def symbols(drawn: str) -> Iterator[tuple[list[float], ET.Element]]:
    """Every symbol of a drawing, with width and height of its plot."""

    def inside(
        element: ET.Element, size: list[float]
    ) -> Iterator[tuple[list[float], ET.Element]]:
        for each in element:
            kind = each.attrib.get("class", "")
            if kind == "background":
                size = numbers(each.attrib["d"])[2:4]  # M0,0h236v140h-236Z
            if kind.startswith("mark-symbol role-mark"):
                yield from ((size, mark) for mark in each)
            else:
                yield from inside(each, size)

    return inside(ET.fromstring(drawn), [])  # noqa: S314  drawn just now


def numbers(text: str) -> list[float]:
    return [float(each) for each in _NUMBER.findall(text)]


def outside(spec: Spec) -> tuple[int, list[str]]:
    """How many symbols a figure has, and which of them leave their plot."""
    count, wrong = 0, []
    for (width, height), mark in symbols(vl_convert.vegalite_to_svg(spec)):
        x, y = numbers(mark.attrib["transform"])[:2]
        # Symbols are drawn around (0, 0), and begin at an edge or at a corner.
        reach = max(map(abs, numbers(mark.attrib["d"])[:2]))
        is_inside = -ROUNDING <= x <= width + ROUNDING and y >= -ROUNDING
        if not is_inside or y + reach > height + ROUNDING:
            wrong.append(ET.tostring(mark, "unicode"))
        count += 1
    return count, wrong


def of_study(_: object) -> Iterator[Spec]:
    """Every figure of the page of a study."""
    for name in ("width", "dataset_size"):  # decay does not matter at the first width
        study = synthetic.findings(axes=(name,))
        (axis,) = study.axes
        shown = loss_figure.shown_first((study,))
        for size, kind in zip((WIDE, NARROW), shown.kinds, strict=True):
            yield loss_figure.loss_figure(shown, PAGE, size, kind)
        for correction in collapse.corrections(axis)[::3]:
            panel = collapse_figure.CollapsePanel(
                axis=axis, correction=correction, theme=PAGE
            )
            yield collapse_figure.collapse_panel(panel)
        yield figures.exponents_panel(axis)
        yield figures.terms_panel(axis)
        yield collapse_figure.main_figure((study,))


def of_find(path: object) -> Iterator[Spec]:
    """The figure of a search, as large as on its page and in its picture."""
    run_search(search(Formula()), path, Settings())
    curve = found_of(find_from_stored(read_store(path))).figure
    yield curve.figure(LIGHT)
    yield from map(curve.figure, (PAGE, PAGE), (WIDE, NARROW), curve.kinds)


def of_tune(_: object) -> Iterator[Spec]:
    """The figures of a law over two axes."""

    def train(weight_decay: float, seed: int, width: int, batch_size: int) -> float:
        best = 0.05 * (width / 64) ** -0.5 * (batch_size / 32)
        return 1 + (weight_decay / best - 1 - seed / 1000) ** 2

    law = dwindle.tune(
        train,
        proxies={"width": [64, 128], "batch_size": [32, 64]},
        target={"width": 256, "batch_size": 128},
        knob="torch.optim.AdamW",
        low=1e-3,
        high=1,
    )
    assert len(law.lines) == 2
    yield law.figure.figure(LIGHT)
    for line in law.lines:
        yield law.figure.panel(line, PAGE, WIDE, "log")
        yield law.figure.panel(line, PAGE, NARROW, "linear")


@pytest.mark.parametrize("specs_of", [of_study, of_find, of_tune])
def test_no_symbol_leaves_its_plot(specs_of, tmp_path):
    """Below an axis a symbol would be cut, or stand among the numbers of its ticks."""
    faults = []
    for spec in specs_of(tmp_path / "trained.db"):
        count, wrong = outside(spec)
        assert count
        faults += wrong
    assert faults == []


def test_a_symbol_below_its_axis_is_seen():
    """A point that stands on the axis hangs over it by half of itself."""
    points = [{"x": 1, "y": 0}, {"x": 2, "y": 1}]
    encoding = {axis: {"field": axis, "type": "quantitative"} for axis in "xy"}
    spec = {"data": {"values": points}, "mark": "point", "encoding": encoding}
    count, wrong = outside({**spec, "width": 100, "height": 100})
    assert (count, len(wrong)) == (2, 1)
