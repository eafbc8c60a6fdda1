"""The conclusion in English: headline, a few sentences, remarks, and what to type next.

Everything is phrased here, once, from the numbers alone; weak evidence is called weak.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwindle.findings import names
from dwindle.findings.cells import is_untrained, shows_best_decay
from dwindle.findings.model import Answer, AxisFindings, Findings, RuleFindings
from dwindle.findings.names import UNCHANGED, optimizer_name, quantity
from dwindle.findings.next_steps import next_steps
from dwindle.findings.rule_verdict import Course
from dwindle.findings.verdict import (
    QUESTION,
    RuleCost,
    course_of,
    find_rule,
    judged_axes,
    rank_rules,
    surely_costs_less,
    tied_with_best,
)
from dwindle.wording import clean, counted, fixed, listed, number

SIZE = ("width", "depth")
_TIES_NAMED = 3
# One list of quantities each: where the best λ goes when the quantity grows.
_COURSES: dict[Course, str] = {
    "down": "falls with {}",
    "up": "rises with {}",
    "still": "does not move with {}",
}
# What a size calls for, and what undoing a normalization by size calls for.
_CLAIMS: dict[Course, str] = {
    "up": "calls for a larger λ, the opposite of the question's proposal",
    "down": "calls for a smaller λ, but not for the question's proposal",
    "still": "does not call for a correction",
}
_NORMALIZED: dict[Course, str] = {
    "up": "λ has to grow again",
    "down": "λ has to fall even further",
    "still": "λ needs no further correction",
    "unknown": "these runs cannot tell whether λ has to move",
}


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What stands above and below all numbers.

    Args:
        headline: The verdict in one sentence.
        sentences: Size, what else moves the best λ, and which rule to follow.
        remarks: What a reader must be warned of.
        next_steps: Lines to copy, or why there are none.

    """

    headline: str
    sentences: tuple[str, ...]
    remarks: tuple[str, ...]
    next_steps: tuple[str, ...]


def studies_of(shown: Answer | Findings) -> tuple[Findings, ...]:
    """Return the studies of an answer, or the study itself."""
    return shown.studies if isinstance(shown, Answer) else (shown,)


def conclude(shown: Answer | Findings) -> Conclusion:
    """Return what follows from an answer or from one study."""
    studies = studies_of(shown)
    is_answer = isinstance(shown, Answer)
    return Conclusion(
        headline=_of_answer(studies) if is_answer else _of_study(studies[0]),
        sentences=_sentences(studies, is_headed=not is_answer),
        remarks=_remarks(studies),
        next_steps=next_steps(studies),
    )


def _of_study(study: Findings) -> str:
    """Return where the best λ goes along every axis."""
    if not study.axes:
        return "Nothing was varied, so nothing can be said about scale."
    name = optimizer_name(study.optimizer)
    if study.normalization != "none":
        name += f" and λ normalized by {clean(study.normalization, limit=20)}"
    if all(is_untrained(cell) for axis in study.axes for cell in axis.cells):
        return f"With {name}, nothing was trained: the networks stay at chance."
    return f"With {name}, {'; '.join(_courses(study.axes))}."


def _of_answer(studies: Sequence[Findings]) -> str:
    """Answer "should decay be divided by the size of the network?" in plain words.

    A sentence per study on a plain λ, the question's own setting first: what becomes of
    the question's proposal, and what the trainings call for instead.
    """
    plain = [study for study in studies if study.normalization == "none" and study.axes]
    if not plain:
        return "Nothing was varied on a plain λ, so the question is open."
    first, *others = [
        f"{_reply(study)}: with {_PLAINLY.get(study.optimizer, study.optimizer)},"
        f" {_advice(study)}"
        for study in plain
    ]
    return " ".join(f"{each}." for each in (first, *others))


def _size_axis(study: Findings) -> AxisFindings | None:
    return next((axis for axis in study.axes if axis.axis in SIZE), None)


def _reply(study: Findings) -> str:
    """Whether the question's proposal is right: yes, no, or undecided."""
    size = _size_axis(study)
    question = find_rule(size, QUESTION) if size else None
    if size is None or question is None or size.unchanged is None:
        return "Undecided"
    if surely_costs_less(question, size.unchanged):
        return "Yes"
    if surely_costs_less(size.unchanged, question) or question.agrees is False:
        return "No"
    return "Undecided"


