"""Rescaling: a decay before a change of scale and after it, and how it is drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dwindle.decay.evidence.peers import family_of_evidence
from dwindle.decay.evidence.recommend import Experiment, Reason, Recommendation
from dwindle.decay.evidence.records import KINDS, cell_of
from dwindle.decay.explain import ClockTimes, Explanation
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import FACTS_BESIDE_SCALE, Run
from dwindle.plain import Plain
from dwindle.show import (
    Cell,
    Column,
    Drawable,
    Line,
    Sheet,
    Shown,
    Styled,
    Table,
    facts,
    pointed,
)
from dwindle.wording import TERMINAL, Face, count, first_notes, number, time_cell

# The first that is known is the clock of all rows.
_CLOCKS = ("epochs", "tokens", "examples", "steps", "run")
# Codes of cautions on the facts, which every answer depends on.
_FACT_CODES = {"library-default", "unused-fact", "no-lr"}
# Rules beside the answer: the two that fit the class best, and the number as it is.
_MOST_RULES = 2
_UNCHANGED = "unchanged"
_LABELS = {_UNCHANGED: "λ unchanged"}
# Names of quantities in a reason, where they differ from the field.
_QUANTITIES = {"parameters": "weights"}
_REGIMES = {
    "many-epochs-normalized": "data repeat {times} times",
    "many-epochs-plain": "data repeat {times} times",
    "single-pass": "data are seen once",
}
# Names of an experiment's quantities in find and tune, where they differ.
_AXES = {"batch": "batch_size", "dataset": "dataset_size"}
# By class: the condition of its answer, and the option that states it.
_OTHERWISE = {
    "many-epochs-plain": ("plain and small", "normalized", "no"),
    "many-epochs-normalized": ("normalized", "normalized", "yes"),
    "single-pass": ("data are seen once", "regime", "single-pass"),
    "fine-tuning": ("it starts from trained weights", "regime", "fine-tuning"),
}
# Width of a reason in a terminal of 80 columns, beside its label and two gaps.
_ROOM = 63


@dataclass(frozen=True, kw_only=True)
class RuleAnswer(Plain):
    """What to type after the change by one rule.

    Args:
        rule: Name of the rule.
        value: The number to type; None where the rule does not apply.
        keeps: What the rule keeps fixed.
        half_life: Half-life at ``value`` after the change, on every clock.
        e_folds: Total decay of the run after the change.
        penalty: Canonical penalty after the change.
        evidence: What the rule was tested on.
        applies: Whether the rule is about this change and this kind of knob.
        why_not: Why it does not.
        silent_on: Quantities that changed and are not in the rule.
        measured: Whether its authors measured such a change, not only argued it.
        sentence: The rule in one sentence.
        source: Who published it.

    """

    rule: str
    value: float | None
    keeps: str
    half_life: ClockTimes = field(hash=False)
    e_folds: float | None
    penalty: float | None
    evidence: str
    applies: bool
    why_not: str
    silent_on: tuple[str, ...]
    measured: bool
    sentence: str
    source: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Rescaling(Shown, Plain):
    """A decay before a change of scale, unchanged after it, and what to type.

    Args:
        knob: Where the number is typed.
        before: What it does before the change.
        unchanged: What the same number does after it.
        recommendation: What to type, how sure that is, and why.
        rules: Every rule's answer, in the order of the table.
        runs: The facts before and after.
        notes: Facts that one side lacks, or that a live optimizer contradicts.

    """

    IN_JSON = ("knob", "before", "unchanged", "recommendation", "rules")

    knob: str
    before: Explanation
    unchanged: Explanation
    recommendation: Recommendation
    rules: tuple[RuleAnswer, ...]
    runs: tuple[Run, Run]
    notes: tuple[str, ...] = ()

    def drawn(self, *, all_rules: bool = False, face: Face = TERMINAL) -> Sheet:
        """Return the drawing of a terminal and of a notebook.

        Args:
            all_rules: Whether the table of all rules stands below the answer.
            face: Where it is read.

        """
        seen = (*self.before.warnings, *self.unchanged.warnings)
        cautions = dict.fromkeys(each.text for each in seen if each.code in _FACT_CODES)
        notes = first_notes([*self.notes, *cautions], "--json or as_dict() has them")
        return Sheet(
            parts=(
                Line(text=self.knob, style="bold cyan", indent=2, whole=True),
                *self._answer(face),
                *(("", pointed(notes)) if notes else ()),
                *(_whole_table(self) if all_rules else ()),
            )
        )

    _drawn = drawn

    def __repr__(self) -> str:
        there = self._typed(self.recommendation.value, digits=2)
        return (
            f"<Rescaling: {self.knob} = {self._typed(self.before.value)}, then {there}>"
        )

    @property
    def _typed(self) -> Callable[..., str]:
        return KNOBS[self.knob].typed

    def _answer(self, face: Face) -> Iterator[Drawable | str]:
        """Yield the answer, its reasons, and what would decide it."""
        there = self.recommendation
        if there.is_undecided:
            # Measured, but with a wide interval: too few or contradicting results.
            assumed = any(each.is_assumed for each in there.reasons)
            is_open = assumed or _is_of_recipes(there)
            who = "nobody has" if is_open else "too few have"
            title = f"{who} measured this kind: {KINDS[there.kind_of_run]}"
            yield Line(text=title, style="bold", indent=2)
        for line in self._values(face):
            yield Line(text=line, style="bold", indent=2)
        if self.runs[0] != self.runs[1] and self.before.value:
            yield from ("", facts(self._rows(face), indent=2))
            if there.experiment:
                # Recipes may decay nothing: then the number before is the value.
                value = there.value or self.before.value
                yield _command(there.experiment, self.knob, value)

    def _values(self, face: Face) -> Iterator[str]:
        there, was = self.recommendation, self._typed(self.before.value)
        if there.value is None:
            yield "no value can be recommended"
            return
        if self.runs[0] == self.runs[1]:
            yield f"type {was}   (nothing changes)"
            return
        if not self.before.value:
            yield "type 0   (nothing decays, before and after)"
            return
        verb, span = "perhaps" if there.is_undecided else "type", self._range(there)
        of = "recipes" if _is_of_recipes(there) else "90 %"
        span = f"{of}: {span}; " if span else ""
        value = self._value(there)
        yield f"{verb} {value}   ({span}it was {was})"
        shown = (value, self._range(there))
        for each in there.others:
            value, span = self._value(each), self._range(each)
            if each.value is not None and (value, span) != shown:
                span = f"   ({span})" if span else "  "
                when, name, choice = _OTHERWISE[each.kind_of_run]
                how = face.given.format(name=name, value=choice)
                yield f"or {value}{span} if {when}: {how}"

    def _value(self, there: Recommendation) -> str:
        return self._typed(_rounded(there.value, 2))

    def _range(self, there: Recommendation) -> str:
        ends = (there.low, there.high)
        low, high = (self._typed(_rounded(each, there.digits)) for each in ends)
        return f"{low} to {high}" if low != high else ""

    def _rows(self, face: Face) -> dict[str, Cell]:
        there, wanted = self.recommendation, self.recommendation.experiment
        candidates = " · ".join(
            # The same λ may be another number at a knob that is no coefficient.
            f"{_LABELS.get(each.rule, each.rule)} "
            f"{self._typed(_rounded(each.value, 2))}"
            for each in there.candidates
        )
        return {
            "why": there.why_null,
            "decay": self._ends(),
            "because": self._because(),
            "kind": "" if there.is_undecided else KINDS[there.kind_of_run],
            "candidates": candidates,
            "unchanged": self._unchanged(),
            "rules": "" if candidates else self._rules(face),
            "to decide": f"two values of {wanted.quantity}, about {wanted.trainings} "
            "trainings:"
            if wanted
            else "",
        }

    def _ends(self) -> str:
        """Return shape and ends of a decay that has a schedule, then and before."""
        values = (self.recommendation.value, self.before.value)
        there, was = (
            run.decay_schedule.ends_of(_rounded(value, 2))
            for run, value in zip(reversed(self.runs), values, strict=True)
        )
        return f"{there} (it was {was})" if there and was else there

    def _because(self) -> Cell:
        """Return a line for each part of the change, in aligned columns."""
        # A half-life or C moves in the opposite direction, so the subject is named.
        knob = KNOBS[self.knob]
        what = "decay of a step" if knob.is_rate else "value" if knob.family else "λ"
        # Rounding to whole steps changes the tokens a little: no change to print.
        shown = [
            each
            for each in self.recommendation.reasons
            if each.quantity in _REGIMES or _times(each.ratio) != "×1"
        ]
        cells = [_reason_cells(each, what) for each in shown]
        if not cells:
            return (
                "" if self.recommendation.value is None else "the decay of a step stays"
            )
        rows, counts = [row for *row, _ in cells], [records for *_, records in cells]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        if sum(widths) + max(map(len, counts)) > _ROOM:
            # Two lines each: folding would separate a number from its range.
            lines = zip(rows, counts, strict=True)
            return tuple(
                line
                for (change, effect), records in lines
                for line in (change, f"  {effect}  {records}")
            )
        return tuple(
            "  ".join((*map(str.ljust, row, widths), records))
            for row, records in zip(rows, counts, strict=True)
        )

    def _unchanged(self) -> str:
        before, after = self.before, self.unchanged
        if before.e_folds is None or after.e_folds is None:
            return ""
        was, now = number(before.e_folds), number(after.e_folds)
        value = self._typed(before.value)
        if was == now:
            return f"{value} would remove {now} e-folds over the run, as before"
        return f"{value} would remove {now} e-folds over the run instead of {was}"

    def _rules(self, face: Face) -> str:
        knob = KNOBS[self.knob]
        cell = cell_of(self.recommendation.kind_of_run, family_of_evidence(knob))
        known = {each.rule: each for each in self.rules if each.applies}
        best = [known[name] for name in cell.rules if name in known][:_MOST_RULES]
        shown = {each.rule: each.value for each in best}
        shown[_UNCHANGED] = self.before.value
        values = (f"{name} {self._typed(each)}" for name, each in shown.items())
        return f"{' · '.join(values)}  {face.all_rules}"


def _is_of_recipes(there: Recommendation) -> bool:
    return any(each.quantity in KINDS for each in there.reasons)


def _rounded(value: float | None, digits: int) -> float | None:
    """Return a number in so many significant digits: 24 is 20 in one digit."""
    return None if value is None else float(f"{value:.{digits}g}")


def _reason_cells(reason: Reason, what: str) -> tuple[str, str, str]:
    """Return a part of the change, its factor, and the number of its records."""
    changed = f"{_QUANTITIES.get(reason.quantity, reason.quantity)} "
    changed += _times(reason.ratio)
    if reason.beside:
        others = (f"{name} {_times(ratio)}" for name, ratio in reason.beside.items())
        changed = f"{changed} with {' and '.join(others)}"
    if reason.quantity in _REGIMES:
        changed = _REGIMES[reason.quantity].format(times=number(reason.ratio))
    factors = (reason.factor, reason.factor_low, reason.factor_high)
    middle, low, high = (number(_rounded(each, 2)) for each in factors)
    kind = "recipes" if reason.quantity in KINDS else "measured"
    records = f"{reason.records} {kind}"
    if not reason.records:
        records = f"{reason.restated} restated" if reason.restated else "assumed"
    return changed, f"{what} ×{middle} ({low} to {high})", records


def _times(ratio: float) -> str:
    """Return a ratio as text: ×8, ×1/3, ×0.45."""
    share = round(1 / ratio, 6)
    return f"×1/{share:g}" if share > 1 and share.is_integer() else f"×{number(ratio)}"


def _command(wanted: Experiment, knob: str, value: float) -> Line:
    """Return the command to paste, with decays around a value, a factor 2 apart."""
    axis = _AXES.get(wanted.quantity, wanted.quantity)
    low, high = map(number, (wanted.low, wanted.high))
    reach = 2.0 ** (wanted.decays // 2)
    ends = (value / reach, value * reach)
    least, most = (KNOBS[knob].typed(_rounded(each, 2)) for each in ends)
    text = (
        f"dwindle tune my_module:train --knob {knob} --low {least} --high {most} "
        f"--proxy {axis}={low},{high} --target {axis}={high}"
    )
    return Line(text=text, indent=4, whole=True)


def _whole_table(found: Rescaling) -> Iterator[Drawable | str]:
    """Yield the changes, every rule's answer, and its evidence."""
    yield from ("", _heading("What changes"), facts(_changes(*found.runs), indent=2))
    yield from ("", _heading("What every rule leads to"), _answers(found))
    # Rules whose authors measured such a change, and did not only argue it.
    measured: dict[str, Cell] = {
        each.rule: f"{number(each.value)}, {each.evidence}"
        for each in found.rules
        if each.measured
    } or {"none": "what applies is an argument, or practice"}
    yield from ("", _heading("Rules whose authors measured such a change"))
    yield facts(measured, indent=2)
    # Most rules that do not apply give the same few reasons.
    reasons: dict[str, list[str]] = {}
    for each in found.rules:
        if not each.applies:
            reasons.setdefault(each.why_not.replace("_", " "), []).append(each.rule)
    silent: dict[str, Cell] = {", ".join(names): why for why, names in reasons.items()}
    yield from ("", _heading("Rules that do not apply, and why"))
    yield from (facts(silent, indent=2), "")
    yield _heading("dwindle rules RULE prints the source of one.")


