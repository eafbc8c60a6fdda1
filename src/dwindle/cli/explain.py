"""dwindle explain: what a decay really does to a weight."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dwindle.cli.facts import FACT_OPTIONS, WrittenFacts
from dwindle.cli.output import facts_table, print_json, quiet_table, stdout
from dwindle.cli.setting import SETTING, number, split_setting
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import scheduled

if TYPE_CHECKING:
    from rich.table import Table

OPTIONS = (SETTING, *FACT_OPTIONS)
CLOCK_TITLES = {"run": "of the run"}
# Below this a count is told with its digits, from it on with separators: 1,771,904.
COUNT_FROM = 1000
# Two sizes of weights that differ by less are printed as one.
ALIKE = 0.01


def command(*, knob_value: str, as_json: bool, **words: object) -> None:
    """Explain a decay: its half-life, what a run leaves, where weights settle.

    It tells what the facts allow, and names the facts that would tell more.
    """
    run = WrittenFacts.from_words(words).run("dwindle explain")
    knob, value = split_setting(knob_value)
    found = explain(value, knob, run=run)
    if as_json:
        print_json(found.as_dict())
    else:
        (run,) = scheduled((KNOBS[found.knob],), run)
        _show(found, is_constant=run.schedule.is_constant)


def _show(found: Explanation, *, is_constant: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console = stdout()
    console.print(f"\n  {found.knob} = [bold cyan]{number(found.value)}[/]\n")
    console.print(Padding(Text(found.update, style="bold"), (0, 2, 1, 2)))
    if any(value is not None for value in found.half_life.values()):
        console.print(_half_lives(found))
        console.print()
    console.print(facts_table(_facts(found, is_constant=is_constant)))
    console.print()
    console.print(_warnings(found))
    console.print()


def _warnings(found: Explanation) -> "Table":
    """Lay codes beside texts; several warnings may share a code."""
    from rich.text import Text

    table = quiet_table()
    table.show_header = False
    table.add_column(style="yellow")
    table.add_column(overflow="fold")
    for warning in found.warnings:
        table.add_row(warning.code, Text(warning.text))
    return table


def _half_lives(found: Explanation) -> "Table":
    clocks = [name for name, value in found.half_life.items() if value is not None]
    table = quiet_table()
    table.add_column("half-life", style="dim")
    for name in clocks:
        table.add_column(CLOCK_TITLES.get(name, name), justify="right", style="bold")
    rows = {"at the peak lr": found.half_life, "run average": found.half_life_average}
    for title, times in rows.items():
        if any(times[name] is not None for name in clocks):
            table.add_row(title, *(time_on(name, times) for name in clocks))
    return table


def time_on(clock: str, times: Mapping[str, float | None]) -> str:
    """Return a half-life as its clock writes it: 35.5, 1,771,904, or 17.7%."""
    value = times[clock]
    if value is None or not math.isfinite(value):
        return "–"
    if clock == "run":
        percent = 100 * value
        return f"{percent:,.0f}%" if percent >= COUNT_FROM else f"{percent:.3g}%"
    return f"{value:,.0f}" if value >= COUNT_FROM else f"{value:.4g}"


def _facts(found: Explanation, *, is_constant: bool) -> dict[str, str]:
    left = (
        "" if found.kept is None else f" ({100 * found.kept:.3g}% of a weight is left)"
    )
    is_endless = found.e_folds is None and found.kept == 0
    e_folds = "∞" if is_endless else _number_or_nothing(found.e_folds)
    turn = found.rotation_per_step
    degrees = "" if turn is None else f"{number(turn)} rad ({math.degrees(turn):.3g}°)"
    settles = "weights settle at" if is_constant else "weights would settle at"
    at_end = _number_or_nothing(found.rms_at_end)
    if math.isclose(found.rms_at_end or 0, found.equilibrium_rms or 0, rel_tol=ALIKE):
        at_end = ""
    told = {
        "shrink per step": _number_or_nothing(found.shrink_per_step),
        "e-folds of the run": e_folds + left,
        "penalty λ": _number_or_nothing(found.penalty),
        settles: _number_or_nothing(found.equilibrium_rms),
        "weights end at": at_end,
        "weights turn per step": degrees,
        "family": found.family or "",
    }
    at_peak = "" if is_constant else ", at the peak lr"
    units = {
        "penalty λ": "  in: mean loss + λ/2 · Σ w²",
        "weights settle at": "  (RMS)",
        "weights would settle at": f"  (RMS){at_peak}",
        "weights end at": "  (RMS)",
        "weights turn per step": at_peak,
    }
    return {name: f"{text}{units.get(name, '')}" for name, text in told.items() if text}


def _number_or_nothing(value: float | None) -> str:
    return "" if value is None else number(value)
