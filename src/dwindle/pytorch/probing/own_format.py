"""What happens to a weight in its own number format: steps may be rounded away."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import Mould, Walk, has_decay
from dwindle.pytorch.options import set_option
from dwindle.pytorch.probing.turning import LONG, Trials
from dwindle.pytorch.probing.walks import Told

# Powers of 2 are rounded alike: these lie evenly between them.
_START = tuple((-1) ** at * 2 ** (at / 16) for at in range(16))
# A weight in bfloat16 may get stuck on its way to a half, so it is watched longer.
_LONGEST = 512
# A loss of less than so many units in the last place may be one of them or two.
_UNSEEN, _ROUGHLY = 8, 0.2
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
    params = [parameter for group in options for parameter in group["params"]]
    dtypes = {each.dtype for each in params if has_decay(each)}
    if dtypes == {mould.dtype}:
        return [Own(shrink=each.shrink) for each in told]
    try:
        own = replace(Mould.of(mould.optimizer), wide=mould.wide)
    except RefusedError:
        return [Own()] * len(told)
    steps = steps_to_watch([each.shrink for each in told], dtypes)
    seen = own.toy(start=_START, groups=trials.groups).watch(steps)
    ruled = mould.toy(start=_START, groups=trials.groups)
    rule = ruled.watch(steps)
    found = [
        _own(each.shrink, seen[at][main], rule[at][main])
        for at, (each, main) in enumerate(zip(told, trials.mains, strict=True))
    ]
    # So little is lost in all these steps that it is the rounding that one would see.
    unsure = [
        bool(each.shrink) and (each.shrink or 0.0) * steps < _UNSEEN * eps
        for each, eps in zip(told, _spacings(own, trials), strict=True)
    ]
    if not any(unsure):
        return found
    wider = _keep_wider(own, mould, told, trials)
    return [
        Own(shrink=rate.shrink) if doubt and wide else each
        for each, rate, doubt, wide in zip(found, told, unsure, wider, strict=True)
    ]


def _spacings(own: Mould, trials: Trials) -> list[float]:
    """Return the relative spacing of the weight that speaks for each group."""
    weights = own.toy(groups=trials.groups).weights
    pairs = zip(weights, trials.mains, strict=True)
    return [torch.finfo(group[main].dtype).eps for group, main in pairs]


def _keep_wider(
    own: Mould, mould: Mould, told: Sequence[Told], trials: Trials
) -> list[bool]:
    """Tell per group whether a decay that its format cannot write goes on unseen.

    It does in copies that an optimizer keeps in a wider format. At another lr it is
    half of what rounding leaves, and so many steps of it must show.
    """
    toys = [each.toy(start=_START, groups=trials.groups) for each in (own, mould)]
    lrs = [
        lr * eps / 8 / (each.shrink or math.inf)
        for lr, eps, each in zip(trials.lrs, _spacings(own, trials), told, strict=True)
    ]
    seen, rule = (
        toy.watch(LONG, before=lambda _, at, group: set_option(group, "lr", lrs[at]))
        for toy in toys
    )
    pairs = [
        (_e_folds(seen[at][main]), _e_folds(rule[at][main]))
        for at, main in enumerate(trials.mains)
    ]
    return [
        bool(meant) and math.isclose(happened or 0.0, meant or 0.0, rel_tol=_ROUGHLY)
        for happened, meant in pairs
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
