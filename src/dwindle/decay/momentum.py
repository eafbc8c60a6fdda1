"""Decay under momentum: weight and buffer as a two-state recurrence.

What torch.optim.SGD does to a weight w with zero gradient, buffer b, lr η_t::

    b ← μ b + (1 − d) λ w        (the first step leaves the dampening d out)
    w ← w − η_t b                (Nesterov: w ← w − η_t (λ w + μ b))

At a constant lr two roots govern the path; the slow one is the asymptotic rate. For a
shrink ``s = 1 − root`` and ``a = η λ``, free of cancellation:

=========  ==============================  =======================================
plain      e = (1 − d) a                   s² − (1 − μ + e) s + e = 0
Nesterov   d = 0                           s² − (1 − μ + (1 + μ) a) s + a = 0
=========  ==============================  =======================================

Without momentum torch has no buffer, so dampening has no effect then either.

Reference: torch 2.13.0, ``torch/optim/sgd.py``; the roots are derived from it.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Protocol

from dwindle.decay.half_life import (
    checked_e_folds,
    checked_knob,
    checked_shrink,
    half_life_from_shrink,
)
from dwindle.decay.long_runs import (
    LONGEST_SWING,
    LONGEST_WALK,
    NODES,
    Left,
    Rates,
    Stretch,
    increasing_root,
    left_by,
    together,
)
from dwindle.decay.run import Run
from dwindle.errors import OscillationError, RangeError

# ln of what is below the last digit of any number.
_NO_DIGIT = math.log(1e-18)
# A weight of 1 that a step takes to within rounding of zero.
HARDLY = math.ulp(1.0)
# At 0.99 of the oscillation limit the two roots are so near to each other that a
# deviation lives for ten times as long as the momentum alone would keep it.
_SHARE_OF_DECAY = 0.1
# So many steps take a second; a buffer with 0.999 remembers the last 41,426.
_MOST_WALKED = 2_000_000
# And in each evaluation of a search for a root.
_LONGEST_SEARCH = 200_000
# At so many places of a run a momentum that changes is evaluated.
_PLACES = 64
# Lr and decay over their peaks, and the momentum of a step.
Step = tuple[float, float, float]


def fastest_shrink(run: Run) -> float:
    """Largest asymptotic shrink that a constant knob gives: where both roots meet.

    Plain ``1 − √μ``, Nesterov ``(1 − μ) / (1 + μ)``.
    """
    below = 1 + run.momentum if run.nesterov else 1 + math.sqrt(run.momentum)
    return (1 - run.momentum) / below


def oscillation_limit(run: Run) -> float:
    """Weight decay beyond which a weight with zero gradient swings around zero.

    Plain ``(1 − √μ)² / ((1 − d) lr)``, Nesterov ``((1 − μ) / (1 + μ))² / lr``, at the
    peak lr. Without momentum it is ``1 / lr``: there one step ends at zero. With a
    dampening above √μ the first step, which torch does not dampen, may overshoot zero
    once even below the limit.
    """
    return fastest_shrink(run) ** 2 / (_undamped(run) * _lr(run))


def shrink_per_step(knob: float, run: Run) -> float:
    """Asymptotic shrink per step at the peak lr: 1 minus the slow root."""
    if not run.momentum or not _lr(run):  # nothing swings back by itself
        return checked_shrink(_lr(run) * checked_knob(knob))
    limit = oscillation_limit(run)
    if checked_knob(knob) > limit:
        raise _oscillation("weight_decay", knob, limit, run)
    lr, momentum = _lr(run), run.momentum
    push, room = _undamped(run) * lr * knob, _undamped(run) * lr * (limit - knob)
    # The discriminant as a product: a difference has no digit left near the limit.
    if run.nesterov:
        total = (1 - momentum) + (1 + momentum) * push
        gap = (1 + momentum) ** 2 * (1 - push) * room
    else:
        total = (1 - momentum) + push
        gap = ((1 + math.sqrt(momentum)) ** 2 - push) * room
    return checked_shrink(2 * push / (total + math.sqrt(gap)))


def knob_for_shrink(shrink: float, run: Run) -> float:
    """Weight decay of torch.optim.SGD with this asymptotic shrink at the peak lr.

    Exact inverse of :func:`shrink_per_step`: plain
    ``s (1 − μ − s) / ((1 − s)(1 − d) lr)``, Nesterov
    ``s (1 − μ − s) / ((1 − (1 + μ) s) lr)``.
    """
    fastest = fastest_shrink(run)
    if checked_shrink(shrink) > fastest:
        raise _oscillation("shrink_per_step", shrink, fastest, run)
    lead = 1 + run.momentum if run.nesterov else 1.0
    below = (1 - lead * shrink) * _undamped(run) * _lr(run)
    return shrink * (1 - run.momentum - shrink) / below


def knob_for_e_folds(target: float, run: Run) -> float:
    """Smallest weight decay with these e-folds over the run.

    As the knob grows, the weight first reaches zero at the last step (once through
    zero, the buffer carries it on), so e-folds grow with the knob from 0 to infinity
    before any swing: all of them can be had. Some lie beyond the oscillation limit,
    in a run that is too short to swing.
    """
    if checked_e_folds(target) == 0:
        return 0.0
    average, ceiling = -math.expm1(-target / run.total_steps), math.inf
    if run.total_steps > LONGEST_WALK:
        # The start counts for nothing: no knob averages more than this.
        if average > fastest_shrink(run):
            raise _oscillation("shrink_per_step", average, fastest_shrink(run), run)
        if run.momentum and _lr(run):
            ceiling = _largest_at_length(target, run)
    # Momentum adds each small push up 1/(1 − μ) times: the first guess.
    gain = _undamped(run) / (1 - run.momentum)
    reach = gain * _lr(run) * run.decay_rates(1).mean * run.total_steps
    return increasing_root(
        lambda knob: _e_folds_before_zero(knob, run),
        target,
        guess=min(target / reach if reach else 1.0, ceiling / 2),
        ceiling=ceiling,
    )


def _largest_at_length(target: float, run: Run) -> float:
    """Return about the largest knob, near the limit, at which a long run is summed.

    Raises:
        RangeError: If even that gives fewer e-folds than the target.

    """
    low, high, course = 0.0, oscillation_limit(run), _course(run)
    # No step is computed for this; 30 halvings leave a billionth of the interval.
    for _ in range(30):
        knob = (low + high) / 2
        is_far = _slowest(knob, run, course) <= run.momentum**_SHARE_OF_DECAY
        low, high = (knob, high) if is_far else (low, knob)
    try:
        most = _e_folds_at_length(low, run, _LONGEST_SEARCH)
    except RangeError:  # too long a memory to be computed; smaller knobs may do
        return high
    if target > most:
        must = f"at most {most:,.0f} in so long a run: a larger weight decay swings"
        remedy = "Choose fewer e-folds, or lower the momentum."
        raise RangeError("e_folds", target, must, remedy)
    return high


# One setting is evaluated several times, each time over the whole run.
@lru_cache(maxsize=256)
def left(knob: float, run: Run) -> Left:
    """Return what the run leaves, exact for the smallest decays too."""
    checked_knob(knob)
    if run.total_steps > LONGEST_WALK:
        try:
            return Left(e_folds=_e_folds_at_length(knob, run))
        except (OscillationError, RangeError):
            if run.total_steps > LONGEST_SWING:
                raise
    return left_by(shrinks(knob, run))


def _e_folds_before_zero(knob: float, run: Run) -> float:
    if run.total_steps > LONGEST_WALK:
        try:
            return _e_folds_at_length(knob, run, _LONGEST_SEARCH)
        except OscillationError:
            return math.inf
        except RangeError as error:
            if error.name != "momentum":
                return math.inf
            if run.total_steps > _LONGEST_SEARCH:
                raise
    taken = shrinks(knob, run)
    return left_by(taken).e_folds if max(taken) < 1 else math.inf


def shrinks(knob: float, run: Run) -> list[float]:
    """Return the fraction that each step takes off."""
    steps = zip(*(rates.listed for rates in _course(run)), strict=True)
    return walked(knob, run, steps, peak=_lr(run))[0]


# A search for a root evaluates one run several times, each time over all steps.
@lru_cache(maxsize=8)
def _course(run: Run) -> tuple[Rates, Rates, Rates]:
    """Return lr and decay over their peaks, and the momentum, as rates of the run."""
    steps = run.total_steps
    momentum = run.schedule.momenta(steps) if run.momentum else None
    always = Rates((Stretch(start=0, stop=steps, at=lambda _: run.momentum),))
    return run.rates(), run.decay_rates(0), momentum or always


class Momentum(Protocol):
    """Options of torch.optim.SGD, for a run or for a part of one."""

    @property
    def momentum(self) -> float:
        """Momentum, at the peak lr if it changes; 0 for none."""

    @property
    def dampening(self) -> float:
        """Its dampening."""

    @property
    def nesterov(self) -> bool | None:
        """Whether it is Nesterov's."""


