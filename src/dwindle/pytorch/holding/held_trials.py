"""Held trials: copies of an optimizer, held as the original is going to be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar

from torch import Tensor
from torch.optim import Optimizer

from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.number_formats import DEAD_BELOW
from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import Mould
from dwindle.pytorch.holding.hold import GroupPlan, Hold
from dwindle.pytorch.options import (
    KNOB,
    Options,
    dtype_name,
    factors_of,
    is_16_bits,
)
from dwindle.pytorch.refusals import refused
from dwindle.pytorch.trials import Deviation, Programme, Trials, e_folds

# Multiples of the lr: a warm-up from 0, jumps, and enough steps for a Lookahead to
# go back (after 5 or 6 steps usually, rarely 20).
_LRS = (0.0, 0.5, 1.0, 0.25, 2.0, 1.0) * 4
_LRS_ABOVE_ZERO = tuple(multiple or 0.5 for multiple in _LRS)
# OneCycleLR and CyclicLR move the momentum: a knob that acts through it cannot follow.
CYCLED = (0.9, 0.5)
# Gradients that jump: what is normalized by the recent ones shows itself.
_GRADIENTS = (1e-3, 1.0, -0.2, 30.0, 0.01, -2.0)
_SHRINK = 0.03  # in a step: far above rounding, and the 24 of a trial leave a half
# In 16 bits a larger one, over a few steps: rounding then moves the e-folds by less
# than a tenth, and where copies are written over the weights nothing is lost of them.
_SHRINK_IN_16_BITS, _FEW = 0.25, 8
# One that 16 bits cannot hold shows after many steps, where something wider holds it.
_BELOW_DEAD, _LONG = 0.5, 64
_NEAR = 0.15  # the tenth by which rounding moves e-folds, with a half to spare
# Powers of 2 are rounded alike: these lie evenly between them.
_MANY = tuple((-1) ** at * 2 ** (at / 32) for at in range(32))
# Steps so small that opposite weights differ in their decay alone.
_SMALL_LR = 1e-6
# Powers of 2 alone would be rounded alike.
_START = (1.0, -0.5, 0.3, 1.7)
# Beside a knob of 0, one that changes no third digit of a step: a trust ratio that is
# left out at 0 changes all of them.
_TINY_KNOB, _THIRD_DIGIT, _LEAST = 1e-12, 1e-3, 1e-6
# By so much a weight may stray in a few dozen steps: in float64 that many products lose
# 1e-15, but the factor of a library may have been rounded twice; 16 bits round each
# step by up to half a percent.
_DIGITS, _DIGITS_OF_HALF = {"float64": 1e-9, "float32": 1e-5}, 0.05
_ROUNDED = 1e-9  # 24 products in float64 lose 1e-15
_Found = TypeVar("_Found")


class HeldTrials:
    """What becomes of a decay when the copies of one optimizer are held."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._lrs: tuple[float, ...] = _LRS

    @cached_property
    def _trials(self) -> Trials:
        """Trials of the rule; refused if no copy of the optimizer makes a step."""
        return Trials.of(self._optimizer)

    def at_rest(
        self, plans: Sequence[GroupPlan], *, momenta: Sequence[float] = ()
    ) -> list[Deviation | None]:
        """Return per group how a weight with zero gradient strays from its path.

        A group that has a momentum takes the values of ``momenta`` in turn.
        """
        try:
            return self._at_rest(plans, momenta)
        except RefusedError:
            if self._lrs is _LRS_ABOVE_ZERO:
                raise
            # D-Adaptation's SGD and a line search divide by their lr.
            self._lrs = _LRS_ABOVE_ZERO
            return self._at_rest(plans, momenta)

    def _at_rest(
        self, plans: Sequence[GroupPlan], momenta: Sequence[float]
    ) -> list[Deviation | None]:
        holds: list[Hold] = []

        def options(step: int, at: int) -> Options:
            cycled = {"momentum": momenta[step % len(momenta)]} if momenta else {}
            return {"lr": self._lrs[step] * self._trials.lrs[at]} | cycled

        programme = Programme(
            steps=len(_LRS),
            start=_START,
            options=options,
            prepare=_hold(plans, holds=holds),
        )
        kept = [(1 - _SHRINK) ** (step + 1) for step in range(len(_LRS))]
        found = self._follow(programme, plans, kept)
        if not any(hold.steps_done for hold in holds):
            raise refused("no-hooks", optimizer=type(self._optimizer).__name__)
        return found

    def when_pulled(self, plans: Sequence[GroupPlan]) -> list[Deviation | None]:
        """Return per group how gradients change the decay of a step."""
        programme = Programme(
            steps=len(_GRADIENTS),
            start=_START,
            gradients=_GRADIENTS,
            restarts=True,
            prepare=_hold(plans),
        )
        return self._follow(programme, plans, [1 - _SHRINK] * len(_GRADIENTS))

    def loses_products(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Return per group whether a multiplication is lost where gradients pull.

        What writes its weights anew from where they started (MADGRAD, D-Adaptation)
        loses it.
        """
        steps = 2 * len(_GRADIENTS)
        programme = Programme(
            steps=steps,
            start=_START,
            options=self._lr(times=_SMALL_LR),
            gradients=_GRADIENTS,
            prepare=_hold(plans),
        )
        left = self._stepped(self._trials.left, programme)
        expected = -steps * math.log1p(-_SHRINK)
        return [
            plan.mechanism == "multiply" and not _near(e_folds(walks), expected)
            for plan, walks in zip(plans, left, strict=True)
        ]

    def takes_by_itself(self) -> list[float]:
        """Return per group what a step takes off at weight_decay=0, at an even lr.

        A decay under another name shows here. What averages or goes back has nothing
        to do where no gradient moves the weights: 0.
        """
        programme = Programme(steps=len(_LRS), start=_START, options=self._lr(knob=0.0))
        taken = []
        for walks in self._stepped(self._trials.walks, programme):
            start = sum(abs(entry) for walk in walks for entry in walk[0])
            left = sum(abs(entry) for walk in walks for entry in walk[-1])
            shows = left < start * (1 - _ROUNDED)
            taken.append(1 - math.pow(left / start, 1 / len(_LRS)) if shows else 0.0)
        return taken

    def misses_its_knob(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Return per group whether weight_decay=0 switches off more than the decay.

        timm's LARS and LAMB leave their trust ratio out, too.
        """
        off, tiny = (
            self._stepped(
                self._trials.walks,
                Programme(
                    steps=len(_GRADIENTS),
                    start=_START,
                    options=self._lr(knob=knob),
                    gradients=_GRADIENTS,
                ),
            )
            for knob in (0.0, _TINY_KNOB)
        )
        return [
            plan.mechanism == "multiply"
            and not all(
                math.isclose(a, b, rel_tol=_THIRD_DIGIT, abs_tol=_LEAST)
                for walk, other in zip(*pair, strict=True)
                for a, b in zip(walk[-1], other[-1], strict=True)
            )
            for plan, *pair in zip(plans, off, tiny, strict=True)
        ]

    def _lr(
        self, *, times: float = 1.0, knob: float | None = None
    ) -> Callable[[int, int], Options]:
        set_too = {} if knob is None else {KNOB: knob}
        return lambda _, at: {"lr": times * self._trials.lrs[at]} | set_too

    def _follow(
        self,
        programme: Programme,
        plans: Sequence[GroupPlan],
        kept: Sequence[float],
    ) -> list[Deviation | None]:
        untouched = [1.0] * len(kept)
        expected = [kept if plan.decay_scale else untouched for plan in plans]
        # The factors of a group may be coarser than the numbers of the copy.
        room = [
            [
                max(
                    (_DIGITS.get(dtype_name(w), _DIGITS_OF_HALF) for w in mine),
                    default=0.0,
                )
                + 4 / factors_of({**group, "params": mine})
            ]
            * len(kept)
            for group, mine in zip(
                self._trials.options, self._trials.weights, strict=True
            )
        ]
        return self._stepped(
            partial(self._trials.follows, kept=expected, room=room), programme
        )

    def written_over(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Return per group whether a step replaces the weights by kept copies."""
        return [
            # In float16 an eps of 1e-8 is 0, and weights are no numbers: another fault.
            plan.decay_scale > 0 and math.isfinite(lost) and not _near(lost, expected)
            for plan, (lost, expected) in zip(
                plans,
                self._e_folds(plans, lambda _: _SHRINK_IN_16_BITS, _FEW),
                strict=True,
            )
        ]

    def keeps_wider(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Return per group whether its weights decay slower than 16 bits can.

        Those of optimizers with float32 copies do, and those that are rounded at
        random.
        """

        def shrink(weights: Sequence[Tensor]) -> float:
            return _BELOW_DEAD * max(DEAD_BELOW[dtype_name(each)] for each in weights)

        return [
            _near(lost, expected) and expected > 0
            for lost, expected in self._e_folds(plans, shrink, _LONG)
        ]

    def _e_folds(
        self,
        plans: Sequence[GroupPlan],
        shrink: Callable[[Sequence[Tensor]], float],
        steps: int,
    ) -> list[tuple[float, float]]:
        """Return the e-folds of each group's 16-bit weights, and the expected ones."""
        # They are no numbers where this machine steps in other formats only.
        try:
            trials = Trials(Mould.of(self._optimizer))  # in the formats of its weights
            narrow = [list(filter(is_16_bits, group)) for group in trials.weights]
            shrinks = [shrink(group) if group else 0.0 for group in narrow]
            programme = Programme(
                steps=steps,
                start=_MANY,
                options=lambda _, at: {"lr": trials.lrs[at]},
                prepare=_hold(plans, shrinks),
            )
            walks = self._stepped(trials.walks, programme)
        except RefusedError:
            return [(math.nan, 0.0)] * len(plans)
        found = []
        for group, weights, each in zip(walks, trials.weights, shrinks, strict=True):
            pairs = zip(group, weights, strict=True)
            mine = [walk for walk, weight in pairs if is_16_bits(weight)]
            found.append((e_folds(mine), -steps * math.log1p(-each)))
        return found

    def _stepped(
        self, trial: Callable[[Programme], _Found], programme: Programme
    ) -> _Found:
        """Return what a trial finds; steps that fail are refused with their error."""
        try:
            return trial(programme)
        except RefusedError:
            raise
        except Exception as error:
            name, kind = type(self._optimizer).__name__, type(error).__name__
            message = str(error).removesuffix(".")
            values = {"kind": kind, "message": message}
            raise refused("no-step", optimizer=name, **values) from error


def _hold(
    plans: Sequence[GroupPlan],
    shrinks: Sequence[float] = (),
    *,
    holds: list[Hold] | None = None,
) -> Callable[[Optimizer], None]:
    """Return what attaches hooks to a copy, for a shrink of these trials."""

    def prepare(copy: Optimizer) -> None:
        mine = []
        for at, (plan, group) in enumerate(zip(plans, copy.param_groups, strict=True)):
            shrink = shrinks[at] if shrinks else _SHRINK
            rate = DecayRate(shrink_at_peak=shrink, schedule="constant")
            held = rate if plan.decay_scale else None
            mine.append(replace(plan, rate=held, factors=factors_of(group)))
        hold = Hold(copy, mine)
        hold.attach()
        if holds is not None:
            holds.append(hold)

    return prepare


def _near(lost: float, expected: float) -> bool:
    return abs(lost - expected) <= _NEAR * expected
