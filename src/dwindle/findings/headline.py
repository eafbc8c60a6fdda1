"""The verdict in one short sentence: correct for what, and what of the proposal."""

from collections.abc import Sequence

from dwindle.findings import words
from dwindle.findings.model import AxisFindings, Findings, RuleFindings
from dwindle.findings.sentences import QUESTION, SIZE, course_of
from dwindle.findings.verdict import find_rule


def answer_headline(studies: Sequence[Findings]) -> str:
    """Return the answer to "should λ be corrected for scale?", from the numbers.

    The first study on a plain λ, the question's own setting, gives it.

    Args:
        studies: Findings of the answer's studies.

    Returns:
        One sentence: the quantities that surely move the best λ, and what the
        question's proposal costs beside doing nothing, on the first size that varied.

    """
    plain = [study for study in studies if study.normalization == "none"]
    if not plain or not plain[0].axes:
        return "Nothing was varied on a plain λ, so the question is open."
    lead = plain[0]
    size = next((axis for axis in lead.axes if axis.axis in SIZE), None)
    name = words.OPTIMIZERS.get(lead.optimizer, lead.optimizer)
    proposal = _proposal(size) if size else ""
    return f"{_reply(lead.axes)}: with {name}, {_what_moves(lead.axes)}{proposal}."


def _reply(axes: Sequence[AxisFindings]) -> str:
    """Answer the question with one word before the reasons."""
    courses = {course_of(axis) for axis in axes}
    if courses & {"up", "down"}:
        return "Yes"
    return "Undecided" if "unknown" in courses else "No"


def _what_moves(axes: Sequence[AxisFindings]) -> str:
    courses = {"up": "rises", "down": "falls"}
    clauses = []
    for course, verb in courses.items():
        names = [words.quantity(a.axis) for a in axes if course_of(a) == course]
        if names:
            clauses.append(f"{verb} with {words.listed(names)}")
    if clauses:
        return f"the best λ {' and '.join(clauses)}"
    if any(course_of(axis) == "unknown" for axis in axes):
        return "these runs cannot tell what moves the best λ"
    return "the best λ does not move with scale"


def _proposal(axis: AxisFindings) -> str:
    question, alone = find_rule(axis, QUESTION), axis.unchanged
    if question is None or alone is None:
        return ""
    if question.share_lost is None or alone.share_lost is None:
        return ""
    told_once = {"of": ""} if question.share_lost <= 1 else {}
    costs = (
        f"loses {words.share_lost(question)} over {words.quantity(axis.axis)}, leaving "
        f"it alone {words.share_lost(alone, **told_once)}"
    )
    if _surely_less(question, alone):
        return f"; and dividing it by the number of weights pays: that {costs}"
    if _surely_less(alone, question):
        return f"; but do not divide it by the number of weights: that {costs}"
    better = "whether dividing it by the number of weights beats leaving it alone"
    return f"; {better} is open: it {costs}"


def _surely_less(one: RuleFindings, other: RuleFindings) -> bool:
    """Whether one loses less than the other, their 90 % intervals apart."""
    if one.regret_high is None or other.regret_low is None:
        return False
    return one.regret_high < other.regret_low