def walked(
    knob: float,
    options: Momentum,
    steps: Iterable[Step],
    buffer: float | None = None,
    *,
    peak: float = 1.0,
) -> tuple[list[float], float]:
    """Return the fraction that each step takes off, and the buffer after them.

    The buffer is counted per unit of weight, so no digit is lost where a step takes
    1e-15, nor where a weight gets tiny; a weight may also swing through zero. Exactly
    there it would have no buffer, and is counted as a rounding error away from it.

    Args:
        knob: ``weight_decay`` at its peak.
        options: Of the optimizer.
        steps: Lr and decay of each step over their peaks, and its momentum.
        buffer: The one before; None is one that no step has filled yet, and that the
            first step does not dampen.
        peak: Largest learning rate.

    """
    nesterov, undamped = options.nesterov, _undamped(options)
    filled, kept = buffer or 0.0, 1.0 if buffer is None else undamped
    shrinks = []
    for lr, decay, momentum in steps:
        pull = knob * decay
        filled = momentum * filled + kept * pull
        push = pull + momentum * filled if nesterov else filled
        shrink = peak * lr * push
        shrinks.append(shrink)
        filled /= (1 - shrink) or HARDLY
        kept = undamped
    if options.momentum and 1.0 in shrinks[:-1]:
        shrinks[:-1] = [1 - HARDLY if each == 1 else each for each in shrinks[:-1]]
    return shrinks, filled


