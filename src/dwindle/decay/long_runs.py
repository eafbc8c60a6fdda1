"""Long runs: sums and products over a million steps, without computing each step.

And the inverse: the number at which such a sum has a given value, to the last digits.

A schedule is a few stretches, in each of which the lr is one smooth function of the
step. As Gauss's quadrature integrates, a rule of the same kind sums: for L equally
spaced points there are 20 nodes between them whose weighted sum is exact for every
polynomial of degree 39, so a billion steps cost as much as a thousand. A stretch that
is not so smooth is halved until its parts are, or are short enough to sum by step.

Reference: the nodes are roots of Gram's (discrete Chebyshev) polynomials, the weights
are Christoffel's; Gautschi 2004, Orthogonal Polynomials, sections 1.5 and 3.1.
"""

import math
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from operator import neg
from typing import Any, NamedTuple, Self

from dwindle.errors import RangeError

# Ten million rates fill a gigabyte. Sums over a run need no list of them.
MOST_STEPS = 10_000_000
# Up to here each step of a run is computed, which takes some milliseconds.
LONGEST_WALK = 20_000
# A weight that swings through zero is no smooth function: up to here, step by step.
LONGEST_SWING = 1_000_000
# A part this short is summed step by step: 20 nodes among fewer points save little.
SHORTEST_PART = 512
NODES = 20
# The error of a part is about the product of its last two coefficients.
_SMOOTH = 1e-9
_LAST_DIGIT = 1e-17  # a tenth of the relative rounding of a float: no sum shows it
# Rounding makes the smallest floats rough, and shorter parts of them no smoother.
_NO_DIGIT_LEFT = 100 * math.ulp(0.0)
# At an end a smooth function is one percent larger than at the node beside it.
_SPIKE = 2.0
# A pole takes 100 halvings; what is rough after so many parts is rounded, not steep.
_MOST_PARTS = 1_000


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left of a weight: its size as e-folds, and its sign."""

    e_folds: float
    sign: int = 1

    @property
    def survival(self) -> float:
        """The weight that is left of 1."""
        return self.sign * math.exp(-self.e_folds)


def left_by(shrinks: Sequence[float]) -> Left:
    """Return what steps of such shrinks leave; one above 1 turns the sign."""
    if max(shrinks) < 1:
        # All in C: a run may have a million steps, and a command has 0.3 seconds.
        # 0.0 minus, not a sign: without decay that would be -0.0.
        return Left(e_folds=0.0 - math.fsum(map(math.log1p, map(neg, shrinks))))
    turns = sum(shrink > 1 for shrink in shrinks)
    return Left(e_folds=math.fsum(map(log_lost, shrinks)), sign=-1 if turns % 2 else 1)


def log_lost(shrink: float) -> float:
    """Return -ln |1 - shrink| of one step; ``inf`` where it takes everything."""
    if shrink < 1:
        return -math.log1p(-shrink)
    return math.inf if shrink == 1 else -math.log(shrink - 1)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Steps from ``start`` to before ``stop`` in which ``at`` is one smooth function.

    ``at`` also takes places between the steps.
    """

    start: int
    stop: int
    at: Callable[[float], float]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.stop - self.start

    def total(self, function: Callable[[float], float]) -> float:
        """Sum a function of the step over all steps; ``at`` plays no part in it."""
        total, error = _estimated(self, function)
        # Relative to the whole stretch: no part need be more exact than their sum.
        negligible = _LAST_DIGIT * abs(total)
        # The widest part first: at the limit of parts, all are about as short.
        rough, sums, parts = deque([(self, total, error)]), [], 1
        while rough:
            part, total, error = rough.popleft()
            if error <= negligible or parts > _MOST_PARTS:
                sums.append(total)
                continue
            cut = (part.start + part.stop) // 2
            for half in (replace(part, stop=cut), replace(part, start=cut)):
                rough.append((half, *_estimated(half, function)))
            parts += 2
        return math.fsum(sums)


