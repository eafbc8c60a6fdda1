"""dwindle knobs: the places where one types a decay, as a table or one by one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dwindle.cli.options import Option
from dwindle.cli.output import facts_table, plain, print_json, stdout
from dwindle.decay.knobs import Knob, knobs, resolve_knob

if TYPE_CHECKING:
    from rich.table import Table

OPTIONS = (Option("KNOB", "tell only this one, with its default and source"),)


def command(*, knob: str | None, as_json: bool) -> None:
    """List the places where one types a decay, and what the number does there.

    A short name does where it is unique: torch.AdamW, AdamW, keras.L2.
    """
    chosen = knobs() if knob is None else (resolve_knob(knob),)
    if as_json:
        print_json({"knobs": [plain(each) for each in chosen]})
    elif knob is None:
        stdout().print(_table(chosen))
        stdout().print("\n[dim]dwindle knobs KNOB tells default, source and more.[/]")
    else:
        stdout().print(_details(chosen[0]))


def _table(chosen: Iterable[Knob]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table("knob", "what the number x does", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].style = "cyan"
    table.columns[0].no_wrap = True
    for knob in chosen:
        table.add_row(knob.name, knob.formula)
    return table


def _details(knob: Knob) -> "Table":
    default = "" if knob.default is None else f"{knob.default:g}"
    return facts_table(
        {
            "knob": knob.name,
            "also": ", ".join(knob.aliases),
            "does": knob.formula,
            "unit": knob.unit,
            "family": knob.family or "",
            "penalty": knob.penalty or "",
            "default": default,
            "skips": knob.skips,
            "note": knob.note,
            "read in": knob.version,
            "source": knob.source,
        }
    )
