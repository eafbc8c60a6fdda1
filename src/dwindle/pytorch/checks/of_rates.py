"""Checks of how fast groups decay: in the run, the number format, the momentum."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from dwindle.audit.findings import Finding
from dwindle.audit.recipes import recipe_finding
from dwindle.decay.convert import convert
from dwindle.decay.dtypes import DEAD_BELOW
from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS
from dwindle.errors import OscillationError
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.practice import (
    decays_as_little,
    is_comparable,
    is_usual_coupling,
)
from dwindle.pytorch.checks.rates import DECOUPLED, Rate, same_decay
from dwindle.pytorch.checks.words import (
    class_path,
    controller_line,
    of_groups,
    optimizer_line,
    rounded_down,
    settings,
)
from dwindle.pytorch.holding.group_plan import KNOB

_THAT_ACTS = "20% of the run"
# What is advised for a setting: ``weight_decay=0.02  # was 0.1``.
_NUMBER = re.compile(r"\w+=(?P<number>[-+.e\d]+)  # was .*")
# Where a step takes so many times what a format rounds away, rounding hardly matters.
_FINE_UNITS = 32
_OF_RECIPES = "DW017"
# Half-lives of groups that differ by less are told as one.
_SAME_TIME = 0.01


def sizes(facts: Facts) -> Iterator[Finding]:
    """DW008 to DW012, DW017 and DW023 to DW026: one finding per code and severity."""
    by_level: dict[tuple[str, str], list[tuple[Rate, Finding]]] = {}
    rates = sorted(facts.rates, key=lambda rate: -rate.group.numbers)
    for rate in rates:
        for found in _leveled(facts, rate):
            by_level.setdefault((found.code, found.severity), []).append((rate, found))
    for hits in by_level.values():
        rate, found = hits[0]  # of the group with most numbers
        remedy, line = _advice(found, facts, rate)
        yield replace(
            found,
            where=of_groups(sorted((r.group for r, _ in hits), key=_by_number)),
            evidence=_own_words(found, rate) + _span(found, hits),
            remedy=remedy,
            line=line,
        )


def _leveled(facts: Facts, rate: Rate) -> Iterator[Finding]:
    """Yield what was found in a group; what recipes of its kind do is a note."""
    explanation, network = rate.judged.explanation, facts.network
    for found in rate.judged.findings:
        is_usual = (
            found.code == "DW010" and decays_as_little(rate, facts.rates, network)
        ) or (found.code == "DW008" and is_usual_coupling(rate.group, network))
        yield replace(found, is_slight=found.is_slight or is_usual)
    if is_comparable(facts.model, facts.groups):
        run = rate.group.run(facts.run)
        recipe = recipe_finding(explanation, run, model=network)
        yield from () if recipe is None else (recipe,)


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


def _by_number(group: Group) -> int:
    return group.number


def _own_words(found: Finding, rate: Rate) -> str:
    """Name the optimizer at hand, and its numbers, in what is said of a knob."""
    of_knob = re.compile(rf"{re.escape(rate.knob)}(?!\w)")  # no part of AdamW
    text = of_knob.sub(class_path(rate.group.optimizer), found.evidence)
    if found.code == _OF_RECIPES:
        return text
    if rate.group.held_rate is not None:
        return f"{text} Here: a half-life that a DecayController holds."
    return f"{text} Here: {settings([rate.group])}."


def _advice(found: Finding, facts: Facts, rate: Rate) -> tuple[str, str]:
    """Return what to do and the line to write; a controller is asked for another."""
    if rate.group.held_rate is None or found.code == _OF_RECIPES:
        line = _line(found, facts, rate)
        if found.code == "DW008":
            return _what_it_is(line, facts), line
        return found.remedy, line
    return "Ask for a half-life that suits the run:", controller_line(facts)


def _what_it_is(line: str, facts: Facts) -> str:
    """Say where the number of a decoupled decay comes from."""
    anew = "Its number means nothing there, so choose it anew"
    if facts.steps is not None:
        return f"{anew}, for a half-life of {_THAT_ACTS} of {facts.steps:,} steps:"
    if "DecayController" in line:
        return f"{anew}: a half-life, once you write how long the run is:"
    default = KNOBS[DECOUPLED].default or 0.0
    return f"{anew}; AdamW's default, {default:g}, is a start:"


def _line(found: Finding, facts: Facts, rate: Rate) -> str:
    """Write the whole line of an optimizer where a number alone is advised."""
    if found.code in _LINES:
        return _LINES[found.code](facts, rate)
    advised = _NUMBER.fullmatch(found.line)
    if advised is None:
        return found.line
    # The knob that decays alike may count in other units than the one at hand.
    times = float(advised["number"]) / rate.number
    return optimizer_line(facts, knob=rounded_down(rate.group.knob * times))


def _decoupled(facts: Facts, rate: Rate) -> str:
    kind = type(rate.group.optimizer).__name__
    if not class_path(rate.group.optimizer).startswith("torch.optim."):
        return controller_line(facts)
    number = _number_of_adamw(facts, rate)
    if kind == "Adam":
        return optimizer_line(facts, name=DECOUPLED, knob=number)
    if f"torch.optim.{kind}:decoupled" in KNOBS:
        return optimizer_line(facts, knob=number, decoupled_weight_decay=True)
    return controller_line(facts)


def _number_of_adamw(facts: Facts, rate: Rate) -> float:
    """Return a number to start from: of a half-life, or AdamW's own default."""
    default = KNOBS[DECOUPLED].default or 0.0
    if facts.steps is None:
        return default
    run = rate.group.run(facts.run)
    there = convert(_THAT_ACTS, "half-life", to=DECOUPLED, run=run)
    return default if there.value is None else there.value


