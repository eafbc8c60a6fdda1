"""Checks of how fast groups decay: in the run, the number format, the momentum."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dwindle.audit.advice import half_life_instead
from dwindle.audit.findings import Finding
from dwindle.audit.recipes import recipe_finding
from dwindle.decay.convert import convert
from dwindle.decay.families import SGD
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import DEAD_BELOW
from dwindle.errors import DwindleError, OscillationError
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group, number_of
from dwindle.pytorch.checks.practice import (
    decays_as_little,
    is_comparable,
    is_usual_coupling,
)
from dwindle.pytorch.checks.rates import DECOUPLED, Rate, same_decay
from dwindle.pytorch.checks.remedies import (
    held_instead,
    set_knob,
    set_options,
    sound_knob,
)
from dwindle.pytorch.checks.words import (
    class_path,
    number,
    of_groups,
    rounded_down,
    settings,
)
from dwindle.pytorch.options import KNOB

# Where a step takes so many times what a format rounds away, rounding hardly matters.
_FINE_UNITS = 32
_OF_RECIPES = "DW017"
# Half-lives of groups that differ by less are told as one.
_SAME_TIME = 0.01
# Of two groups of one optimizer, a number so many times the other is no fine choice.
_MANY_TIMES = 100


def sizes(facts: Facts) -> Iterator[Finding]:
    """DW008 to DW012, DW017 and DW023 to DW026: one finding per code and severity."""
    alike: dict[tuple[str, str], list[tuple[Rate, Finding]]] = {}
    for rate in facts.rates:
        for found in _leveled(facts, rate):
            key = found.code, found.severity
            alike.setdefault(key, []).append((rate, found))
    for hits in alike.values():
        # Of the group with most numbers: it speaks for all of them.
        rate, found = max(hits, key=lambda hit: hit[0].group.numbers)
        rates = [each for each, _ in hits]
        remedy, line = _advice(found, facts, rates)
        yield replace(
            found,
            where=of_groups(each.group for each in rates),
            evidence=_own_words(found, rate) + _span(found, hits),
            remedy=remedy,
            line=line,
        )


def _leveled(facts: Facts, rate: Rate) -> Iterator[Finding]:
    """Yield what was found in a group; what recipes of its kind do is a note."""
    network = facts.network
    for found in rate.judged.findings:
        if found.code == "DW010" and decays_as_little(rate, facts.rates, network):
            yield replace(found, is_slight=True, remedy=_AS_RECIPES)
        elif found.code == "DW008" and is_usual_coupling(rate.group, network):
            yield replace(found, is_slight=True)
        elif found.code in _HALF_LIVES and found.is_slight:
            is_open = rate.is_open and found.code == "DW010"
            yield replace(found, remedy=_OPEN if is_open else _WHY[found.code])
        else:
            yield found
    if is_comparable(facts.model, facts.groups):
        run = rate.group.run(facts.run)
        recipe = recipe_finding(rate.judged.explanation, run, model=network)
        yield from () if recipe is None else (recipe,)


_HALF_LIVES = frozenset({"DW010", "DW011"})
_AS_RECIPES = (
    "Recipes of its kind decay as little, and layer-wise lrs let lower layers decay "
    "less: nothing is wrong."
)
_OPEN = (
    "The scheduler's pace was guessed. Say how often it steps before you change the "
    'decay: --scheduler-every, or every= in Python, is "step" or "epoch".'
)
# Why a half-life is a note, where no recipe has one like it.
_WHY: Mapping[str, str] = {
    "DW010": "It is as good as none, which suits fine-tuning: decay would wash out "
    "what was trained before. 0 does the same, and is one knob less.",
    "DW011": "Nothing is wrong where a thousand steps are enough of the data, as for "
    "language models.",
}


def _span(found: Finding, hits: Sequence[tuple[Rate, Finding]]) -> str:
    """Return the half-lives that several groups of one finding have."""
    told = [rate.judged.explanation for rate, _ in hits]
    times = {
        "DW010": [each.half_life_average["run"] for each in told],
        "DW011": [each.half_life["epochs"] for each in told],
    }.get(found.code, [])
    known = sorted({time for time in times if time is not None})
    if len(known) < 2 or known[-1] - known[0] < _SAME_TIME * known[-1]:  # noqa: PLR2004
        return ""
    unit = "runs" if found.code == "DW010" else "epochs"
    return f" Over these groups it goes from {known[0]:.3g} to {known[-1]:.3g} {unit}."


def _own_words(found: Finding, rate: Rate) -> str:
    """Name the optimizer at hand, and its numbers, in what is said of a knob."""
    of_knob = re.compile(rf"{re.escape(rate.knob)}(?!\w)")  # no part of AdamW
    text = of_knob.sub(class_path(rate.group.optimizer), found.evidence)
    if found.code == _OF_RECIPES:
        return text
    if rate.group.held_rate is not None:
        return f"{text} Here: a half-life that a DecayController holds."
    return f"{text} Here: {settings([rate.group])}."


def _advice(found: Finding, facts: Facts, rates: Sequence[Rate]) -> tuple[str, str]:
    """Return what to do and the line to write; a controller is asked for another."""
    if found.code == _OF_RECIPES:
        return found.remedy, found.line
    if rates[0].group.held_rate is not None:
        line = held_instead(facts, [rate.group for rate in rates])
        return "Ask for a half-life that suits the run:", line
    if found.code in _HALF_LIVES:
        if found.is_slight:
            return _as_others(facts, rates) or (found.remedy, "")
        remedy, asked = half_life_instead(found.code, facts.run)
        return remedy, set_knob(_for_half_life(facts, rates, asked))
    if found.code in _LINES:
        return _LINES[found.code](found, facts, rates)
    return found.remedy, found.line


def _as_others(facts: Facts, rates: Sequence[Rate]) -> tuple[str, str] | None:
    """Return the number of the other groups, where it is many times that of these."""
    here = [rate.group for rate in rates]
    others = (
        group
        for group in facts.groups
        if group not in here and group.called == here[0].called
    )
    most = sound_knob(facts, others) or 0.0
    if most < _MANY_TIMES * max(group.knob for group in here):
        return None
    remedy = f"Other groups have {KNOB} {number(most)}. If it was meant here, too:"
    return remedy, set_knob((group, most) for group in here)


def _for_half_life(
    facts: Facts, rates: Iterable[Rate], asked: str
) -> Iterator[tuple[Group, float]]:
    """Yield the weight decay of each group for a half-life, where there is one."""
    for rate in rates:
        run = rate.group.run(facts.run)
        try:
            there = convert(asked, "half-life", to=rate.knob, run=run)
        except DwindleError:
            continue
        # The knob that decays alike may count in other units than the one at hand.
        times = (there.value or rate.number) / rate.number
        along = rate.group.e_folds
        if along and along < math.log(2):  # the scheduler takes more of it than thought
            times = max(times, 2 * math.log(2) / along)
        yield rate.group, rounded_down(rate.group.knob * times)


def _decoupled(found: Finding, facts: Facts, rates: Sequence[Rate]) -> tuple[str, str]:
    """Return the switch that makes Adam an AdamW, with a number; else a controller."""
    del found
    group = rates[0].group
    kind = class_path(group.optimizer)
    if kind not in _SWITCHED:
        anew = "Its number means nothing there, so choose it anew: a half-life"
        end = ":" if facts.steps else ", once you write how long the run is:"
        return f"{anew}{end}", held_instead(facts, [rate.group for rate in rates])
    return _what_it_is(facts), set_options(
        (rate.group, {_SWITCH: True, KNOB: _number_of_adamw(facts, rate)})
        for rate in rates
    )


_SWITCH = "decoupled_weight_decay"
_SWITCHED = frozenset(f"torch.optim.{name}" for name in ("Adam", "NAdam", "RAdam"))


def _what_it_is(facts: Facts) -> str:
    """Say where the number of a decoupled decay comes from."""
    anew = "Its number means nothing there, so choose it anew"
    if facts.steps is not None:
        _, asked = half_life_instead("DW010", facts.run)
        return f"{anew}, for a half-life of {asked} ({facts.steps:,} steps in all):"
    default = KNOBS[DECOUPLED].default or 0.0
    return f"{anew}; AdamW's default, {default:g}, is a start:"


def _number_of_adamw(facts: Facts, rate: Rate) -> float:
    """Return a number to start from: of a half-life, or AdamW's own default."""
    default = KNOBS[DECOUPLED].default or 0.0
    if facts.steps is None:
        return default
    _, asked = half_life_instead("DW010", facts.run)
    run = rate.group.run(facts.run)
    there = convert(asked, "half-life", to=DECOUPLED, run=run)
    return default if there.value is None else there.value


