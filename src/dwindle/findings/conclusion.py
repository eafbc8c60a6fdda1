"""The conclusion in English: headline, a few sentences, remarks, and what to type next.

Everything is phrased here, once, from the numbers alone; weak evidence is called weak.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dwindle.findings import names
from dwindle.findings.model import Answer, AxisFindings, CellFindings, Findings
from dwindle.findings.names import UNCHANGED, optimizer_name, quantity
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
    verdict_rows,
)
from dwindle.plain import to_plain
from dwindle.wording import clean, counted, fixed, listed, number, quantities

SIZE = ("width", "depth")
_TIES_NAMED = 3  # a sentence with more names is not read
# One list of quantities each: where the best λ goes when the quantity grows.
COURSES: dict[Course, str] = {
    "down": "falls with {}",
    "up": "rises with {}",
    "still": "does not move with {}",
}
# What undoing a normalization by size calls for.
_NORMALIZED: dict[Course, str] = {
    "up": "λ has to grow again",
    "down": "λ has to fall even further",
    "still": "λ needs no further correction",
    "unknown": "these runs cannot tell whether λ has to move",
}


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What stands above and below all numbers.

    The ``headline`` is the verdict. ``sentences`` are by how much what was varied moves
    the best value, study by study, what undoing a normalization calls for, and which
    rule to follow; ``remarks`` warn; ``next_steps`` are lines to copy, or why there are
    none.
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
        sentences=tuple(filter(None, _sentences(studies))),
        remarks=_remarks(studies),
        next_steps=next_steps(studies),
    )


def answer_as_dict(answer: Answer) -> dict[str, Any]:  # JSON-like
    """Return an answer in the schema of ``answer --json``, with all that follows."""
    verdict = to_plain(verdict_rows(answer.studies))
    return {**to_plain(answer), "verdict": verdict, **to_plain(conclude(answer))}


def _of_study(study: Findings) -> str:
    """Return where the best λ goes; what is open is printed once, with the axes."""
    if not study.axes:
        return "Nothing was varied, so these trainings show nothing about scale."
    name = optimizer_name(study.optimizer)
    if not study.is_plain:
        name += f" and λ normalized by {clean(study.normalization, limit=20)}"
    if all(cell.is_untrained for axis in study.axes for cell in axis.cells):
        return f"With {name}, nothing was trained: the networks stay at chance."
    known = _courses(study.axes)
    if known:
        return f"With {name}, {'; it '.join(known)}."
    axes = listed([quantity(axis.axis) for axis in study.axes])
    doubt = "these trainings cannot tell whether the best λ moves with"
    return f"With {name}, {doubt} {axes}."


def _of_answer(studies: Sequence[Findings]) -> str:
    """Answer "should decay be divided by the size of the network?" in plain words."""
    # A sentence per reply of the studies on a plain λ, the question's own setting
    # first.
    plain = [study for study in studies if study.is_plain and study.axes]
    if not plain:
        return "Nothing was varied on a plain λ, so the question is open."
    replies: dict[str, list[str]] = {}
    for study in plain:
        name = _PLAINLY.get(study.optimizer, optimizer_name(study.optimizer))
        replies.setdefault(_reply(study), []).append(f"with {name}")
    return " ".join(
        f"{reply}: {listed(names)}, {_OF_SIZE[reply]}."
        for reply, names in replies.items()
    )


def _size_axis(study: Findings) -> AxisFindings | None:
    return next((axis for axis in study.axes if axis.axis in SIZE), None)


def _reply(study: Findings) -> str:
    """Return whether the question's proposal is right: yes, no, or undecided."""
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
# Names of optimizers for readers who do not know the short ones of a study file.
_PLAINLY = {"sgd": "SGD and an L2 penalty", "adamw": "AdamW", "adam": "Adam and L2"}
# A factor of two is what a person can picture; exponents stand in the tables.
_TWICE = {
    "width": "a network twice as wide",
    "depth": "twice the layers",
    "batch_size": "twice the batch",
    "dataset_size": "twice the data",
    "epochs": "twice the epochs",
    "lr": "twice the learning rate",
}


