"""Knob trials: what lr, weight_decay and momentum of a group do, seen by turning them.

Names are not believed. Each trial is a copy whose lr, knob and momentum are set as it
wants; what is left of its weights is compared with what a decoupled decay, or a penalty
in the loss, would have left.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from operator import mul

from dwindle.pytorch.copying.toy import START, Walk
from dwindle.pytorch.options import (
    Options,
    decay_option,
    number_of,
    other_decays,
    other_momenta,
)
from dwindle.pytorch.probing.group_probe import LONG, GroupProbe
from dwindle.pytorch.probing.patterns import Pattern, pattern_of
from dwindle.pytorch.trials import Programme, Trials

# A trial takes about this share per step: far above rounding, far below the swing of
# momentum; and no rule that leaves the lr out takes more than a tenth.
_SHARE, _MOST = 1e-3, 0.1
SHORT = 16  # steps: three rounds of a Lookahead of five
# Lookaheads come back every five or six steps: lr and knob change within that time.
_LR_PROGRAMME = (1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 1.0)
_KNOB_PROGRAMME = (1.0, 0.5, 0.5, 1.0, 0.3)
# The sign turns, and one is a hundred times the others: see ``_MOMENTS``.
_GRADIENTS, _AT_REST = (1e-3, -1e-3, 0.1, -1e-3, 1e-3), (0.0,)
# Where the bystanders are drawn to beside the usual point, to see whether it matters.
_OTHER_POINT = 0.3
_RELATIVE = 1e-6  # what the controller promises
# Steps that are tried with a decay: after a gradient turned, and when one is large.
_MOMENTS = (1, 2)
# A proximal decay, and one after the update instead of before it, differ by less; one
# that goes by the gradient's sign, or by its size, differs by all of itself or by much.
_NEARLY = 0.02
# Below this power half a number takes a tenth less at most: it nearly cancels.
_HARDLY_FELT = 0.2
# A power this near to a whole number is that number; late amounts still change.
_ROUND, _ROUGHLY_ROUND = 1e-2, 0.1
# Every step of these takes the share that the first one takes, or lets it build up from
# there: a few steps show the first share as well as many do.
_FIRST_SHARE_SHOWS = frozenset({"none", "geometric", "delayed"})
# Shapes of a step that is linear in the weight: a penalty of theirs is SGD's.
_OF_SGD = frozenset({"geometric", "delayed", "oscillating"})


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A walk, its pattern, and a number for how much a step takes."""

    pattern: Pattern
    rate: float
    walk: Walk

    @classmethod
    def of(cls, walk: Walk, spacing: float) -> "_Seen":
        pattern = pattern_of(walk, eps=spacing)
        late = math.dist(walk[-2], walk[-1])
        rate = late if pattern.first is None else pattern.first
        return cls(pattern=pattern, rate=rate, walk=walk)

    @property
    def rests(self) -> bool:
        """Whether no step changed anything."""
        return self.walk[0] == self.walk[-1]


