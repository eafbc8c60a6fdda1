"""All that trials on copies of an optimizer tell about each of its groups."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch.optim import Optimizer

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import Mould, Walk, has_decay
from dwindle.pytorch.options import Option, decay_option, number_of, options_key
from dwindle.pytorch.probing.measured import Measured
from dwindle.pytorch.probing.own_format import in_own_format
from dwindle.pytorch.probing.turning import LONG, Trials, Turned
from dwindle.pytorch.probing.walks import Told, tell

# Families whose step is linear in the weight: a penalty of theirs is SGD's.
_OF_SGD = {"geometric", "delayed", "oscillating"}
_SAME = 1e-6
# Thirds: a step in float64 leaves numbers that float32 does not have.
_NO_FLOAT32 = (1 / 3, -2 / 3, 4 / 3, 5 / 3)
_TURN = "Its step must take any lr, weight_decay and momentum set in param_groups."
_STEPS = "It must step as often as asked, with a gradient of zero too."

_Likeness = tuple[str, frozenset[object]]


def measure(mould: Mould) -> list[Measured]:
    """Measure all groups of an optimizer, on copies that a mould casts.

    Groups with the same options and kinds of parameters are measured once.

    Raises:
        RefusedError: If a copy fails under other options.

    """
    groups = mould.optimizer.param_groups
    alike = [_likeness(group) for group in groups]
    first = {like: alike.index(like) for like in alike if like}
    if not first:
        return [Measured(group=at) for at in range(len(groups))]
    seen = dict(zip(first, _measured_groups(mould, [*first.values()]), strict=True))
    unmoved = {like: first[like] for like, each in seen.items() if _finds_nothing(each)}
    if unmoved:  # or it is wide matrices alone that decay
        wide = _measured_groups(replace(mould, wide=True), [*unmoved.values()])
        seen |= dict(zip(unmoved, wide, strict=True))
    return [
        replace(seen[like], group=at) if like else Measured(group=at)
        for at, like in enumerate(alike)
    ]


def _measured_groups(mould: Mould, groups: Sequence[int]) -> list[Measured]:
    trials = Trials(mould, groups=groups)
    try:
        return [*_all_of(mould, trials, groups)]
    except Exception as error:
        raise _refused(trials, type(mould.optimizer).__name__, error) from error


def _finds_nothing(seen: Measured) -> bool:
    """Whether a decay is typed, and neither that number nor another does anything."""
    return bool(seen.number) and bool(seen.lr) and not seen.works


def _refused(trials: Trials, name: str, error: Exception) -> RefusedError:
    """Tell a copy that fails as it is from one that fails under other options."""
    asked = f"What {name} does to a weight"
    try:
        trials.as_it_is()
    except Exception as alone:  # noqa: BLE001  (other people's code: anything)
        why = f"A copy of it fails within {LONG} steps: {alone!r}."
        return RefusedError(asked, why, _STEPS)
    why = f"A copy of it fails under another lr or knob: {error!r}."
    return RefusedError(asked, why, _TURN)


def rule_mould(optimizer: Optimizer) -> Mould:
    """Return a mould for looking at the rule: in float64, or float32 where it must.

    Raises:
        RefusedError: If no copy of the optimizer makes a step.

    """
    try:
        mould = Mould.of(optimizer, dtype=torch.float64)
    except RefusedError:
        return Mould.of(optimizer, dtype=torch.float32)
    if _steps_in_float32(mould):
        return Mould.of(optimizer, dtype=torch.float32)
    return mould


def _steps_in_float32(mould: Mould) -> bool:
    """Whether a library takes float64 weights and computes in float32, as some do."""
    toy = mould.toy(start=_NO_FLOAT32)
    toy.step(gradient=0.5)
    after = [weight.detach() for group in toy.weights for weight in group]
    return bool(after) and all(
        weight.dtype == torch.float64 and torch.equal(weight, weight.float().double())
        for weight in after
    )


def _likeness(group: Mapping[str, Option]) -> _Likeness | None:
    """What groups have in common that decay alike; None where none does."""
    params = filter(has_decay, group["params"])
    kinds = frozenset((p.ndim, p.dtype, p.device.type) for p in params)
    return (options_key(group), kinds) if kinds else None


def _all_of(mould: Mould, trials: Trials, groups: Iterable[int]) -> Iterator[Measured]:
    walks, off, turned = trials.as_it_is(), trials.without_knob(), trials.turned()
    rules = [_rules(each, trials.eps) for each in walks]
    adapts = trials.adapts(walks)
    mains = [
        Told(family="other", first=rule[main].first) if own else rule[main]
        for rule, main, own in zip(rules, trials.mains, adapts, strict=True)
    ]
    own = in_own_format(mould, mains, trials=trials)
    for nth, at in enumerate(groups):
        hidden = _first_share(off[nth][trials.mains[nth]])
        yield _measured(
            mould.optimizer.param_groups[at],
            mains[nth],
            turned[nth],
            group=at,
            measured_shrink=own[nth].shrink,
            breaks=own[nth].breaks,
            adapts=adapts[nth],
            hidden=hidden,
            hidden_by=trials.hidden_by(nth) if hidden else None,
            uneven=not adapts[nth]
            and not all(_agree(mains[nth], each) for each in rules[nth]),
        )


def _rules(walks: Sequence[Walk], eps: float) -> list[Told]:
    return [tell(walk, eps=eps) for walk in walks]


def _agree(one: Told, other: Told) -> bool:
    same = math.isclose(one.shrink or 0.0, other.shrink or 0.0, rel_tol=_SAME)
    return one.family == other.family and same


def _first_share(walk: Walk) -> float:
    """Share of the weight that a first step takes, over all entries."""
    pairs = list(zip(walk[0], walk[1], strict=True))
    return math.fsum((was - now) / was for was, now in pairs) / len(pairs)


def _measured(
    options: Mapping[str, Option],
    told: Told,
    turned: Turned,
    **more: Option,
) -> Measured:
    knob = decay_option(options)
    # Without momentum both are one; a knob that decouples is the better news.
    of_sgd = turned.is_penalty and turned.told.family in _OF_SGD
    of_sgd &= not turned.decouples
    return Measured(
        lr=number_of(options.get("lr")),
        number=None if knob is None else number_of(options[knob]),
        family=told.family,
        shrink_per_step=told.shrink,
        first_step_shrink=told.first,
        last_step_shrink=told.last,
        amount_per_step=told.amount,
        period_steps=told.period,
        half_life_steps=_half_life(told.shrink),
        dtype=_dtype(options),
        knob=knob,
        works=turned.works,
        decouples=turned.decouples,
        driven=turned.driven,
        coupled_sgd=of_sgd and turned.knob_power == 1 and turned.lr_power == 1,
        knob_family=turned.told.family,
        lr_power=turned.lr_power,
        knob_power=turned.knob_power,
        per_lr=turned.per_lr,
        **more,
    )


def _dtype(options: Mapping[str, Option]) -> str:
    params = filter(has_decay, options["params"])
    main = max(params, key=lambda parameter: parameter.ndim)
    return str(main.dtype).removeprefix("torch.")


def _half_life(shrink: float | None) -> float | None:
    return half_life_from_shrink(shrink) if shrink and 0 < shrink < 1 else None
