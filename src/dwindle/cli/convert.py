"""dwindle convert: the same decay, typed in another place."""

from typing import TYPE_CHECKING

from dwindle.cli.facts import FACT_OPTIONS, WrittenFacts
from dwindle.cli.options import Option
from dwindle.cli.output import facts_table, print_json, quiet_table, stdout
from dwindle.cli.setting import SETTING, number, split_setting
from dwindle.decay.convert import Conversion, convert

if TYPE_CHECKING:
    from rich.table import Table

OPTIONS = (
    SETTING,
    Option("--to", "where it shall be typed instead", "KNOB", required=True),
    *FACT_OPTIONS,
)
PROMISES = {
    "same-trajectory": "every step is the same",
    "same-objective": "the same function is minimized",
    "same-total-decay": "the run leaves as much of a weight, on another path",
    "approximate": "holds as far as the assumptions do",
}


def command(*, knob_value: str, to: str, as_json: bool, **words: object) -> None:
    """Say a decay in the terms of another optimizer, library, paper, or clock.

    dwindle knobs lists the places. A fact of the run is needed only where a formula
    asks for it; one that differs at the new place is written before:after.
    """
    before, after = WrittenFacts.from_words(words).runs()
    knob, value = split_setting(knob_value)
    found = convert(value, knob, to=to, run=before, run_after=after)
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)


def _show(found: Conversion) -> None:
    console = stdout()
    told = number(found.value) if found.value is not None else "one value per layer"
    console.print(
        f"\n  {found.knob} = {number(found.value_from)}  →  "
        f"[bold]{found.to} = [cyan]{told}[/][/]\n"
    )
    if found.layers:
        console.print(_layers(found))
        console.print()
    fidelity = found.fidelity
    facts = {
        "unit": found.unit,
        "fidelity": f"{fidelity}: {PROMISES[fidelity]}",
        "formula": found.formula,
        "assumes": "\n".join(f"· {each}" for each in found.assumptions),
    }
    console.print(facts_table(facts))
    console.print()


def _layers(found: Conversion) -> "Table":
    table = quiet_table()
    for title in ("layer", "weights", found.to):
        table.add_column(title, justify="right")
    for each in found.layers:
        fan_in, fan_out = each.shape
        table.add_row(str(each.layer), f"{fan_in} × {fan_out}", number(each.value))
    return table
