"""Trials: the one place that steps copies of an optimizer; numbers come back, no texts.

What an optimizer does to a weight is seen, not read from its name. A copy makes some
steps with the options and gradients of a programme, and the entries of its weights are
written down. Where gradients pull, two copies are stepped: with opposite weights and
the same gradients. Half of their difference is what the steps leave of the weight,
however the gradients and the norm of the weights move both: a trust ratio, an adaptive
step and the noise of an update are the same in both and cancel; a decay is not.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import torch
from torch import Tensor
from torch.optim import Optimizer

from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import POINT, START, Mould, Toy, Walk
from dwindle.pytorch.options import Option, Options, lr_of, set_option

# Walks are float64 numbers of Python, and stay so.
_WIDE = partial(torch.tensor, dtype=torch.float64)
# Thirds: a step in float64 leaves numbers that float32 does not have.
_NO_FLOAT32 = (1 / 3, -2 / 3, 4 / 3, 5 / 3)


@dataclass(frozen=True, kw_only=True)
class Programme:
    """What happens in a trial.

    Args:
        steps: How many.
        options: Those that are set before a step, by its number and that of the group.
        gradients: Value of every entry, step by step, over and over.
        penalties: For each group, how much of a weight its gradient gets on top.
        start: Entries of each weight.
        point: How far away the bystanders are drawn; they change sign every few steps.
        restarts: Whether each step begins with the weights of the start again, so that
            what one step did to them does not hide what the next one does.
        prepare: Called with the fresh copy, as to attach hooks.

    """

    steps: int
    options: Callable[[int, int], Options] = lambda _step, _at: {}
    gradients: Sequence[float | None] = (0.0,)
    penalties: Sequence[float] | None = None
    start: Sequence[float] = START
    point: float = POINT
    restarts: bool = False
    prepare: Callable[[Optimizer], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """The share that a weight kept, a mean over its entries, and the predicted one."""

    left: float
    expected: float


class Trials:
    """Copies of one optimizer, in one number format, stepped by programmes.

    They have the param groups of these numbers, ``None`` for all, with an lr above 0
    that each works with, now or at its peak (``lrs``).
    """

    def __init__(self, mould: Mould, *, groups: Sequence[int] | None = None) -> None:
        every = mould.optimizer.param_groups
        self.mould = mould
        self.groups = range(len(every)) if groups is None else groups
        self.options = [every[at] for at in self.groups]
        self.lrs = [lr_of(each) for each in self.options]

    @classmethod
    def of(cls, optimizer: object) -> Self:
        """Make trials of an optimizer's rule: in float64, or in what it computes in."""
        return cls(rule_mould(optimizer))

    @cached_property
    def weights(self) -> list[list[Tensor]]:
        """Weights of a copy: one for each kind of parameter, group by group."""
        return Toy(self.mould, groups=self.groups).weights

    @cached_property
    def mains(self) -> list[int]:
        """The weight that stands for each group: that of most dimensions."""
        # Matrices are what decays in practice; some optimizers treat vectors otherwise.
        sizes = [
            [(each.ndim, each.numel()) for each in group] for group in self.weights
        ]
        return [group.index(max(group)) if group else 0 for group in sizes]

    @property
    def spacing(self) -> float:
        """Relative spacing of the numbers that the copies are made of."""
        return torch.finfo(self.mould.dtype or torch.float32).eps

    @cached_property
    def spacings(self) -> list[float]:
        """Relative spacing of the numbers that each group decays in.

        A tensor lr makes of ``1 - lr * weight_decay`` a number of the format of lr.
        """
        found = []
        for group, mine in zip(self.options, self.weights, strict=True):
            lr: Option = group.get("lr")
            is_float = isinstance(lr, Tensor) and lr.is_floating_point()
            dtypes = [each.dtype for each in (*mine, *([lr] if is_float else []))]
            found.append(max((torch.finfo(d).eps for d in dtypes), default=0.0))
        return found

    def walks(self, programme: Programme) -> list[list[Walk]]:
        """Return the entries of every weight of a copy, after 0, 1, … steps."""
        seen, start = len(programme.start), programme.start
        toy = Toy(self.mould, start=start, groups=self.groups, point=programme.point)
        programme.prepare(toy.optimizer)
        starts = [[each.detach().clone() for each in group] for group in toy.weights]
        weights = [weight for group in toy.weights for weight in group]
        rows = [[entries_of(weight, seen)] for weight in weights]

        def before(step: int, at: int, group: Options) -> None:
            for name, value in programme.options(step, at).items():
                set_option(group, name, value)
            if programme.restarts:
                for weight, start in zip(toy.weights[at], starts[at], strict=True):
                    weight.detach().copy_(start)

        def write_down() -> None:
            for weight, row in zip(weights, rows, strict=True):
                row.append(entries_of(weight, seen))

        toy.go(
            programme.steps,
            before=before,
            gradients=programme.gradients,
            penalties=programme.penalties,
            after=write_down,
        )
        # At once: on a GPU each reading would wait for the device.
        walks: Iterator[Walk] = (
            torch.stack(row).double().reshape(len(row), -1).tolist() for row in rows
        )
        return [[next(walks) for _ in group] for group in toy.weights]

    def left(self, programme: Programme) -> list[list[Walk]]:
        """Return half of the difference of two copies with opposite weights.

        It is what the steps leave of the weights under any gradients.
        """
        opposite = replace(programme, start=[-each for each in programme.start])
        pairs = zip(self.walks(programme), self.walks(opposite), strict=True)
        return [
            [((_WIDE(a) - _WIDE(b)) / 2).tolist() for a, b in zip(*pair, strict=True)]
            for pair in pairs
        ]

    def follows(
        self,
        programme: Programme,
        kept: Sequence[Sequence[float]],
        *,
        room: Sequence[Sequence[float]],
    ) -> list[Deviation | None]:
        """Compare what is left of each group's weights with a prediction.

        Args:
            programme: What the copies do.
            kept: For each group the share that is left of its weights after each step.
            room: For each group how far that share may be off, after each step.

        """
        # At rest one copy is enough: nothing but the decay moves it.
        pulled = any(programme.gradients)
        walks = self.left(programme) if pulled else self.walks(programme)
        return [
            next(filter(None, (_deviation(walk, *each) for walk in group)), None)
            for group, *each in zip(walks, kept, room, strict=True)
        ]