def _wider(found: Finding, facts: Facts, rates: Sequence[Rate]) -> tuple[str, str]:
    """Return wider weights, or more decay where they are wide already."""
    narrow = [r for r in rates if r.group.probe.dtype in ("bfloat16", "float16")]
    if narrow:
        group = narrow[0].group
        kind, device = f"torch.{group.probe.dtype}", group.held[0].parameter.device.type
        return found.remedy, (
            "model.float()  # before the optimizer is built, and around the forward "
            f'pass:\nwith torch.autocast("{device}", dtype={kind}): ...'
        )
    if all(
        any(f.code == "DW010" and f.is_slight for f in r.judged.findings)
        and not r.is_open
        for r in rates
    ):
        return _WHY["DW010"], set_knob((rate.group, 0.0) for rate in rates)
    asked: dict[Group, float] = {}
    if facts.steps is not None:
        remedy, half_life = half_life_instead("DW010", facts.run)
        asked = dict(_for_half_life(facts, rates, half_life))
    else:
        remedy = "Ask for more, of which rounding takes little:"
    return remedy, set_knob(
        (rate.group, max(asked.get(rate.group, 0.0), _seen_by_rounding(rate)))
        for rate in rates
    )


def _seen_by_rounding(rate: Rate) -> float:
    shrink = _FINE_UNITS * DEAD_BELOW[rate.group.probe.dtype]
    return rate.group.knob * shrink / (rate.group.probe.shrink_per_step or shrink)


