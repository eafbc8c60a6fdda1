"""The audit of a change: what a new batch size, lr or length does to the decay."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from dwindle.audit.findings import Finding, GroupLine
from dwindle.audit.outcome import CLOCKS, Audit, facts_of_run
from dwindle.audit.setting_findings import judge, line_of_setting, typing
from dwindle.decay.convert import Conversion, convert
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.run import FACTS_BESIDE_SCALE, Run
from dwindle.errors import DwindleError, RefusedError

# Smaller moves than a twentieth are those of a short last batch, or of rounding.
_SAME_WITHIN = 0.05
# What the only side of a change of one setting is called.
WHOLE = "all"

# What a person calls the facts that change, in the order in which one lists them.
_FACTS: Mapping[str, Callable[[Run], object]] = {
    "batch": lambda run: run.batch_size,
    "lr": lambda run: run.lr,
    "epochs": lambda run: run.epochs,
    "steps": lambda run: run.steps,
    "examples": lambda run: run.dataset_size,
    "tokens per example": lambda run: run.tokens_per_example,
    **FACTS_BESIDE_SCALE,
}


def audit_change(
    value: float,
    knob: str,
    *,
    before: Run,
    after: Run,
    setting_after: tuple[float, str] | None = None,
) -> Audit:
    """Say what a change of a run does to its decay, and what to type to keep it.

    Args:
        value: What is typed before the change.
        knob: Where it is typed, as ``dwindle knobs`` has it.
        before: The run before the change.
        after: The run after it.
        setting_after: What is typed after the change, and where; None for the same
            number in the same place.

    Returns:
        Findings DW030 to DW033, and those of the run after that are new.

    Raises:
        UnknownNameError: If a knob is not known; the nearest are offered.
        RangeError: If a value is impossible.

    Example:
        >>> small = Run(lr=3e-4, batch_size=256, dataset_size=100_000, epochs=30)
        >>> large = Run(lr=8e-4, batch_size=2048, dataset_size=100_000, epochs=30)
        >>> found = audit_change(0.1, "torch.AdamW", before=small, after=large)
        >>> found.findings[0].evidence[:66]
        'You went from batch 256 to 2048 and lr 0.0003 to 0.0008: the half-'
        >>> found.findings[0].line
        'weight_decay=0.299  # was 0.1'

    """
    old, new = (value, knob), setting_after or (value, knob)
    return compare_audits(_audit_of(*old, before), _audit_of(*new, after))


def _audit_of(value: float, knob: str, run: Run) -> Audit:
    judged = judge(knob, value, run)
    name = judged.explanation.knob
    return Audit(
        target=f"{name}={value:g}",
        optimizer=name,
        findings=judged.findings,
        table=(line_of_setting(judged.explanation, run, group=WHOLE),),
        unchecked=judged.unchecked,
    )


def compare_audits(before: Audit, after: Audit) -> Audit:
    """Compare what two audited set-ups decay, group by group."""
    pairs, untold = _pairs(before, after)
    known = {(found.code, found.severity) for found in before.findings}
    fresh = [each for each in after.findings if (each.code, each.severity) not in known]
    shared = {found.code for found in after.findings if found not in fresh}
    # Groups that moved alike are one finding, at the last of them.
    findings: dict[tuple[object, ...], Finding] = {}
    for old, new in pairs:
        where = "" if old.group == new.group == WHOLE else f"group {new.group}"
        for find in (_other_kind, _half_life, _penalty, _e_folds):
            if (found := find(old, new)) is not None:
                moved = (found.code, *found.values.items())
                findings[moved] = replace(found, where=where)
    return Audit(
        target=_arrow(before.target, after.target),
        optimizer=_arrow(before.optimizer or "?", after.optimizer or "?"),
        findings=(*findings.values(), *fresh),
        table=(*_marked("before", before.table), *_marked("after", after.table)),
        facts={
            name: _arrow(before.facts.get(name, "?"), after.facts.get(name, "?"))
            for name in dict.fromkeys((*after.facts, *before.facts))
        },
        unchecked=tuple(dict.fromkeys((*untold, *after.unchecked))),
        in_both=tuple(sorted(shared)),
    )


def audit_of_facts(audit: Audit, before: Run, after: Run) -> Audit:
    """Say what a change of the facts does to a set-up that was audited."""
    lines = tuple(_line_after(line, before, after) for line in audit.table)
    known = facts_of_run(before)
    facts = audit.facts
    if known.items() <= facts.items():  # those of a file say more, where they are from
        others = {name: text for name, text in facts.items() if name not in known}
        facts = facts_of_run(after) | others
    return compare_audits(audit, replace(audit, table=lines, facts=facts))


def _line_after(line: GroupLine, before: Run, after: Run) -> GroupLine:
    if line.run is None or line.knob is None or line.weight_decay is None:
        return line
    changed: dict[str, Any] = {  # the fields of Run have many types
        each.name: getattr(after, each.name)
        for each in fields(Run)
        if each.init and getattr(after, each.name) != getattr(before, each.name)
    }
    if changed.get("lr") and before.lr and line.run.lr:
        # Groups keep the ratios of their lrs.
        changed["lr"] = line.run.lr * (changed["lr"] / before.lr)
    run = replace(line.run, **changed)
    return line_of_setting(
        _explained(line, line.weight_decay, line.knob, run),
        run,
        group=line.group,
        parameters=line.parameters,
        numbers=line.numbers,
    )


def _arrow(old: str, new: str) -> str:
    return old if old == new else f"{old} → {new}"


def _marked(side: str, lines: tuple[GroupLine, ...]) -> Iterator[GroupLine]:
    for line in lines:
        named = "" if len(lines) == 1 else f" {line.group}"
        yield replace(line, group=f"{side}{named}")


@dataclass(frozen=True)
class _Side:
    """One side of a change: a number at a knob in a run, and what it does."""

    group: str
    knob: str
    value: float
    run: Run
    told: Explanation


def _pairs(before: Audit, after: Audit) -> tuple[list[tuple[_Side, _Side]], list[str]]:
    """Return the groups that decay, old beside new, and what could not be paired."""
    old, new = _sides(before), _sides(after)
    if len(old) != len(new):
        text = (
            f"Groups that decay and whose knob is known: {len(old)} before, "
            f"{len(new)} after; the largest are compared."
        )
        return list(zip(old[:1], new[:1], strict=False)), [text]
    unknown = sum(bool(line.weight_decay) for line in after.table) - len(new)
    text = f"{unknown} decaying groups have no knob that is known: not compared."
    return list(zip(old, new, strict=True)), [text] if unknown else []


def _sides(audit: Audit) -> list[_Side]:
    decaying = [line for line in audit.table if line.weight_decay and line.knob]
    if len({line.numbers for line in decaying}) > 1:
        decaying.sort(key=lambda line: -(line.numbers or 0))
    sides = []
    for line in decaying:
        run, knob = line.run or Run(lr=line.lr), str(line.knob)
        value = line.weight_decay or 0.0
        told = _explained(line, value, knob, run)
        sides.append(_Side(line.group, knob, value, run, told))
    return sides


def _explained(line: GroupLine, value: float, knob: str, run: Run) -> Explanation:
    """Explain a row in a run; what a scheduler was seen to leave of its decay stays."""
    # A scheduler belongs to the program, not to the facts: after a change of these it
    # is taken to have the same shape over the new run.
    told = explain(value, knob, run=run)
    here = line.run or run
    then = told if run == here else explain(value, knob, run=here)
    if then.e_folds == line.e_folds or told.e_folds is None or not then.e_folds:
        return told
    if line.e_folds is None:  # the scheduler could not be followed
        return replace(told, e_folds=None, kept=None)
    e_folds = told.e_folds * line.e_folds / then.e_folds
    return replace(told, e_folds=e_folds, kept=math.exp(-e_folds))


def _changes(old: _Side, new: _Side) -> tuple[tuple[str, str, str], ...]:
    """Return what was changed: its name, and the value before and after."""
    changed = [
        (name, _plain(read(old.run)), _plain(read(new.run)))
        for name, read in _FACTS.items()
        if read(old.run) != read(new.run)
    ]
    if old.knob != new.knob:
        changed.append(("", old.knob, new.knob))
    if old.value != new.value:
        changed.append(("weight_decay", f"{old.value:g}", f"{new.value:g}"))
    return tuple(changed)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _half_life(old: _Side, new: _Side) -> Finding | None:
    """DW030: the half-life moved, on the first clock that both sides have."""
    told = old.told.half_life, new.told.half_life
    clock = next((each for each in CLOCKS if told[0][each] and told[1][each]), None)
    if clock is None or _alike(told[0][clock], told[1][clock]):
        return None
    values: dict[str, object] = {"then": told[0][clock], "now": told[1][clock]}
    if old.told.penalty is not None and _alike(old.told.penalty, new.told.penalty):
        values["leave"] = new.value
    changes = _changes(old, new)
    found = Finding(code="DW030", values={"changes": changes, "clock": clock, **values})
    return _keeping(found, "the half-life", _kept(old, new, f"half-life:{clock}"), new)


def _penalty(old: _Side, new: _Side) -> Finding | None:
    """DW032: the coefficient of the objective moved."""
    then, now = old.told.penalty, new.told.penalty
    if then is None or now is None or _alike(then, now):
        return None
    values = {"changes": _changes(old, new), "then": then, "now": now}
    found = Finding(code="DW032", values=values)
    return _keeping(found, "the penalty", _kept(old, new), new)


def _e_folds(old: _Side, new: _Side) -> Finding | None:
    """DW031: the run as a whole leaves more of a weight, or less."""
    then, now = old.told.e_folds, new.told.e_folds
    if then is None or now is None or _alike(then, now):
        return None
    left = {"then_keeps": old.told.kept, "now_keeps": new.told.kept}
    found = Finding(code="DW031", values={"then": then, "now": now, **left})
    kept = _kept(old, new, "half-life:run")
    return _keeping(found, "the half-life as a share of the run", kept, new)


def _kept(old: _Side, new: _Side, coordinate: str = "") -> float | None:
    """Return the number that keeps a coordinate, or the penalty; None without one."""
    # A number at a knob means the new run there, one of a coordinate what it is.
    try:
        if not coordinate:
            return _converted(old, new).value
        kept = convert(old.value, old.knob, to=coordinate, run=old.run).value
        if kept is None:
            return None
        return convert(kept, coordinate, to=new.knob, run=new.run).value
    except DwindleError:
        return None


def _keeping(found: Finding, what: str, value: float | None, new: _Side) -> Finding:
    """Return a finding with the number that keeps what moved, if there is one."""
    if value is None:
        return found.having(unkept=what)
    return typing(found, new.knob, value, new.value)


def _converted(old: _Side, new: _Side) -> Conversion:
    return convert(old.value, old.knob, to=new.knob, run=old.run, run_after=new.run)


def _other_kind(old: _Side, new: _Side) -> Finding | None:
    """DW033: the number is typed at a knob of another update rule."""
    families = old.told.family, new.told.family
    if families[0] == families[1]:
        return None
    found = Finding(code="DW033").having(
        before=old.knob,
        after=new.knob,
        was=new.value,
        family_before=str(families[0]),
        family_after=str(families[1]),
    )
    try:
        there = _converted(old, new)
    except RefusedError as error:
        return found.having(instead=error.instead)
    except DwindleError as error:
        return found.having(instead=str(error))
    found = found.having(fidelity=there.fidelity)
    return (
        found
        if there.value is None
        else typing(found, new.knob, there.value, new.value)
    )


def _alike(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return False
    return abs(now - then) <= _SAME_WITHIN * max(abs(then), abs(now))
