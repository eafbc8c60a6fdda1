"""The verdict table: for each quantity of scale, the measurement beside the rules."""

from collections.abc import Iterable

from dwindle.findings import words
from dwindle.findings.held import UNCHANGED
from dwindle.findings.model import AxisFindings, Findings, RuleFindings, VerdictRow

# The question, its answer, and the rules that people quote in reply.
COLUMNS = (
    "question-layer-mean",
    "answer",
    "bengio-map",
    "neal",
    "half-life-epochs",
    UNCHANGED,
)


def verdict_rows(studies: Iterable[Findings]) -> tuple[VerdictRow, ...]:
    """Return one row per study and axis.

    Each rule's text is the exponent that it predicts for these very cells and the
    validation loss that following it loses, with its 90 % interval.

    Args:
        studies: Findings, in the order of the table.

    Returns:
        Rows of text; a rule that does not speak of the quantity shows a dash.

    """
    return tuple(
        VerdictRow(
            study=study.study,
            axis=axis.axis,
            measured=words.measured(axis),
            rules={name: _rule_text(axis, name) for name in COLUMNS},
        )
        for study in studies
        for axis in study.axes
    )


def find_rule(axis: AxisFindings, name: str) -> RuleFindings | None:
    """Return a rule's findings on an axis if it applies there."""
    held = (*axis.rules, axis.unchanged) if axis.unchanged else axis.rules
    return next((rule for rule in held if rule.rule == name and rule.applies), None)


def _rule_text(axis: AxisFindings, name: str) -> str:
    rule = find_rule(axis, name)
    if rule is None or rule.exponent is None:
        return words.NOTHING
    if rule.regret is None:
        return words.fixed(rule.exponent)
    return f"{words.fixed(rule.exponent)}, loses {words.loss(rule)}"
