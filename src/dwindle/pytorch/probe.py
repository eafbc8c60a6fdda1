"""probe: what an optimizer, as configured, does to weights with zero gradient.

Copies of the optimizer are stepped with zero gradients. Neither its name is believed
nor its documentation, and it is left as it was.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch.optim import SGD

from dwindle.decay.legs import Leg, left_by_decoupled, left_by_powers, left_by_sgd
from dwindle.decay.long_runs import Left
from dwindle.errors import RangeError
from dwindle.plain import Plain
from dwindle.pytorch.copying.toy import Mould, Toy, checked
from dwindle.pytorch.follow_schedule import Every, Follower, pace_of
from dwindle.pytorch.options import Options
from dwindle.pytorch.probing.group_probe import GroupProbe
from dwindle.pytorch.probing.measuring import measure
from dwindle.pytorch.trials import entries_of, rule_mould
from dwindle.show import Column, Line, Sheet, Table
from dwindle.wording import count, number

__all__ = ["GroupProbe", "Probe", "probe"]

# A probe knows of no data, so an epoch has a length only where it is given.
_EVERY = "Give the steps of the optimizer between two of the scheduler: every=391."
_COLUMNS = (
    Column("group", "number"),
    Column("lr", "number"),
    Column("knob", "number"),
    Column("decay"),
    Column("per step", "number"),
    Column("half-life, steps", "number"),
    Column("as stored"),
    Column("run leaves", "number"),
)


@dataclass(frozen=True, kw_only=True)
class Probe(Plain):
    """What an optimizer does to weights with zero gradient, group by group.

    Args:
        optimizer: Name of its class.
        groups: In the order of its ``param_groups``.

    """

    optimizer: str
    groups: tuple[GroupProbe, ...]

    def __rich__(self) -> Sheet:
        heading = f"{self.optimizer}, stepped on a copy with zero gradients"
        sentences = [
            Line(text=f"{each.group}  {each.sentence}") for each in self.groups
        ]
        table = Table(columns=_COLUMNS, rows=[_row(each) for each in self.groups])
        return Sheet(parts=[Line(text=heading, style="bold"), table, *sentences])

    def _repr_html_(self) -> str:
        return self.__rich__().html()

    def __str__(self) -> str:
        lines = [f"Group {group.group}: {group.sentence}" for group in self.groups]
        return "\n".join([f"{self.optimizer}, stepped on a copy.", *lines])


def probe(
    optimizer: object,
    *,
    scheduler: object | None = None,
    steps: int | None = None,
    every: Every | None = None,
) -> Probe:
    """Find out what an optimizer does to weights with zero gradient.

    Args:
        optimizer: A torch optimizer, or a wrapper around one; it is left as it is.
        scheduler: Its lr scheduler, to go along with ``steps``; left as it is, too.
        steps: Length of the run from now on, to compute what it leaves of a weight.
        every: Steps of the optimizer between two of the scheduler: 1 (or ``step``)
            where the loop calls both together, the steps of an epoch where the
            scheduler steps once per epoch. Without it each step is taken, if the
            scheduler's plan is not too short for that.

    Raises:
        RefusedError: If it cannot be copied and stepped, or the scheduler cannot; or
            if the scheduler's plan is so short that its pace must be given.
        RangeError: If there is a scheduler and no whole number of steps, or if an lr
            or a weight_decay of a group is no number of at least 0.

    Example:
        >>> import torch
        >>> adamw = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, 2))], lr=1e-3)
        >>> found = probe(adamw).groups[0]
        >>> found.walk, found.decouples, round(found.half_life_steps)
        ('geometric', True, 69314)
        >>> print(probe(adamw))
        AdamW, stepped on a copy.
        Group 0: Each step takes 1e-05 of a weight with zero gradient: half is left \
