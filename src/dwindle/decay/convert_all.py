"""Convert to every knob at once: what can hold the decay, and why the rest cannot."""

from dataclasses import dataclass
from typing import Any

from dwindle.decay.convert import Conversion, convert
from dwindle.decay.families import family_of
from dwindle.decay.fidelity import Keep
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import knobs
from dwindle.decay.run import Run
from dwindle.decay.setting import Value, read_setting
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
)
from dwindle.plain import to_plain

# What a conversion may end in instead of a number.
_REASONS = (RefusedError, MissingFactError, RangeError, OscillationError)
_OBJECTIVE = "terms of an objective: an optimizer and its lr make them a decay"
_BARE = "set the decay itself, {name} is a term of an objective: name its optimizer"
_LIMIT = "no number there decays as fast without a swing through zero"
_OTHER_FACT = "cannot have this {fact}"
_OUT_OF_RANGE = "no number there gives this decay"


@dataclass(frozen=True, kw_only=True)
class NoConversion:
    """Knobs that cannot hold a decay, all for one reason."""

    reason: str
    knobs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AllConversions:
    """One decay, typed in every knob that can hold it.

    Args:
        knob: The knob that was given.
        value_from: Its number.
        conversions: One for each knob that can hold the decay, in the table's order.
        refused: The others by reason.

    """

    knob: str
    value_from: float
    conversions: tuple[Conversion, ...]
    refused: tuple[NoConversion, ...]

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return all conversions as JSON has each, and the reasons."""
        return {
            "from": self.knob,
            "value_from": self.value_from,
            "to": "all",
            "conversions": [each.as_dict() for each in self.conversions],
            "refused": to_plain(self.refused),
        }


def convert_to_all(
    value: Value,
    knob: str,
    *,
    run: Run | None = None,
    run_after: Run | None = None,
    keep: Keep | None = None,
) -> AllConversions:
    """Convert a decay to every knob that can hold it.

    Args:
        value: What is typed at ``knob``, as :func:`~dwindle.decay.convert.convert` has
            it.
        knob: Where it is typed.
        run: Facts of the training; what is missing is a reason for some knobs.
        run_after: Facts of the training at the other knobs, where they differ.
        keep: What stays, as :func:`~dwindle.decay.convert.convert` has it.

    Returns:
        The conversions with their fidelity, and what has none, by reason.

    Raises:
        RangeError: If the value is impossible at ``knob``.
        UnknownNameError: If ``knob`` is not known; the nearest are offered.
        AmbiguousNameError: If a short name fits several knobs.

    Example:
        >>> found = convert_to_all(5e-4, "keras.regularizers.L2")
        >>> next(c.value for c in found.conversions if c.to == "torch.optim.SGD")
        0.001
        >>> any("needs lr" in each.reason for each in found.refused)
        False

    """
    source = read_setting(value, knob)
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
    """Return why, in the same words for all knobs of a kind."""
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
