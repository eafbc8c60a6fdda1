"""dwindle rescale: my scale changes, what do I type now?"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from dwindle.cli.explain import time_on
from dwindle.cli.facts import FACT_OPTIONS, WrittenFacts
from dwindle.cli.output import facts_table, print_json, quiet_table, stderr, stdout
from dwindle.cli.setting import SETTING, number, short_number, split_setting
from dwindle.decay.rescale import Rescaling, RuleAnswer, rescale

if TYPE_CHECKING:
    from rich.table import Table

    from dwindle.decay.explain import Explanation
    from dwindle.decay.run import Run

OPTIONS = (SETTING, *FACT_OPTIONS)
# The first one that is known tells the half-life of all rows.
CLOCKS = ("epochs", "tokens", "examples", "steps", "run")
# Cautions on the facts themselves, which every row depends on.
SAID = {"library-default", "unused-fact", "no-lr"}
CLOCK_NAMES = {"run": "of the run"}
OTHER_FACTS: Mapping[str, Callable[["Run"], object]] = {
    "momentum": lambda run: run.momentum,
    "dampening": lambda run: run.dampening,
    "schedule": lambda run: run.schedule.shape,
    "warm-up": lambda run: run.schedule.warmup,
    "final lr": lambda run: run.schedule.final,
    "fall of wsd": lambda run: run.schedule.decay_share,
    "dtype": lambda run: run.dtype,
}


def command(*, knob_value: str, as_json: bool, **words: object) -> None:
    """Say what to type after a change of scale, under every rule that speaks of it.

    Write what changes as before:after, as in --batch-size 256:2048 --lr 1e-3:2e-3, and
    what stays once. An lr that goes with the batch is --lr 1e-3:linear, or 1e-3:sqrt.
    """
    facts = WrittenFacts.from_words(words)
    before, after = facts.runs()
    knob, value = split_setting(knob_value)
    found = rescale(value, knob, before=before, after=after)
    if not facts.is_change:
        stderr().print("[yellow]Nothing changes:[/] write a fact as before:after.")
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found, before, after)


def _show(found: Rescaling, before: "Run", after: "Run") -> None:
    from rich.padding import Padding
    from rich.text import Text

    console = stdout()
    value = number(found.before.value)
    console.print(f"\n  {found.knob} = {value}, and the scale changes:")
    console.print(f"  {_changes(before, after)}\n")
    for caution in found.before.warnings:
        if caution.code in SAID:
            console.print(Padding(Text(caution.text, style="yellow"), (0, 2, 1, 2)))
    console.print(_answers(found))
    console.print("\n  [dim]Rules whose authors measured such a change[/]")
    console.print(_measured(found.rules))
    console.print("\n  [dim]Rules that do not apply, and why[/]")
    console.print(_reasons(answer for answer in found.rules if not answer.applies))
    console.print("\n  [dim]dwindle rules RULE tells the source of one.[/]\n")


def _changes(before: "Run", after: "Run") -> str:
    there = after.quantities()
    changed = {
        name: (f"{value:,.6g}", f"{there[name]:,.6g}")
        for name, value in before.quantities().items()
        if name in there and there[name] != value
    }
    # No rule speaks of these, but half-life and e-folds may move with them.
    for name, read in OTHER_FACTS.items():
        sides = _said(read(before)), _said(read(after))
        if sides[0] != sides[1]:
            changed[name] = sides
    return (
        " · ".join(
            f"{name.replace('_', ' ')} [bold]{old} → {new}[/]"
            for name, (old, new) in changed.items()
        )
        or "nothing"
    )


def _said(fact: object) -> str:
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)


def _common_clock(found: Rescaling) -> str:
    times = (found.before.half_life, found.unchanged.half_life)
    known = [clock for clock in CLOCKS if all(each.get(clock) for each in times)]
    return known[0] if known else "steps"


def _answers(found: Rescaling) -> "Table":
    clock = _common_clock(found)
    table = quiet_table()
    table.add_column("rule", style="cyan", no_wrap=True)
    table.add_column("type now", justify="right", style="bold cyan")
    for title in (f"half-life,\n{CLOCK_NAMES.get(clock, clock)}", "e-folds"):
        table.add_column(title, justify="right")
    has_penalty = found.before.penalty is not None
    if has_penalty:
        table.add_column("penalty λ", justify="right")
    table.add_column("keeps, [not bold]and what it was tested on[/]")
    unruled = {"before": found.before, "if you change nothing": found.unchanged}
    for title, told in unruled.items():
        effects = _effects(told, clock, with_penalty=has_penalty)
        value = f"[not bold default]{number(told.value)}[/]"
        table.add_row(f"[default]{title}[/]", value, *effects, "")
    applying = (answer for answer in found.rules if answer.applies)
    for each in sorted(applying, key=lambda answer: not answer.measured):
        effects = _effects(each, clock, with_penalty=has_penalty)
        table.add_row(each.rule, number(each.value), *effects, _worth(each))
    return table


def _measured(answers: Iterable[RuleAnswer]) -> "Table":
    """Name the answers that rest on a measurement of such a change, not on argument."""
    found = {
        each.rule: f"{number(each.value)}, {each.evidence}"
        for each in answers
        if each.measured
    }
    return facts_table(found or {"none": "what applies is an argument, or practice"})


def _effects(
    told: "Explanation | RuleAnswer", clock: str, *, with_penalty: bool
) -> list[str]:
    half_life = time_on(clock, told.half_life) if told.half_life else "–"
    effects = [half_life, short_number(told.e_folds)]
    return [*effects, number(told.penalty)] if with_penalty else effects


def _worth(answer: RuleAnswer) -> str:
    silent = ", ".join(answer.silent_on).replace("_", " ")
    doubt = f"; says nothing of {silent}" if silent else ""
    return f"{answer.keeps}\n[dim]{answer.evidence}{doubt}[/]"


def _reasons(answers: Iterable[RuleAnswer]) -> "Table":
    """Gather the rules that give the same reason: most of them do."""
    rules: dict[str, list[str]] = {}
    for each in answers:
        rules.setdefault(each.why_not.replace("_", " "), []).append(each.rule)
    return facts_table({", ".join(names): why for why, names in rules.items()})
