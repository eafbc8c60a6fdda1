"""Two or three plain sentences that follow from the numbers, weak evidence included."""

from collections.abc import Sequence

from dwindle.findings import words
from dwindle.findings.held import UNCHANGED, Course, course_within
from dwindle.findings.model import AxisFindings, Findings
from dwindle.findings.ranking import RuleCost, judged_axes, rank_rules, tied_with_best
from dwindle.findings.verdict import find_rule

QUESTION = "question-layer-mean"
SIZE = ("width", "depth")
_TIES_NAMED = 3
_UNDECIDED = "these runs cannot tell whether {name} calls for a correction"


def answer_sentences(studies: Sequence[Findings]) -> tuple[str, ...]:
    """Return the verdict in words: size, what else moves λ, and which rule to follow.

    The first plain study (normalization ``none``) answers the question itself; a study
    trained with the asker's normalization is told in the same sentence; every further
    plain study gets one sentence of its own.

    Args:
        studies: Findings of the answer's studies.

    Returns:
        Sentences made from these numbers only; where they cannot tell, they say so.

    """
    plain = [study for study in studies if study.normalization == "none"]
    normalized = [study for study in studies if study.normalization != "none"]
    if not plain:
        return tuple(_normalized(study) + "." for study in normalized)
    lead, *others = plain
    size = _about_size(lead, [s for s in normalized if s.optimizer == lead.optimizer])
    return tuple(
        sentence
        for sentence in (
            size,
            _about_the_rest(lead, skip=SIZE if size else ()),
            *(_about_the_rest(study, skip=()) for study in others),
        )
        if sentence
    )


def course_of(axis: AxisFindings) -> Course:
    """Return which way the best λ goes along an axis, or that nobody can tell.

    ``still`` needs an interval that holds 0 and excludes a square root in both
    directions; a wide interval around 0 is no evidence that nothing happens. Two cells
    do not check the power law itself, so theirs must be half as wide.
    """
    if axis.exponent is None or axis.low is None or axis.high is None:
        return "unknown"
    telling = [cell for cell in axis.cells if words.tells(cell) and cell.value > 0]
    return course_within(axis.low, axis.high, cells=len(telling))


def _about_size(study: Findings, normalized: Sequence[Findings]) -> str:
    axes = [axis for axis in study.axes if axis.axis in SIZE]
    if not axes:
        return ""
    first, *others = axes
    clauses = [f"{_size_clause(first)}{_price_of_the_question(first)}"]
    for axis in others:
        same = _size_claim(axis) == _size_claim(first) == _UNDECIDED
        nor = f"nor whether {words.quantity(axis.axis)} does ({_number(axis)})"
        clauses.append(nor if same else _size_clause(axis))
    clauses += [_normalized(each) for each in normalized]
    return f"{_with(study)}, {'; '.join(clauses)}."


def _size_clause(axis: AxisFindings) -> str:
    name = words.quantity(axis.axis)
    return f"{_size_claim(axis).format(name=name)} ({_number(axis)})"


def _size_claim(axis: AxisFindings) -> str:
    claims: dict[Course, str] = {
        "unknown": _UNDECIDED,
        "still": "{name} does not call for a correction",
        "up": "{name} calls for a larger λ, the opposite of the question's proposal",
        "down": "{name} calls for a smaller λ, but not for the question's proposal",
    }
    course = course_of(axis)
    question = find_rule(axis, QUESTION)
    if course == "down" and question and question.agrees:
        return "{name} calls for a smaller λ, as the question proposes"
    if course == "unknown" and question and question.agrees is False:
        return (
            "{name} does not call for the question's proposal, but whether for "
            "another correction these runs cannot tell"
        )
    return claims[course]


