"""Numbers and names as running text: a few digits, a real minus sign, no jargon."""

from collections.abc import Sequence

from dwindle.findings.model import AxisFindings, CellFindings, RuleFindings

MINUS = "−"
NOTHING = "–"

OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW", "adam": "Adam with L2"}

QUANTITIES = {
    "batch_size": "batch size",
    "dataset_size": "dataset size",
    "lr": "learning rate",
}

# Rules as the verdict calls them; all others go by the names in the table of rules.
RULES = {
    "question-layer-mean": "dividing by the number of weights",
    "answer": "the answer's constant decay of one weight",
    "bengio-map": "Bengio's 1/N",
    "neal": "Neal's prior",
    "half-life-epochs": "a constant half-life in epochs",
    "half-life-examples": "a constant half-life in examples",
    "half-life-run": "a half-life that is a constant share of the run",
    "half-life-steps": "a constant half-life in steps",
    "unchanged": "leaving λ as it is",
}


def quantity(axis: str) -> str:
    """Return a quantity of scale as words.

    Example:
        >>> quantity("dataset_size"), quantity("width")
        ('dataset size', 'width')

    """
    return QUANTITIES.get(axis, axis.replace("_", " "))


def rule_name(rule: str) -> str:
    """Return how running text calls a rule.

    Example:
        >>> rule_name("neal"), rule_name("sde-sqrt")
        ("Neal's prior", 'the rule sde-sqrt')

    """
    return RULES.get(rule, f"the rule {rule}")


def fixed(value: float, places: int = 2) -> str:
    """Return a number with fixed places, and no minus before a zero.

    Example:
        >>> fixed(-0.5), fixed(-0.001), fixed(0.0312, 3)
        ('−0.50', '0.00', '0.031')

    """
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def decay(value: float) -> str:
    """Return a λ with two digits, as Python reads it; more is never measured.

    Example:
        >>> decay(0.003162), decay(2.51e-5), decay(12.3)
        ('0.0032', '2.5e-05', '12')

    """
    return f"{value:.2g}"


def listed(items: Sequence[str]) -> str:
    """Return items as an English list.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')

    """
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def interval(low: float, high: float) -> str:
    """Return the limits of an exponent.

    Example:
        >>> interval(-0.9, 0.25)
        '−0.90 to 0.25'

    """
    return f"{fixed(low)} to {fixed(high)}"


def measured(axis: AxisFindings) -> str:
    """Return a measured exponent with its interval, or why there is none."""
    if axis.exponent is None or axis.low is None or axis.high is None:
        return f"cannot tell: {unresolved(axis)}"
    return f"{fixed(axis.exponent)} ({interval(axis.low, axis.high)})"


def tells(cell: CellFindings) -> bool:
    """Return whether decay matters in a cell and its best λ has a limit, for slopes."""
    limited = cell.low is not None or cell.high is not None
    return cell.matters == "yes" and cell.optimum is not None and limited


def unresolved(axis: AxisFindings) -> str:
    """Return in a few words how many cells could serve."""
    telling = sum(map(tells, axis.cells))
    return f"{telling} of {len(axis.cells)} cells show a best λ"


def share_lost(rule: RuleFindings, *, of: str = " of what decay buys") -> str:
    """Return how much of what decay buys a rule loses; more than all is no number.

    Args:
        rule: A rule with a share.
        of: What follows the number; empty where it stands beside another share.

    """
    share = rule.share_lost or 0.0
    if share > 1:
        return "more than decay buys"
    bound = "at least " if rule.beyond_grid else ""
    return f"{bound}{fixed(100 * share, 0)} %{of}"


def loss(rule: RuleFindings) -> str:
    """Return what following a rule loses, in units of the loss, with its interval."""
    if rule.regret is None:
        return NOTHING
    value = fixed(rule.regret, 3)
    bound = "≥ " if rule.beyond_grid else ""
    if rule.regret_low is None or rule.regret_high is None:
        return f"{bound}{value}"
    return f"{bound}{value} ({fixed(rule.regret_low, 3)}–{fixed(rule.regret_high, 3)})"
