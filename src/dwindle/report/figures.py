"""Every figure of a study as a Vega-Lite specification: findings in, dicts out."""

from collections.abc import Sequence

from dwindle.findings.model import AxisFindings, Findings
from dwindle.findings.sentences import course_of
from dwindle.report import collapse, text, vega
from dwindle.report.collapse import Correction
from dwindle.report.figure_collapse import Panel, collapse_panel, collapse_parts
from dwindle.report.figure_rules import exponents_panel, regret_map
from dwindle.report.figure_terms import terms_panel
from dwindle.report.themes import LIGHT, Theme
from dwindle.report.vega import Spec

__all__ = [
    "Panel",
    "collapse_panel",
    "exponents_panel",
    "main_figure",
    "regret_map",
    "spread_text",
    "terms_panel",
]


def main_figure(studies: Sequence[Findings], theme: Theme = LIGHT) -> Spec | None:
    """Return the one figure to show: curves as typed beside curves corrected.

    It takes the axis on which the best λ moves most against its own uncertainty, over
    all studies. Where the best λ surely moves, the curves are shown corrected, too: by
    the published rule, of those that agree, after which they line up best, else by the
    measured exponent.

    Args:
        studies: Findings, one per study.
        theme: Colors; a picture needs real ones.

    Returns:
        The specification, or None where no study has an exponent.

    """
    axes = tuple(axis for study in studies for axis in study.axes)
    axis = collapse.clearest_axis(axes)
    if axis is None:
        return None
    moves = course_of(axis) in ("up", "down")
    best = collapse.best_correction(axis) if moves else None
    typed = collapse.corrections(axis)[0]
    study = next(each for each in studies if axis in each.axes)
    title = {
        "text": _message(axis, best),
        "subtitle": _setting(study, axis),
        "fontSize": 17,
        "subtitleFontSize": 13,
        "subtitlePadding": 5,
        "anchor": "start",
        "offset": 18,
    }
    shown = (typed, best) if best else (typed,)
    panels = [_titled(axis, each, theme) for each in shown]
    parts = {"title": title, "spacing": 34, "hconcat": panels, "padding": 18}
    framed = vega.figure(parts, theme, lettering=13)
    framed["config"]["background"] = theme.paper
    return framed


def _titled(axis: AxisFindings, correction: Correction, theme: Theme) -> Spec:
    panel = Panel(
        axis=axis,
        correction=correction,
        theme=theme,
        width=400,
        height=230,
        lettering=13,
    )
    heading = {
        "text": _panel_title(correction),
        "subtitle": spread_text(axis, correction),
        "fontSize": 14,
        "subtitleFontSize": 12,
        "anchor": "start",
        "frame": "group",
        "offset": 16,
    }
    return {"title": heading, **collapse_parts(panel)}


def _panel_title(correction: Correction) -> str:
    if correction.title.startswith(collapse.MEASURED):
        return "λ corrected by the measured exponent"
    names = ", ".join((correction.title, *correction.also)[:3])
    return f"λ {names}" if correction.changes_nothing else f"λ corrected: {names}"


def _message(axis: AxisFindings, best: Correction | None) -> str:
    """Title the picture with the course that the verdict sentence goes by."""
    name, course = text.quantity(axis.axis), course_of(axis)
    if best is None:
        still = f"The best weight decay does not move with {name}"
        doubt = f"Whether the best weight decay moves with {name} is open"
        return still if course == "still" else doubt
    told = (
        f"The best weight decay {'falls' if course == 'down' else 'rises'} with {name}"
    )
    typed = collapse.spread(axis, collapse.corrections(axis)[0].factors)
    corrected = collapse.spread(axis, best.factors)
    if typed is None or corrected is None:
        return told
    before, after = (text.number(each, digits=2) for each in (typed, corrected))
    if not best.agrees:
        return f"{told}: a factor {before} apart as typed; no published rule agrees"
    return f"{told}: a factor {before} apart as typed, {after} corrected"


def _setting(study: Findings, axis: AxisFindings) -> str:
    # No ∝ here: where a font lacks it, a converter sets the whole line in another one.
    power = text.exponent(axis.exponent, axis.low, axis.high)
    return (
        f"{text.clean(study.study, limit=60)}, {study.seeds} seeds. "
        f"Exponent of the best λ over {text.quantity(axis.axis)}: {power}"
    )


def spread_text(axis: AxisFindings, correction: Correction) -> str:
    """Return how far apart the best λ of all scales lie after a correction."""
    factor = collapse.spread(axis, correction.factors)
    if factor is None:
        return "too few optima to compare"
    return f"best λ within a factor {text.number(factor, digits=2)}"
