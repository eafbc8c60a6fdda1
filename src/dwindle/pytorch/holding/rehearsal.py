"""The controller's hooks, tried on copies of the optimizer before it is touched."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.number_formats import DEAD_BELOW
from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import Before, Mould, Toy, change_nothing
from dwindle.pytorch.holding.hold import NO_HOOKS, GroupPlan, Hold
from dwindle.pytorch.options import (
    KNOB,
    dtype_name,
    factors_of,
    is_16_bits,
    lr_of,
    set_option,
)

# Multiples of the lr: a warm-up from 0, jumps, and enough steps for a Lookahead to
# look back (5 or 6 steps are usual, 20 are rare).
_LRS = (0.0, 0.5, 1.0, 0.25, 2.0, 1.0) * 4
_LRS_ABOVE_ZERO = tuple(multiple or 0.5 for multiple in _LRS)
# OneCycleLR and CyclicLR move the momentum: a knob that acts through it cannot follow.
CYCLED = (0.9, 0.5)
# Gradients that jump: what is normalized by the recent ones shows itself.
_GRADIENTS = (1e-3, 1.0, -0.2, 30.0, 0.01, -2.0)
_SHRINK = 0.03
# In 16 bits a larger one, over a few steps: rounding then moves the e-folds by less
# than a tenth, and where copies are written over the weights nothing is lost of them.
_SHRINK_IN_16_BITS, _FEW = 0.25, 8
# One that 16 bits cannot hold shows after many steps, where something wider holds it.
_BELOW_DEAD, _LONG = 0.5, 64
_NEAR = 0.15
# Powers of 2 are rounded alike: these lie evenly between them.
_MANY = tuple((-1) ** at * 2 ** (at / 32) for at in range(32))
# Steps so small that opposite weights differ in their decay alone.
_SMALL_LR = 1e-6
_START = (1.0, -0.5, 0.3, 1.7)
# No float32 is one of these: where they are rounded, an optimizer computes in float32.
_NOT_IN_FLOAT32 = (0.3, 1.7, -0.7, 1.1)
# In float64 24 exact products lose 1e-15; an lr in float32 is exact to 6e-8.
_DIGITS = 1e-9
_DIGITS_OF_FLOAT32 = 1e-5
_DIGITS_OF_HALF = 0.05
_TINY_KNOB = 1e-12


_NO_STEP = (
    "Its step must run with weight_decay and lr set from outside, before each step. "
    "A wrapper that keeps a copy of the weights (Lookahead) cannot be held."
)


class Rehearsal:
    """Copies of one optimizer, held like the original will be.

    Args:
        optimizer: Read, never touched.
        in_own_format: Whether the copies have weights in the formats of the original;
            else in float64, which shows more, where it steps there.

    Raises:
        RefusedError: If no copy of it makes a step.

    """

    def __init__(self, optimizer: object, *, in_own_format: bool = False) -> None:
        try:
            dtype = None if in_own_format else torch.float64
            self._mould = Mould.of(optimizer, dtype=dtype)
        except RefusedError:  # a kernel that knows its own number format only
            self._mould = Mould.of(optimizer)
        toy = self._mould.toy(start=_NOT_IN_FLOAT32)
        _step(toy)
        self._in_float32 = all(map(_fits_float32, chain(*toy.weights)))
        self._lrs: tuple[float, ...] = _LRS

    def undriven(
        self, plans: Sequence[GroupPlan], *, momenta: Sequence[float] = ()
    ) -> list[str]:
        """Say per group how a weight with zero gradient strays from the path asked.

        Args:
            plans: What is done to each group.
            momenta: Values that a group's momentum takes in turn, if it has one.

        Returns:
            A few words, empty where it follows.

        """
        try:
            return self._undriven(plans, momenta)
        except RefusedError:
            if self._lrs is _LRS_ABOVE_ZERO:
                raise
            # D-Adaptation's SGD and a line search divide by their lr.
            self._lrs = _LRS_ABOVE_ZERO
            return self._undriven(plans, momenta)

    def _undriven(
        self, plans: Sequence[GroupPlan], momenta: Sequence[float]
    ) -> list[str]:
        toy = self._mould.toy(start=_START)
        hold = self._held(toy, plans)
        lrs = [lr_of(group) for group in toy.optimizer.param_groups]

        def before(step: int, at: int, group: dict[str, Any]) -> None:
            set_option(group, "lr", self._lrs[step] * lrs[at])
            if momenta:
                set_option(group, "momentum", momenta[step % len(momenta)])

        _steps(toy, len(self._lrs), before=before)
        if not hold.steps_done:
            return [NO_HOOKS] * len(plans)
        return [
            _astray(weights, plan, steps=len(_LRS), in_float32=self._in_float32)
            for weights, plan in zip(toy.weights, hold.plans, strict=True)
        ]

    def driven(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Tell per group whether gradients leave the decay as it is.

        Two copies with opposite weights and the same gradients: half of their
        difference after a step is what the step leaves of the weight, whatever else
        the gradients and the norm of the weights do to it.
        """
        pair = [
            self._mould.toy(start=_START),
            self._mould.toy(start=[-value for value in _START]),
        ]
        holds = [self._held(toy, plans) for toy in pair]
        as_asked = [True] * len(plans)
        for gradient in _GRADIENTS:
            for toy, sign in zip(pair, (1, -1), strict=True):
                _restart(toy, sign)
                _step(toy, gradient)
            for at, halves in enumerate(_halves_of_differences(*pair)):
                plan = holds[0].plans[at]
                as_asked[at] &= not _astray(
                    halves, plan, steps=1, in_float32=self._in_float32
                )
        return as_asked

    def rebuilt(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Tell per group whether a multiplication is lost where gradients pull.

        What writes its weights anew from where they started (MADGRAD, D-Adaptation)
        loses it. Half of the difference of opposite weights shows it.
        """
        pair = [
            self._mould.toy(start=_START),
            self._mould.toy(start=[-value for value in _START]),
        ]
        for toy in pair:
            self._held(toy, plans)
            _set_lrs(toy, times=_SMALL_LR)
            _steps(toy, 2 * len(_GRADIENTS), _GRADIENTS)
        asked = -len(_GRADIENTS) * 2 * math.log1p(-_SHRINK)
        return [
            plan.mechanism == "multiply" and not _near(_lost(halves), asked)
            for plan, halves in zip(plans, _halves_of_differences(*pair), strict=True)
        ]

    def written_over(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Tell per group whether copies of its own replace 16-bit weights in a step.

        Only of a rehearsal in the own format.
        """
        return [
            # In float16 an eps of 1e-8 is 0, and weights are no numbers: another fault.
            plan.decay_scale > 0 and math.isfinite(lost) and not _near(lost, asked)
            for plan, (lost, asked) in zip(
                plans,
                self._in_16_bits(plans, lambda _: _SHRINK_IN_16_BITS, _FEW),
                strict=True,
            )
        ]

    def keeps_wider(self, plans: Sequence[GroupPlan]) -> list[bool]:
        """Tell per group whether its 16-bit weights decay slower than 16 bits can.

        Those of optimizers with float32 copies do, and those that are rounded at
        random. Only of a rehearsal in the own format.
        """
        return [
            _near(lost, asked) and asked > 0
            for lost, asked in self._in_16_bits(plans, _below_dead, _LONG)
        ]

    def _in_16_bits(
        self,
        plans: Sequence[GroupPlan],
        shrink: Callable[[Sequence[Tensor]], float],
        steps: int,
    ) -> list[tuple[float, float]]:
        """Return the e-folds of each group's 16-bit weights, and those asked for."""
        toy = self._mould.toy(start=_MANY)
        narrow = [list(filter(is_16_bits, weights)) for weights in toy.weights]
        shrinks = [shrink(weights) if weights else 0.0 for weights in narrow]
        self._held(toy, plans, shrinks)
        _set_lrs(toy)
        _steps(toy, steps)
        return [
            (_lost(weights, _MANY), -steps * math.log1p(-each))
            for weights, each in zip(narrow, shrinks, strict=True)
        ]

    def takes_by_itself(self) -> list[float]:
        """Return per group what a step takes off at weight_decay=0, at an even lr.

        A decay of its own shows here. What averages or looks back has nothing to do
        where no gradient moves the weights: 0.
        """
        toy = self._mould.toy(start=_START)
        _set_lrs(toy)
        for group in toy.optimizer.param_groups:
            set_option(group, KNOB, 0.0)
        _steps(toy, len(_LRS))
        return [_taken_per_step(weights, steps=len(_LRS)) for weights in toy.weights]

    def misses_its_knob(self) -> list[bool]:
        """Tell per group whether weight_decay=0 switches off more than the decay.

        timm's LARS and LAMB leave their trust ratio out, too.
        """
        ends = []
        for knob in (0.0, _TINY_KNOB):
            toy = self._mould.toy(start=_START)
            _set_lrs(toy)
            for group in toy.optimizer.param_groups:
                set_option(group, KNOB, knob)
            _steps(toy, len(_GRADIENTS), _GRADIENTS)
            ends.append(toy.weights)
        return [not all(map(_much_alike, *pair)) for pair in zip(*ends, strict=True)]

    def _held(
        self, toy: Toy, plans: Sequence[GroupPlan], shrinks: Sequence[float] = ()
    ) -> Hold:
        rates = [
            DecayRate(shrink_at_peak=shrink, schedule="constant")
            for shrink in shrinks or [_SHRINK] * len(plans)
        ]
        mine = [
            replace(
                plan, rate=rate if plan.decay_scale else None, factors=factors_of(group)
            )
            for plan, rate, group in zip(
                plans, rates, toy.optimizer.param_groups, strict=True
            )
        ]
        hold = Hold(toy.optimizer, mine)
        hold.attach()
        return hold


def _step(toy: Toy, gradient: float = 0.0) -> None:
    _steps(toy, 1, (gradient,))


def _steps(
    toy: Toy,
    count: int,
    gradients: Sequence[float] = (0.0,),
    before: Before = change_nothing,
) -> None:
    try:
        toy.go(count, gradients=gradients, before=before)
    except Exception as error:
        name = type(toy.optimizer).__name__
        said = str(error).removesuffix(".")
        why = f"Tried on a copy of {name}: {type(error).__name__}: {said}."
        asked = f"A half-life held by {name}"
        raise RefusedError(asked, why, _NO_STEP) from error


def _fits_float32(weight: Tensor) -> bool:
    """Tell of a weight that was worked on in float32, whatever its own format is.

    The kernels of bitsandbytes do that. What was computed in float64 does not fit.
    """
    if weight.dtype != torch.float64:
        return False
    return torch.equal(weight, weight.float().double())


def _astray(
    weights: Sequence[Tensor], plan: GroupPlan, *, steps: int, in_float32: bool
) -> str:
    kept = (1 - _SHRINK) ** steps if plan.decay_scale else 1.0
    for weight in weights:
        left, start = _entries_of(weight), _start_of(weight)
        off = (left / start / kept - 1).abs().max().item()
        # The factors of the group may be coarser than the toy's own numbers.
        digits = max(_digits_of(weight), _DIGITS_OF_FLOAT32 if in_float32 else 0.0)
        if not off <= digits + 4 / plan.factors:
            share = (left / start).mean().item()
            return f"{share:.9g} of it is left instead of {kept:.9g}"
    return ""


def _taken_per_step(weights: Sequence[Tensor], *, steps: int) -> float:
    """Return the share that a step takes off on average; 0 within rounding."""
    left = sum(_entries_of(weight).abs().sum().item() for weight in weights)
    start = sum(_start_of(weight).abs().sum().item() for weight in weights)
    digits = max(map(_digits_of, weights), default=0.0)
    if not left < start * (1 - digits):
        return 0.0
    return 1 - math.pow(left / start, 1 / steps)


def _entries_of(weight: Tensor) -> Tensor:
    real = torch.view_as_real(weight)[..., 0] if weight.is_complex() else weight
    return real.detach().cpu().double().flatten()


def _start_of(weight: Tensor, start: Sequence[float] = _START) -> Tensor:
    return torch.tensor(start[: weight.numel()], dtype=torch.float64)


def _digits_of(weight: Tensor) -> float:
    half = is_16_bits(weight)
    wide = weight.dtype in (torch.float64, torch.complex128)
    return _DIGITS_OF_HALF if half else _DIGITS if wide else _DIGITS_OF_FLOAT32


@torch.no_grad()
def _halves_of_differences(plus: Toy, minus: Toy) -> list[list[Tensor]]:
    return [
        [(a - b) / 2 for a, b in zip(*pair, strict=True)]
        for pair in zip(plus.weights, minus.weights, strict=True)
    ]


def _lost(weights: Sequence[Tensor], start: Sequence[float] = _START) -> float:
    """Return the mean e-folds of all entries; one that turned its sign is no number."""
    left = [_entries_of(each) / _start_of(each, start) for each in weights]
    return -torch.cat(left).log().mean().item() if left else 0.0


def _near(lost: float, asked: float) -> bool:
    return abs(lost - asked) <= _NEAR * asked


def _below_dead(weights: Sequence[Tensor]) -> float:
    return _BELOW_DEAD * max(DEAD_BELOW[dtype_name(each)] for each in weights)


def _much_alike(one: Tensor, other: Tensor) -> bool:
    # A knob of 1e-12 changes no third digit; a trust ratio changes all of them.
    return torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def _set_lrs(toy: Toy, *, times: float = 1.0) -> None:
    for group in toy.optimizer.param_groups:
        set_option(group, "lr", times * lr_of(group))


@torch.no_grad()
def _restart(toy: Toy, sign: int) -> None:
    for weight in (each for group in toy.weights for each in group):
        start = torch.tensor(_START[: weight.numel()], dtype=weight.dtype)
        weight.copy_(sign * start.reshape(weight.shape))
