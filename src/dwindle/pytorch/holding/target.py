"""Target: what a controller holds, the decay due in each group, both as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dwindle.decay.decay_rate import POWERS, DecayRate
from dwindle.decay.half_life import HalfLife, shrink_from_half_life
from dwindle.decay.run import Run
from dwindle.errors import RangeError, RefusedError, UnknownNameError, UsageError
from dwindle.pytorch.holding.hold import GroupPlan
from dwindle.show import Column, Table
from dwindle.wording import count, number

_EXAMPLE = 'Write half_life="3 epochs", or penalty=1e-4 for SGD, one of the two.'
_OWN_SCHEDULE = (
    "A half-life whose decay has a separate schedule",
    "A controller holds one half-life, and lets it go with the lr alone.",
    (
        "Leave decay_schedule out and set it before each step, with k the share of its "
        'peak: controller.half_life = HalfLife(half_life_steps / k, "steps").'
    ),
)
_NOT_YET = "from the next step"
_COLUMNS = (
    Column("group", "number"),
    Column("weights", "number"),
    Column("mechanism"),
    Column("penalty", "number"),
    Column("half-life", "number"),
    Column("in epochs", "number"),
    Column("at lr", "number"),
    Column("largest seen", "number"),
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A half-life on some clock, or a penalty, with the facts of the run."""

    half_life: HalfLife | None = None
    penalty: float | None = None
    schedule: str = "follow-lr"
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        if (self.half_life is None) == (self.penalty is None):
            must = "A controller must hold a half-life or a penalty."
            got = "neither" if self.penalty is None else "both"
            raise UsageError(must, got, _EXAMPLE)  # one knob cannot do both
        if self.penalty is not None and not 0 <= self.penalty < math.inf:
            raise RangeError("penalty", self.penalty, "a finite number of at least 0")
        if not self.run.decay_schedule.is_constant:
            raise RefusedError(*_OWN_SCHEDULE)
        if self.schedule not in POWERS:
            raise UnknownNameError.among("schedule", self.schedule, tuple(POWERS))

    @property
    def needs_peak(self) -> bool:
        """Whether the decay of a step depends on the largest lr of the run."""
        return self.half_life is not None and POWERS[self.schedule] > 0

    @property
    def half_life_steps(self) -> float | None:
        """The half-life in optimizer steps; None where a penalty is held."""
        return None if self.half_life is None else self.half_life.in_steps(self.run)

    def rate(self, *, decay_scale: float, lr_peak: float | None) -> DecayRate:
        """Return what a step has to take where the decay is multiplied (above 0)."""
        # Nothing decays here where a penalty is held: the optimizer applies that.
        half_life_steps = self.half_life_steps or math.inf
        return DecayRate(
            shrink_at_peak=shrink_from_half_life(half_life_steps / decay_scale),
            schedule=self.schedule,
            # A constant decay belongs to no lr, and must miss no peak.
            lr_peak=lr_peak if self.needs_peak else None,
        )

    def with_batch_size(self, batch_size: int) -> "Target":
        """Return the same target for steps of another number of examples."""
        return replace(self, run=replace(self.run, batch_size=batch_size))

    def __str__(self) -> str:
        if self.half_life is None:
            return f"a penalty of {self.penalty:g}"
        return f"a half-life of {self.half_life}, {self.schedule}"

    def as_dict(self) -> Mapping[str, object]:
        """Return what a checkpoint keeps of the target."""
        half_life = None if self.half_life is None else str(self.half_life)
        return {
            "half_life": half_life,
            "penalty": self.penalty,
            "schedule": self.schedule,
        }


def table_of(
    title: str,
    plans: Sequence[GroupPlan],
    target: Target,
    numbers: Sequence[int],
    *,
    lr_seen: Sequence[float],
) -> Table:
    """Return one row per param group."""
    rows = []
    for at, weights in enumerate(numbers):
        group = (str(at), f"{weights:,}")
        if at < len(plans):
            plan = plans[at]
            rows.append((*group, plan.mechanism, *_held(plan, target, lr_seen[at])))
        else:
            rows.append((*group, _NOT_YET, "", "", "", "", ""))
    return Table(title=title, columns=_COLUMNS, rows=rows)


def _held(plan: GroupPlan, target: Target, seen: float) -> tuple[str, ...]:
    """Return penalty, half-life, the same in epochs, its lr, the largest lr so far."""
    if plan.rate is None:
        is_penalty = target.penalty is not None and plan.mechanism == "penalty"
        return number(plan.knob) if is_penalty else "", "", "", "", ""
    steps = plan.rate.half_life_steps
    run, peak = target.run, plan.lr_peak
    in_epochs = ""
    if None not in (run.batch_size, run.dataset_size):
        in_epochs = count(HalfLife.from_steps(steps, clock="epochs", run=run).value)
    # A peak that the run never reaches shows beside the largest lr so far.
    lr = "every lr" if peak is None else number(peak)
    largest = number(seen) if peak is not None and seen else ""
    return "", f"{count(steps)} steps", in_epochs, lr, largest
