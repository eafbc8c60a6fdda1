"""Trials: what the knob of an optimizer does, seen by turning it on copies.

Names are not believed. Each trial is a toy whose lr, knob and momentum are set as the
trial wants; its walk is compared with what a decoupled decay, or a penalty in the loss,
would have done.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from dwindle.pytorch.copying.toy import POINT, START, Mould, Walk
from dwindle.pytorch.options import (
    Option,
    Options,
    decay_option,
    lr_of,
    number_of,
    other_decays,
    other_momenta,
    set_option,
)
from dwindle.pytorch.probing.walks import Told, grain, tell

# A trial takes about this share per step: far above rounding, far below the swing of
# momentum; and no rule that leaves the lr out takes more than a tenth.
_SHARE, _MOST = 1e-3, 0.1
LONG, SHORT = 64, 16
# Lookaheads come back every five or six steps: lr and knob change within that time.
_LR_PROGRAMME = (1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 1.0)
_KNOB_PROGRAMME = (1.0, 0.5, 0.5, 1.0, 0.3)
_GRADIENTS, _AT_REST = (1e-3, -1e-3, 0.1, -1e-3, 1e-3), (0.0,)
# Where the bystanders are drawn to beside the usual point, to see whether it matters.
_OTHER_POINT = 0.3
_RELATIVE = 1e-6  # what the controller promises
# Steps that are tried with a decay: after a gradient turned, and when one is large.
_MOMENTS = (1, 2)
# Adaptive steps see a weight that just decayed; a decay that goes by the gradient's
# sign, or by its size, differs by all of itself or by much.
_NEARLY = 0.02
# Below this power half a number takes a tenth less at most: it nearly cancels.
_HARDLY_FELT = 0.2
_ROUND, _ROUGHLY_ROUND = 1e-2, 0.1


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
    """Toys of one optimizer, with lr and knob of each group as a trial wants them.

    Args:
        mould: Casts the toys, in one number format.
        groups: Numbers of the groups that they have.

    Attributes:
        eps: Relative spacing of the numbers in that format.
        lrs: Learning rate of each group in a trial.
        knobs: Option of each group that sets a decay.
        mains: The weight of each group that speaks for it: that of most dimensions.

    """

    def __init__(self, mould: Mould, *, groups: Sequence[int]) -> None:
        self._mould, self.groups = mould, groups
        self._options = [mould.optimizer.param_groups[at] for at in groups]
        options = self._options
        self.eps = torch.finfo(mould.dtype or torch.float32).eps
        self._grains = [_grain_of(each.get("lr"), self.eps) for each in options]
        self.lrs = [lr_of(each) for each in options]
        self.knobs = [decay_option(each) for each in options]
        self._numbers = [min(_MOST, _SHARE / lr) for lr in self.lrs]
        self._signs = [-1.0 if each.get("maximize") else 1.0 for each in options]
        self._momenta = [({}, *other_momenta(each)) for each in options]
        weights = mould.toy(groups=groups).weights
        dims = [
            [(weight.ndim, weight.numel()) for weight in group] for group in weights
        ]
        self.mains = [group.index(max(group)) for group in dims]

    def as_it_is(self, steps: int = LONG) -> list[list[Walk]]:
        """Walk with all options as they are."""
        return self._walks(steps, lambda _step, _at: {})

    def adapts(self, walks: Sequence[Sequence[Walk]]) -> list[bool]:
        """Tell per group whether the gradients of other weights change its walk.

        An optimizer that finds its lr itself (D-Adaptation, Prodigy) finds it there.

        Args:
            walks: Those of :meth:`as_it_is`.

        """
        others = self._walks(LONG, lambda _step, _at: {}, point=_OTHER_POINT)
        return [
            not all(_near(a, b, self.eps) for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in zip(walks, others, strict=True)
        ]

    def without_knob(self, steps: int = LONG, **changed: float) -> list[list[Walk]]:
        """Walk with the knob of each group at 0, at an lr above 0.

        Args:
            steps: How many.
            changed: Other options to set, where a group has them.

        """
        return self._walks(steps, lambda _, at: self._set_to(at, 1.0, 0.0) | changed)

    def hidden_by(self, at: int) -> str | None:
        """Find the option of a group that sets the decay that the knob leaves."""
        for name in other_decays(self._options[at]):
            try:
                group = self.without_knob(SHORT, **{name: 0.0})[at]
            except Exception:  # noqa: BLE001, S112  (an option that must not be 0)
                continue
            if all(row == walk[0] for walk in group for row in walk):
                return name
        return None

    def turned(self) -> list[Turned]:
        """Turn the knob of every group, one way after the other."""
        told, off = self._told(), self._told(knob=0.0)
        half_lr, half_knob = self._told(lr=0.5), self._told(knob=0.5)
        own = self._powers_of_own_numbers()
        decouples, driven, penalty = self._decouple(), self._driven(), self._penalty()
        return [
            Turned(
                told=told[at].told,
                works=told[at].walk != off[at].walk,
                decouples=decouples[at] and driven[at],
                driven=driven[at],
                is_penalty=penalty[at],
                lr_power=_power(told[at], half_lr[at]),
                knob_power=_own(_power(told[at], half_knob[at], off[at].rate), own[at]),
                per_lr=self._per_lr(at, told[at], off[at]),
            )
            for at in range(len(self.knobs))
        ]

    def _per_lr(self, at: int, seen: "_Seen", off: "_Seen") -> float | None:
        if seen.told.first is None or self.knobs[at] is None:
            return None
        return (seen.rate - off.rate) / (self.lrs[at] * self._numbers[at])

    def _powers_of_own_numbers(self) -> list[float | None]:
        """Return how a step follows the knob at the number that the group has.

        The number of a trial is far larger: beside it an eps hardly counts, which may
        be more than the whole decay of a small one.
        """
        numbers = [
            0.0 if name is None else number_of(each[name]) or 0.0
            for name, each in zip(self.knobs, self._options, strict=True)
        ]

        def seen(part: float) -> list[_Seen]:
            walks = self._walks(
                LONG,
                lambda _, at: self._at_own(at, part * numbers[at]),
            )
            pairs = zip(walks, self.mains, strict=True)
            return [_Seen.of(group[main], self.eps) for group, main in pairs]

        off, whole, half = (seen(part) for part in (0.0, 1.0, 0.5))
        return [
            _power(whole[at], half[at], off[at].rate) if number else None
            for at, number in enumerate(numbers)
        ]

    def _told(self, *, lr: float = 1.0, knob: float = 1.0) -> list["_Seen"]:
        walks = self._walks(LONG, lambda _, at: self._set_to(at, lr, knob))
        pairs = zip(walks, self.mains, strict=True)
        return [_Seen.of(group[main], self.eps) for group, main in pairs]

    def _decouple(self) -> list[bool]:
        """Whether each step of every weight takes lr·knob of just then."""
        kept = [knob is not None for knob in self.knobs]
        for variant in range(len(self._momenta[0])):
            try:
                walks = self._walks(SHORT, self._programmed(variant))
            except Exception:  # noqa: BLE001, S112  (a momentum that it does not take)
                continue
            for at, group in enumerate(walks):
                kept[at] &= all(self._follows(at, walk) for walk in group)
        return kept

    def _programmed(self, variant: int) -> Callable[[int, int], Options]:
        return lambda step, at: (
            self._momenta[at][variant] | self._set_to(at, *_programme(step))
        )

    def _follows(self, at: int, walk: Walk) -> bool:
        eps = grain(walk, self._grains[at])
        for step, (before, after) in enumerate(pairwise(walk)):
            lr, knob = _programme(step)
            share = self.lrs[at] * lr * self._numbers[at] * knob
            allowed = _RELATIVE * share + 4 * eps
            for weight, left in zip(before, after, strict=True):
                if not abs((weight - left) - share * weight) <= allowed * abs(weight):
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

    def _penalty(self) -> list[bool]:
        """Whether the knob does what knob·w, added to the gradient, does."""
        pairs = list(zip(self._numbers, self._signs, strict=True))
        added = [number * sign for number, sign in pairs]
        kept = [True] * len(pairs)
        for gradients in (_GRADIENTS, _AT_REST):
            inside = self._pulled(lambda _: 1.0, gradients)
            outside = self._pulled(lambda _: 0.0, gradients, added)
            for at, (group, other) in enumerate(zip(inside, outside, strict=True)):
                walks = zip(group, other, strict=True)
                kept[at] &= all(_same(a, b, self.eps) for a, b in walks)
        return kept

    def _pulled(
        self,
        knob: Callable[[int], float],
        gradients: Sequence[float] = _GRADIENTS,
        penalties: Sequence[float] | None = None,
    ) -> list[list[Walk]]:
        return self._walks(
            len(_GRADIENTS),
            lambda step, at: self._set_to(at, 1.0, knob(step)),
            gradients=gradients,
            penalties=penalties,
        )

    def _set_to(self, at: int, lr: float, knob: float) -> Options:
        name = self.knobs[at]
        turned = {} if name is None else {name: self._numbers[at] * knob}
        return {"lr": self.lrs[at] * lr} | turned

    def _at_own(self, at: int, number: float) -> Options:
        name = self.knobs[at]
        return {"lr": self.lrs[at]} | ({} if name is None else {name: number})

    def _walks(
        self,
        steps: int,
        options: Callable[[int, int], Options],
        *,
        gradients: Sequence[float] = (0.0,),
        penalties: Sequence[float] | None = None,
        point: float = POINT,
    ) -> list[list[Walk]]:
        """Watch a fresh toy whose options are set before each step."""
        # Far from zero: what an adaptive step takes, a weight must be able to lose.
        far = [value * (1 + 1e3 * max(self.lrs)) for value in START]
        toy = self._mould.toy(start=far, groups=self.groups, point=point)

        def set_them(step: int, at: int, group: Options) -> None:
            for name, value in options(step, at).items():
                set_option(group, name, value)

        return toy.watch(
            steps, before=set_them, gradients=gradients, penalties=penalties
        )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a walk tells, and a number for how much a step takes."""

    told: Told
    rate: float
    walk: Walk

    @classmethod
    def of(cls, walk: Walk, eps: float) -> "_Seen":
        told = tell(walk, eps=eps)
        if told.first is not None:
            return cls(told=told, rate=told.first, walk=walk)
        return cls(told=told, rate=math.dist(walk[-2], walk[-1]), walk=walk)