_OF_SIZE = {
    "Yes": "divide weight decay by the number of weights",
    "No": "do not divide weight decay by the number of weights",
    "Undecided": "these trainings cannot tell whether to divide weight decay by the "
    "number of weights",
}
# What readers call an optimizer of a study who do not know its short name.
_PLAINLY = {"sgd": "SGD and an L2 penalty", "adamw": "AdamW", "adam": "Adam and L2"}
_TWICE = {
    "width": "a network twice as wide",
    "depth": "twice the layers",
    "batch_size": "twice the batch",
    "dataset_size": "twice the data",
    "epochs": "twice the epochs",
    "lr": "twice the learning rate",
}


def _advice(study: Findings) -> str:
    """What to do about size; and by how much what was varied moves the best value."""
    factors = [
        (axis.axis, number(2**axis.exponent, digits=2))
        for axis in study.axes
        if axis.exponent is not None and course_of(axis) in ("up", "down")
    ]
    moves = [
        f"{_TWICE.get(axis, f'twice the {quantity(axis)}')}"
        f"{'' if place else ' wants'} {factor} times{'' if place else ' as much'}"
        for place, (axis, factor) in enumerate(factors)
    ]
    advice = _OF_SIZE[_reply(study)]
    if moves:
        return f"{advice}; but {listed(moves)}"
    if all(course_of(axis) == "still" for axis in study.axes):
        return f"{advice}, and nothing that was varied wants another value"
    return f"{advice}; what else moves the best value is open"


def _courses(
    axes: Sequence[AxisFindings],
    name: Callable[[AxisFindings], str] = lambda axis: quantity(axis.axis),
) -> list[str]:
    """Return one clause per course; quantities that share it stand in a list."""
    by_course: dict[Course, list[str]] = {}
    for axis in axes:
        by_course.setdefault(course_of(axis), []).append(name(axis))
    clauses = [
        said.format(listed(by_course[course]))
        for course, said in _COURSES.items()
        if course in by_course
    ]
    clauses = [
        f"{'it' if i else 'the best λ'} {each}" for i, each in enumerate(clauses)
    ]
    if "unknown" in by_course:
        moves = "it moves" if clauses else "the best λ moves"
        clauses.append(f"whether {moves} with {listed(by_course['unknown'])} is open")
    return clauses


def _share_lost(rule: RuleFindings) -> str:
    """Return how much of what decay buys a rule loses; more than all is no number."""
    share = rule.share_lost or 0.0
    if share > 1:
        return "more than decay buys"
    bound = "at least " if rule.beyond_grid else ""
    return f"{bound}{fixed(100 * share, 0)} % of what decay buys"


def _sentences(studies: Sequence[Findings], *, is_headed: bool) -> tuple[str, ...]:
    """Return the verdict in sentences: size, what else moves λ, which rule to follow.

    The first plain study (normalization ``none``) answers the question itself; a study
    trained with the asker's normalization joins its sentence; every further plain
    study gets one sentence of its own. Where one study alone ``is_headed`` by all of
    its courses, only those with an exponent come back.
    """
    plain = [study for study in studies if study.normalization == "none"]
    normalized = [study for study in studies if study.normalization != "none"]
    if not plain:
        return tuple(f"{_about_normalized(study)}." for study in normalized)
    lead, *others = plain
    size = _about_size(lead, [s for s in normalized if s.optimizer == lead.optimizer])
    rest = (
        _about_the_rest(lead, skip=SIZE if size else (), is_headed=is_headed),
        *(_about_the_rest(study) for study in others),
    )
    return tuple(sentence for sentence in (size, *rest) if sentence)


def _about_size(study: Findings, normalized: Sequence[Findings]) -> str:
    axes = [axis for axis in study.axes if axis.axis in SIZE]
    if not axes:
        return ""
    first, *others = axes
    clauses = [f"{_size_clause(first)}{_price_of_the_question(first)}"]
    for axis in others:
        is_said = _is_undecided(axis) and _is_undecided(first)
        nor = f"nor whether {quantity(axis.axis)} does ({_number(axis)})"
        clauses.append(nor if is_said else _size_clause(axis))
    clauses += map(_about_normalized, normalized)
    return f"With {optimizer_name(study.optimizer)}, {'; '.join(clauses)}."


def _is_undecided(axis: AxisFindings) -> bool:
    """Whether not even the question's proposal is excluded."""
    question = find_rule(axis, QUESTION)
    is_excluded = question is not None and question.agrees is False
    return course_of(axis) == "unknown" and not is_excluded


