"""The Trainer's lr schedules in dwindle's terms, and those that have no such terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dwindle.decay.schedules import Schedule
from dwindle.errors import UnknownNameError

Options = Mapping[str, Any]  # lr_scheduler_kwargs: whatever the file holds


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a schedule may depend on.

    Args:
        warmup: Share of the steps that the lr rises.
        lr: Peak learning rate.
        steps: Length of the run; None where it is not known.
        options: ``lr_scheduler_kwargs``.

    """

    warmup: float
    lr: float
    steps: int | None
    options: Options

    def number(self, name: str) -> float | None:
        """Return an option that is a number, or None."""
        value = self.options.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else None  # type: ignore[arg-type]  # is one

    def share(self, name: str) -> float | None:
        """Return an option that is a share of something, or None."""
        value = self.number(name)
        return value if value is not None and 0 <= value <= 1 else None


def schedule_of(name: str, facts: Facts) -> Schedule | None:
    """Return a schedule of the Trainer as dwindle follows it, or None if it cannot.

    Args:
        name: ``lr_scheduler_type``.
        facts: Warm-up, lr, steps and the schedule's own options.

    Raises:
        UnknownNameError: If the Trainer has no such schedule.
        RangeError: If the shares contradict each other.

    Example:
        >>> facts = Facts(warmup=0.1, lr=1e-3, steps=None, options={"min_lr": 1e-4})
        >>> schedule_of("cosine_with_min_lr", facts).final
        0.1
        >>> schedule_of("inverse_sqrt", facts) is None
        True

    """
    if name not in TRAINER_SCHEDULES:
        raise UnknownNameError.among("lr_scheduler_type", name, TRAINER_SCHEDULES)
    return TRAINER_SCHEDULES[name](facts)


def _linear(facts: Facts) -> Schedule:
    return Schedule(shape="linear", warmup=facts.warmup)


def _cosine(facts: Facts) -> Schedule | None:
    cycles = facts.number("num_cycles")
    if cycles not in {None, 0.5}:
        return None
    return Schedule(shape="cosine", warmup=facts.warmup)


def _restarts(facts: Facts) -> Schedule | None:
    # One cycle, the default, is a cosine; more have the same sum, at other steps.
    if facts.number("num_cycles") not in {None, 1.0}:
        return None
    return Schedule(shape="cosine", warmup=facts.warmup)


def _polynomial(facts: Facts) -> Schedule | None:
    if facts.number("power") not in {None, 1.0}:
        return None
    last = facts.number("lr_end")
    final = min(1.0, (1e-7 if last is None else last) / facts.lr)
    return Schedule(shape="linear", warmup=facts.warmup, final=final)


def _cosine_to(facts: Facts) -> Schedule | None:
    final, least = facts.share("min_lr_rate"), facts.number("min_lr")
    if final is None and least is not None:
        final = least / facts.lr
    if final is None or not 0 <= final <= 1:
        return None
    return Schedule(shape="cosine", warmup=facts.warmup, final=final)


def _stable(facts: Facts) -> Schedule | None:
    falling, steps = facts.number("num_decay_steps"), facts.steps
    if falling is None or steps is None or not 0 < falling <= steps:
        return None
    # Its fall is a cosine by default; half of the peak on average, as a line's is.
    return Schedule(
        shape="wsd",
        warmup=facts.warmup,
        decay_share=falling / steps,
        final=facts.share("min_lr_ratio") or 0.0,
    )


def _none(_: Facts) -> None:
    return None


TRAINER_SCHEDULES: Mapping[str, Callable[[Facts], Schedule | None]] = MappingProxyType(
    {
        "linear": _linear,
        "cosine": _cosine,
        "cosine_with_restarts": _restarts,
        "polynomial": _polynomial,
        "constant": lambda _: Schedule(),
        "constant_with_warmup": lambda facts: Schedule(warmup=facts.warmup),
        "inverse_sqrt": _none,
        "reduce_lr_on_plateau": _none,
        "cosine_with_min_lr": _cosine_to,
        "cosine_warmup_with_min_lr": _cosine_to,
        "warmup_stable_decay": _stable,
        "greedy": _none,
    }
)