def _sentences(studies: Sequence[Findings]) -> Iterator[str]:
    plain = [study for study in studies if study.is_plain]
    yield from map(_moves, plain)
    # What a study that was trained with a normalization shows of undoing it.
    for study in studies:
        if not study.is_plain:
            axis = _size_axis(study)
            start = f"Trained with the {clean(study.normalization)} normalization"
            if axis is None:
                yield f"{start} nothing was varied that it divides by."
                continue
            claim = _NORMALIZED[course_of(axis)]
            yield f"{start}, {claim} with {quantity(axis.axis)} ({_number(axis)})."
    yield from map(_about_rules, plain)


def _moves(study: Findings) -> str:
    """Return by how much each axis moves the best value; empty where that is open."""
    moved = [
        (_TWICE.get(axis.axis, f"twice the {quantity(axis.axis)}"), 2**axis.exponent)
        for axis in study.axes
        if axis.exponent is not None and course_of(axis) in ("up", "down")
    ]
    name = optimizer_name(study.optimizer)
    if not moved:
        is_still = all(course_of(axis) == "still" for axis in study.axes)
        no = f"With {name}, nothing that was varied wants another λ."
        return no if is_still and study.axes else ""
    clauses = [
        f"{twice}{'' if place else ' wants'} {number(factor, digits=2)} times"
        f"{'' if place else ' the λ'}"
        for place, (twice, factor) in enumerate(moved)
    ]
    return f"With {name}, {listed(clauses)}."


def _courses(axes: Sequence[AxisFindings]) -> list[str]:
    """Return one clause per course; quantities that share it stand in a list."""
    by_course: dict[Course, list[str]] = {}
    for axis in axes:
        by_course.setdefault(course_of(axis), []).append(quantity(axis.axis))
    clauses = [
        clause.format(listed(by_course[course]))
        for course, clause in COURSES.items()
        if course in by_course
    ]
    return [f"{'' if i else 'the best λ '}{each}" for i, each in enumerate(clauses)]


def _number(axis: AxisFindings) -> str:
    if axis.exponent is None or axis.low is None or axis.high is None:
        telling = sum(cell.shows_best_decay for cell in axis.cells)
        return names.sure_cells(telling, len(axis.cells))
    limits = f"{fixed(axis.low)} to {fixed(axis.high)}"
    return f"exponent {fixed(axis.exponent)}, 90 % {limits}"


def _about_rules(study: Findings) -> str:
    """Return which rule costs least, if it is measurably better than doing nothing."""
    costs = rank_rules(study)
    if not costs:
        return ""
    tied = [cost.rule for cost in tied_with_best(costs)]
    unchanged = next(cost for cost in costs if cost.rule == UNCHANGED)
    nothing = f"{names.rule_phrase(UNCHANGED)} ({_nats(unchanged)})"
    judged = judged_axes(study)
    one = quantity(judged[0].axis)
    over = f"these {len(judged)} quantities" if len(judged) > 1 else one
    start = f"With {optimizer_name(study.optimizer)}, over {over}"
    if UNCHANGED in tied:
        return f"{start} no rule is measurably better than {nothing}."
    best = listed([names.rule_phrase(rule) for rule in tied], most=_TIES_NAMED)
    verb = "costs" if len(tied) == 1 else "cost"
    return f"{start} {best} {verb} least ({_nats(costs[0])}), {nothing}."


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


# The facts that a rescale can use, and what the command line calls them.
_SCALE_OPTIONS = {
    "lr": "--lr",
    "batch_size": "--batch-size",
    "dataset_size": "--dataset-size",
    "epochs": "--epochs",
}
_OPTIMIZER_OPTIONS = {
    "momentum": "--momentum",
    "schedule": "--schedule",
    "warmup": "--warmup",
    "final_lr": "--final-lr",
}
# What the command line takes where such an option is left out.
_DEFAULTS = (None, 0, 0.0, "constant")
# The class of each optimizer of a study, and the argument that it has besides its lr.
_CLASSES = {
    "sgd": ("torch.optim.SGD", "momentum"),
    "adamw": ("torch.optim.AdamW", "betas"),
    "adam": ("torch.optim.Adam", "betas"),
}