def _grain_of(lr: Option, eps: float) -> float:
    """A tensor lr makes of 1 - lr·knob a number of its own format."""
    return max(eps, torch.finfo(lr.dtype).eps) if isinstance(lr, torch.Tensor) else eps


def _programme(step: int) -> tuple[float, float]:
    """The lr and the knob of a step, as parts of the trial's."""
    lrs, knobs = _LR_PROGRAMME, _KNOB_PROGRAMME
    return lrs[step % len(lrs)], knobs[step % len(knobs)]


def _power(whole: _Seen, half: _Seen, hidden: float = 0.0) -> float | None:
    """The power with which a step follows what was halved; round where it is round."""
    if not (whole.rate > hidden and half.rate > hidden):
        return None
    power = math.log2((whole.rate - hidden) / (half.rate - hidden))
    # Amounts of adaptive steps are late ones, when they still change a little.
    near = _ROUND if whole.told.first is not None else _ROUGHLY_ROUND
    return float(round(power)) if abs(power - round(power)) < near else power


def _own(power: float | None, of_own: float | None) -> float | None:
    """Return a power that is 0 only where it is so at the group's own number too."""
    return power if power != 0 or (of_own or 0.0) < _HARDLY_FELT else of_own


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
    return math.dist(walk[0], walk[-1]) > 64 * eps * math.hypot(*walk[0]) and _near(
        walk, other, eps
    )


def _near(walk: Walk, other: Walk, eps: float) -> bool:
    """Whether two walks are one but for rounding; both may rest."""
    if not all(map(math.isfinite, (*walk[-1], *other[-1]))):
        return True  # told as what it is, by what breaks
    moved = math.dist(walk[0], walk[-1])
    apart = max(math.dist(a, b) for a, b in zip(walk, other, strict=True))
    return apart <= _RELATIVE * moved + 64 * eps * math.hypot(*walk[0])
