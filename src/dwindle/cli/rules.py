"""dwindle rules: the published scaling rules, as a table or one by one."""

from collections.abc import Mapping

from dwindle.cli.options import Option
from dwindle.cli.output import answer
from dwindle.decay.rules import RULES, Rule, resolve_rule
from dwindle.show import Column, Line, Table, facts

OPTIONS = (Option("RULE", "print only this one, with source and evidence"),)
_COORDINATES = {"penalty": "λ", "shrink": "shrink"}
_POWERS = {1.0: "", 2.0: "²", 0.5: "^½"}


def command(*, rule: str | None, as_json: bool) -> None:
    """List the published scaling rules: how a decay should move with scale.

    A rule moves λ (the coefficient in: mean loss + λ/2 · Σ w²) or the shrink
    (the fraction that one step takes off a weight with zero gradient).
    """
    chosen = RULES if rule is None else (resolve_rule(rule),)
    document = {"rules": chosen}
    if rule is None:
        columns = (Column("rule", "name", "cyan"), "law", Column("keeps", style="dim"))
        rows = [(each.name, law(each), each.keeps) for each in chosen]
        last = Line(text="dwindle rules RULE prints source and evidence.", style="dim")
        answer(document, Table(columns=columns, rows=rows), "", last, as_json=as_json)
        return
    (one,) = chosen
    named = {
        "rule": one.name,
        "statement": one.sentence,
        "law": law(one),
        "keeps": one.keeps,
        "lr": _product("lr", one.lr_exponents) if one.lr_exponents else "",
        "families": ", ".join(one.families),
        "source": one.source,
        "evidence": one.evidence,
    }
    answer(document, facts(named, indent=2), as_json=as_json)


def law(rule: Rule) -> str:
    """Return the rule as a proportionality: ``λ ∝ width / dataset_size``."""
    return _product(_COORDINATES[rule.coordinate], rule.exponents)


def _product(quantity: str, exponents: Mapping[str, float]) -> str:
    # The names of facts: lr stays lr here, as in the options and in every formula.
    named = {name.replace("_", " "): power for name, power in exponents.items()}
    above = [_power(name, power) for name, power in named.items() if power > 0]
    below = [_power(name, -power) for name, power in named.items() if power < 0]
    if not above and not below:
        return f"{quantity} does not depend on {', '.join(named)}"
    return f"{quantity} ∝ {' / '.join([' · '.join(above) or '1', *below])}"


def _power(name: str, exponent: float) -> str:
    return name + _POWERS.get(exponent, f"^{exponent:g}")
