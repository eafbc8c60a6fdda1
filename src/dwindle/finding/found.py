"""What a search found: the value to type, how sure it is, and why."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from shlex import quote
from typing import Any

from dwindle import wording
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.errors import DwindleError
from dwindle.finding.curve import Harm, SearchFigure, Tried
from dwindle.finding.records import (
    Former,
    OwnConditions,
    OwnTrial,
    StoredFind,
    run_from_facts,
)
from dwindle.finding.rounds import (
    IGNORES_SEED,
    Rounds,
    design_of,
    outcomes_by_name,
    rounded,
    seed_shows,
)
from dwindle.finding.unit import Typed, Unit, place_of
from dwindle.plain import Plain, to_plain
from dwindle.report.render import ShownWithFigure
from dwindle.show import Column, Drawable, Line, Sheet, Styled, Table, facts
from dwindle.stats.optimum import OTHER_EDGE, Edge
from dwindle.stats.points import ReadOut
from dwindle.stats.two_point import read_out
from dwindle.store.records import Outcome
from dwindle.wording import NOTHING, clean, counted, listed, number

# Why a search stopped -> that in words.
_STOPPED = {
    "within": "the interval is as narrow as required",
    "trainings": "the limit of trainings is reached",
    "time": "the time is over",
    "edge": "the best value lies beyond what could be searched",
    "no effect": "no decay helps measurably",
    "no optimum": "no value has a lowest loss",
    None: "not finished: run the same line again to continue",
}
_NO_INTERVAL = "no interval: that takes 4 seeds or more"
JSON_HAS_ALL = "--json has all of them"
# More trainings than these no figure can show, and nobody reads.
MOST_SHOWN = 1_000
# Facts that give the half-life in epochs and the e-folds of the run.
_FACTS = ("lr", "batch_size", "dataset_size", "epochs")
# A note has three decays that hurt: the first, the last and the one in the middle.
_HARMS_SHOWN = 3
_IN_JSON = (
    *("knob", "value", "low", "high", "matters", "gain", "gain_low", "gain_high"),
    *("harms", "trainings", "seeds", "paired"),
    *("stopped_because", "curve", "why_null", "conditions", "half_life", "e_folds"),
    "former",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Found(ShownWithFigure, Plain):
    """The best weight decay of a user's own training, as far as it was trained.

    Args:
        name: The name of the training.
        knob: Where the value is typed.
        symbol: The name of the value there.
        value: The number to type; None where there is none; ``why_null`` is the reason.
        low: Lower end of its 90 % interval; None where it is not known.
        high: Upper end.
        at_edge: The end of the range at which the value lies, and is a bound only.
        matters: Whether decay matters: ``"yes"``, ``"no"`` or ``"cannot tell"``.
        matters_why: The reason, in a few words.
        gain: Share of the loss without decay that the best decay takes off; None where
            it is not known, or losses are not all positive.
        gain_low: Lower end of its 90 % interval, by the seeds that trained both.
        gain_high: Upper end.
        harms: Decays of the range that are clearly worse than none, from low to high.
        trainings: How many gave a result.
        seeds: How many seeds they had.
        paired: Whether the losses of a seed go together over the decay; None where it
            is not known yet.
        needed: About how many further seeds the interval takes to be narrow enough.
        matters_needed: About how many would decide whether decay matters.
        stopped_because: Why the search stopped; None while it is not finished.
        curve: Every training.
        mean_curve: (value, loss) of the mean curve.
        why_null: Why there is no value, or no interval of it.
        conditions: What the value holds for.
        half_life: Half-life of the value on every clock, None where it is not known.
        e_folds: What the run takes off a weight with zero gradient, in e-folds.
        typed: What a training gets for the value, where it is another number.
        notes: Further notes.
        former: Trainings of the file under earlier conditions; they do not count.

    """

    IN_JSON = _IN_JSON

    name: str
    knob: str
    symbol: str
    value: float | None
    low: float | None
    high: float | None
    at_edge: Edge | None
    matters: str
    matters_why: str
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    harms: tuple[Harm, ...]
    trainings: int
    seeds: int
    paired: bool | None
    needed: int | None
    matters_needed: int | None
    stopped_because: str | None
    curve: tuple[Tried, ...]
    mean_curve: tuple[tuple[float, float], ...]
    why_null: str | None
    conditions: Mapping[str, Any] = field(hash=False)  # JSON-like
    half_life: Mapping[str, float | None] = field(hash=False)
    e_folds: float | None
    typed: Typed | None
    notes: tuple[str, ...]
    former: tuple[Former, ...]

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return what was found as JSON has it."""
        names = ("weight_decay", "seed", "loss", "status")
        curve = [to_plain(each, *names) for each in self.curve]
        harms = [to_plain(each, "value", "worse_by", "is_share") for each in self.harms]
        return super().as_dict() | {"curve": curve, "harms": harms}

    @property
    def place(self) -> str:
        """Where the value is typed, as reports name it."""
        return place_of(self.knob)

    @property
    def line(self) -> str:
        """What to type, if there is a value."""
        if self.value is None:
            return ""
        if self.typed is None:
            return f"{self.symbol} = {number(self.value)}"
        return f"{self.typed.knob.symbol} = {number(self.typed.value)}"

    @property
    def headline(self) -> str:
        """The value to type with its range, or why there is none."""
        if self.value is None:
            return f"No value for {self.place}: {self.why_null}"
        if self.matters == "cannot tell" and (self.low, self.high) == (0, math.inf):
            return (
                f"The best {self.symbol} of {self.place} is undecided: any may be best"
            )
        bound = {"low": " or less", "high": " or more", None: ""}[self.at_edge]
        if self.typed is None:
            return f"Set {self.line}{bound} in {self.place}"
        unit = f"{self.knob} = {number(self.value)}{bound}"
        return f"Set {self.line} in {self.typed.knob.name} ({unit})"

    @property
    def range_text(self) -> str:
        """The interval of the value, or why there is none."""
        if self.value is None:
            return ""
        if self.low is None or self.high is None:
            return _NO_INTERVAL
        ends = f"{number(self.low)} to {number(self.high)}"
        typed = self.typed
        if typed is None or typed.low is None or typed.high is None:
            return f"90 % interval: {ends}"
        there = f"{typed.knob.symbol} {number(typed.low)} to {number(typed.high)}"
        return f"90 % interval: {there} ({self.knob} {ends})"

    @property
    def why(self) -> str:
        """Whether decay matters, as a sentence."""
        if self.matters == "yes":
            by = self.gain or 0.0
            clause = wording.gained(by, self.gain_low, self.gain_high)
            return f"Decay matters: {clause}." if by > 0 else "Decay matters."
        reason = f" ({self.matters_why})" if self.matters_why else ""
        if self.matters == "no":
            shown = self.harms
            if len(shown) > _HARMS_SHOWN:
                shown = shown[0], shown[len(shown) // 2], shown[-1]
            text = wording.no_gain(self.matters_why, [str(each) for each in shown])
            return wording.capital(text)
        return f"Whether decay matters is undecided{reason}."

    @cached_property
    def shown(self) -> tuple[Tried, ...]:
        """The trainings that figures and tables have: all, or those of some seeds."""
        seeds = sorted({each.seed for each in self.curve})
        step = math.ceil(len(self.curve) / MOST_SHOWN)
        kept = {*seeds[:: max(step, 1)]}
        return tuple(each for each in self.curve if each.seed in kept)

    @property
    def left_out(self) -> str:
        """A sentence where not all trainings are shown; else empty."""
        if len(self.shown) == len(self.curve):
            return ""
        some, every = wording.count(len(self.shown)), wording.count(len(self.curve))
        return f"{some} of {every} trainings are shown; --json has all of them."

    @property
    def figure(self) -> SearchFigure:
        """The curve with the answer in it."""
        return SearchFigure(
            symbol=self.symbol,
            tried=self.shown,
            mean=self.mean_curve,
            value=self.value,
            low=self.low,
            high=self.high,
        )

    @property
    def figure_text(self) -> str:
        """What the figure shows, for those who cannot see it."""
        return f"Loss over {self.symbol}: {self.headline}. {self.range_text}."

    def table(self) -> Table:
        """Return the trainings by their numbers."""
        typed = self.conditions["typed"]
        columns = [
            Column("N", "number", "dim"),
            Column(KNOBS[typed].symbol if typed in KNOBS else self.symbol, "number"),
            Column("seed", "number"),
            Column("metric" if self.conditions["maximize"] else "loss", "number"),
            Column("", "name"),
        ]
        rows = [
            (
                str(each.number),
                number(each.weight_decay),
                str(each.seed),
                NOTHING if each.loss is None else f"{each.loss:.5g}",
                "" if each.status == "ok" else Styled(each.status, "red"),
            )
            for each in self.shown
        ]
        left_out = (self.left_out,) if self.left_out else ()
        return Table(columns=columns, rows=rows, indent=2, footer=left_out)

    def facts(self) -> dict[str, str]:
        """Return what the value rests on and holds for, by name."""
        unknown = ", not known yet whether paired" if self.seeds > 1 else ""
        known = {True: ", paired", False: ", not paired"}
        together = unknown if self.paired is None else known[self.paired]
        seeds = counted(
            self.seeds, "seed" if self.conditions["has_seed"] else "replicate"
        )
        better = "higher" if self.conditions["maximize"] else "lower"
        run = self.conditions["facts"]
        of_run = ("lr", "batch_size", "dataset_size", "epochs", "steps")
        holds_for = (
            wording.quantities({name: run[name] for name in of_run if name in run}),
            run.get("schedule", {}).get("shape", ""),
            wording.quantities(self.conditions.get("scale", {})),
        )
        return {
            "trainings": f"{self.trainings}, {seeds}{together}",
            "metric": f"{self.conditions['metric']}, {better} is better",
            "stopped": _STOPPED.get(self.stopped_because, str(self.stopped_because)),
            "holds for": ", ".join(filter(None, holds_for)),
            "half-life": wording.half_life(self.half_life),
            "e-folds of the run": "" if self.e_folds is None else number(self.e_folds),
        }

    def _drawn(self) -> Sheet:
        answer = self.headline, self.range_text, self.why
        known = self.facts(), self.notes
        return answer_sheet(
            answer, *known, self.table(), is_found=self.value is not None
        )

    def __repr__(self) -> str:
        return f"<Found: {self.headline}>"


def answer_sheet(
    answer: Sequence[str],
    known: Mapping[str, str],
    notes: Sequence[str],
    *tables: Table,
    is_found: bool,
) -> Sheet:
    """Return an answer as it is printed.

    The ``answer`` is the value to type, its interval and the reason; facts that are
    ``known``, the first notes and the tables follow, each below an empty line.
    """
    styles = f"bold {'green' if is_found else 'yellow'}", "bold", ""
    texts = zip(answer, styles, strict=True)
    shown = wording.first_notes(notes, JSON_HAS_ALL)
    blocks: list[Sequence[Drawable]] = [
        [Line(text=text, style=style, indent=2) for text, style in texts if text],
        [facts(known, indent=2)] if known else [],
        [Line(text=f"· {each}", indent=2) for each in shown],
        *zip(tables),
    ]
    parts: list[Drawable | str] = [""]
    for block in filter(None, blocks):
        parts += [*block, ""]
    return Sheet(parts=parts)


def found_of(stored: StoredFind, stopped_because: str | None = None) -> Found:
    """Return what the trainings of a store show; they may not show why it stopped."""
    stored = stored.at(stored.spec.scale)
    conditions, scale = stored.conditions, stored.spec.scale
    unit = unit_of(conditions, scale)
    known = outcomes_by_name(stored.rows)
    rounds = Rounds(
        unit=unit,
        design=design_of(stored.spec, conditions, unit),
        known=known,
        given_up={name for name, out in known.items() if out.status == "error"},
        larger_is_better=conditions.maximize,
    )
    ended = rounds.read()
    seen = read_out(rounds.points, rounds.design)
    value, low, high, at_edge = _in_unit(seen, unit)
    sign = -1.0 if conditions.maximize else 1.0
    half_life, e_folds, missing = _what_it_does(value, unit)
    gain, gain_low, gain_high = seen.share_gained
    why_null = seen.why_null
    if value is not None and low is None:
        why_null = _NO_INTERVAL
    return Found(
        name=stored.spec.name,
        knob=unit.knob.name,
        symbol=unit.symbol,
        value=value,
        low=low,
        high=high,
        at_edge=at_edge,
        matters=seen.matters,
        matters_why=seen.matters_why,
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
        harms=_harms(seen, unit),
        trainings=seen.trainings,
        seeds=seen.seeds,
        paired=seen.paired if conditions.has_seed else False,
        needed=seen.needed,
        matters_needed=seen.matters_needed,
        stopped_because=stopped_because or ended,
        curve=tuple(_tried(trial, outcome, unit) for trial, outcome in stored.rows),
        mean_curve=tuple(
            (unit.number_from_x(math.log(decay)), sign * loss)
            for decay, loss in seen.curve
        ),
        why_null=why_null,
        conditions={
            **conditions.as_dict(),
            **({"scale": dict(scale)} if scale else {}),
        },
        half_life=half_life,
        e_folds=e_folds,
        typed=unit.typed_of(value, low, high),
        notes=(*_notes(stored, seen), *missing),
        former=stored.former,
    )


def _harms(seen: ReadOut, unit: Unit) -> tuple[Harm, ...]:
    """Return the decays that hurt as they are at the knob, from low to high."""
    harms = [
        Harm(
            value=rounded(unit.number_from_x(math.log(decay))),
            worse_by=math.expm1(rise) if seen.log_scale else rise,
            is_share=seen.log_scale,
        )
        for decay, rise in seen.harms
    ]
    return tuple(sorted(harms, key=lambda each: each.value))


def unit_of(conditions: OwnConditions, scale: Mapping[str, float]) -> Unit:
    """Return how the decays of a search are typed, at a scale."""
    is_converted = conditions.typed != conditions.knob
    typed = conditions.typed if is_converted else None
    run = run_from_facts(conditions.facts)
    return Unit.from_names(conditions.knob, typed, run).at(scale)


def _tried(trial: OwnTrial, outcome: Outcome, unit: Unit) -> Tried:
    return Tried(
        number=trial.number,
        weight_decay=trial.weight_decay,
        value=unit.number_from_x(unit.x_from_typed(trial.weight_decay)),
        seed=trial.seed,
        loss=outcome.loss,
        status=outcome.status,
    )


def _in_unit(
    seen: ReadOut, unit: Unit
) -> tuple[float | None, float | None, float | None, Edge | None]:
    """Return value, ends and edge as they are at the knob, which may run backwards."""

    def number_of(decay: float | None) -> float | None:
        if decay is None:
            return None
        return rounded(unit.number_from_x(math.log(decay) if decay else -math.inf))

    value, low, high = map(number_of, (seen.value, seen.low, seen.high))
    if not unit.runs_backwards:
        return value, low, high, seen.at_edge
    return value, high, low, OTHER_EDGE[seen.at_edge]


def _what_it_does(
    value: float | None, unit: Unit
) -> tuple[Mapping[str, float | None], float | None, tuple[str, ...]]:
    """Return half-life and e-folds of the value, and what is missing to know them."""
    if value is None:
        return {}, None, ()
    try:
        found = explain(value, unit.knob.name, run=unit.run)
    except DwindleError:  # then the value stands without them
        return {}, None, ()
    lacks = any(remark.code == "missing-fact" for remark in found.warnings)
    needed = [name for name in _FACTS if getattr(unit.run, name) is None]
    if unit.run.steps is not None:
        needed = [name for name in needed if name == "lr"]
    options = listed([f"--{name.replace('_', '-')}" for name in needed])
    given = f"With {options} (run= in Python)"
    note = f"{given} the half-life and the total decay are shown here."
    return found.half_life, found.e_folds, (note,) if lacks and needed else ()


def _notes(stored: StoredFind, seen: ReadOut) -> Iterator[str]:
    """Yield the notes beside the value, the most important first."""
    conditions = stored.conditions
    errors = [
        (trial.number, outcome.error or "")
        for trial, outcome in stored.rows
        if outcome.status == "error"
    ]
    if errors:
        at, text = errors[0]
        first = clean(text.partition("\n")[0])
        which = listed([f"training {number_}" for number_, _ in errors], most=3)
        where = f"dwindle report {quote(str(stored.path))} --trial {at}"
        yield f"Without a result: {which} ({first}). Its output: {where}"
    if not conditions.has_seed:
        yield (
            "The training takes no seed: its trainings are plain replicates, which "
            "takes more of them: 26 instead of 21 in the median of 30 simulations."
        )
    elif seed_shows(outcomes_by_name(stored.rows)) is False:
        yield IGNORES_SEED
    elif seen.paired is False:
        yield (
            "Losses of one seed hardly go together, which takes more trainings. Does "
            "all that makes a training random come from {seed}?"
        )
    yield from (each.text for each in stored.former)
    if seen.matters == "cannot tell" and seen.matters_needed:
        more = counted(seen.matters_needed, "further seed")
        # With the one without decay it takes three.
        limit = f"--trainings {seen.trainings + 3 * seen.matters_needed}"
        seems = "If its gain is what it seems, about"
        yield f"{seems} {more} would decide whether decay matters: {limit}."
    if seen.needed:
        more, trainings = counted(seen.needed, "further seed"), seen.trainings
        # A further seed takes two trainings.
        limit = f"--trainings {trainings + 2 * seen.needed}"
        yield f"About {more} would make the interval as narrow as required: {limit}."