def _price_of_the_question(axis: AxisFindings) -> str:
    """What dividing by the number of weights predicts and loses; empty if unknown."""
    rule = find_rule(axis, QUESTION)
    if rule is None or rule.exponent is None:
        return ""
    wanted = (
        f", where dividing by the number of weights means {words.fixed(rule.exponent)}"
    )
    if rule.regret is None:
        return wanted
    bound = "at least " if rule.beyond_grid else ""
    if rule.share_lost is None:
        return f"{wanted} and loses {bound}{words.fixed(rule.regret, 3)} nats"
    return f"{wanted} and loses {words.share_lost(rule)}"


def _normalized(study: Findings) -> str:
    """What a study that was trained with a normalization says of undoing it."""
    axis = next((axis for axis in study.axes if axis.axis in SIZE), None)
    start = f"trained with the {study.normalization} normalization"
    if axis is None:
        return f"{start} nothing was varied that it divides by"
    claims: dict[Course, str] = {
        "up": "λ has to grow again",
        "down": "λ has to fall even further",
        "still": "λ needs no further correction",
        "unknown": "these runs cannot tell whether λ has to move",
    }
    name = words.quantity(axis.axis)
    return f"{start}, {claims[course_of(axis)]} with {name} ({_number(axis)})"


def _number(axis: AxisFindings) -> str:
    if axis.exponent is None or axis.low is None or axis.high is None:
        return words.unresolved(axis)
    limits = words.interval(axis.low, axis.high)
    return f"exponent {words.fixed(axis.exponent)}, 90 % {limits}"


def _about_the_rest(study: Findings, *, skip: Sequence[str]) -> str:
    axes = [axis for axis in study.axes if axis.axis not in skip]
    if not axes:
        return ""
    return f"{_with(study)}, {'; '.join([*_courses(axes), _about_rules(study)])}."


def _courses(axes: Sequence[AxisFindings]) -> list[str]:
    sorted_out: dict[str, list[str]] = {}
    for axis in axes:
        course = course_of(axis)
        key = "moves" if course in ("up", "down") else course
        sorted_out.setdefault(key, []).append(_short(axis))
    hardly = "hardly" if "moves" in sorted_out else "the best λ hardly moves"
    starts = {
        "moves": "the best λ moves with {}",
        "still": f"{hardly} with {{}}",
        "unknown": "about {} these runs cannot tell",
    }
    return [
        start.format(words.listed(sorted_out[key]))
        for key, start in starts.items()
        if key in sorted_out
    ]


def _short(axis: AxisFindings) -> str:
    """A quantity with its exponent alone: the table beside it has the intervals."""
    name = words.quantity(axis.axis)
    return name if axis.exponent is None else f"{name} ({words.fixed(axis.exponent)})"


def _about_rules(study: Findings) -> str:
    """Which rule costs least, unless the noise cannot tell it from doing nothing."""
    costs = rank_rules(study)
    if not costs:
        return "no rule could be judged"
    tied = [cost.rule for cost in tied_with_best(costs)]
    unchanged = next(cost for cost in costs if cost.rule == UNCHANGED)
    nothing = f"{words.rule_name(UNCHANGED)} ({_nats(unchanged)})"
    judged = judged_axes(study)
    one = f"over {words.quantity(judged[0].axis)}"
    over = f"over these {len(judged)} quantities" if len(judged) > 1 else one
    if UNCHANGED in tied:
        return f"{over} no rule is measurably better than {nothing}"
    named = [words.rule_name(rule) for rule in tied[:_TIES_NAMED]]
    if len(tied) > _TIES_NAMED:
        named.append(f"{len(tied) - _TIES_NAMED} more")
    verb = "costs" if len(named) == 1 else "cost"
    return f"{over} {words.listed(named)} {verb} least ({_nats(costs[0])}), {nothing}"


def _nats(cost: RuleCost) -> str:
    return f"{words.fixed(cost.regret, 3)} nats"


def _with(study: Findings) -> str:
    return f"With {words.OPTIMIZERS.get(study.optimizer, study.optimizer)}"
