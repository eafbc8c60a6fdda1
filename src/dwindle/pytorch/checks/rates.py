"""The rate of a group: a knob that decays alike, and what its number comes to."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dwindle.audit.advice import is_as_good_as_none
from dwindle.audit.findings import Finding
from dwindle.audit.setting_findings import Judged, judge
from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.run import Run
from dwindle.pytorch.checks.along import along
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.probe import GroupProbe

# Knobs whose numbers do what a copy was seen to do, whatever the class is called.
DECOUPLED = "torch.optim.AdamW"
_COUPLED = "torch.optim.SGD"
_ADAPTIVE = "torch.optim.Adam"
_CONSTANT = "optax.adafactor"
_CORRECTED = "timm.adamc"
_USUAL = 1e-3
# Part of a shrink that must be lost, or won, in a group's own number format. A walk of
# some hundred steps tells narrow formats to a few percent.
_ROUNDED: Mapping[str, float] = {"DW009": 0.2, "DW023": 0.05}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A group's decay as a knob that does the same, and what is to be said of it.

    ``is_open``: whether a guess of the scheduler's pace decides what the run leaves; no
    scheduler makes more of a decay than its peak lr would.
    """

    group: Group
    knob: str
    number: float
    judged: Judged
    is_open: bool = False


def rates_of(groups: Iterable[Group], run: Run) -> Iterator[Rate]:
    """Judge every group that decays by a rule that dwindle can compute."""
    known: dict[tuple[str, float, Run], Judged] = {}
    for group in groups:
        like = same_decay(group)
        if like is None or not group.moving or group.rests:
            continue
        key = (*like, group.run(run))  # many groups differ in their parameters alone
        if key not in known:
            known[key] = judge(*key)
        knob, value = like
        told, course = known[key], group.course
        guessed = course.pace is not None and course.pace.is_guessed
        is_open = guessed and not is_as_good_as_none(told.explanation)
        if course.scheduler:
            told = along(told, group.e_folds, group.run(run))
        judged = _seen(group, told)
        yield Rate(group=group, knob=knob, number=value, judged=judged, is_open=is_open)


def same_decay(group: Group) -> tuple[str, float] | None:
    """Return a knob and the number at which it decays as the group was seen to.

    None where nothing decays, or by no rule that a number could be read from.
    """
    seen = group.probe
    if group.held_rate is not None:
        return _as_it_is_held(group.held_rate, lr=group.lr)
    if not group.decays or not group.is_free:
        return None
    if group.is_sgd:
        return _COUPLED, group.knob
    if seen.decouples:
        return DECOUPLED, group.knob
    if seen.family == "linear":
        return _ADAPTIVE, group.knob
    return _by_its_powers(group)


def _as_it_is_held(held: DecayRate, *, lr: float) -> tuple[str, float]:
    """Return the knob that goes with the lr as a controller's half-life does."""
    per_lr = held.shrink_at_peak / (held.lr_peak or lr or 1.0)
    rules = {0: (_CONSTANT, held.shrink_at_peak), 1: (DECOUPLED, per_lr)}
    return rules.get(held.power, (_CORRECTED, per_lr))


def _by_its_powers(group: Group) -> tuple[str, float] | None:
    """Return the knob of a share that follows a power of the lr."""
    seen, shrink = group.probe, group.probe.shrink_per_step
    if seen.family != "geometric" or shrink is None or not group.lr:
        return None
    if not _is_of_the_weight_alone(seen):
        return None
    rules = {0: (_CONSTANT, shrink), 1: (DECOUPLED, shrink / group.lr)}
    rules[2] = _CORRECTED, shrink / group.lr
    return rules.get(round(seen.lr_power or 0))


def _is_of_the_weight_alone(seen: GroupProbe) -> bool:
    """Whether a weight that gradients pull at decays like one at rest.

    Inside of a trust ratio the number cancels where decay is all there is, or a rest
    looks like lr·knob and what is pulled at does not. Another factor than lr·knob is
    that of a rule of its own, such as a share of the schedule.
    """
    usual = seen.per_lr is not None and math.isclose(seen.per_lr, 1, rel_tol=_USUAL)
    return seen.knob_power == 1 and (seen.driven or not usual)


def _seen(group: Group, told: Judged) -> Judged:
    """Keep what is true of this optimizer."""
    found = [each for each in told.findings if _is_seen(group, each)]
    return replace(told, findings=tuple(found))


def _is_seen(group: Group, found: Finding) -> bool:
    """Rounding is measured: some optimizers keep wider weights beside narrow ones."""
    asked, seen = group.probe.shrink_per_step, group.probe.measured_shrink
    if found.code in _ROUNDED and group.held_rate is not None:
        return False  # a controller refuses, or warns of, what its format cannot hold
    if found.code not in _ROUNDED or not asked or seen is None:
        return True
    return abs(seen - asked) > _ROUNDED[found.code] * asked