after 69,314 steps. weight_decay decouples: a step takes lr·weight_decay.

    """
    bare = checked(optimizer)
    mould = rule_mould(bare)
    seen = measure(mould)
    if scheduler is not None or steps is not None:
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise RangeError("steps", repr(steps), "a whole number, at least 1", _STEPS)
        pace = 1  # a constant lr has none
        if scheduler is not None:
            copy = Follower.of(mould, scheduler)
            pace = pace_of(copy, steps=steps, every=every, remedy=_EVERY).every
        seen = with_run(seen, mould, scheduler=scheduler, steps=steps, every=pace)
    return Probe(optimizer=type(bare).__qualname__, groups=tuple(seen))


def _row(seen: GroupProbe) -> tuple[str, ...]:
    happens = seen.measured_shrink
    stored = seen.dtype if happens is None else f"{number(happens)} in {seen.dtype}"
    shown = (seen.lr, seen.number, seen.shrink_per_step, seen.kept)
    lr, knob, shrink, kept = ("" if each is None else number(each) for each in shown)
    half_life = "" if seen.half_life_steps is None else count(seen.half_life_steps)
    return str(seen.group), lr, knob, seen.walk, shrink, half_life, stored, kept


_STEPS = "A schedule does not give the length of the run: probe(…, steps=10_000)."
_SAME = 1e-6  # rates that a library keeps in float32 agree to seven digits
# Steps of a copy cost 50 µs each; longer runs are computed from what was measured.
_MOST_WATCHED = 50_000
# Walks that leave small and large weights other shares: there is no number to see.
_UNEQUAL = {"linear"}


def with_run(
    measured: Sequence[GroupProbe],
    mould: Mould,
    *,
    scheduler: object | None,
    steps: int,
    every: int = 1,
) -> list[GroupProbe]:
    """Add what so many steps leave, with fresh state, from where the schedule is now.

    Groups that decouple, and those of torch's SGD, are computed from lr, knob and
    momentum of each step; for the others a copy makes the steps of a short run.
    """
    follower = Follower.of(mould, scheduler)
    legs = follower.legs(steps, every=every, knobs=[each.knob for each in measured])
    kept = [_computed(*pair, mould) for pair in zip(measured, legs, strict=True)]
    open_ = [each.walk for each, left in zip(measured, kept, strict=True) if not left]
    if steps <= _MOST_WATCHED and {*open_} - _UNEQUAL:
        others = _watched(mould, scheduler, steps, every)
    else:
        others = [_by_powers(*pair) for pair in zip(measured, legs, strict=True)]
    kept = [known or other for known, other in zip(kept, others, strict=True)]
    return [
        replace(
            each,
            run_steps=steps,
            scheduler_every=every,
            e_folds=left.e_folds if left and not each.adapts else None,
            kept=left.survival if left and not each.adapts else None,
        )
        for each, left in zip(measured, kept, strict=True)
    ]


def _computed(measured: GroupProbe, legs: Sequence[Leg], mould: Mould) -> Left | None:
    """Return what legs leave by the rule of a group; None where a copy must step."""
    stays = measured.walk == "none" and not any(leg.weight_decay for leg in legs)
    if measured.decouples or stays:
        return left_by_decoupled(legs)
    # Others with such a penalty may have a momentum of another kind.
    if measured.coupled_sgd and isinstance(mould.optimizer, SGD):
        return left_by_sgd(legs)
    return None


def _by_powers(measured: GroupProbe, legs: Sequence[Leg]) -> Left | None:
    """Return what a long run leaves of a group whose share follows powers of the lr."""
    if measured.coupled_sgd:
        return left_by_sgd(legs)
    shrink, power = measured.shrink_per_step, measured.lr_power
    known = measured.walk == "geometric" and measured.knob_power == 1
    if not known or shrink is None or power is None or not measured.lr:
        return None
    return left_by_powers(legs, shrink=shrink, lr=measured.lr, power=power)


def _watched(
    mould: Mould, scheduler: object | None, steps: int, every: int
) -> list[Left | None]:
    """Make the steps on a copy, and see what they leave."""
    toy = Toy(mould)
    follower = Follower.on(toy.optimizer, mould.optimizer, scheduler)

    def before(step: int, at: int, _group: Options) -> None:
        if at == 0 and step and step % every == 0:
            follower.go_on(follower.step, step // every)

    def entries() -> list[list[float]]:
        # Of the weight that stands for its group: that of most dimensions.
        mains = [max(g, key=lambda w: w.ndim) if g else None for g in toy.weights]
        return [
            []
            if main is None
            else entries_of(main, main.numel()).double().flatten().tolist()
            for main in mains
        ]

    start = entries()
    toy.go(steps, before=before)
    return [_compared(a, b) for a, b in zip(start, entries(), strict=True)]


def _compared(start: Sequence[float], end: Sequence[float]) -> Left | None:
    """What is left of each entry, if it is the same of all."""
    kept = [now / was for was, now in zip(start, end, strict=True)]
    if not kept or kept[0] == 0 or not all(map(math.isfinite, kept)):
        return None if kept else Left(e_folds=0.0)
    middle = math.fsum(kept) / len(kept)
    if any(abs(each - middle) > _SAME * abs(middle) for each in kept):
        return None
    return Left(e_folds=-math.log(abs(middle)), sign=1 if middle > 0 else -1)
