"""Convert to every knob at once: what can hold the decay, and why the rest cannot."""

from collections.abc import Iterator
from dataclasses import dataclass

from dwindle.decay.convert import Conversion, convert
from dwindle.decay.families import family_of
from dwindle.decay.fidelity import PROMISES, Keep
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, by_library, knobs
from dwindle.decay.run import Run
from dwindle.decay.setting import Value, at_peak, read_setting
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
)
from dwindle.plain import Plain
from dwindle.show import Column, Drawable, Line, Sheet, Shown, Table, facts
from dwindle.wording import number

# Errors that mean that a knob cannot hold the decay.
_REASONS = (RefusedError, MissingFactError, RangeError, OscillationError)
_OBJECTIVE = "terms of an objective: an optimizer and its lr make them a decay"
_BARE = "set the decay itself, {name} is a term of an objective: name its optimizer"
_LIMIT = "no number there decays as fast without a swing through zero"
_OTHER_FACT = "cannot have this {fact}"
_OUT_OF_RANGE = "no number there gives this decay"
# Names of those that cannot hold a decay; --json has all of them.
_NAMES_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class NoConversion:
    """Knobs that cannot hold a decay, all for one reason."""

    reason: str
    knobs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class AllConversions(Shown, Plain):
    """One decay, typed in every knob that can hold it.

    Args:
        knob: The knob that was given.
        value_from: Its number.
        conversions: One for each knob that can hold the decay, in the table's order.
        refused: The others by reason.

    """

    IN_JSON = ("from=knob", "value_from", "to", "conversions", "refused")

    knob: str
    value_from: float
    conversions: tuple[Conversion, ...]
    refused: tuple[NoConversion, ...]

    @property
    def to(self) -> str:
        """The value of ``to`` in JSON."""
        return "all"

    def drawn(self) -> Sheet:
        """Return the drawing of a terminal, of a notebook and of a page."""
        title = f"{self.knob} = {number(self.value_from)}  →  all"
        name = Line(text=title, style="bold", indent=2, whole=True)
        return Sheet(parts=(name, *self._parts()))

    _drawn = drawn

    def _parts(self) -> Iterator[Drawable | str]:
        """Yield the numbers by library, what they keep, and what cannot hold it."""
        found = {each.to: each for each in self.conversions}
        # Names and numbers are there to be copied: columns of theirs are never cut.
        columns = (
            Column("knob", "name", "cyan"),
            Column("type", "number", "bold"),
            Column("fidelity", style="dim"),
        )
        for library, of_it in by_library(KNOBS[name] for name in found).items():
            rows = [
                (
                    each.to,
                    "by layer" if each.value is None else number(each.value),
                    each.fidelity,
                )
                for each in (found[knob.name] for knob in of_it)
            ]
            yield from ("", Line(text=library, style="bold", indent=2))
            yield Table(columns=columns, rows=rows, heads=False, indent=2)
        # Only the promises that were made are explained below the tables.
        kept: set[str] = {each.fidelity for each in found.values()}
        promised: dict[str, str] = {
            name: text for name, text in PROMISES.items() if name in kept
        }
        yield from ("", facts(promised, indent=2))
        if self.refused:
            yield from ("", Line(text="cannot hold it", style="bold", indent=2))
        for refused in self.refused:
            more = len(refused.knobs) - _NAMES_SHOWN
            names = ", ".join(refused.knobs[:_NAMES_SHOWN])
            names += f" and {more} more" if more > 0 else ""
            yield Line(text=f"{refused.reason}.", indent=2)
            yield Line(text=names, style="dim", indent=4)

    def __repr__(self) -> str:
        typed = f"{self.knob} = {number(self.value_from)}"
        return f"<AllConversions: {typed}, {len(self.conversions)} knobs>"


def convert_to_all(
    value: Value,
    knob: str,
    *,
    run: Run | None = None,
    run_after: Run | None = None,
    keep: Keep | None = None,
) -> AllConversions:
    """Convert a decay to every knob that can hold it."""
    source = at_peak(read_setting(value, knob), run or Run())
    conversions: list[Conversion] = []
    refused: dict[str, list[str]] = {}
    for target in knobs():
        if target.wants_clock:  # each of its clocks is a knob too
            continue
        try:
            found = convert(
                source.number,
                source.knob.name,
                to=target.name,
                run=run,
                run_after=run_after,
                keep=keep,
            )
        except _REASONS as error:
            reason = _reason(error, source.knob, target)
            refused.setdefault(reason, []).append(target.name)
        else:
            conversions.append(found)
    return AllConversions(
        knob=source.knob.name,
        value_from=source.number,
        conversions=tuple(conversions),
        refused=tuple(
            NoConversion(reason=reason, knobs=tuple(names))
            for reason, names in refused.items()
        ),
    )


def _reason(error: Exception, source: Knob, target: Knob) -> str:
    """Return the reason, the same text for all knobs of a kind."""
    if isinstance(error, MissingFactError):
        return f"needs {error.fact}: give {error.option}"
    if isinstance(error, OscillationError):
        return _LIMIT
    if isinstance(error, RangeError):
        of_momentum = error.name in {"momentum", "dampening", "nesterov"}
        return _OTHER_FACT.format(fact=error.name) if of_momentum else _OUT_OF_RANGE
    for knob in (source, target):
        family = family_of(knob)
        if family is not None and not family.has_half_life:
            return f"{family.title}: the number sets no rate"
    is_bare = source.family is None and not source.is_rate
    return _BARE.format(name=source.name) if is_bare else _OBJECTIVE