def _wider(facts: Facts, rate: Rate) -> str:
    dtype = rate.group.probe.dtype
    if dtype in ("bfloat16", "float16"):
        kind, device = f"torch.{dtype}", rate.group.held[0].parameter.device.type
        return (
            "model.float()  # before the optimizer is built, and around the forward "
            f'pass:\nwith torch.autocast("{device}", dtype={kind}): ...'
        )
    shrink = _FINE_UNITS * DEAD_BELOW[dtype]
    times = shrink / (rate.group.probe.shrink_per_step or shrink)
    return optimizer_line(facts, knob=rate.group.knob * times)


def _without_swing(facts: Facts, rate: Rate) -> str:
    run = rate.group.run(facts.run)
    try:
        FAMILIES["coupled-sgd"].shrink_per_step(rate.number, run)
    except OscillationError as error:
        return optimizer_line(facts, knob=rounded_down(error.limit))
    return ""


_LINES: Mapping[str, Callable[[Facts, Rate], str]] = {
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
    both = sum(groups[0].options.get(name) or 0.0 for name in (KNOB, "lambd"))
    yield Finding(
        code="DW013",
        where=of_groups(groups),
        evidence=f"A copy of {class_path(optimizer)} with weight_decay 0 still takes "
        f"{hidden:.3g} off a weight with zero gradient per step"
        + (f": lambd is {groups[0].options['lambd']:g}." if is_asgd else "."),
        remedy="Turn it off, and type all of the decay:"
        if is_asgd
        else "Look for the option that decays, and set it to 0.",
        line=optimizer_line(facts, knob=both, lambd=0.0) if is_asgd else "",
    )


def without_half_life(facts: Facts) -> Iterator[Finding]:
    """DW025: a number decays something, and no half-life can be read from it."""
    groups = [
        group
        for group in facts.groups
        if group.decays
        and group.is_free
        and group.knob
        and not group.probe.hidden
        and same_decay(group) is None
    ]
    if groups:
        yield Finding(
            code="DW025",
            where=of_groups(groups),
            evidence=f"{groups[0].probe.sentence} ({settings(groups)})",
            remedy="Sizes are not checked here; measure what a weight keeps.",
        )


def stretched_by_layer(facts: Facts) -> Iterator[Finding]:
    """DW014: one number, several learning rates, and so several half-lives."""
    by_knob: dict[float, list[Group]] = {}
    for group in facts.groups:
        follows = group.half_life_steps and group.probe.lr_power and group.is_free
        if group.held and group.knob and follows:
            by_knob.setdefault(group.knob, []).append(group)
    for knob, groups in by_knob.items():
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
            line="for group in optimizer.param_groups:\n"
            f'    group["weight_decay"] *= {fast.lr:.6g} / group["lr"]',
        )


def _first(group: Group) -> str:
    return group.held[0].name


def _time(facts: Facts, group: Group) -> str:
    steps = group.half_life_steps or 0.0
    epoch = facts.run
    if epoch.dataset_size is None or epoch.batch_size is None:
        return f"{steps:,.0f} steps"
    return f"{steps / epoch.steps_per_epoch:,.3g} epochs"
