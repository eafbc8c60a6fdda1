"""What happens to a weight in its own number format: steps may be rounded away."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import Mould, Walk
from dwindle.pytorch.probing.trials import LONG, Trials
from dwindle.pytorch.probing.walks import Told

# Powers of 2 are rounded alike: these lie evenly between them.
_START = tuple((-1) ** at * 2 ** (at / 16) for at in range(16))
# A weight in bfloat16 may get stuck on its way to a half, so it is watched longer.
_LONGEST = 512
_NARROW = 1e-4  # relative spacing of formats in which that happens


def steps_to_watch(shrinks: Sequence[float | None], dtypes: set[torch.dtype]) -> int:
    """Return how long to watch: until a half is left, in narrow formats only."""
    widest = max((torch.finfo(dtype).eps for dtype in dtypes), default=0.0)
    slowest = min((shrink for shrink in shrinks if shrink), default=1.0)
    if widest < _NARROW:
        return LONG
    return min(_LONGEST, max(LONG, math.ceil(math.log(2) / slowest)))


@dataclass(frozen=True, kw_only=True)
class Own:
    """What happens to a group in its own format.

    Args:
        shrink: Share per step; None where there is none, or it could not be seen.
        breaks: Whether weights without gradient become NaN or infinite.

    """

    shrink: float | None = None
    breaks: bool = False


def in_own_format(mould: Mould, told: Sequence[Told], *, trials: Trials) -> list[Own]:
    """Measure the shrink per step of each group in the format of its parameters.

    The decay over some steps is compared with that of the rule over as many, so that a
    momentum that builds up is in both.

    Args:
        mould: Casts toys of the rule, in the format of the trials.
        told: What the rule does, group by group.
        trials: Have the groups, and which of their weights speak for them.

    """
    options = [mould.optimizer.param_groups[at] for at in trials.groups]
    dtypes = {parameter.dtype for group in options for parameter in group["params"]}
    if dtypes == {mould.dtype}:
        return [Own(shrink=each.shrink) for each in told]
    try:
        own = Mould.of(mould.optimizer)
    except RefusedError:
        return [Own()] * len(told)
    steps = steps_to_watch([each.shrink for each in told], dtypes)
    seen = own.toy(start=_START, groups=trials.groups).watch(steps)
    ruled = mould.toy(start=_START, groups=trials.groups)
    rule = ruled.watch(steps)
    return [
        _own(each.shrink, seen[at][main], rule[at][main])
        for at, (each, main) in enumerate(zip(told, trials.mains, strict=True))
    ]


def _own(shrink: float | None, seen: Walk, rule: Walk) -> Own:
    """The rule's shrink times the part of its e-folds that was seen."""
    if not all(math.isfinite(entry) for entry in seen[-1]):
        return Own(breaks=True)
    if not shrink:
        return Own(shrink=shrink)
    happened, meant = _e_folds(seen), _e_folds(rule)
    if happened is None or not meant:
        return Own()
    return Own(shrink=shrink * happened / meant if happened else 0.0)


def _e_folds(walk: Walk) -> float | None:
    kept = [after / before for before, after in zip(walk[0], walk[-1], strict=True)]
    if min(kept) <= 0:
        return None
    return -math.fsum(map(math.log, kept)) / len(kept)