def next_steps(studies: Sequence[Findings]) -> tuple[str, ...]:
    """Return lines to copy: the optimizer as it should be set, the law, the command.

    Python or a shell reads them; remarks start with ``#``. Studies with a normalization
    are left out, since their λ is none that an optimizer takes.
    """
    return tuple(line for each in studies if each.is_plain for line in _lines(each))


def base_cell(study: Findings) -> CellFindings | None:
    """Return the cell that all axes leave from; None if no axis has its value."""
    cells = [cell for axis in study.axes for cell in axis.cells]
    return next((cell for cell in cells if cell.scale == study.base), None)


def _lines(study: Findings) -> list[str]:
    cell = base_cell(study)
    name = names.optimizer_name(study.optimizer)
    if cell is None:
        base = f"# {name}: no axis has the value of the base cell"
        add = "so nothing was trained there. Add it to an axis for a line to copy."
        return [f"{base} ({scale_text(study.base)}), {add}"] if study.axes else []
    if cell.best_decay is None:
        return [f"# {name}: at the base scale {nothing_to_set(cell)}."]
    at = f"{clean(study.problem)} at {scale_text(cell.scale)}"
    measured = f"# {name}, as measured on {at}:"
    return [measured, *_lines_to_copy(study, cell, names.decay(cell.best_decay))]


def _lines_to_copy(study: Findings, cell: CellFindings, best: str) -> list[str]:
    """Return the optimizer as it should be set, the measured law, and a rescale."""
    path, argument = _CLASSES[study.optimizer]
    stored: Mapping[str, Any] = study.conditions.get("optimizer") or {}  # JSON-like
    value = stored.get(argument)
    # A store keeps betas as a JSON list; torch wants them as a tuple.
    known = tuple(value) if isinstance(value, list) else value
    given = f", {argument}={known}" if known else ""
    call = f"{path}(model.parameters(), lr={cell.scale['lr']:g}{given}"
    low, high = ("open" if x is None else names.decay(x) for x in (cell.low, cell.high))
    toy = names.toy_of(study.problem)
    remark = f"# set weight_decay = {best}; 90 %: {low} to {high}; of {toy}, not yours"
    lines = [f"{call}, weight_decay={best})  {remark}"]
    # The law is over the quantities that surely move the best λ.
    factors = [
        f"({axis.axis} / {cell.scale[axis.axis]:g}) ** {axis.exponent:.2f}"
        for axis in study.axes
        if course_of(axis) in ("up", "down") and axis.axis in cell.scale
    ]
    if factors:
        law = " * ".join([best, *factors])
        lines.append(f"weight_decay = {law}  # as measured on {toy}")
    facts = {name: f"{cell.scale[name]:g}" for name in _SCALE_OPTIONS}
    facts["dataset_size"] += f":{2 * cell.scale['dataset_size']:g}"  # twice the data
    options = [f"{_SCALE_OPTIONS[name]} {value}" for name, value in facts.items()]
    options += [
        f"{option} {stored[name]}"
        for name, option in _OPTIMIZER_OPTIONS.items()
        if stored.get(name) not in _DEFAULTS
    ]
    return [*lines, f"dwindle rescale {path}={best} {' '.join(options)}"]


def nothing_to_set(cell: CellFindings) -> str:
    """Return why the base cell gives no λ to set."""
    if cell.is_untrained:
        return "nothing was trained: the networks stay at chance without decay, too"
    idle, ruined = cell.idle_up_to, cell.ruined_from
    if ruined:
        return f"every λ from {names.decay(ruined)} up is too large: try a lower grid"
    if idle:
        finding = "does not matter" if cell.matters == "no" else "shows no gain"
        grid = "a grid that goes higher would show more"
        return f"decay {finding} up to {names.decay(idle)}, where the grid ends: {grid}"
    if cell.matters == "no":
        return "decay does not matter, so nothing is worth setting"
    if cell.matters == "yes":
        return f"the best λ lies beyond the {cell.at_edge} edge of the grid"
    return "it is unknown whether decay matters, so no λ to set is known"


def scale_text(scale: Mapping[str, float]) -> str:
    """Return the quantities of a cell that its study file gives."""
    given = ("width", "depth", "batch_size", "dataset_size", "epochs", "lr")
    return quantities({name: scale[name] for name in given if name in scale})
