"""Facts as people type them, converted to the fields of a run.

Lengths and batches in tokens, a schedule's parameters beside its name, a change as a
factor (``x8``: eight times the value before), and an lr that scales with the batch.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from dwindle.decay.read_numbers import ONE_TOKEN, number_of, read_number, whole_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UsageError

Typed = Mapping[str, Any]  # Any: the facts of a run have many types
# An lr that scales with the batch: --lr 1e-3:linear.
LR_POWERS: Mapping[str, float] = MappingProxyType({"linear": 1.0, "sqrt": 0.5})
# Facts that may be given and are no fields of a run: others are computed from them.
TOKENS = ("tokens", "batch_tokens")
# Behind a colon a factor: --batch-size 256:x8.
_TIMES = re.compile(r"\s*[x×]\s*(?P<factor>[^x×]+)", re.IGNORECASE)
_OF_SCHEDULE = {each.name for each in fields(Schedule)}


def as_fields(typed: Typed, *, named: Callable[[str], str] = str) -> dict[str, Any]:
    """Return facts as the fields of :class:`~dwindle.decay.run.Run`."""
    known = without_tokens(typed, named=named)
    parts = {name: known.pop(name) for name in _OF_SCHEDULE if name in known}
    if not parts:
        return known
    given = known.pop("schedule", None)
    if isinstance(given, Schedule):
        must = f"{named('schedule')} must have its own {', '.join(sorted(parts))}."
        raise UsageError(must, f"{given} and {parts}", "Write schedule='cosine'.")
    if given is not None:
        parts["shape"] = given
    return known | {"schedule": Schedule(**parts)}


def without_tokens(
    typed: Typed, *, named: Callable[[str], str] = str
) -> dict[str, Any]:
    """Convert tokens to facts of a run: a batch in tokens has one-token examples."""
    known = dict(typed)
    in_step, tokens = known.pop("batch_tokens", None), known.pop("tokens", None)
    if in_step is not None:
        _refuse_beside(
            "batch_tokens", known, ("batch_size", "tokens_per_example"), named
        )
        # ONE_TOKEN marks that the examples are tokens: no half-life in examples then.
        in_step = whole_of(named("batch_tokens"), in_step)
        known |= {"batch_size": in_step, "tokens_per_example": ONE_TOKEN}
    if tokens is None:
        return known
    tokens = number_of(named("tokens"), tokens)
    _refuse_beside("tokens", known, ("steps", "epochs"), named)
    if None in (known.get("batch_size"), known.get("tokens_per_example")):
        must = f"{named('tokens')} must come with the tokens in a step."
        remedy = (
            f"Add {named('batch_tokens')}, or {named('batch_size')} with "
            f"{named('tokens_per_example')}."
        )
        raise UsageError(must, f"{named('tokens')} {tokens:g}", remedy)
    # A run has steps or epochs; tokens become steps here, once, and are rounded once.
    batch = whole_of(named("batch_size"), known["batch_size"])
    length = number_of(named("tokens_per_example"), known["tokens_per_example"])
    steps = tokens / (batch * length) if batch * length else math.nan
    if not 1 <= steps < math.inf:
        raise RangeError(named("tokens"), tokens, "at least the tokens in a step")
    return known | {"steps": round(steps)}


def _refuse_beside(
    fact: str, known: Typed, others: Sequence[str], named: Callable[[str], str]
) -> None:
    beside = [named(name) for name in others if known.get(name) is not None]
    if beside:
        replaced = " and ".join(beside)
        must = f"{named(fact)} must stand without {replaced}, which it replaces."
        raise UsageError(
            must, f"{named(fact)} and {', '.join(beside)}", "Leave out one."
        )


def times_of(name: str, text: str) -> float | None:
    """Return the factor of a text such as ``x8``, else None.

    Example:
        >>> times_of("batch_size", "x8"), times_of("batch_size", "256")
        (8.0, None)

    """
    match = _TIMES.fullmatch(text)
    if match is None:
        return None
    factor = read_number(match["factor"])
    if factor is None or not 0 < factor < math.inf:
        must, remedy = "a factor above 0", f"Write {name} 256:x8 for eight times 256."
        raise RangeError(name, repr(text), must, remedy)
    return factor


def _scaled(name: str, before: object, factor: float) -> float:
    """Return a fact times a factor; a whole number must stay whole."""
    if isinstance(before, str):
        number = number_of(name, before)
        before = int(number) if number.is_integer() else number
    if isinstance(before, bool) or not isinstance(before, int | float):
        got = "nothing" if before is None else repr(before)
        must = f"one number before the change, for x{factor:g} to be times that"
        raise RangeError(name, got, must, "Write the value itself.")
    there = float(before * factor)
    if isinstance(before, int) and not there.is_integer():
        got, remedy = f"{before:,} times {factor:g}, {there:g}", "Write the value."
        raise RangeError(name, got, "a whole number", remedy)
    return int(there) if isinstance(before, int) else float(there)


def lr_with_batch(lr: float, power: float, before: Typed, after: Typed) -> float:
    """Return an lr that grows as a power of the batch, in tokens where known."""
    sizes = [_batch(side) for side in (before, after)]
    if None in sizes:
        must = "An lr that goes with the batch must come with the batch."
        remedy = (
            "Add --batch-size 256:2048 (batch_size on both sides in Python), or write "
            "the lr as a number."
        )
        raise UsageError(must, "no batch size", remedy)
    old, new = (size for size in sizes if size is not None)
    return lr * math.pow(new / old, power)


def _batch(side: Typed) -> float | None:
    if side.get("batch_tokens") is not None:
        return whole_of("batch_tokens", side["batch_tokens"])
    if side.get("batch_size") is None:
        return None
    # ONE_TOKEN is a 1: where the batch is counted in tokens, each is an example.
    length = number_of("tokens_per_example", side.get("tokens_per_example") or 1.0)
    return whole_of("batch_size", side["batch_size"]) * length


def facts_after(
    before: object, after: Any, *, named: Callable[[str], str] = str
) -> Any:
    """Return facts after a change in which ``x8`` and ``lr="linear"`` are numbers.

    Args:
        before: The run before the change, or a mapping of its facts.
        after: A mapping of facts; anything else is returned as it is.
        named: Name of a fact in an error.

    """
    if not isinstance(after, Mapping):
        return after
    old: Typed = before if isinstance(before, Mapping) else vars(before or Run())
    new = dict(after)
    for name, given in after.items():
        factor = times_of(named(name), given) if isinstance(given, str) else None
        if factor is not None:
            new[name] = _scaled(named(name), old.get(name), factor)
    lr = new.get("lr")
    power = LR_POWERS.get(lr) if isinstance(lr, str) else None
    if power is not None:
        peak = number_of(named("lr"), old.get("lr"))
        new["lr"] = lr_with_batch(peak, power, old, new)
    return new
