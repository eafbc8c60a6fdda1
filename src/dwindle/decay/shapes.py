"""Shapes of schedules: the course of an lr after its warm-up, a record for each."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from dwindle.decay.long_runs import SHORTEST_PART, Stretch
from dwindle.errors import RangeError
from dwindle.plain import table_beside

# Rounding error of a share times steps that should be a whole number.
_WHOLE = 1e-6
_HALF = 0.5
# Each part of a schedule is summed separately, and a command has 0.3 seconds.
_MOST_PARTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Parameters of a schedule, times as shares of the run; 0 is a missing one."""

    warmup: float = 0.0
    warmup_start: float = 0.0
    start: float = 1.0
    final: float = 0.0
    decay_share: float = 0.0
    power: float = 1.0
    gamma: float = 0.0
    period: float = 0.0
    growth: float = 1.0
    milestones: tuple[float, ...] = ()
    lrs: tuple[float, ...] = ()
    cycled_momentum: tuple[float, ...] = ()


# Of a schedule, of the step after the warm-up, and of the steps of the run.
Stretches = Callable[[Numbers, int, int], Iterable[Stretch]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The course of an lr after its warm-up: a record of ``shapes.toml``.

    Args:
        name: Key in :data:`SHAPES`.
        formula: Its multiplier, with p the share of the steps after the warm-up, t the
            step and W the last one of the warm-up.
        stretches: The same as functions of the step; of a schedule, of the step after
            the warm-up, and of the steps of the run.
        reads: Parameters besides the warm-up, with their defaults; None is none.
        needs: Of each group of parameters, at least one must be given.
        also: Names in other tools, in lower case with dashes.
        rises: Whether it has a rise, so that no other warm-up precedes it.
        returns: Whether it falls to ``start`` before it goes to its end.
        source: Its publication or code, if any.

    """

    name: str
    formula: str
    stretches: Stretches
    reads: Mapping[str, Any] = field(default_factory=dict)  # Any: numbers, or two
    needs: tuple[tuple[str, ...], ...] = ()
    also: Sequence[str] = ()
    rises: bool = False
    returns: bool = False
    source: str = ""


def _constant(_: Numbers, first: int, steps: int) -> list[Stretch]:
    return [Stretch(start=first, stop=steps, at=lambda _: 1.0)]


def _fall(ease: Callable[[float, Numbers], float]) -> Callable[..., list[Stretch]]:
    """Return the stretches of a course from ``start`` to ``final``."""
    # The step after the last one would be at `final`, as in torch and transformers.

    def stretches(of: Numbers, first: int, steps: int) -> list[Stretch]:
        final, span = of.final, steps - first
        way = of.start - final

        def at(step: float) -> float:
            return final + way * ease((step - first) / span, of)

        return [Stretch(start=first, stop=steps, at=at)]

    return stretches


def _half_wave(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def _wsd(ease: Callable[[float], float]) -> Callable[..., list[Stretch]]:
    """Return the stretches of a constant peak with a fall at the end."""
    fall = _fall(lambda share, _: ease(share))

    def stretches(of: Numbers, first: int, steps: int) -> list[Stretch]:
        # Both rounded shares together may have one step more than the run.
        kept = steps - min(round(of.decay_share * steps), steps - first)
        return _constant(of, first, kept) + fall(of, kept, steps)

    return stretches


def _count(share: float, steps: int) -> float:
    """Return how many steps a share is, without the rounding of the share."""
    count = share * steps
    return round(count) if abs(count - round(count)) < _WHOLE else count


def _exponential(of: Numbers, first: int, steps: int) -> list[Stretch]:
    factor = of.gamma or of.final
    period = _count(of.period, steps) or steps - first
    return [
        Stretch(
            start=first, stop=steps, at=lambda step: factor ** ((step - first) / period)
        )
    ]


def _steps_down(
    of: Numbers, first: int, stops: Iterable[int], steps: int
) -> Iterator[Stretch]:
    """Yield a stretch up to each stop, each lower by one factor than the one before."""
    start, factor = first, of.gamma
    for power, stop in enumerate((*stops, steps)):
        level = factor**power
        yield Stretch(start=start, stop=max(start, stop), at=lambda _, m=level: m)  # type: ignore[misc]
        start = max(start, stop)


def _step(of: Numbers, first: int, steps: int) -> Iterator[Stretch]:
    period = _few(of, steps)
    count = math.ceil(steps / period) - 1
    stops = (math.ceil(period * number) for number in range(1, count + 1))
    return _steps_down(of, first, stops, steps)


def _few(of: Numbers, steps: int) -> float:
    """Return the steps of a period, if the run has not too many of them."""
    period = _count(of.period, steps)
    if not period * _MOST_PARTS >= steps:
        must = f"at least 1/{_MOST_PARTS:,} of the run"
        raise RangeError("period", of.period, must)
    return period


def _restarts(of: Numbers, first: int, steps: int) -> Iterator[Stretch]:
    period, begin = _few(of, steps), float(first)
    swing = 1 - of.final
    while begin < steps:
        end = begin + period

        def at(step: float, begin: float = begin, period: float = period) -> float:
            return of.final + swing * _half_wave((step - begin) / period)

        # With a growth the end may overflow.
        stop = steps if end >= steps else math.ceil(end - _WHOLE)
        yield Stretch(start=math.ceil(begin - _WHOLE), stop=stop, at=at)
        begin, period = end, period * of.growth


def _inverse_power(of: Numbers, first: int, steps: int) -> list[Stretch]:
    timescale = (of.period or of.warmup) * steps

    def at(step: float) -> float:
        return math.pow(1 + (step - first) / timescale, -of.power)

    if not of.final:
        return [Stretch(start=first, stop=steps, at=at)]
    # The function has a kink where it reaches the floor: there one stretch ends.
    reach = timescale * (of.final ** (-1 / of.power) - 1)
    floor = steps if first + reach >= steps else first + math.ceil(reach)
    level = Stretch(start=floor, stop=steps, at=lambda _: of.final)
    return [Stretch(start=first, stop=floor, at=at), level]


def _line(share: float) -> float:
    return 1 - share


def _cycle(
    of: Numbers,
    steps: int,
    levels: Sequence[float],
    ease: Callable[[float], float] = _half_wave,
) -> Iterator[Stretch]:
    """Yield phases from level to level, with the ends that torch's OneCycleLR has.

    The first ends at step ``warmup·steps − 1``, which may lie between two steps, a
    second of three at ``2·warmup·steps − 2``, and the last with the run.
    """
    rise = _count(of.warmup, steps)
    turns = (*(rise - 1, 2 * rise - 2)[: len(levels) - 2], steps - 1)
    begin, first = 0.0, 0
    for (level, there), turn in zip(pairwise(levels), turns, strict=True):
        stop = math.floor(turn) + 1

        def at(
            step: float,
            level: float = level,
            there: float = there,
            begin: float = begin,
            span: float = turn - begin,
        ) -> float:
            share = (step - begin) / span if span else 1.0
            return there + (level - there) * ease(share)

        yield Stretch(start=first, stop=stop, at=at)
        begin, first = turn, stop


def _one_cycle(
    *, three_phases: bool = False, ease: Callable[[float], float] = _half_wave
) -> Callable[..., Iterator[Stretch]]:
    """Return the stretches of a cycle with the two options of OneCycleLR."""

    def stretches(of: Numbers, _: int, steps: int) -> Iterator[Stretch]:
        if three_phases and of.warmup > _HALF:
            must = "at most 0.5: the fall takes as long"
            raise RangeError("warmup", of.warmup, must)
        back = (of.start,) if three_phases else ()
        return _cycle(of, steps, (of.start, 1.0, *back, of.final), ease)

    return stretches


def _listed(of: Numbers, first: int, steps: int) -> Iterator[Stretch]:
    rows, peak, count = of.lrs, max(of.lrs), len(of.lrs)

    def at(step: float) -> float:
        return rows[min(max(int(step * count // steps), 0), count - 1)] / peak

    # Each long row is a stretch; short rows share stretches that are summed by step.
    parts = count if steps > count * SHORTEST_PART else -(-steps // SHORTEST_PART)
    # The first step of row n is the first with n·steps/count behind it.
    stops = (-(-number * steps // parts) for number in range(parts + 1))
    for start, stop in pairwise(stops):
        yield Stretch(start=max(start, first), stop=stop, at=at)


_STRETCHES: Mapping[str, Stretches] = {
    "constant": _constant,
    "linear": _fall(lambda share, _: _line(share)),
    "cosine": _fall(lambda share, _: _half_wave(share)),
    "wsd": _wsd(_line),
    "wsd-cosine": _wsd(_half_wave),
    "wsd-exponential": _wsd(lambda share: 2 * 0.5**share - 1),
    "wsd-sqrt": _wsd(lambda share: 1 - math.sqrt(share)),
    "multistep": lambda of, first, steps: _steps_down(
        of, first, (round(share * steps) for share in of.milestones), steps
    ),
    "step": _step,
    "exponential": _exponential,
    "polynomial": _fall(lambda share, of: (1 - share) ** of.power),
    "inverse-sqrt": _inverse_power,
    "inverse-power": _inverse_power,
    "cosine-restarts": _restarts,
    "one-cycle": _one_cycle(),
    "one-cycle-linear": _one_cycle(ease=_line),
    "one-cycle-three-phase": _one_cycle(three_phases=True),
    "one-cycle-linear-three-phase": _one_cycle(three_phases=True, ease=_line),
    "listed": _listed,
}


def _shape(cells: dict[str, Any]) -> Shape:  # Any: texts, flags, lists and numbers
    # A table of TOML has no None, and its lists would change under a schedule.
    reads = dict.fromkeys(cells.pop("wants", ())) | cells.pop("reads", {})
    cells["reads"] = {
        name: tuple(default) if isinstance(default, list) else default
        for name, default in reads.items()
    }
    cells["needs"] = tuple(map(tuple, cells.get("needs", ())))
    return Shape(**cells, stretches=_STRETCHES[cells["name"]])


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {cells["name"]: _shape(cells) for cells in table_beside(__file__)["shape"]}
)
ELSEWHERE = {name: each for each in SHAPES.values() for name in each.also}
