"""dwindle rescale: my scale changes, what do I type now?"""

from collections.abc import Callable, Mapping

from dwindle.cli.facts import FACT_OPTIONS, SETTING, WrittenFacts, split_setting
from dwindle.cli.output import note, print_json, show
from dwindle.decay.explain import Explanation, time_cell
from dwindle.decay.rescale import Rescaling, RuleAnswer, rescale
from dwindle.decay.run import Run
from dwindle.show import Cell, Column, Line, Styled, Table, facts
from dwindle.wording import number

OPTIONS = (SETTING, *FACT_OPTIONS)
# The first one that is known is the clock of all rows.
_CLOCKS = ("epochs", "tokens", "examples", "steps", "run")
# Cautions on the facts themselves, which every row depends on.
_SAID = {"library-default", "unused-fact", "no-lr"}
# No rule covers these, but half-life and e-folds may move with them.
_OTHER_FACTS: Mapping[str, Callable[[Run], object]] = {
    "momentum": lambda run: run.momentum,
    "dampening": lambda run: run.dampening,
    "schedule": lambda run: run.schedule.shape,
    "warm-up": lambda run: run.schedule.warmup,
    "final lr": lambda run: run.schedule.final,
    "fall of wsd": lambda run: run.schedule.decay_share,
    "dtype": lambda run: run.dtype,
}


def command(*, knob_value: str, as_json: bool, **words: object) -> None:
    """Print what to type after a change of scale, under every rule that covers it.

    Write what changes as before:after, as in --batch-size 256:2048 --lr 1e-3:2e-3, and
    what stays once. An lr that goes with the batch is --lr 1e-3:linear, or 1e-3:sqrt.
    """
    written = WrittenFacts.from_words(words)
    before, after = written.runs()
    knob, value = split_setting(knob_value)
    found = rescale(value, knob, before=before, after=after)
    # Not an error: a script may sweep over scales, and one of them is where it began.
    if not written.is_change:
        note("Nothing changes: write a fact as before:after.", style="yellow")
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found, _changes(before, after))


def _show(found: Rescaling, changes: dict[str, str]) -> None:
    title = f"{found.knob} = {number(found.before.value)}, and the scale changes:"
    show("", Line(text=title, style="bold", indent=2), facts(changes, indent=2), "")
    for caution in found.before.warnings:
        if caution.code in _SAID:
            show(Line(text=caution.text, style="yellow", indent=2), "")
    show(_answers(found))
    # What rests on a measurement of such a change, not on argument.
    measured = {
        each.rule: f"{number(each.value)}, {each.evidence}"
        for each in found.rules
        if each.measured
    } or {"none": "what applies is an argument, or practice"}
    # Most rules that do not apply give the same few reasons.
    reasons: dict[str, list[str]] = {}
    for each in found.rules:
        if not each.applies:
            reasons.setdefault(each.why_not.replace("_", " "), []).append(each.rule)
    silent = {", ".join(names): why for why, names in reasons.items()}
    show("", _heading("Rules whose authors measured such a change"))
    show(facts(measured, indent=2))
    show("", _heading("Rules that do not apply, and why"))
    show(facts(silent, indent=2), "")
    show(_heading("dwindle rules RULE prints the source of one."), "")


def _heading(text: str) -> Line:
    return Line(text=text, style="dim", indent=2)


def _changes(before: Run, after: Run) -> dict[str, str]:
    there = after.quantities()
    changed = {
        name.replace("_", " "): (f"{value:,.6g}", f"{there[name]:,.6g}")
        for name, value in before.quantities().items()
        if name in there and there[name] != value
    }
    for name, read in _OTHER_FACTS.items():
        sides = _said(read(before)), _said(read(after))
        if sides[0] != sides[1]:
            changed[name] = sides
    both = {name: f"{old} → {new}" for name, (old, new) in changed.items()}
    return both or {"nothing": "changes"}


def _said(fact: object) -> str:
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)


def _answers(found: Rescaling) -> Table:
    times = (found.before.half_life, found.unchanged.half_life)
    known = (clock for clock in _CLOCKS if all(each.get(clock) for each in times))
    # One clock for all rows: half-lives on different clocks cannot be compared by eye.
    clock = next(known, "steps")
    columns = [
        Column("rule", "name", "cyan"),
        Column("type now", "number", "bold cyan"),
        Column(f"half-life,\n{'of the run' if clock == 'run' else clock}", "number"),
        Column("e-folds", "number"),
        Column("penalty λ", "number"),
        Column("keeps, and what it was tested on"),
    ]
    has_penalty = found.before.penalty is not None
    rows: list[tuple[Cell, ...]] = [
        (
            Styled(title, "default"),
            Styled(number(each.value), "default"),
            *_effects(each, clock, with_penalty=has_penalty),
            "",
        )
        for title, each in (
            ("before", found.before),
            ("if you change nothing", found.unchanged),
        )
    ]
    rows += [
        (
            each.rule,
            number(each.value),
            *_effects(each, clock, with_penalty=has_penalty),
            _worth(each),
        )
        # What was measured first; the order of the table stays within both.
        for each in sorted(found.rules, key=lambda answer: not answer.measured)
        if each.applies
    ]
    return Table(columns=columns, rows=rows, indent=2)


def _effects(
    of: Explanation | RuleAnswer, clock: str, *, with_penalty: bool
) -> tuple[str, str, str]:
    half_life = time_cell(clock, of.half_life) if of.half_life else number(None)
    penalty = number(of.penalty) if with_penalty else ""
    return half_life, number(of.e_folds), penalty


def _worth(answer: RuleAnswer) -> tuple[str, ...]:
    silent = ", ".join(answer.silent_on).replace("_", " ")
    doubt = f"; does not cover {silent}" if silent else ""
    return answer.keeps, Styled(f"{answer.evidence}{doubt}", "dim")
