"""Checks of how fast groups decay: in the run, the format, beside a penalty."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

import torch

from dwindle.audit.codes import of_groups
from dwindle.audit.findings import Finding, Paste
from dwindle.audit.setting_findings import (
    SWITCHED,
    half_life_instead,
    number_for,
    recipe_finding,
)
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import DEAD_BELOW, STALLING
from dwindle.decay.roles import ROLES
from dwindle.errors import MissingFactError
from dwindle.pytorch.checks.facts import (
    Facts,
    decays_as_little,
    is_comparable,
    is_usual_coupling,
    on_groups,
    on_parameters,
)
from dwindle.pytorch.checks.group import DECOUPLED, AuditedGroup, number_of, same_decay
from dwindle.pytorch.checks.remedies import (
    held_instead,
    set_knob,
    set_options,
    sound_knob,
    without_decay,
)
from dwindle.pytorch.copying.toy import Mould
from dwindle.pytorch.options import KNOB
from dwindle.pytorch.penalized.double_decay import Penalizing
from dwindle.pytorch.penalty import L2Penalty
from dwindle.pytorch.trials import Programme, Trials

# Where a step takes so many times what a format rounds away, rounding hardly matters.
_FINE_UNITS = 32
# It compares with recipes, and advises nothing.
_OF_RECIPES = "DW017"
# A half-life is too long, or too short: another one is the remedy.
_HALF_LIVES = frozenset({"DW010", "DW011"})
_STILL = "still"  # the case of DW010 where another decay would change nothing
# Half-lives of groups that differ by less are given as one.
_SAME_TIME = 0.01
# Where numbers of two groups are so many times apart, the lower is no choice.
_MANY_TIMES = 100
_SWITCH = "decoupled_weight_decay"
# Gradients of 1 and 3 make steps that differ by so much at most, through an eps.
_ALIKE = 0.01

Hits = Sequence[AuditedGroup]


def sizes(facts: Facts) -> Iterator[Finding]:
    """DW008 to DW012, DW017 and DW023 to DW026: one finding per code and severity.

    Groups whose lr is 0 all along have a separate one.
    """
    alike: dict[tuple[str, str, bool], list[tuple[AuditedGroup, Finding]]] = {}
    for group in facts.judged:
        for found in _leveled(facts, group):
            key = found.code, found.severity, found.case == _STILL
            alike.setdefault(key, []).append((group, found))
    for hits in alike.values():
        # Values are those of the group with most numbers.
        group, found = max(hits, key=lambda hit: hit[0].numbers)
        groups = [each for each, _ in hits]
        here: dict[str, object] = {"groups": tuple(each.number for each in groups)}
        if group.held_rate is not None:
            here["held_lr"] = group.lr
        elif found.code != _OF_RECIPES:
            here["settings"] = (group.setting,)
        found = replace(found, where=of_groups([each.number for each in groups]))
        found = found.having(**here, **_span(found.code, groups))
        yield _advised(found, facts, groups)


def _leveled(facts: Facts, group: AuditedGroup) -> Iterator[Finding]:
    """Yield what was found in a group; what recipes of its kind do is a note."""
    network = facts.network
    for found in group.found:
        if found.case == _STILL:
            yield found
        elif found.code == "DW010" and decays_as_little(group, facts.judged, network):
            yield replace(found, is_slight=True, case="recipes", paste=None)
        elif found.code == "DW008" and is_usual_coupling(group, network):
            yield replace(found, is_slight=True)
        elif found.code in _HALF_LIVES and found.is_slight:
            usual = "no-decay" if found.code == "DW010" else "enough"
            is_open = group.is_open and found.code == "DW010"
            case = "open" if is_open else usual
            yield replace(found, case=case, paste=None)
        else:
            yield found
    if is_comparable(facts.model, facts.groups):
        recipe = recipe_finding(group.explanation, group.run(facts.run), model=network)
        yield from () if recipe is None else (recipe,)


def _span(code: str, groups: Hits) -> dict[str, object]:
    """Return the shortest and the longest half-life of groups that share a finding."""
    explained = [group.explanation for group in groups]
    times = {
        "DW010": [each.half_life_average["run"] for each in explained],
        "DW011": [each.half_life["epochs"] for each in explained],
    }.get(code, [])
    known = sorted({time for time in times if time is not None})
    if len(known) < 2 or known[-1] - known[0] < _SAME_TIME * known[-1]:  # noqa: PLR2004
        return {}
    return {"least": known[0], "most": known[-1]}


def _advised(found: Finding, facts: Facts, groups: Hits) -> Finding:
    """Return the finding with its advice: another number, or another half-life held."""
    if found.code == _OF_RECIPES or found.case == _STILL:
        return found
    if groups[0].held_rate is not None:
        return replace(found, advice="held", paste=held_instead(facts, groups))
    if found.code in _HALF_LIVES and found.is_slight:
        others = (
            group
            for group in facts.groups
            if group not in groups and group.called == groups[0].called
        )
        most = sound_knob(others) or 0.0
        if most < _MANY_TIMES * max(group.knob for group in groups):
            return found
        line = set_knob((group, most) for group in groups)
        return replace(found.having(others=most), case="others", paste=line)
    return _ADVICE[found.code](found, facts, groups) if found.code in _ADVICE else found


def _other_half_life(found: Finding, facts: Facts, groups: Hits) -> Finding:
    half_life = half_life_instead(found.code, facts.run)
    line = set_knob(_for_half_life(facts, groups, half_life).items())
    return replace(found.having(asked=half_life), paste=line)


def _for_half_life(
    facts: Facts, groups: Iterable[AuditedGroup], half_life: str
) -> dict[AuditedGroup, float]:
    """Return the weight decay of each group for a half-life, where there is one."""
    found: dict[AuditedGroup, float] = {}
    for group in groups:
        explanation, run = group.explanation, group.run(facts.run)
        number = number_for(half_life, explanation.knob, run)
        if number is None:
            continue
        # The knob of the judgement may have other units than the group's.
        times = number / explanation.value
        along = group.e_folds
        # The scheduler leaves less decay than the schedule of the run.
        if along and along < math.log(2):
            times = max(times, 2 * math.log(2) / along)
        found[group] = _rounded_down(group.knob * times)
    return found


def _rounded_down(value: float) -> float:
    """Return a number rounded down to three digits: within a limit it stays there."""
    digits = Decimal(repr(value))
    last = Decimal(1).scaleb(digits.adjusted() - 2) if value else Decimal(1)
    return float(digits.quantize(last, rounding=ROUND_DOWN))


def _decoupled(found: Finding, facts: Facts, groups: Hits) -> Finding:
    """Advise the switch that makes Adam an AdamW, with a number; else a controller."""
    if groups[0].class_path not in SWITCHED:
        case = "controller" if facts.steps else "controller-later"
        return replace(found, case=case, paste=held_instead(facts, groups))
    half_life = half_life_instead("DW010", facts.run)
    start = KNOBS[DECOUPLED].default or 0.0
    known = dict.fromkeys(groups, start)
    if facts.steps is None:
        found = replace(found.having(start=start), case="start")
    else:
        found = found.having(asked=half_life, steps=facts.steps)
        found = replace(found, case="half-life")
        for group in groups:
            run = group.run(facts.run)
            known[group] = number_for(half_life, DECOUPLED, run) or start
    options = ((group, {_SWITCH: True, KNOB: each}) for group, each in known.items())
    return replace(found, paste=set_options(options))


def _wider(found: Finding, facts: Facts, groups: Hits) -> Finding:
    """Advise wider weights, or more decay where they are wide already."""
    narrow = [group for group in groups if group.probe.dtype in STALLING]
    if narrow:
        kind, device = narrow[0].probe.dtype, narrow[0].held[0].parameter.device.type
        text = (
            "model.float()  # before the optimizer is built, and around the forward "
            f'pass:\nwith torch.autocast("{device}", dtype=torch.{kind}): ...'
        )
        return replace(found, paste=Paste(text=text))
    # So slow that no decay was meant, at any pace of the scheduler.
    hopeless = (
        not group.is_open
        and any(each.code == "DW010" and each.is_slight for each in group.found)
        for group in groups
    )
    if all(hopeless):
        line = set_knob((group, 0.0) for group in groups)
        return replace(found, case="no-decay", paste=line)
    found, knobs = _within_the_run(found, facts, groups, otherwise="more")
    wanted = {}
    for group in groups:  # at least the number at which rounding takes little of it
        shrink = _FINE_UNITS * DEAD_BELOW[group.probe.dtype]
        above = group.knob * shrink / (group.probe.shrink_per_step or shrink)
        wanted[group] = max(knobs.get(group, 0.0), above)
    return replace(found, paste=set_knob(wanted.items()))


def _within_the_run(
    found: Finding, facts: Facts, groups: Hits, *, otherwise: str
) -> tuple[Finding, dict[AuditedGroup, float]]:
    """Return advice of a half-life within the run, and numbers; none without steps."""
    if facts.steps is None:
        return replace(found, case=otherwise), {}
    half_life = half_life_instead("DW010", facts.run)
    knobs = _for_half_life(facts, groups, half_life)
    return replace(found.having(asked=half_life), case="half-life"), knobs


def _without_swing(found: Finding, facts: Facts, groups: Hits) -> Finding:
    """Advise the largest decay that does not swing, or one that suits the run."""
    found, knobs = _within_the_run(found, facts, groups, otherwise="limit")
    limits: dict[AuditedGroup, float] = {}
    for group in groups:
        for each in group.found:
            if each.code == found.code:
                limit = _rounded_down(each.values["limit"])
                limits[group] = min(limit, knobs.get(group, limit))
    return replace(found, paste=set_knob(limits.items()))


_ADVICE: Mapping[str, Callable[[Finding, Facts, Hits], Finding]] = {
    "DW008": _decoupled,
    "DW009": _wider,
    "DW010": _other_half_life,
    "DW011": _other_half_life,
    "DW012": _without_swing,
}


def second_decay(facts: Facts) -> Iterator[Finding]:
    """DW013: with the knob at 0 a weight still decays."""
    groups = [group for group in facts.groups if group.probe.hidden]
    if not groups:
        return
    first = groups[0]
    lambd = first.options.get("lambd")
    sums = {each: each.knob + number_of(each.options.get("lambd")) for each in groups}
    off = ((each, {KNOB: both, "lambd": 0.0}) for each, both in sums.items())
    yield on_groups(
        "DW013",
        groups,
        case="" if lambd is None else "lambd",
        paste=None if lambd is None else set_options(off),
        optimizer=first.class_path,
        hidden=first.probe.hidden,
        lambd=lambd,
    )


def without_half_life(facts: Facts) -> Iterator[Finding]:
    """DW025: a number decays something, and no half-life can be read from it."""
    listed = [id(held.parameter) for group in facts.groups for held in group.held]
    groups = [
        group
        for group in facts.groups
        if group.decays
        and group.is_free
        and group.knob
        and not group.probe.hidden
        # The second step of a parameter that is listed twice is a finding, DW005.
        and not any(listed.count(id(held.parameter)) > 1 for held in group.held)
        and same_decay(group) is None
    ]
    if groups:
        yield on_groups("DW025", groups, reason=groups[0].probe.sentence)


def stretched_by_layer(facts: Facts) -> Iterator[Finding]:
    """DW014: one number, several learning rates, and so several half-lives."""
    by_knob: dict[tuple[str, float], list[AuditedGroup]] = {}
    for group in facts.groups:
        follows = group.half_life_steps and group.probe.lr_power and group.is_free
        if group.held and group.knob and follows:
            by_knob.setdefault((group.called, group.knob), []).append(group)
    for (_, knob), groups in by_knob.items():
        ordered = sorted(groups, key=lambda group: group.lr)
        slow, fast = ordered[0], ordered[-1]
        if slow.lr == fast.lr:
            continue
        run, clock, unit = facts.run, "steps", 1
        if run.dataset_size is not None and run.batch_size is not None:
            clock, unit = "epochs", run.steps_per_epoch
        yield on_groups(
            "DW014",
            groups,
            # lr · knob is what a step takes: this makes it that of the fastest group.
            paste=set_knob((group, knob * fast.lr / group.lr) for group in groups),
            knob=knob,
            slow=slow.lr,
            fast=fast.lr,
            shortest=(fast.half_life_steps or 0.0) / unit,
            longest=(slow.half_life_steps or 0.0) / unit,
            clock=clock,
            first=slow.held[0].name,
        )


def penalty_and_decay(facts: Facts) -> Iterator[Finding]:
    """DW007: an L2Penalty, alive now, on weights that the optimizer decays too."""
    for penalty in facts.penalties:
        ids = {id(each) for each in penalty.parameters.values()}
        both = [held for held in facts.decaying(*ROLES) if id(held.parameter) in ids]
        if not both:
            continue
        groups = [group for group in facts.groups_of(both[0]) if group.decays]
        strength = _canonical(penalty) if groups[0].is_sgd else None
        total = None if strength is None else strength + groups[0].knob
        there = [group for group in facts.groups_with(both) if group.decays]
        ours = {id(each.parameter) for each in both}
        line = without_decay(facts, both, exact=True)
        if all(id(each.parameter) in ours for group in there for each in group.moving):
            line = set_knob((group, 0.0) for group in there)  # it has no others
        yield on_parameters(
            "DW007",
            both,
            groups,
            paste=line,
            penalty=repr(penalty),
            optimizer=groups[0].class_path,
            weights=len(both),
            strength=strength,
            sum=total,
        )


def penalty_through_adaptive(facts: Facts) -> Iterator[Finding]:
    """DW008: the gradient of a penalty goes through an adaptive optimizer."""
    by_id = {id(each.parameter): each for each in facts.held}
    for penalty in facts.penalties:
        held = [by_id[id(each)] for each in penalty.parameters.values()]
        there = [group for each in held for group in facts.groups_of(each)]
        groups = list(filter(_divides, dict.fromkeys(there)))
        if groups:
            values = {"penalty": repr(penalty), "optimizer": groups[0].class_path}
            yield on_parameters("DW008", held, groups, case="penalty", **values)


def _divides(group: AuditedGroup) -> bool:
    """Return whether copies make the same step with a gradient of another size."""
    trials = Trials(Mould.of(group.optimizer, dtype=torch.float64))
    programmes = (Programme(steps=1, gradients=(each,)) for each in (0.0, 1.0, 3.0))
    # The last row of the first weight's walk, at its first entry.
    ends = [trials.walks(each)[group.at][0][-1][0] for each in programmes]
    small, large = (each - ends[0] for each in ends[1:])
    return bool(small) and math.isclose(small, large, rel_tol=_ALIKE)


def _canonical(penalty: Penalizing) -> float | None:
    """Return λ of mean loss + λ/2 Σ w², where the penalty has it for all weights."""
    if not isinstance(penalty, L2Penalty) or penalty.reduction != "mean":
        return None
    factors = set(penalty.coefficients.values())
    try:
        return 2 * penalty.factor() if factors == {1.0} else None
    except MissingFactError:
        return None
