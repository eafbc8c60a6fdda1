"""Trials: what the knob of an optimizer does, seen by turning it on copies.

Names are not believed. Each trial is a toy whose lr, knob and momentum are set as the
trial wants; its walk is compared with what a decoupled decay, or a penalty in the loss,
would have done.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from dwindle.pytorch.toy import START, Mould, Walk
from dwindle.pytorch.walks import Told, tell

# Options that have been seen to mean a decay, the usual one first.
KNOBS = ("weight_decay", "wd", "weight_decay_rate", "l2_reg", "l2")
# Where a group shows what its lr was, or will be, while its lr is 0 in a warm-up.
_LRS = ("lr", "initial_lr", "max_lr", "base_lr")
_LR_OF_NOBODY = 1e-3
# A trial takes about this share per step: far above rounding, far below the swing of
# momentum; and no rule that leaves the lr out takes more than a tenth.
_SHARE, _MOST = 1e-3, 0.1
LONG, SHORT = 64, 16
# Lookaheads come back every five or six steps: lr and knob change within that time.
_LR_PROGRAMME = (1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 1.0)
_KNOB_PROGRAMME = (1.0, 0.5, 0.5, 1.0, 0.3)
_GRADIENTS = (1e-3, -1e-3, 0.1, -1e-3, 1e-3)
_RELATIVE = 1e-6  # what the controller promises
# Steps that are tried with a decay: after a gradient turned, and when one is large.
_MOMENTS = (1, 2)
# Adaptive steps see a weight that just decayed; a decay that goes by the gradient's
# sign, or by its size, differs by all of itself or by much.
_NEARLY = 0.02
_ROUND, _ROUGHLY_ROUND = 1e-3, 0.1

Option = Any  # options of other people's groups: numbers, tensors, tuples, words
Options = dict[str, Option]


def number_of(value: Option) -> float | None:
    """Read an option as a number; None if it is none.

    Example:
        >>> number_of(torch.tensor(0.5)), number_of(True), number_of("0.1")
        (0.5, None, None)

    """
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def knob_of(group: Mapping[str, Option]) -> str | None:
    """Return the option that sets the decay, None if there is none."""
    return next((k for k in KNOBS if number_of(group.get(k)) is not None), None)


def lr_of(group: Mapping[str, Option]) -> float:
    """Return a learning rate above 0 that the group works with, now or at its peak."""
    told = (number_of(group.get(name)) for name in _LRS)
    return next((lr for lr in told if lr), _LR_OF_NOBODY)


@dataclass(frozen=True, kw_only=True)
class Turned:
    """What turning the knob of a group did.

    Args:
        told: The family of the decay that the knob gives at the trial's lr and knob.
        works: Whether the knob has an effect.
        decouples: Whether each step takes lr·knob, whatever else is set or pulls.
        driven: Whether a weight that gradients pull at decays as one at rest does, by
            lr·knob.
        is_penalty: Whether the knob is a penalty in the loss, step by step.
        lr_power: How the decay of a step follows the lr.
        knob_power: How it follows the knob.
        per_lr: Decay of a step over lr·knob.

    """

    told: Told
    works: bool
    decouples: bool
    driven: bool
    is_penalty: bool
    lr_power: float | None
    knob_power: float | None
    per_lr: float | None


class Trials:
    """Toys of one optimizer, with lr and knob of each group as a trial wants them."""

    def __init__(
        self, mould: Mould, *, dtype: torch.dtype, groups: Sequence[int]
    ) -> None:
        self._mould, self._dtype, self._groups = mould, dtype, groups
        options = [mould.optimizer.param_groups[at] for at in groups]
        self.eps = torch.finfo(dtype).eps
        self.lrs = [lr_of(each) for each in options]
        self.knobs = [knob_of(each) for each in options]
        self._numbers = [min(_MOST, _SHARE / lr) for lr in self.lrs]
        self._signs = [-1.0 if each.get("maximize") else 1.0 for each in options]
        self._momenta = _other_momenta(options)

    def as_it_is(self, steps: int = LONG, **changed: Option) -> list[list[Walk]]:
        """Walk with all options as they are, or some of them changed."""
        return self._walks(steps, lambda _step, _at: changed)

    def without_knob(self) -> list[list[Walk]]:
        """Walk with the knob of each group at 0."""
        return self._walks(LONG, lambda _, at: self._knob(at, 0.0))

    def turned(self) -> list[Turned]:
        """Turn the knob of every group, one way after the other."""
        told = self._told()
        off, half_lr, half_knob = (
            self._told(knob=0.0),
            self._told(lr=0.5),
            self._told(knob=0.5),
        )
        decouples, driven, penalty = self._decouple(), self._driven(), self._penalty()
        return [
            Turned(
                told=told[at].told,
                works=told[at].rate != off[at].rate,
                decouples=decouples[at] and driven[at],
                driven=driven[at],
                is_penalty=penalty[at],
                lr_power=_power(told[at], half_lr[at]),
                knob_power=_power(told[at], half_knob[at]),
                per_lr=self._per_lr(at, told[at]),
            )
            for at in range(len(self.knobs))
        ]

    def _per_lr(self, at: int, seen: "_Seen") -> float | None:
        first = seen.told.first
        return None if first is None else first / (self.lrs[at] * self._numbers[at])

    def _told(self, *, lr: float = 1.0, knob: float = 1.0) -> list["_Seen"]:
        walks = self._walks(LONG, lambda _, at: self._set_to(at, lr, knob))
        return [_Seen.of(group[0], self.eps) for group in walks]

    def _decouple(self) -> list[bool]:
        """Whether each step of every weight takes lr·knob of just then."""
        kept = [knob is not None for knob in self.knobs]
        for momenta in ({}, *self._momenta):

            def set_them(step: int, at: int, momenta: Options = momenta) -> Options:
                return momenta | self._set_to(at, *_programme(step))

            try:
                walks = self._walks(SHORT, set_them)
            except Exception:  # noqa: BLE001, S112  (a momentum that it does not take)
                continue
            for at, group in enumerate(walks):
                kept[at] &= all(self._follows(at, walk) for walk in group)
        return kept

    def _follows(self, at: int, walk: Walk) -> bool:
        for step, (before, after) in enumerate(pairwise(walk)):
            lr, knob = _programme(step)
            share = self.lrs[at] * lr * self._numbers[at] * knob
            allowed = _RELATIVE * share + 4 * self.eps
            if any(
                abs((w - left) / w - share) > allowed if w else left != 0
                for w, left in zip(before, after, strict=True)
            ):
                return False
        return True

    def _driven(self) -> list[bool]:
        """Whether a weight that a gradient pulls at decays as much as one at rest."""
        bare = self._pulled(lambda _: 0.0)
        kept = [True] * len(self.knobs)
        # Up to the step that decays both walks are one, so they differ by it alone.
        for moment in _MOMENTS:
            walks = self._pulled(_once_at(moment))
            for at, (group, others) in enumerate(zip(walks, bare, strict=True)):
                share = self.lrs[at] * self._numbers[at]
                kept[at] &= all(
                    _parts_by(share, walk, other, moment)
                    for walk, other in zip(group, others, strict=True)
                )
        return kept

    def _pulled(
        self,
        knob: Callable[[int], float],
        *,
        penalties: Sequence[float] | None = None,
    ) -> list[list[Walk]]:
        return self._walks(
            len(_GRADIENTS),
            lambda step, at: self._set_to(at, 1.0, knob(step)),
            gradients=_GRADIENTS,
            penalties=penalties,
        )

    def _penalty(self) -> list[bool]:
        """Whether the knob does what knob·w, added to the gradient, does."""
        pairs = zip(self._numbers, self._signs, strict=True)
        inside = self._pulled(lambda _: 1.0)
        outside = self._pulled(
            lambda _: 0.0, penalties=[number * sign for number, sign in pairs]
        )
        return [
            all(_same(a, b, self.eps) for a, b in zip(group, other, strict=True))
            for group, other in zip(inside, outside, strict=True)
        ]

    def _set_to(self, at: int, lr: float, knob: float) -> Options:
        return {"lr": self.lrs[at] * lr} | self._knob(at, self._numbers[at] * knob)

    def _knob(self, at: int, number: float) -> Options:
        knob = self.knobs[at]
        return {} if knob is None else {knob: number}

    def _walks(
        self,
        steps: int,
        options: Callable[[int, int], Options],
        *,
        gradients: Sequence[float] = (0.0,),
        penalties: Sequence[float] | None = None,
    ) -> list[list[Walk]]:
        """Watch a fresh toy whose options are set before each step."""
        # Far from zero: what an adaptive step takes, a weight must be able to lose.
        far = [value * (1 + 1e3 * max(self.lrs)) for value in START]
        toy = self._mould.toy(dtype=self._dtype, start=far, groups=self._groups)

        def set_them(step: int, at: int, group: dict[str, Option]) -> None:
            for name, value in options(step, at).items():
                _set(group, name, value)

        return toy.watch(
            steps, before=set_them, gradients=gradients, penalties=penalties
        )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a walk tells, and a number for how much a step takes."""

    told: Told
    rate: float

    @classmethod
    def of(cls, walk: Walk, eps: float) -> "_Seen":
        told = tell(walk, eps=eps)
        if told.first is not None:
            return cls(told=told, rate=told.first)
        return cls(told=told, rate=math.dist(walk[-2], walk[-1]))


