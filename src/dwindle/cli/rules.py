"""dwindle rules: the published scaling rules, as a table or one by one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dwindle.cli.options import Option
from dwindle.cli.output import facts_table, plain, print_json, stdout
from dwindle.decay.rules import RULES, Rule, resolve_rule

if TYPE_CHECKING:
    from rich.table import Table

OPTIONS = (Option("RULE", "tell only this one, with source and evidence"),)
COORDINATES = {"penalty": "λ", "shrink": "shrink"}
POWERS = {1.0: "", 2.0: "²", 0.5: "^½"}


def command(*, rule: str | None, as_json: bool) -> None:
    """List the published scaling rules: how a decay should move with scale.

    A rule speaks of λ (the coefficient in: mean loss + λ/2 · Σ w²) or of the shrink
    (the fraction that one step takes off a weight with zero gradient).
    """
    chosen = RULES if rule is None else (resolve_rule(rule),)
    if as_json:
        print_json({"rules": [plain(each) for each in chosen]})
    elif rule is None:
        stdout().print(_table(chosen))
        stdout().print("\n[dim]dwindle rules RULE tells source and evidence.[/]")
    else:
        stdout().print(_details(chosen[0]))


def _table(rules: tuple[Rule, ...]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table("rule", "says", "keeps", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].style, table.columns[2].style = "cyan", "dim"
    for rule in rules:
        table.add_row(rule.name, law(rule), rule.keeps)
    return table


def _details(rule: Rule) -> "Table":
    return facts_table(
        {
            "rule": rule.name,
            "says": rule.sentence,
            "law": law(rule),
            "keeps": rule.keeps,
            "lr": _product("lr", rule.lr_exponents) if rule.lr_exponents else "",
            "families": ", ".join(rule.families),
            "source": rule.source,
            "evidence": rule.evidence,
        }
    )


def law(rule: Rule) -> str:
    """Return the rule as a proportionality: ``λ ∝ width / dataset_size``."""
    return _product(COORDINATES[rule.coordinate], rule.exponents)


def _product(quantity: str, exponents: Mapping[str, float]) -> str:
    above = [_power(name, power) for name, power in exponents.items() if power > 0]
    below = [_power(name, -power) for name, power in exponents.items() if power < 0]
    if not above and not below:
        return f"{quantity} stays, whatever {', '.join(map(_words, exponents))}"
    return f"{quantity} ∝ {' / '.join([' · '.join(above) or '1', *below])}"


def _power(name: str, exponent: float) -> str:
    return _words(name) + POWERS.get(exponent, f"^{exponent:g}")


def _words(name: str) -> str:
    return name.replace("_", " ")
