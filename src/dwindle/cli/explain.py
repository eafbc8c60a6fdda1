"""dwindle explain: what a decay really does to a weight."""

import math
from collections.abc import Mapping

from dwindle.cli.facts import (
    ALL_NOTES,
    FACT_OPTIONS,
    SETTING,
    WHERE_ALL,
    WrittenFacts,
    split_setting,
)
from dwindle.cli.output import print_json, show
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import scheduled
from dwindle.show import Column, Line, Table, facts
from dwindle.wording import MOST_NOTES, NOTHING, count, counted, number, percent

OPTIONS = (SETTING, *FACT_OPTIONS, ALL_NOTES)
# Two sizes of weights that differ by less are printed as one.
_ALIKE = 0.01


def command(
    *, knob_value: str, as_json: bool, all_notes: bool, **words: object
) -> None:
    """Explain a decay: its half-life, what a run leaves, where weights settle.

    It reports what the facts allow, and names the facts that would give more.
    """
    run = WrittenFacts.from_words(words).run("dwindle explain")
    knob, value = split_setting(knob_value)
    found = explain(value, knob, run=run)
    if as_json:
        print_json(found.as_dict())
        return
    # A knob may come with a schedule, as transformers.TrainingArguments has linear.
    (run,) = scheduled((KNOBS[found.knob],), run)
    _show(found, is_constant=run.schedule.is_constant, all_notes=all_notes)


def _show(found: Explanation, *, is_constant: bool, all_notes: bool) -> None:
    title = f"{found.knob} = {number(found.value)}"
    show("", Line(text=title, style="bold cyan", indent=2, whole=True), "")
    show(Line(text=found.update, style="bold", indent=2), "")
    clocks = [name for name, value in found.half_life.items() if value is not None]
    if clocks:
        times = {"at the peak lr": found.half_life}
        if any(found.half_life_average[name] is not None for name in clocks):
            times["run average"] = found.half_life_average
        heads = ({"run": "of the run"}.get(name, name) for name in clocks)
        counts = (Column(name, "number", "bold") for name in heads)
        columns = (Column("half-life", style="dim"), *counts)
        rows = [
            (title, *(time_cell(name, each) for name in clocks))
            for title, each in times.items()
        ]
        show(Table(columns=columns, rows=rows, indent=2), "")
    show(facts(_facts(found, is_constant=is_constant), indent=2), "")
    notes = [(each.code, each.text) for each in found.warnings]
    more = 0 if all_notes else len(notes) - MOST_NOTES
    columns = (Column("code", "name", "yellow"), Column("text"))
    footer = [f"{counted(more, 'more note')}: {WHERE_ALL}"] if more > 0 else []
    shown = notes[:MOST_NOTES] if more > 0 else notes
    table = Table(columns=columns, rows=shown, heads=False, footer=footer, indent=2)
    show(table, "")


def time_cell(clock: str, times: Mapping[str, float | None]) -> str:
    """Return a half-life below the name of its clock: 35.5, 6,931, 17.7%, 1,848 runs.

    Example:
        >>> [time_cell("run", {"run": share}) for share in (0.1773, 1848.39, None)]
        ['17.7%', '1,848 runs', '–']

    """
    value = times[clock]
    if value is None or not math.isfinite(value):
        return NOTHING
    if clock == "run":
        return percent(value) if value < 1 else counted(value, "run")
    return count(value)


def _facts(found: Explanation, *, is_constant: bool) -> dict[str, str]:
    left = f" ({percent(found.kept)} of a weight is left)"
    # A step that takes everything has no logarithm, and JSON no infinity: None is both
    # that and "not known", and only what is left tells them apart.
    is_endless = found.e_folds is None and found.kept == 0
    e_folds = "∞" if is_endless else _known(found.e_folds)
    turn, at_peak = found.rotation_per_step, "" if is_constant else ", at the peak lr"
    degrees = "" if turn is None else f" rad ({math.degrees(turn):.3g}°){at_peak}"
    settle, end = found.equilibrium_rms, found.rms_at_end
    if math.isclose(end or 0, settle or 0, rel_tol=_ALIKE):
        end = None
    # Under a falling lr weights never get there: they end above or below.
    settles = "weights settle at" if is_constant else "weights would settle at"
    return {
        "shrink per step": _known(found.shrink_per_step),
        "e-folds of the run": e_folds + ("" if found.kept is None else left),
        "penalty λ": _known(found.penalty, "  in: mean loss + λ/2 · Σ w²"),
        settles: _known(settle, f"  (RMS){at_peak}"),
        "weights end at": _known(end, "  (RMS)"),
        "weights turn per step": _known(turn, degrees),
        "family": found.family or "",
    }


def _known(value: float | None, unit: str = "") -> str:
    """Return a number with its unit, or nothing where it is not known."""
    return "" if value is None else f"{number(value)}{unit}"
