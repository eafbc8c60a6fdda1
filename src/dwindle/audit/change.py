"""The audit of a change: what a new batch size, lr or length does to the decay."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

from dwindle.audit.findings import Finding, GroupLine
from dwindle.audit.outcome import CLOCKS, Audit, facts_of_run
from dwindle.audit.setting_findings import judge, line_of_setting, typing
from dwindle.decay.convert import Conversion, convert
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.run import FACTS_BESIDE_SCALE, Run
from dwindle.errors import DwindleError, RefusedError

# Smaller moves than a twentieth are those of a short last batch, or of rounding.
_SAME_WITHIN = 0.05
# The group of a setting that is audited without a program.
WHOLE = "all"

# The facts that a change is described by, in the order in which they are listed.
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
    """Report what a change of a run does to its decay, and what to type to keep it.

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
    pairs, uncompared = _pairs(before, after)
    known = {(found.code, found.severity) for found in before.findings}
    fresh = [each for each in after.findings if (each.code, each.severity) not in known]
    shared = {found.code for found in after.findings if found not in fresh}
    # Groups that moved alike are one finding, at the last of them.
    findings: dict[tuple[object, ...], Finding] = {}
    for old, new in pairs:
        where = "" if old.group == new.group == WHOLE else f"group {new.group}"
        for found in _moves(old, new):
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
        unchecked=tuple(dict.fromkeys((*uncompared, *after.unchecked))),
        in_both=tuple(sorted(shared)),
    )


def audit_of_facts(audit: Audit, before: Run, after: Run) -> Audit:
    """Report what a change of the facts does to a set-up that was audited."""
    lines = tuple(_line_after(line, before, after) for line in audit.table)
    known = facts_of_run(before)
    facts = audit.facts
    if known.items() <= facts.items():  # those of a file also name their source
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
        _explained(line, run),
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


class _Side(NamedTuple):
    """One side of a change: what a number at a knob does in a run."""

    group: str
    run: Run
    explanation: Explanation


def _pairs(before: Audit, after: Audit) -> tuple[list[tuple[_Side, _Side]], list[str]]:
    """Return pairs of decaying groups, and a sentence on those that have no pair."""
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
    runs = [line.run or Run(lr=line.lr) for line in decaying]
    return [
        _Side(line.group, run, _explained(line, run))
        for line, run in zip(decaying, runs, strict=True)
    ]


def _explained(line: GroupLine, run: Run) -> Explanation:
    """Explain a row in a run; what a scheduler was seen to leave of its decay stays."""
    # A scheduler belongs to the program, not to the facts: after a change of these it
    # is taken to have the same shape over the new run.
    value, knob, here = line.weight_decay or 0.0, str(line.knob), line.run or run
    explanation = explain(value, knob, run=run)
    then = explanation if run == here else explain(value, knob, run=here)
    if then.e_folds == line.e_folds or explanation.e_folds is None or not then.e_folds:
        return explanation
    if line.e_folds is None:  # the scheduler could not be followed
        return replace(explanation, e_folds=None, kept=None)
    e_folds = explanation.e_folds * line.e_folds / then.e_folds
    return replace(explanation, e_folds=e_folds, kept=math.exp(-e_folds))


def _moves(old: _Side, new: _Side) -> Iterator[Finding]:
    """Yield what moved, each with the number that keeps it, if there is one."""
    if old.explanation.family != new.explanation.family:
        yield _other_kind(old, new)
    for code, what, coordinate, (then, now), more in _measured(old, new):
        if then is None or now is None or _alike(then, now):
            continue
        found = Finding(code=code, values={**more, "then": then, "now": now})
        value = _kept(old, new, coordinate)
        if value is None:
            yield found.having(unkept=what)
        else:
            yield typing(found, new.explanation.knob, value, new.explanation.value)


def _measured(
    old: _Side, new: _Side
) -> Iterator[tuple[str, str, str, list[float | None], dict[str, object]]]:
    """Yield code, what is measured, what keeps it, both values, and further values."""
    explained = (old.explanation, new.explanation)
    both = [each.half_life for each in explained]
    clock = next((each for each in CLOCKS if all(half[each] for half in both)), None)
    changes = _changes(old, new)
    then, now = penalties = [each.penalty for each in explained]
    if clock is not None:
        more: dict[str, object] = {"changes": changes, "clock": clock}
        if then is not None and now is not None and _alike(then, now):
            more["leave"] = new.explanation.value
        there = [half[clock] for half in both]
        yield "DW030", "the half-life", f"half-life:{clock}", there, more
    yield "DW032", "the penalty", "", penalties, {"changes": changes}
    left: dict[str, object] = {
        "then_keeps": explained[0].kept,
        "now_keeps": explained[1].kept,
    }
    share = "the half-life as a share of the run"
    e_folds = [each.e_folds for each in explained]
    yield "DW031", share, "half-life:run", e_folds, left


def _changes(old: _Side, new: _Side) -> tuple[tuple[str, str, str], ...]:
    """Return what was changed: its name, and the value before and after."""
    changed = [
        (name, _plain(read(old.run)), _plain(read(new.run)))
        for name, read in _FACTS.items()
        if read(old.run) != read(new.run)
    ]
    if old.explanation.knob != new.explanation.knob:
        changed.append(("", old.explanation.knob, new.explanation.knob))
    if old.explanation.value != new.explanation.value:
        was, now = old.explanation.value, new.explanation.value
        changed.append(("weight_decay", f"{was:g}", f"{now:g}"))
    return tuple(changed)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kept(old: _Side, new: _Side, coordinate: str) -> float | None:
    """Return the number that keeps a coordinate, or the penalty; None without one."""
    # A number at a knob is read in the run of its side; a coordinate needs no run.
    try:
        if not coordinate:
            return _converted(old, new).value
        there = old.explanation
        kept = convert(there.value, there.knob, to=coordinate, run=old.run).value
        if kept is None:
            return None
        return convert(kept, coordinate, to=new.explanation.knob, run=new.run).value
    except DwindleError:
        return None


def _converted(old: _Side, new: _Side) -> Conversion:
    value, knob = old.explanation.value, old.explanation.knob
    return convert(value, knob, to=new.explanation.knob, run=old.run, run_after=new.run)


def _other_kind(old: _Side, new: _Side) -> Finding:
    """Return the finding that the knob is of another update rule than before."""
    before, after = old.explanation, new.explanation
    found = Finding(code="DW033").having(
        before=before.knob,
        after=after.knob,
        was=after.value,
        family_before=str(before.family),
        family_after=str(after.family),
    )
    try:
        there = _converted(old, new)
    except RefusedError as error:
        return found.having(instead=error.instead)
    except DwindleError as error:
        return found.having(instead=str(error))
    found = found.having(fidelity=there.fidelity)
    if there.value is None:
        return found
    return typing(found, after.knob, there.value, after.value)


def _alike(then: float, now: float) -> bool:
    return abs(now - then) <= _SAME_WITHIN * max(abs(then), abs(now))
