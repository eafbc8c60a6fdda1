"""Measuring: all that trials on copies of an optimizer show of each of its groups."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import START, Mould, Walk, has_decay
from dwindle.pytorch.options import (
    Group,
    Options,
    decay_option,
    number_of,
    options_key,
)
from dwindle.pytorch.probing.group_probe import LONG, GroupProbe
from dwindle.pytorch.probing.knob_trials import KnobTrials
from dwindle.pytorch.probing.patterns import Pattern, pattern_of
from dwindle.pytorch.refusals import refused
from dwindle.pytorch.trials import Programme, Trials, e_folds

_SAME = 1e-6  # as in ``patterns``: rates that a library keeps in float32
# Powers of 2 are rounded alike: these lie evenly between them.
_EVENLY = tuple((-1) ** at * 2 ** (at / 16) for at in range(16))
# A weight in bfloat16 may get stuck on its way to a half, so it is watched longer.
_LONGEST = 512
_NARROW = 1e-4  # relative spacing of formats in which that happens
# A loss of less than so many units in the last place may be one of them or two.
_UNSEEN, _ROUGHLY = 8, 0.2
# A step by the size of the weight: so little decay that it shows the gradient alone,
# but not 0, which switches off some trust ratios.
_HARDLY_ANY, _GRADIENT, _TWICE, _NEARLY = 1e-12, 0.5, 2.0, 0.1

_Likeness = tuple[str, frozenset[object]]
# Fields of a probe: ``measured_shrink`` where it could be seen, and ``breaks``.
_Stored = dict[str, Any]


def measure(mould: Mould) -> list[GroupProbe]:
    """Measure all groups of an optimizer, on copies that a mould casts.

    Groups with the same options and kinds of parameters are measured once.
    """
    groups = mould.optimizer.param_groups
    alike: list[_Likeness | None] = []  # None of a group in which nothing decays
    for group in groups:
        params = filter(has_decay, group["params"])
        kinds = frozenset((p.ndim, p.dtype, p.device.type) for p in params)
        alike.append((options_key(group), kinds) if kinds else None)
    first = {like: alike.index(like) for like in alike if like}
    if not first:
        return [GroupProbe(group=at) for at in range(len(groups))]
    seen = dict(zip(first, _measured(mould, [*first.values()]), strict=True))
    unmoved = {
        like: first[like]
        for like, each in seen.items()
        if each.number and each.lr and not each.works
    }
    if unmoved:  # or it is wide matrices alone that decay
        wide = _measured(replace(mould, wide=True), [*unmoved.values()])
        seen |= dict(zip(unmoved, wide, strict=True))
    return [
        replace(seen[like], group=at) if like else GroupProbe(group=at)
        for at, like in enumerate(alike)
    ]


def _measured(mould: Mould, groups: Sequence[int]) -> list[GroupProbe]:
    trials = Trials(mould, groups=groups)
    try:
        return _all_of(trials)
    except Exception as error:
        raise _refused(trials, error) from error


def _refused(trials: Trials, error: Exception) -> RefusedError:
    """Return the error for a copy that fails as it is, or under other options only."""
    name = type(trials.mould.optimizer).__name__
    try:
        KnobTrials(trials).as_it_is()
    except Exception as alone:  # noqa: BLE001  (other people's code: anything)
        return refused("fails-as-it-is", optimizer=name, steps=LONG, error=alone)
    return refused("fails-when-turned", optimizer=name, error=error)


def _all_of(trials: Trials) -> list[GroupProbe]:
    experiments = KnobTrials(trials)
    walks = experiments.as_it_is()
    adapts = experiments.adapts(walks)
    patterns = [
        [pattern_of(walk, eps=trials.spacing) for walk in group] for group in walks
    ]
    mains = [
        Pattern(shape="other", first=rules[main].first) if own else rules[main]
        for rules, main, own in zip(patterns, trials.mains, adapts, strict=True)
    ]
    seen = experiments.turned(
        [
            _group_probe(options, main, at=at)
            for at, options, main in zip(
                trials.groups, trials.options, mains, strict=True
            )
        ]
    )
    # A rule that is known needs no steps to compare with.
    known = [
        each.walk == "none" or (each.walk == "geometric" and each.decouples)
        for each in seen
    ]
    stored = _as_stored(trials, mains, known=all(known))
    return [
        replace(
            each,
            **stored[at],
            adapts=adapts[at],
            uneven=not adapts[at]
            and not all(
                mains[at].shape == other.shape
                and math.isclose(
                    mains[at].shrink or 0.0, other.shrink or 0.0, rel_tol=_SAME
                )
                for other in patterns[at]
            ),
        )
        for at, each in enumerate(seen)
    ]


def _group_probe(options: Group, pattern: Pattern, *, at: int) -> GroupProbe:
    """Return what a group of that number does with its options as they are."""
    knob, shrink = decay_option(options), pattern.shrink
    main = max(filter(has_decay, options["params"]), key=lambda each: each.ndim)
    has_half_life = shrink is not None and 0 < shrink < 1
    return GroupProbe(
        group=at,
        lr=number_of(options.get("lr")),
        number=None if knob is None else number_of(options[knob]),
        walk=pattern.shape,
        shrink_per_step=shrink,
        first_step_shrink=pattern.first,
        last_step_shrink=pattern.last,
        amount_per_step=pattern.amount,
        period_steps=pattern.period,
        half_life_steps=half_life_from_shrink(shrink or 0.0) if has_half_life else None,
        dtype=str(main.dtype).removeprefix("torch."),
        knob=knob,
    )


def _as_stored(
    trials: Trials, patterns: Sequence[Pattern], *, known: bool
) -> list[_Stored]:
    """Measure the shrink per step of each group in the format of its parameters."""
    # The decay over some steps is compared with that of the rule over as many, so that
    # a momentum that builds up is in both. Where the rule is known, its share of each
    # step gives that.
    params = [each for group in trials.options for each in group["params"]]
    dtypes = {each.dtype for each in params if has_decay(each)}
    if dtypes == {trials.mould.dtype}:
        return [{"measured_shrink": each.shrink} for each in patterns]
    own = Trials(replace(trials.mould, dtype=None), groups=trials.groups)
    slowest = min((each.shrink for each in patterns if each.shrink), default=1.0)
    steps = LONG
    if max(own.spacings) >= _NARROW:  # until a half is left
        steps = min(_LONGEST, max(LONG, math.ceil(math.log(2) / slowest)))
    watched = Programme(steps=steps, start=_EVENLY)
    try:
        seen = _mains(own, watched)
    except Exception:  # noqa: BLE001  a kernel that does not know this format
        return [{}] * len(patterns)
    if known:
        meant = [-steps * math.log1p(-(each.shrink or 0.0)) for each in patterns]
    else:
        meant = [e_folds([walk]) for walk in _mains(trials, watched)]
    found = list(map(_stored, patterns, seen, meant))
    # So little is lost in all these steps that it is the rounding that one would see.
    unsure = [
        bool(each.shrink) and (each.shrink or 0.0) * steps < _UNSEEN * spacing
        for each, spacing in zip(patterns, own.spacings, strict=True)
    ]
    if not any(unsure):
        return found
    return [
        {"measured_shrink": rule.shrink} if doubt and wide else each
        for each, rule, doubt, wide in zip(
            found, patterns, unsure, _keep_wider(own, trials, patterns), strict=True
        )
    ]


def _mains(trials: Trials, programme: Programme) -> list[Walk]:
    """Return the walk of the weight that stands for each group."""
    pairs = zip(trials.walks(programme), trials.mains, strict=True)
    return [group[main] for group, main in pairs]


def _keep_wider(own: Trials, trials: Trials, patterns: Sequence[Pattern]) -> list[bool]:
    """Return per group whether a decay that its format cannot write goes on unseen."""
    # It does in copies that an optimizer keeps in a wider format. At another lr it is
    # half of what rounding leaves, and so many steps of it must show.
    lrs = [
        lr * spacing / 8 / (each.shrink or math.inf)
        for lr, spacing, each in zip(trials.lrs, own.spacings, patterns, strict=True)
    ]
    slow = Programme(steps=LONG, start=_EVENLY, options=lambda _, at: {"lr": lrs[at]})
    pairs = zip(_mains(own, slow), _mains(trials, slow), strict=True)
    lost = [(e_folds([seen]), e_folds([rule])) for seen, rule in pairs]
    return [
        meant != 0 and math.isclose(happened, meant, rel_tol=_ROUGHLY)
        for happened, meant in lost
    ]


def _stored(rule: Pattern, seen: Walk, meant: float) -> _Stored:
    """The rule's shrink times the part of its e-folds that was seen."""
    if not all(map(math.isfinite, seen[-1])):
        return {"breaks": True}
    if not rule.shrink:
        return {"measured_shrink": rule.shrink}
    happened = e_folds([seen])
    if not meant or math.isnan(happened * meant):
        return {}
    return {"measured_shrink": rule.shrink * happened / meant}


def steps_by_size(optimizer: object, *, at: int) -> bool:
    """Return whether a step of a group is twice as long from weights twice as large.

    The steps of LAMB, LARS and an Adafactor that scales by its parameters are a share
    of the weight's size: a trust ratio.
    """
    trials = Trials.of(optimizer)
    knobs = [decay_option(each) for each in trials.options]

    def options(_: int, group: int) -> Options:
        knob = knobs[group]
        return {} if knob is None else {knob: _HARDLY_ANY}

    def length(times: float) -> float:
        programme = Programme(
            steps=1,
            gradients=(_GRADIENT,),
            start=[times * each for each in START],
            options=options,
        )
        return math.dist(*trials.walks(programme)[at][0])

    small, large = length(1.0), length(_TWICE)
    return small > 0 and abs(large / small - _TWICE) < _NEARLY * _TWICE
