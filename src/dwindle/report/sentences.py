"""What a page or a terminal opens and ends with: verdict, remarks, the next step."""

from collections.abc import Sequence

from dwindle.findings import words
from dwindle.findings.headline import answer_headline
from dwindle.findings.model import Answer, Findings
from dwindle.findings.next_steps import next_steps as steps_from_studies
from dwindle.findings.reach import is_untrained
from dwindle.findings.sentences import answer_sentences, course_of
from dwindle.report import text

# One list of quantities each: where the best λ goes when the quantity grows.
_COURSES = {
    "down": "falls with {}",
    "up": "rises with {}",
    "still": "does not move with {}",
}


def studies_of(shown: Answer | Findings) -> tuple[Findings, ...]:
    """Return the studies of an answer, or the study itself."""
    return shown.studies if isinstance(shown, Answer) else (shown,)


def headline(shown: Answer | Findings) -> str:
    """Return the verdict in one short sentence, made from the exponents alone.

    An answer is headed by its first study on a plain λ, the question's own setting; the
    sentences below it tell of the others.
    """
    if isinstance(shown, Answer):
        return answer_headline(shown.studies)
    studies = studies_of(shown)
    plain = [study for study in studies if study.normalization == "none"]
    lead = next(iter(plain or studies), None)
    if lead is None or not lead.axes:
        return "Nothing was varied, so nothing can be said about scale."
    name = words.OPTIMIZERS.get(lead.optimizer, text.clean(lead.optimizer, limit=20))
    if lead.normalization != "none":
        name += f" and λ normalized by {text.clean(lead.normalization, limit=20)}"
    if all(is_untrained(cell) for axis in lead.axes for cell in axis.cells):
        return f"With {name}, nothing was trained: the networks stay at chance."
    return f"With {name}, {_courses(lead)}."


def _courses(study: Findings) -> str:
    by_course: dict[str, list[str]] = {}
    for axis in study.axes:
        by_course.setdefault(course_of(axis), []).append(text.quantity(axis.axis))
    known = [course for course in _COURSES if course in by_course]
    clauses = [_COURSES[each].format(words.listed(by_course[each])) for each in known]
    # Semicolons: the lists inside have commas and an "and" of their own.
    told = f"the best λ {'; it '.join(clauses)}" if clauses else ""
    if "unknown" not in by_course:
        return told
    moved = "it moves" if told else "the best λ moves"
    doubt = f"whether {moved} with {words.listed(by_course['unknown'])} is open"
    return f"{told}; {doubt}" if told else doubt


def verdict(shown: Answer | Findings) -> tuple[str, ...]:
    """Return the sentences below the headline, and what a reader must be warned of."""
    if isinstance(shown, Answer):
        told: Sequence[str] = shown.sentences
    else:
        told = answer_sentences((shown,))
    sentences = tuple(text.clean(each, limit=2000) for each in told)
    return (*sentences, *_remarks(studies_of(shown)))


def _remarks(studies: Sequence[Findings]) -> tuple[str, ...]:
    remarks = []
    if not all(study.complete for study in studies):
        remarks.append("Not all trainings are done; the same command continues.")
    lost = sum(study.trials.get("diverged", 0) for study in studies)
    if lost:
        count = f"{lost} training{'s' if lost > 1 else ''}"
        remarks.append(f"{count} diverged: shown as such, and never an optimum.")
    return tuple(remarks)


def next_steps(shown: Answer | Findings) -> tuple[str, ...]:
    """Return lines to copy: what to set, or why nothing is worth setting."""
    steps = (
        shown.next_steps
        if isinstance(shown, Answer)
        else steps_from_studies(studies_of(shown))
    )
    return tuple(text.clean(each, limit=600) for each in steps)