def _without_swing(
    found: Finding, facts: Facts, rates: Sequence[Rate]
) -> tuple[str, str]:
    del found
    asked: dict[Group, float] = {}
    remedy = "The largest decay that does not swing:"
    if facts.steps is not None:
        _, half_life = half_life_instead("DW010", facts.run)
        asked = dict(_for_half_life(facts, rates, half_life))
        remedy = f"Below what swings, for a half-life of {half_life}:"
    limits: list[tuple[Group, float]] = []
    for rate in rates:
        run = rate.group.run(facts.run)
        try:
            SGD.shrink_per_step(rate.number, run)
        except OscillationError as error:
            limit = rounded_down(error.limit)
            limits.append((rate.group, min(limit, asked.get(rate.group, limit))))
    return remedy, set_knob(limits)


_LINES: Mapping[str, Callable[[Finding, Facts, Sequence[Rate]], tuple[str, str]]] = {
    "DW008": _decoupled,
    "DW009": _wider,
    "DW012": _without_swing,
}


def second_decay(facts: Facts) -> Iterator[Finding]:
    """DW013: with the knob at 0 a weight still decays."""
    groups = [group for group in facts.groups if group.probe.hidden]
    if not groups:
        return
    optimizer, hidden = groups[0].optimizer, groups[0].probe.hidden or 0.0
    is_asgd = "lambd" in groups[0].options
    yield Finding(
        code="DW013",
        where=of_groups(groups),
        evidence=f"A copy of {class_path(optimizer)} with weight_decay 0 still takes "
        f"{hidden:.3g} off a weight with zero gradient per step"
        + (f": lambd is {groups[0].options['lambd']:g}." if is_asgd else "."),
        remedy="Turn it off, and type all of the decay:"
        if is_asgd
        else "Look for the option that decays, and set it to 0.",
        line=set_options((group, _both(group)) for group in groups) if is_asgd else "",
    )


def _both(group: Group) -> dict[str, object]:
    return {KNOB: group.knob + number_of(group.options.get("lambd")), "lambd": 0.0}


def without_half_life(facts: Facts) -> Iterator[Finding]:
    """DW025: a number decays something, and no half-life can be read from it."""
    groups = [
        group
        for group in facts.groups
        if group.decays
        and group.is_free
        and group.knob
        and not group.probe.hidden
        and not _is_doubled(facts, group)  # its second step is what DW005 tells of
        and same_decay(group) is None
    ]
    if groups:
        yield Finding(
            code="DW025",
            where=of_groups(groups),
            evidence=f"{groups[0].probe.sentence} ({settings(groups)})",
            remedy="Sizes are not checked here; measure what a weight keeps.",
        )


def _is_doubled(facts: Facts, group: Group) -> bool:
    """Whether a parameter of a group is listed there twice, or in another group too."""
    listed = [id(held.parameter) for each in facts.groups for held in each.held]
    return any(listed.count(id(held.parameter)) > 1 for held in group.held)


def stretched_by_layer(facts: Facts) -> Iterator[Finding]:
    """DW014: one number, several learning rates, and so several half-lives."""
    by_knob: dict[tuple[str, float], list[Group]] = {}
    for group in facts.groups:
        follows = group.half_life_steps and group.probe.lr_power and group.is_free
        if group.held and group.knob and follows:
            by_knob.setdefault((group.called, group.knob), []).append(group)
    for (_, knob), groups in by_knob.items():
        ordered = sorted(groups, key=lambda group: group.lr)
        slow, fast = ordered[0], ordered[-1]
        if slow.lr == fast.lr:
            continue
        yield Finding(
            code="DW014",
            where=of_groups(groups),
            evidence=f"One weight_decay, {knob:g}, under lr {slow.lr:.3g} to "
            f"{fast.lr:.3g}: the half-life goes from {_time(facts, fast)} to "
            f"{_time(facts, slow)} ({_first(slow)}).",
            remedy="If all layers were meant to decay alike:",
            line=set_knob((group, knob * fast.lr / group.lr) for group in groups),
        )


def _first(group: Group) -> str:
    return group.held[0].name


def _time(facts: Facts, group: Group) -> str:
    steps = group.half_life_steps or 0.0
    epoch = facts.run
    if epoch.dataset_size is None or epoch.batch_size is None:
        return f"{steps:,.0f} steps"
    return f"{steps / epoch.steps_per_epoch:,.3g} epochs"