def _size_clause(axis: AxisFindings) -> str:
    name, number, course = quantity(axis.axis), _number(axis), course_of(axis)
    question = find_rule(axis, QUESTION)
    if course == "down" and question and question.agrees:
        return f"{name} calls for a smaller λ, as the question proposes ({number})"
    if _is_undecided(axis):
        doubt = "these runs cannot tell whether"
        return f"{doubt} {name} calls for a correction ({number})"
    if course == "unknown":
        return (
            f"{name} does not call for the question's proposal, but whether for "
            f"another correction these runs cannot tell ({number})"
        )
    return f"{name} {_CLAIMS[course]} ({number})"


def _price_of_the_question(axis: AxisFindings) -> str:
    """What dividing by the number of weights predicts and loses; empty if unknown."""
    rule = find_rule(axis, QUESTION)
    if rule is None or rule.exponent is None:
        return ""
    wanted = f", where dividing by the number of weights means {fixed(rule.exponent)}"
    if rule.regret is None:
        return wanted
    if rule.share_lost is None:
        bound = "at least " if rule.beyond_grid else ""
        return f"{wanted} and loses {bound}{fixed(rule.regret, 3)} nats"
    return f"{wanted} and loses {_share_lost(rule)}"


def _about_normalized(study: Findings) -> str:
    """What a study that was trained with a normalization shows of undoing it."""
    axis = next((axis for axis in study.axes if axis.axis in SIZE), None)
    start = f"trained with the {clean(study.normalization)} normalization"
    if axis is None:
        return f"{start} nothing was varied that it divides by"
    claim = _NORMALIZED[course_of(axis)]
    return f"{start}, {claim} with {quantity(axis.axis)} ({_number(axis)})"


def _number(axis: AxisFindings) -> str:
    if axis.exponent is None or axis.low is None or axis.high is None:
        telling = sum(map(shows_best_decay, axis.cells))
        return names.sure_cells(telling, len(axis.cells))
    limits = f"{fixed(axis.low)} to {fixed(axis.high)}"
    return f"exponent {fixed(axis.exponent)}, 90 % {limits}"


def _about_the_rest(
    study: Findings, *, skip: Sequence[str] = (), is_headed: bool = False
) -> str:
    axes = [axis for axis in study.axes if axis.axis not in skip]
    if not axes:
        return ""
    if is_headed:
        axes = [axis for axis in axes if axis.exponent is not None]

    def with_exponent(axis: AxisFindings) -> str:
        # Without its interval, which stands in the table beside it.
        name = quantity(axis.axis)
        return name if axis.exponent is None else f"{name} ({fixed(axis.exponent)})"

    clauses = [*_courses(axes, with_exponent), _about_rules(study)]
    return f"With {optimizer_name(study.optimizer)}, {'; '.join(clauses)}."


def _about_rules(study: Findings) -> str:
    """Which rule costs least, unless the noise cannot tell it from doing nothing."""
    costs = rank_rules(study)
    if not costs:
        return "no rule could be judged"
    tied = [cost.rule for cost in tied_with_best(costs)]
    unchanged = next(cost for cost in costs if cost.rule == UNCHANGED)
    nothing = f"{names.rule_phrase(UNCHANGED)} ({_nats(unchanged)})"
    judged = judged_axes(study)
    one = f"over {quantity(judged[0].axis)}"
    over = f"over these {len(judged)} quantities" if len(judged) > 1 else one
    if UNCHANGED in tied:
        return f"{over} no rule is measurably better than {nothing}"
    best = listed([names.rule_phrase(rule) for rule in tied], most=_TIES_NAMED)
    verb = "costs" if len(tied) == 1 else "cost"
    return f"{over} {best} {verb} least ({_nats(costs[0])}), {nothing}"


def _nats(cost: RuleCost) -> str:
    return f"{fixed(cost.regret, 3)} nats"


def _remarks(studies: Sequence[Findings]) -> tuple[str, ...]:
    remarks = []
    if not all(study.complete for study in studies):
        remarks.append("Not all trainings are done; the same command continues.")
    lost = sum(study.trials.get("diverged", 0) for study in studies)
    if lost:
        diverged = counted(lost, "training")
        remarks.append(f"{diverged} diverged: shown as such, and never an optimum.")
    return tuple(remarks)