def _e_folds_at_length(knob: float, run: Run, most_walked: int = _MOST_WALKED) -> float:
    """Return the e-folds of a run too long to compute each step."""
    # Where a stretch of the schedule begins, the buffer still shows what was before, so
    # the first steps are walked. Later the shrink is a smooth function of the step, and
    # Stretch.total needs it at a few places only.
    course = _course(run)
    memory = _memory(knob, run, course, most_walked)
    lost, peak = [], _lr(run)
    buffer: float | None = None
    for part in together(*course):
        first = range(part.start, min(part.start + memory, part.stop))
        steps = (part.at(step) for step in first)
        shrinks, buffer = walked(knob, run, steps, buffer, peak=peak)
        checked_shrink(max(shrinks))  # torch does not dampen the very first step
        lost.append(left_by(shrinks).e_folds)
        if first.stop < part.stop:
            settled = partial(_settled, knob, run, part.at, memory)
            rest = Stretch(start=first.stop, stop=part.stop, at=lambda step: step)
            lost.append(rest.total(lambda step, at=settled: -math.log1p(-at(step)[0])))  # type: ignore[misc]
            buffer = settled(part.stop - 1)[1]
    return math.fsum(lost)


def _memory(
    knob: float, run: Run, course: tuple[Rates, Rates, Rates], most_walked: int
) -> int:
    """Return the steps after which no digit of the buffer depends on its start."""
    left = _slowest(knob, run, course)
    if left > run.momentum**_SHARE_OF_DECAY:
        must = f"at most {LONGEST_WALK:,} so near to the oscillation limit"
        remedy = "Lower the weight decay or the momentum."
        raise RangeError("steps", run.total_steps, must, remedy)
    memory = math.ceil(_NO_DIGIT / math.log(left)) if left else 1
    # Where the lr moves, every node of a sum walks as far back.
    walks = sum(
        1 if part.at(part.start) == part.at(part.stop - 1) else 1 + NODES
        for part in together(*course)
    )
    if memory * walks > most_walked:
        most = math.exp(_NO_DIGIT * walks / most_walked)
        must = f"at most {most:.3g} in a long run with such a schedule"
        remedy = "Lower it, or give fewer steps or a schedule of fewer parts."
        raise RangeError("momentum", run.momentum, must, remedy)
    return memory