class KnobTrials:
    """Trials of one optimizer, with lr and knob of each group as one of them wants."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        self.knobs = [decay_option(each) for each in trials.options]
        self._numbers = [min(_MOST, _SHARE / lr) for lr in trials.lrs]
        self._shares = [
            lr * number for lr, number in zip(trials.lrs, self._numbers, strict=True)
        ]
        # Far from zero: what an adaptive step takes, a weight must be able to lose.
        far = 1 + 1e3 * max(trials.lrs)
        self._few = Programme(steps=SHORT, start=[far * each for each in START])
        self._many = replace(self._few, steps=LONG)

    def as_it_is(self) -> list[list[Walk]]:
        """Walk with all options as they are."""
        return self._trials.walks(self._many)

    def adapts(self, walks: Sequence[Sequence[Walk]]) -> list[bool]:
        """Return per group whether the gradients of other weights change its walk.

        An optimizer that finds its lr itself (D-Adaptation, Prodigy) finds it there.
        """
        others = self._trials.walks(replace(self._many, point=_OTHER_POINT))
        return [
            not all(map(self._near, mine, theirs))
            for mine, theirs in zip(walks, others, strict=True)
        ]

    def turned(self, seen: Sequence[GroupProbe]) -> list[GroupProbe]:
        """Turn the knob of every group, one way after another, and add what it did."""
        many, few = self._many, self._few
        whole = self._seen(many, self._set_to(1.0, 1.0))
        off = self._seen(few, self._set_to(1.0, 0.0))
        hidden = [0.0] * len(off)
        if not all(each.rests for each in off):  # amounts are compared late
            off, hidden = self._seen(many, self._set_to(1.0, 0.0)), self._hidden()
        shows = all(each.pattern.shape in _FIRST_SHARE_SHOWS for each in whole)
        half_lr = self._seen(few if shows else many, self._set_to(0.5, 1.0))
        half_knob = self._seen(few if shows else many, self._set_to(1.0, 0.5))
        driven = self._driven()
        decouples = [a and b for a, b in zip(self._decouple(), driven, strict=True)]
        knob_powers = self._knob_powers(whole, half_knob, off)
        lr_powers = [_power(*pair) for pair in zip(whole, half_lr, strict=True)]
        # Without momentum a penalty of SGD decouples, which is the better news.
        is_sgds = [
            not fine and each.pattern.shape in _OF_SGD and one == other == 1
            for fine, each, one, other in zip(
                decouples, whole, knob_powers, lr_powers, strict=True
            )
        ]
        penalty = self._penalty() if any(is_sgds) else [False] * len(is_sgds)
        return [
            replace(
                known,
                works=any(a != b for a, b in zip(whole[at].walk, off[at].walk)),  # noqa: B905 the shorter counts
                decouples=decouples[at],
                driven=driven[at],
                coupled_sgd=is_sgds[at] and penalty[at],
                knob_walk=whole[at].pattern.shape,
                lr_power=lr_powers[at],
                knob_power=knob_powers[at],
                per_lr=None
                if whole[at].pattern.first is None or self.knobs[at] is None
                else (whole[at].rate - off[at].rate) / self._shares[at],
                hidden=hidden[at],
                hidden_by=self._hidden_by(at) if hidden[at] else None,
            )
            for at, known in enumerate(seen)
        ]

    def _seen(
        self, programme: Programme, options: Callable[[int, int], Options]
    ) -> list[_Seen]:
        """Return what the weight that stands for each group does."""
        walks = self._trials.walks(replace(programme, options=options))
        mains = zip(walks, self._trials.mains, strict=True)
        spacing = self._trials.spacing
        return [_Seen.of(group[main], spacing) for group, main in mains]

    def _hidden(self) -> list[float]:
        """Return what a first step takes off each group with the knob at 0."""
        # A push, as of the random velocity that Gravity begins with, moves opposite
        # weights the same way, and is no decay.
        first = replace(self._few, steps=1, options=self._set_to(1.0, 0.0))
        pairs = zip(self._trials.left(first), self._trials.mains, strict=True)
        shares = []
        for start, end in (group[main] for group, main in pairs):
            gone = [(was - now) / was for was, now in zip(start, end, strict=True)]
            share = math.fsum(gone) / len(gone)
            shares.append(share if abs(share) > 4 * self._trials.spacing else 0.0)
        return shares

    def _hidden_by(self, at: int) -> str | None:
        """Find the option of a group that sets the decay that the knob leaves."""
        at_0 = self._set_to(1.0, 0.0)
        for name in other_decays(self._trials.options[at]):

            def options(step: int, group: int, extra: str = name) -> Options:
                return at_0(step, group) | {extra: 0.0}

            try:
                group = self._trials.walks(replace(self._few, options=options))[at]
            except Exception:  # noqa: BLE001, S112  (an option that must not be 0)
                continue
            if all(row == walk[0] for walk in group for row in walk):
                return name
        return None

    def _knob_powers(
        self, whole: Sequence[_Seen], half: Sequence[_Seen], off: Sequence[_Seen]
    ) -> list[float | None]:
        """Return how a step follows the knob."""
        # Where it does not follow the trial's, the group's own number is tried, too.
        # That is far smaller: beside the trial's an eps of the optimizer hardly counts,
        # which may be more than the whole decay of a small one.
        powers = [
            _power(a, b, c.rate) for a, b, c in zip(whole, half, off, strict=True)
        ]
        pairs = zip(self.knobs, self._trials.options, strict=True)
        numbers = [number_of(each.get(str(name))) or 0.0 for name, each in pairs]
        cancels = [
            power == 0 and number > 0
            for power, number in zip(powers, numbers, strict=True)
        ]
        if not any(cancels):
            return powers
        own, less = (
            self._seen(self._many, self._at([part * each for each in numbers]))
            for part in (1.0, 0.5)
        )
        found = [_power(a, b, c.rate) for a, b, c in zip(own, less, off, strict=True)]
        return [
            mine if cancel and (mine or 0.0) >= _HARDLY_FELT else power
            for power, mine, cancel in zip(powers, found, cancels, strict=True)
        ]

    def _decouple(self) -> list[bool]:
        """Whether each step of every weight takes lr·knob of just then."""
        course = _programme(SHORT)
        kept = [
            [*accumulate((1 - share * lr * knob for lr, knob in course), mul)]
            for share in self._shares
        ]
        room = [
            [_RELATIVE * (1 - left) + 4 * spacing * n for n, left in enumerate(mine, 1)]
            for mine, spacing in zip(kept, self._trials.spacings, strict=True)
        ]
        fine = [knob is not None for knob in self.knobs]
        for variant, options in enumerate(self._programmed()):
            try:
                found = self._trials.follows(
                    replace(self._few, options=options), kept, room=room
                )
            except Exception:
                if not variant:
                    raise
                continue  # a momentum that it does not take
            fine = [a and b is None for a, b in zip(fine, found, strict=True)]
        return fine

    def _programmed(self) -> Iterator[Callable[[int, int], Options]]:
        """Yield the programme of lr and knob with the momentum as it is and others."""
        course = _programme(SHORT)
        momenta = [({}, *other_momenta(each)) for each in self._trials.options]
        seen: list[list[Options]] = []
        for variant in zip(*momenta, strict=True):
            if [*variant] in seen:
                continue
            seen.append([*variant])

            def options(
                step: int, at: int, mine: Sequence[Options] = variant
            ) -> Options:
                return mine[at] | self._set_to(*course[step])(step, at)

            yield options

    def _driven(self) -> list[bool]:
        """Whether a weight that a gradient pulls at decays as much as one at rest."""
        # The knob is on in one step only, for a momentum would spread it over many; and
        # that step begins where all began, for steps that go by the norm of the weights
        # must be as long in both copies.
        kept = [True] * len(self.knobs)
        for moment in _MOMENTS:

            def options(step: int, at: int, when: int = moment) -> Options:
                return self._set_to(1.0, float(step == when))(step, at)

            programme = replace(
                self._few,
                steps=moment + 1,
                gradients=_GRADIENTS,
                options=options,
                restarts=True,
            )
            for at, group in enumerate(self._trials.left(programme)):
                share = self._shares[at]
                kept[at] &= all(
                    abs(1 - now / was - share) <= _NEARLY * share
                    for walk in group
                    for was, now in zip(walk[0], walk[-1], strict=True)
                )
        return kept

    def _penalty(self) -> list[bool]:
        """Whether the knob does what knob·w, added to the gradient, does."""
        signs = [-1 if each.get("maximize") else 1 for each in self._trials.options]
        added = [n * sign for n, sign in zip(self._numbers, signs, strict=True)]
        kept = [True] * len(signs)
        for gradients in (_GRADIENTS, _AT_REST):
            pulled = replace(self._few, steps=len(_GRADIENTS), gradients=gradients)
            inside = replace(pulled, options=self._set_to(1.0, 1.0))
            outside = replace(pulled, options=self._set_to(1.0, 0.0), penalties=added)
            both = (self._trials.walks(inside), self._trials.walks(outside))
            for at, (group, other) in enumerate(zip(*both, strict=True)):
                kept[at] &= all(map(partial(self._near, may_rest=False), group, other))
        return kept

    def _set_to(self, lr: float, knob: float) -> Callable[[int, int], Options]:
        return self._at([number * knob for number in self._numbers], lr)

    def _at(
        self, numbers: Sequence[float], lr: float = 1.0
    ) -> Callable[[int, int], Options]:
        """Return the options of a trial: each group's lr times a part, and its knob."""

        def options(_: int, at: int) -> Options:
            name = self.knobs[at]
            turned = {} if name is None else {name: numbers[at]}
            return {"lr": self._trials.lrs[at] * lr} | turned

        return options

    def _near(self, walk: Walk, other: Walk, *, may_rest: bool = True) -> bool:
        """Whether two walks are one but for rounding."""
        # 64 steps, each rounded once.
        noise = 64 * self._trials.spacing * math.hypot(*walk[0])
        moved = math.dist(walk[0], walk[-1])
        if not may_rest and not moved > noise:
            return False
        if not all(map(math.isfinite, (*walk[-1], *other[-1]))):
            return True  # reported as what it is, by what breaks
        apart = max(math.dist(a, b) for a, b in zip(walk, other, strict=True))
        return apart <= _RELATIVE * moved + noise


def _programme(steps: int) -> list[tuple[float, float]]:
    """The lr and the knob of each step, as parts of the trial's."""
    lrs, knobs = _LR_PROGRAMME, _KNOB_PROGRAMME
    return [(lrs[step % len(lrs)], knobs[step % len(knobs)]) for step in range(steps)]


def _power(whole: _Seen, half: _Seen, hidden: float = 0.0) -> float | None:
    """The power with which a step follows what was halved; round where it is round."""
    if not (whole.rate > hidden and half.rate > hidden):
        return None
    power = math.log2((whole.rate - hidden) / (half.rate - hidden))
    # Amounts of adaptive steps are late ones, when they still change a little.
    near = _ROUND if whole.pattern.first is not None else _ROUGHLY_ROUND
    return float(round(power)) if abs(power - round(power)) < near else power