def rule_mould(optimizer: object) -> Mould:
    """Return a mould to measure the rule: in float64, or float32 where it must.

    Some libraries take float64 weights and compute in float32; some kernels know the
    format of their weights only.
    """
    # In float64 a decay of 1e-8 per step still shows eight digits.
    try:
        mould = Mould.of(optimizer, dtype=torch.float64)
    except RefusedError:
        try:
            return Mould.of(optimizer, dtype=torch.float32)
        except RefusedError:
            return Mould.of(optimizer)
    toy = Toy(mould, start=_NO_FLOAT32)
    toy.step(gradient=0.5)
    after = [weight for group in toy.weights for weight in group]
    return replace(mould, dtype=torch.float32) if are_float32(after) else mould


def are_float32(weights: Sequence[Tensor]) -> bool:
    """Return whether float64 weights after a step are all numbers that float32 has.

    Then a library, or its kernel, computed in float32 in spite of their format: what
    float64 computes does not fit.
    """
    bare = [weight.detach() for weight in weights]
    return bool(bare) and all(
        weight.dtype == torch.float64 and torch.equal(weight, weight.float().double())
        for weight in bare
    )


def entries_of(weight: Tensor, most: int) -> Tensor:
    """Return a copy of the first entries of a weight, of complex ones both parts."""
    bare = weight.detach()
    if bare.numel() > most:  # of a wide one
        bare = bare.flatten()[:most]
    return (torch.view_as_real(bare) if bare.is_complex() else bare).clone()


def _deviation(
    walk: Walk, kept: Sequence[float], room: Sequence[float]
) -> Deviation | None:
    for row, expected, allowed in zip(walk[1:], kept, room, strict=True):
        shares = [now / was for now, was in zip(row, walk[0], strict=True)]
        # Not "any(… > allowed)": what is no number must deviate, too.
        if not all(abs(each / expected - 1) <= allowed for each in shares):
            ends = [now / was for now, was in zip(walk[-1], walk[0], strict=True)]
            return Deviation(left=sum(ends) / len(ends), expected=kept[-1])
    return None


def e_folds(walks: Sequence[Walk]) -> float:
    """Return the mean e-folds of all entries; one that turned its sign is no number."""
    kept = [
        now / was for walk in walks for was, now in zip(walk[0], walk[-1], strict=True)
    ]
    if not all(each > 0 for each in kept):
        return math.nan
    return math.fsum(-math.log(each) for each in kept) / max(len(kept), 1)