def _estimated(
    part: Stretch, function: Callable[[float], float]
) -> tuple[float, float]:
    """Return the sum by one rule, and its error; 0 where that is negligible."""
    if part.steps <= SHORTEST_PART:
        return math.fsum(map(function, range(part.start, part.stop))), 0.0
    middle, half = (part.start + part.stop - 1) / 2, part.steps / 2
    nodes = _gauss_rule(part.steps)
    values = [function(middle + half * node.place) for node in nodes]
    mean, *last = (
        math.fsum(
            node.weight * node.polynomials[degree] * value
            for node, value in zip(nodes, values, strict=True)
        )
        for degree in (0, -2, -1)
    )
    rough = max(map(abs, last))
    # A function that falls to 0 before the first node shows at an end only.
    end = max(abs(function(part.start)), abs(function(part.stop - 1)))
    if end > _SPIKE * max(map(abs, values)):
        rough = end
    # The steps themselves are rounded once there are more than 10¹⁵ of them.
    smooth = max(_SMOOTH, 4 * sys.float_info.epsilon * part.stop / part.steps)
    is_smooth = rough <= max(smooth * abs(mean), _NO_DIGIT_LEFT)
    return part.steps * mean, 0.0 if is_smooth else part.steps * rough


@dataclass(frozen=True)
class Rates:
    """A rate at every step of a run, as stretches one after the other."""

    stretches: tuple[Stretch, ...]

    @property
    def steps(self) -> int:
        """Length of the run."""
        return self.stretches[-1].stop

    def at(self, step: float) -> float:
        """Return the rate at a step, or at a place between steps."""
        # A bisection, because this runs at many places of a run.
        place = bisect_right(self._stops, step)
        return self.stretches[min(place, len(self.stretches) - 1)].at(step)

    @cached_property
    def _stops(self) -> list[int]:
        return [each.stop for each in self.stretches]

    @cached_property
    def listed(self) -> tuple[float, ...]:
        """The rate of every step."""
        if self.steps > MOST_STEPS:
            must = f"at most {MOST_STEPS:,} to list what every step does"
            raise RangeError("steps", self.steps, must, "Totals of a run need no list.")
        return tuple(
            each.at(step)
            for each in self.stretches
            for step in range(each.start, each.stop)
        )

    def map(self, function: Callable[[float], float]) -> Self:
        """Return other rates, each a function of the one here."""

        def through(stretch: Stretch) -> Stretch:
            return replace(stretch, at=lambda step: function(stretch.at(step)))

        return replace(self, stretches=tuple(map(through, self.stretches)))

    def times(self, other: Self) -> Self:
        """Return the products of two rates of one run."""

        def both(part: SmoothPart) -> Stretch:
            first, second = part.functions
            start, stop = part.start, part.stop
            return Stretch(
                start=start, stop=stop, at=lambda step: first(step) * second(step)
            )

        return replace(self, stretches=tuple(map(both, together(self, other))))

    @property
    def mean(self) -> float:
        """Mean of the rates.

        Raises:
            RangeError: If it is 0: then no number makes a decay of them.

        """
        mean = self.total(float) / self.steps
        if mean > 0:
            return mean
        must = "above 0 at some step, with a mean that a float can hold"
        remedy = "Give another schedule, more steps or a larger lr."
        raise RangeError("lr", mean, must, remedy)

    def total(self, function: Callable[[float], float]) -> float:
        """Sum a function of the rate over all steps."""
        if self.steps <= LONGEST_WALK:
            return math.fsum(map(function, self.listed))
        return math.fsum(
            each.total(lambda step, at=each.at: function(at(step)))  # type: ignore[misc]
            for each in self.stretches
        )


class SmoothPart(NamedTuple):
    """Steps in which each of several rates is one smooth function."""

    start: int
    stop: int
    functions: tuple[Callable[[float], float], ...]

    def at(self, step: float) -> tuple[Any, ...]:
        """Return all rates of a step."""
        return tuple(function(step) for function in self.functions)


def together(*several: Rates) -> Iterator[SmoothPart]:
    """Yield the parts of a run in which none of several rates changes its function."""
    places, start = [0] * len(several), 0
    while start < several[0].steps:
        here = [rates.stretches[at] for rates, at in zip(several, places, strict=True)]
        stop = min(each.stop for each in here)
        yield SmoothPart(start, stop, tuple(each.at for each in here))
        start = stop
        places = [
            at + (each.stop == stop) for at, each in zip(places, here, strict=True)
        ]


@dataclass(frozen=True)
class _Node:
    """A place in (-1, 1), its weight, and every orthonormal polynomial there."""

    place: float
    weight: float
    polynomials: tuple[float, ...]


