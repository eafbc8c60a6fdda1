"""What is known of a trainer's settings file, and what one of them says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dwindle.decay.schedules import Schedule

Keys = tuple[str, ...]  # dotted names; the first that a file has counts
Flat = Mapping[str, Any]  # values of a file by dotted names


def number_in(value: object) -> float | None:
    """Return a number, also one that is a text, as these trainers read it; or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """What the settings file of a trainer looks like, and where it has which fact.

    Args:
        name: Name for people.
        marks: Keys by which the file is known: it has all of them.
        why_not: Why it is not read; empty where it is.
        optimizer: Where the optimizer's name stands.
        knobs: Its names, folded, and the knob that each is.
        optimizer_if_unsaid: The name that counts where the file has none.
        lr, decay, momentum, betas, beta1, beta2: Where its numbers stand.
        batch: Examples of a whole step.
        per_device, accumulated: Examples of a batch on one device; batches in a step.
        devices: How many train together, as far as the file says it.
        epochs, steps: The length of the run.
        schedule: Where the schedule's name stands; ``schedule_if_unsaid`` else.
        warmup_steps, warmup_epochs, warmup_share: Its warm-up.
        final_lr, final_share: Where it ends, as an lr or as a share of the peak.
        dtype: Where the dtype of the weights stands.
        also: What else ``finish`` reads.
        momentum_if_unsaid, nesterov: What SGD has there.
        decay_if_unsaid: Whether the optimizer's own default counts where the file has
            no decay; else nobody knows what counts.
        finish: Last corrections of what was read.

    """

    name: str
    marks: Keys
    why_not: str = ""
    optimizer: Keys = ()
    knobs: Mapping[str, str] = field(default_factory=dict, hash=False)
    optimizer_if_unsaid: str = ""
    lr: Keys = ("learning_rate",)
    decay: Keys = ("weight_decay",)
    momentum: Keys = ()
    betas: Keys = ()
    beta1: Keys = ()
    beta2: Keys = ()
    batch: Keys = ()
    per_device: Keys = ()
    accumulated: Keys = ()
    devices: Keys = ()
    epochs: Keys = ()
    steps: Keys = ()
    schedule: Keys = ()
    schedule_if_unsaid: str = ""
    warmup_steps: Keys = ()
    warmup_epochs: Keys = ()
    warmup_share: Keys = ()
    final_lr: Keys = ()
    final_share: Keys = ()
    dtype: Keys = ()
    also: Keys = ()
    momentum_if_unsaid: float = 0.0
    nesterov: bool = False
    decay_if_unsaid: bool = False
    finish: "Callable[[Reading, Flat], Reading]" = lambda reading, _: reading

    def at(self, prefix: str) -> "Trainer":
        """Return the record with ``{at}`` in its keys filled in."""
        changed: dict[str, Any] = {
            name: tuple(key.format(at=prefix) for key in value)
            for name, value in vars(self).items()
            if isinstance(value, tuple)
        }
        return replace(self, **changed)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a file of another trainer says.

    ``decay_key`` ends with ``=`` where the decay is a word of a text. The trainer
    multiplies the number of the file by ``decay_factor`` before the optimizer gets it.
    ``None`` and an empty text mean that the file does not say. ``why_not`` says why the
    numbers of the file are not those that the trainer ends up with.
    """

    trainer: str
    optimizer: str
    knob: str | None
    lr: float | None
    decay: float | None
    decay_key: str
    lr_key: str
    decay_factor: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    schedule: Schedule | None = None
    schedule_name: str = ""
    unchecked: tuple[str, ...] = ()
    why_not: str = ""
    read: frozenset[str] = frozenset()