def _slowest(knob: float, run: Run, course: tuple[Rates, Rates, Rates]) -> float:
    """Return the largest share of a deviation of the buffer that a step leaves.

    It is the ratio of the two roots, which is largest at the peak lr; at the
    oscillation limit the two meet. A momentum that moves is larger where the lr is
    smaller, so then it is searched for.
    """
    lr, _, momentum = course
    left = _deviation_left(knob, run)
    if run.schedule.momenta(run.total_steps):
        places = [run.total_steps * part // _PLACES for part in range(_PLACES)]
        here = (
            replace(run, lr=_lr(run) * lr.at(step), momentum=momentum.at(step))
            for step in places
        )
        left = max(left, *(_deviation_left(knob, each) for each in here))
    return left


def _deviation_left(knob: float, run: Run) -> float:
    """Return the share of a deviation of the buffer that a step leaves at this lr."""
    shrink = shrink_per_step(knob, run)
    stays = 1 - _lr(run) * knob if run.nesterov else 1.0
    # The product of both roots over the square of the slow one: their ratio.
    return run.momentum * stays / (1 - shrink) ** 2


def _settled(
    knob: float, run: Run, at: Callable[[float], Step], memory: int, step: float
) -> tuple[float, float]:
    """Return shrink and buffer of a step long after the start of a smooth stretch."""
    # A walk towards the step forgets the buffer that it began with. It begins with the
    # one that its first lr settles at: the slower that moves, the shorter a walk will
    # do.
    before, here = (_constant_buffer(knob, run, at(step - ago)) for ago in (memory, 0))
    moved = abs(before / here - 1) if here else 0.0
    share = 1 - math.log(moved) / _NO_DIGIT if moved else 0.0
    # No further back: before its stretch begins, a function may have no value.
    start = min(memory, math.ceil(max(0.0, share) * memory) + 1)
    buffer = _constant_buffer(knob, run, at(step - start))
    steps = (at(step - ago) for ago in range(start - 1, -1, -1))
    shrinks, buffer = walked(knob, run, steps, buffer, peak=_lr(run))
    return shrinks[-1], buffer


def _constant_buffer(knob: float, run: Run, here: Step) -> float:
    """Return the buffer per unit of weight that equal steps converge to."""
    # With `c = (1 − d) λ` the push u of plain momentum solves `η u² − (1 − μ + η c) u +
    # c = 0`; Nesterov's has `η λ` off the weight besides.
    multiplier, decay, momentum = here
    lr, knob = _lr(run) * multiplier, knob * decay
    pull = _undamped(run) * knob
    stays = 1 - lr * knob if run.nesterov else 1.0
    scale = lr * momentum if run.nesterov else lr
    total = stays - momentum + scale * pull
    # Not called beyond the oscillation limit; at it, rounding may pass 0.
    gap = max(0.0, total**2 - 4 * scale * pull * stays)
    # The smaller root as 2c/(b + √…): b − √… has no digit left where decay is slow.
    push = 2 * pull * stays / (total + math.sqrt(gap))
    shrink = lr * (knob + momentum * push) if run.nesterov else lr * push
    return push / (1 - shrink)


def _lr(run: Run) -> float:
    return run.require("lr", "The shrink of SGD")


def _undamped(options: Momentum) -> float:
    return 1 - options.dampening if options.momentum else 1.0


def _oscillation(name: str, value: float, limit: float, run: Run) -> OscillationError:
    fastest = half_life_from_shrink(fastest_shrink(run))
    return OscillationError(name, value, limit, run.momentum, fastest)