# A run has stretches of a few lengths, each of them used many times.
@lru_cache(maxsize=128)
def _gauss_rule(points: int) -> tuple[_Node, ...]:
    """Return the rule for so many equally spaced points; the weights add up to 1."""
    # p_{k+1} = (x p_k − b_k p_{k−1}) / b_{k+1}, orthonormal over the points' mean.
    scales = [
        degree * math.sqrt((1 - (degree / points) ** 2) / (4 * degree**2 - 1))
        for degree in range(1, NODES + 1)
    ]
    nodes = []
    for number in range(NODES):
        # Newton from the nodes of Legendre's polynomials, which are near.
        place = math.cos(math.pi * (number + 0.75) / (NODES + 0.5))
        for _ in range(8):
            *_, (value, slope) = _polynomials(place, scales)
            place -= value / slope
        polynomials = tuple(value for value, _ in _polynomials(place, scales))[:-1]
        weight = 1 / math.fsum(value**2 for value in polynomials)
        nodes.append(_Node(place, weight, polynomials))
    return tuple(nodes)


def _polynomials(place: float, scales: Iterable[float]) -> list[tuple[float, float]]:
    """Return value and slope of the orthonormal polynomials of degree 0, 1, … there."""
    found = [(1.0, 0.0)]
    before, last = (0.0, 0.0), 0.0
    for scale in scales:
        value, slope = found[-1]
        found.append(
            (
                (place * value - last * before[0]) / scale,
                (value + place * slope - last * before[1]) / scale,
            )
        )
        before, last = (value, slope), scale
    return found


# The most that was seen is 195, of power laws (exponents .2 to 4) from guesses up to
# twenty decades off; a run's own guess is near, and takes a few.
_MOST_EVALUATIONS = 300
# Two units in the last place of a number near 1.
_TWO_UNITS = 4e-16
_NEAR = 1e-6  # error of the logarithm of the value
_Point = tuple[float, float]  # argument, value


def increasing_root(
    function: Callable[[float], float], target: float, *, guess: float, ceiling: float
) -> float:
    """Return the argument in (0, ceiling) at which the function reaches the target.

    The e-folds of a run are nearly proportional to its weight decay, so secants in
    log-log coordinates land after a few evaluations, each of which walks through the
    whole run. A bracket keeps them safe: where a pole at the ceiling bends the line
    so that a step does not halve the error, the next one halves the bracket.

    Args:
        function: Increasing, from 0 at 0; ``inf`` is allowed towards the ceiling.
        target: Value to reach, finite and above 0.
        guess: First argument, in (0, ceiling).
        ceiling: Upper end of the search; may be ``inf``.

    """
    low, high = 0.0, ceiling
    here, last_error = guess, math.inf
    best = (math.inf, guess)
    before: _Point = (0.0, 0.0)
    for _ in range(_MOST_EVALUATIONS):
        value = function(here)
        error = abs(math.log(value / target)) if 0 < value < math.inf else math.inf
        best = min(best, (error, here))
        low, high = (here, high) if value < target else (low, here)
        there = _secant((here, value), before, target)
        if error <= _TWO_UNITS or abs(there - here) <= _TWO_UNITS * here:
            break
        is_inside = low < there < high
        # The error that a secant step leaves is about the product of the last two.
        if is_inside and error < _NEAR and error * last_error < _TWO_UNITS / 100:
            return there
        if not is_inside or error > last_error / 2:
            # In the logs far from the ceiling, which may be infinite.
            there = 2 * low
            if not math.isinf(high):
                there = math.sqrt(low * high) if low > high / 4 else (low + high) / 2
        if there in (low, high):
            break
        before, here, last_error = (here, value), there, error
    error, argument = best
    if error > _NEAR:
        must = "so few that a weight decay of 16 digits gives them in this run"
        remedy = "Choose fewer e-folds or more steps."
        raise RangeError("e_folds", target, must, remedy)
    return argument


def _secant(here: _Point, before: _Point, target: float) -> float:
    """Next argument on the line through two points, or of slope 1 through one."""
    argument, value = here
    if not 0 < value < math.inf:
        return math.nan
    slope = 1.0
    if 0 < before[1] < math.inf and before[0] != argument:
        slope = math.log(value / before[1]) / math.log(argument / before[0])
    return argument * math.exp(math.log(target / value) / slope) if slope else math.nan