def _programme(step: int) -> tuple[float, float]:
    """The lr and the knob of a step, as parts of the trial's."""
    lrs, knobs = _LR_PROGRAMME, _KNOB_PROGRAMME
    return lrs[step % len(lrs)], knobs[step % len(knobs)]


def _power(whole: _Seen, half: _Seen) -> float | None:
    """The power with which a step follows what was halved; round where it is round."""
    if not (whole.rate > 0 and half.rate > 0):
        return None
    power = math.log2(whole.rate / half.rate)
    # Amounts of adaptive steps are late ones, when they still change a little.
    near = _ROUND if whole.told.first is not None else _ROUGHLY_ROUND
    return float(round(power)) if abs(power - round(power)) < near else power


def _once_at(moment: int) -> Callable[[int], float]:
    return lambda step: float(step == moment)


def _parts_by(share: float, decayed: Walk, bare: Walk, moment: int) -> bool:
    """Whether a decay took the share of the weight before the step or after it."""
    rows = zip(bare[moment], bare[moment + 1], decayed[moment + 1], strict=True)
    for before, after, left in rows:
        lost, taken = after - left, (share * before, share * after)
        if min(abs(lost - each) for each in taken) > _NEARLY * abs(taken[0]):
            return False
    return True


def _same(walk: Walk, other: Walk, eps: float) -> bool:
    """Whether two walks are one but for rounding; resting is no walk."""
    moved = math.dist(walk[0], walk[-1])
    apart = max(math.dist(a, b) for a, b in zip(walk, other, strict=True))
    return apart <= _RELATIVE * moved + 64 * eps * math.hypot(*walk[0]) < moved


def _other_momenta(groups: Sequence[Mapping[str, Option]]) -> list[Options]:
    """Other values of the momentum options that all groups have."""
    found: list[Options] = []
    if all(number_of(group.get("momentum")) is not None for group in groups):
        found += [{"momentum": 0.9}, {"momentum": 0.3}]
    betas = [group.get("betas") for group in groups]
    if betas and betas[0] and all(isinstance(each, tuple | list) for each in betas):
        found.append({"betas": (0.5, *betas[0][1:])})
    return found


def _set(group: dict[str, Option], name: str, value: Option) -> None:
    """Set an option; a tensor stays the one that it is."""
    if isinstance(group.get(name), Tensor) and not isinstance(value, tuple):
        group[name].fill_(value)
    elif name in group:
        group[name] = value
