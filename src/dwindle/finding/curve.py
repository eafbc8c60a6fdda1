"""Losses over the weight decay, as a figure: trainings, mean curve, value, interval."""

import math
from dataclasses import dataclass
from typing import ClassVar

from dwindle.report import vega
from dwindle.report.render import NotebookFigure
from dwindle.report.themes import Theme
from dwindle.report.vega import Kind, Size, Spec
from dwindle.wording import number, percent

_MARGIN = 1.3  # of the range on both sides, so that no symbol is cut
_PICTURE = Size(width=520, height=260, lettering=11)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One training: the number it got, and ``value``, the same decay at the knob."""

    number: int
    weight_decay: float
    value: float
    seed: int
    loss: float | None
    status: str

    @property
    def is_without(self) -> bool:
        """Whether it had no decay, which is infinity at a knob that runs backwards."""
        return self.value in {0, math.inf}


@dataclass(frozen=True, kw_only=True)
class Harm:
    """A decay that is clearly worse than none, and by how much.

    ``worse_by`` is a share of the loss without decay, or, with ``is_share`` False
    (losses that are not all positive), in units of the metric.
    """

    value: float
    worse_by: float
    is_share: bool

    def __str__(self) -> str:
        """Return it as a part of a sentence."""
        share = f"{percent(self.worse_by)} of the loss"
        much = share if self.is_share else f"{self.worse_by:.3g}"
        return f"{number(self.value)} by {much}"


@dataclass(frozen=True, kw_only=True)
class SearchFigure(NotebookFigure):
    """The figure of a search; ``mean`` has (value, loss) of the mean curve."""

    name: ClassVar = "curve"

    symbol: str
    tried: tuple[Tried, ...]
    mean: tuple[tuple[float, float], ...]
    value: float | None
    low: float | None
    high: float | None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The axes that the losses can have, the usual one first."""
        losses = [each.loss for each in self.tried if each.loss is not None]
        return ("log", "linear") if losses and min(losses) > 0 else ("linear",)

    def figure(
        self, theme: Theme, size: Size = _PICTURE, kind: Kind | None = None
    ) -> Spec:
        """Return the figure as a Vega-Lite specification."""
        x = vega.decay_axis(self._domain, title=self.symbol)
        kind = kind or self.kinds[0]
        y = vega.numeric(
            "y",
            scale={"type": kind, "zero": False, "nice": False, "padding": 14},
            axis={**vega.title_above("loss"), "tickCount": 5, "format": ".3~g"},
        )
        layers = [*self._answer(x, theme), *self._losses(x, y, theme)]
        return vega.figure(vega.plot(layers, size), theme, size)

    @property
    def _domain(self) -> tuple[float, float]:
        inside = [each.value for each in self.tried if not each.is_without]
        inside += [value for value, _ in self.mean]
        if not inside:
            return 1e-3, 1.0
        return min(inside) / _MARGIN, max(inside) * _MARGIN

    def _answer(self, x: Spec, theme: Theme) -> list[Spec]:
        left, right = self._domain
        # An open interval ends where the figure does.
        low = None if self.low is None else max(self.low, left)
        high = None if self.high is None else min(self.high, right)
        is_inside = self.value is not None and left <= self.value <= right
        at = self.value if is_inside else None
        return vega.measured_layers(x, theme, at, low, high)

    def _losses(self, x: Spec, y: Spec, theme: Theme) -> list[Spec]:
        ok = [each for each in self.tried if each.loss is not None]
        seeds = sorted({each.seed for each in ok})
        # There may be more seeds than colors.
        colors = [theme.series[seed % len(theme.series)] for seed in seeds]
        scale = vega.mapped([str(seed) for seed in seeds], colors)
        color = vega.nominal("cell", legend=None, scale=scale)
        inside, without = [], []
        for each in ok:
            which = f"training {each.number}, seed {each.seed}"
            at = "without decay" if each.is_without else number(each.value)
            tooltip = f"{which}: {at}, loss {number(each.loss)}"
            row = {"y": each.loss, "cell": str(each.seed), "tooltip": tooltip}
            if each.is_without:
                without.append(row)
            else:
                inside.append(row | {"x": each.value})
        mean = [{"x": value, "y": loss} for value, loss in self.mean]
        dotted = {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 1.5}
        thin = {"type": "line", "opacity": 0.35, "strokeWidth": 1}
        thick = {"type": "line", "color": theme.ink, "strokeWidth": 2}
        symbol = {"type": "point", "filled": True, "size": 55, "opacity": 1}
        return [
            vega.layer(without, *vega.with_tooltip(dotted, {"y": y, "color": color})),
            vega.layer(inside, thin, {"x": x, "y": y, "color": color}),
            vega.layer(mean, thick, {"x": x, "y": y}),
            vega.layer(
                inside, *vega.with_tooltip(symbol, {"x": x, "y": y, "color": color})
            ),
        ]