def _heading(text: str) -> Line:
    return Line(text=text, style="dim", indent=2)


def _changes(before: Run, after: Run) -> dict[str, Cell]:
    there = after.quantities()
    changed = {
        name.replace("_", " "): (_fact_text(value), _fact_text(there[name]))
        for name, value in before.quantities().items()
        if name in there and there[name] != value
    }
    for name, read in FACTS_BESIDE_SCALE.items():
        sides = _fact_text(read(before)), _fact_text(read(after))
        if sides[0] != sides[1]:
            changed[name] = sides
    both: dict[str, Cell] = {
        name: f"{old} → {new}" for name, (old, new) in changed.items()
    }
    return both or {"nothing": "changes"}


def _fact_text(fact: object) -> str:
    if not isinstance(fact, float):
        return str(fact)
    return count(fact) if fact >= 1 else number(fact)


def _answers(found: Rescaling) -> Table:
    times = (found.before.half_life, found.unchanged.half_life)
    known = (clock for clock in _CLOCKS if all(each.get(clock) for each in times))
    # One clock for all rows: half-lives on different clocks cannot be compared by eye.
    clock = next(known, "steps")
    columns = [
        Column("rule", "name", "cyan"),
        Column("type now", "number", "bold cyan"),
        Column(f"half-life,\n{'of the run' if clock == 'run' else clock}", "number"),
        Column("e-folds", "number"),
        Column("penalty λ", "number"),
        Column("keeps, and what it was tested on"),
    ]
    has_penalty = found.before.penalty is not None
    rows: list[tuple[Cell, ...]] = [
        (
            Styled(title, "default"),
            Styled(number(each.value), "default"),
            *_effects(each, clock, with_penalty=has_penalty),
            "",
        )
        for title, each in (
            ("before", found.before),
            ("if you change nothing", found.unchanged),
        )
    ]
    rows += [
        (
            each.rule,
            number(each.value),
            *_effects(each, clock, with_penalty=has_penalty),
            (each.keeps, Styled(f"{each.evidence}{doubt}", "dim")),
        )
        # Measured rules first, both parts in the order of the table.
        for each in sorted(found.rules, key=lambda answer: not answer.measured)
        for silent in [", ".join(each.silent_on).replace("_", " ")]
        for doubt in [f"; does not cover {silent}" if silent else ""]
        if each.applies
    ]
    return Table(columns=columns, rows=rows, indent=2)


def _effects(
    of: Explanation | RuleAnswer, clock: str, *, with_penalty: bool
) -> tuple[str, str, str]:
    half_life = time_cell(clock, of.half_life) if of.half_life else number(None)
    penalty = number(of.penalty) if with_penalty else ""
    return half_life, number(of.e_folds), penalty
