"""The law through the scales as a figure: scales, law, its band, and the answer."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dwindle.report import vega
from dwindle.report.render import NotebookFigure
from dwindle.report.themes import Theme
from dwindle.report.vega import Kind, Size, Spec
from dwindle.tuning.cells import Cell
from dwindle.wording import interval, number, quantity, raised

_AIR = 1.15  # above and below all intervals
# In the picture axes stand side by side.
_BESIDE = Size(width=300, height=220, lettering=13)


@dataclass(frozen=True, kw_only=True)
class LawLine:
    """The law along one axis, with all else as in the first scale, for a figure.

    ``points`` are (quantity, value, low, high); ``cells`` are scales on this line.
    """

    axis: str
    points: tuple[tuple[float, float, float, float], ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class LawFigure(NotebookFigure):
    """The figure of a law; the answer is drawn where there is one."""

    name: ClassVar = "law"

    symbol: str
    lines: tuple[LawLine, ...]
    target: Mapping[str, float] = field(hash=False)
    value: float | None
    low: float | None
    high: float | None

    def svg(self, alt: str) -> str:
        """Return it as inline SVG; nothing where no law goes through the scales."""
        return super().svg(alt) if self.lines else ""

    def figure(self, theme: Theme) -> Spec:
        """Return the law over all axes, side by side, as a Vega-Lite specification."""
        panels = [self._layers(line, theme, _BESIDE) for line in self.lines]
        return vega.figure({"hconcat": panels}, theme, _BESIDE)

    def panel(
        self, line: LawLine, theme: Theme, size: Size, kind: Kind = "log"
    ) -> Spec:
        """Return the law along one axis."""
        return vega.figure(self._layers(line, theme, size, kind), theme, size)

    def _layers(
        self, line: LawLine, theme: Theme, size: Size, kind: Kind = "log"
    ) -> Spec:
        law = [{"x": x, "y": y, "low": a, "high": b} for x, y, a, b in line.points]
        cells = [
            self._row(line, "best", cell.scale, cell.value, cell.low, cell.high)
            for cell in line.cells
        ]
        target = []
        if self.value is not None and line.axis in self.target:
            found = self.value, self.low, self.high
            target = [self._row(line, "answer", self.target, *found)]
        x, y = self._axes(line, (*law, *cells, *target), kind)
        bar = vega.between({"x": x, "y": y}, "y")
        accent = {"color": theme.accent, "opacity": 1}
        point = {"type": "point", "filled": True, "size": 90, "opacity": 1}
        dots = vega.with_tooltip({**point, "color": theme.ink}, {"x": x, "y": y})
        answer = vega.with_tooltip(
            {**point, "shape": "diamond", "size": 180, **accent}, dots[1]
        )
        layers = [
            vega.layer(law, {"type": "area", "color": theme.band}, bar),
            vega.layer(law, {"type": "line", "color": theme.muted}, {"x": x, "y": y}),
            vega.layer(cells, {"type": "rule", "color": theme.ink}, bar),
            vega.layer(cells, *dots),
            vega.layer(target, {"type": "rule", "strokeWidth": 3, **accent}, bar),
            vega.layer(target, *answer),
        ]
        return vega.plot(layers, size)

    def _row(
        self,
        line: LawLine,
        what: str,
        scale: Mapping[str, float],
        *ends: float | None,
    ) -> Spec:
        value, low, high = ends
        at = scale[line.axis]
        within = raised(interval(low, high, digits=3))
        best = f"{what} {self.symbol} {number(value)}"
        tooltip = f"{quantity(line.axis)} {number(at)}: {best}, 90 % {within}"
        return {"x": at, "y": value, "low": low, "high": high, "tooltip": tooltip}

    def _axes(
        self, line: LawLine, rows: Iterable[Spec], kind: Kind
    ) -> tuple[Spec, Spec]:
        rows = list(rows)
        low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
        values = [cell.scale[line.axis] for cell in line.cells]
        values += [self.target[line.axis]] if line.axis in self.target else []
        x = vega.quantity_axis(values, quantity(line.axis))
        domain = [low / _AIR, high * _AIR] if kind == "log" else [0, high * _AIR]
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
        inside = [each for each in ticks if domain[0] <= each <= domain[1]]
        axis = {"values": inside} if kind == "log" else {"tickCount": 5}
        y = vega.numeric(
            "y",
            scale={"type": kind, "domain": domain, "nice": False},
            axis={**vega.title_above(f"best {self.symbol}"), "format": "~g", **axis},
        )
        return x, y
