"""What a conversion keeps: a label by what is equal on both sides, and what it assumes.

Assumptions are sentences, the one that matters most first.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from dwindle.decay import remarks
from dwindle.decay.coordinates import (
    decays_by_size,
    has_shrink,
    penalty_convention_of,
    shrink_from_number,
)
from dwindle.decay.families import STAYS, course_of, family_of, has_momentum
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import default_note, facts_of
from dwindle.decay.remarks import sentence
from dwindle.decay.run import Run
from dwindle.errors import DwindleError

Fidelity = Literal[
    "same-trajectory",
    "same-decay",
    "same-objective",
    "same-total-decay",
    "approximate",
]
PROMISES: Mapping[Fidelity, str] = {
    "same-trajectory": "every step is the same",
    "same-decay": "a weight with zero gradient decays alike at every step",
    "same-objective": "the same function is minimized",
    "same-total-decay": "the run leaves as much of a weight, on another path",
    "approximate": "holds as far as the assumptions do",
}
Keep = Literal["step", "epoch", "run"]
# Assumed where no length is given: averages of longer runs are the same to 1e-3.
ASSUMED_STEPS = 10_000


class Promise(NamedTuple):
    """What a conversion keeps, and what must be true for that."""

    fidelity: Fidelity
    assumptions: tuple[str, ...]


def steps_of(run: Run) -> float | None:
    """Return the steps of the run, or None where they are not known."""
    return run.quantities().get("steps")


def falls_by_itself(knob: Knob) -> bool:
    """Return whether the decay gets slower by itself, also at a constant lr."""
    return not course_of(knob).is_of_schedule


@dataclass(frozen=True)
class Pair:
    """Two knobs, each in its run, and what is equal on both sides."""

    source: Knob
    target: Knob
    before: Run
    after: Run

    @property
    def sides(self) -> tuple[tuple[Knob, Run], tuple[Knob, Run]]:
        """Each knob with its run."""
        return (self.source, self.before), (self.target, self.after)

    @property
    def is_one_knob(self) -> bool:
        """Whether both knobs are the same, so that only the run may change."""
        return self.source == self.target

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing changes."""
        return self.is_one_knob and self.before == self.after

    @property
    def are_alike(self) -> bool:
        """Whether an equal shrink at the peak is equal at every step.

        At a constant lr, a decay that depends on the lr alone is constant too. A longer
        run takes the same course more slowly: alike, but not one course.
        """
        courses = {course_of(self.source), course_of(self.target)}
        if self.before.decay_schedule != self.after.decay_schedule:
            return False
        if courses == {STAYS}:
            return True
        if self.before.is_constant and self.after.is_constant:
            return len(courses) == 1 or all(each.is_of_schedule for each in courses)
        return len(courses) == 1 and self.before.schedule == self.after.schedule

    @property
    def are_one_course(self) -> bool:
        """Whether both runs have the same schedules, length and number format."""
        return (
            self.before.schedule == self.after.schedule
            and self.before.decay_schedule == self.after.decay_schedule
            and steps_of(self.before) == steps_of(self.after)
            and self.before.dtype == self.after.dtype
        )

    @property
    def keeps_run(self) -> bool:
        """Whether an equal shrink at the peak leaves as much of a weight after the run.

        A momentum starts late and lags behind a schedule, and a decay that falls by
        itself falls with its lr.
        """
        paces: set[object] = set()
        for knob, run in self.sides:
            own = facts_of(knob, run)
            has_memory = _has_memory(knob, run)
            memory = (own.momentum, own.dampening, own.nesterov) if has_memory else ()
            paces.add((memory, own.lr if falls_by_itself(knob) else None))
        return self.are_alike and self.are_one_course and len(paces) == 1

    @property
    def are_same_weights(self) -> bool:
        """Whether the same weights decay on both sides by default."""
        both_all = self.source.skips_nothing and self.target.skips_nothing
        return both_all or self.source.skips == self.target.skips

    @property
    def is_same_update(self) -> bool:
        """Whether one algorithm steps the same weights with the same facts."""
        source, target = self.source, self.target
        if not source.update or source.update != target.update:
            return False
        if not self.are_same_weights:
            return False
        # Betas are taken to be the same on both sides, though libraries' defaults
        # differ: an assumption of the conversion.
        facts = [
            replace(facts_of(knob, run), betas=run.betas) for knob, run in self.sides
        ]
        return facts[0] == facts[1]

    @property
    def is_coarse(self) -> bool:
        """Whether two libraries' steps are rounded by a format of few digits."""
        dtypes = {self.before.dtype, self.after.dtype}
        return not self.is_one_knob and not dtypes <= {"float32", "float64"}

    @property
    def starts_differently(self) -> bool:
        """Whether only one side dampens the first step too."""
        damped = any(facts_of(knob, run).dampening for knob, run in self.sides)
        flags = {knob.options.dampening_is_flag for knob, _ in self.sides}
        return damped and len(flags) > 1

    @property
    def is_same_step(self) -> bool:
        """Whether both take the same steps where their decay is the same.

        That needs the same update, in a format in which both libraries round alike.
        """
        return (
            self.is_same_update and not self.is_coarse and not self.starts_differently
        )


def _has_memory(knob: Knob, run: Run) -> bool:
    """Return whether the decay goes through a momentum."""
    return has_momentum(knob) and facts_of(knob, run).momentum > 0


def _is_rough(knob: Knob, run: Run) -> bool:
    """Return whether the decay of a step depends on more than number and lr."""
    return knob.varies or decays_by_size(knob, run)


def of_penalty(pair: Pair, *, value: float | None) -> Promise:
    """Return what a conversion between coefficients of an objective keeps."""
    source, target = pair.source, pair.target
    same_step = source.penalty == target.penalty and pair.is_same_step
    if source.apart != target.apart:
        label: Fidelity = "approximate"
    else:
        same = same_step or pair.is_unchanged
        label = "same-trajectory" if same else "same-objective"
    found = [
        *_rounded_penalty(pair, value),
        *_of_other_runs(pair),
        *(
            family.objective_note.format(name=knob.name)
            for knob in (source, target)
            if (family := family_of(knob)) is not None
        ),
        *(_summed_losses(*side) for side in pair.sides),
        *(_own_rule(knob) for knob in (source, target) if not pair.is_one_knob),
        _same_weights(pair),
        *_otherwise(pair),
        sentence("same-updates") if not pair.is_one_knob and pair.is_same_step else "",
        *(
            sentence("mean-loss", name=knob.name)
            for knob, run in pair.sides
            if knob.family is not None and not _summed_losses(knob, run)
        ),
    ]
    return _promise(label, found)


def of_shrink(pair: Pair, *, value: float, shrink: float) -> Promise:
    """Return what a conversion keeps that keeps the shrink at the peak lr."""
    rounding = _rounding(pair, value, shrink)
    is_every_step_alike = pair.are_alike and pair.are_one_course
    for knob, run in pair.sides:
        if falls_by_itself(knob) or _has_memory(knob, run) or _is_rough(knob, run):
            is_every_step_alike = False
    if pair.is_unchanged or (is_every_step_alike and pair.is_same_step):
        label: Fidelity = "same-trajectory"
    else:
        label = "same-decay" if is_every_step_alike and not rounding else "approximate"
    found = [
        *rounding,
        *_of_knobs(pair),
        *_of_courses(pair),
        _same_weights(pair),
        _quoted_at_peak(pair),
        *(default_note(*side) for side in pair.sides),
        *_otherwise(pair),
        _updates(pair),
        *_of_lengths(pair),
    ]
    return _promise(label, found)


def of_total(
    pair: Pair, *, value: float, shrink: float, as_given: Pair, kept: str | None
) -> Promise:
    """Return what a conversion keeps that keeps the average decay of a run's steps.

    Args:
        pair: Both sides, with the length that was taken.
        value: The number at the target.
        shrink: The shrink per step at the source.
        as_given: Both sides with the length that was given, if any.
        kept: What the average is over; None for the total decay of the run.

    """
    rounding = _rounding(pair, value, shrink)
    has_no_length = steps_of(as_given.before) is None
    is_loose = (
        any(_is_rough(*side) for side in as_given.sides)
        or bool(rounding)
        or as_given.before.dtype != as_given.after.dtype
        # Then the average is that of a run of an assumed length.
        or has_no_length
    )
    has_no_length = has_no_length and steps_of(as_given.after) is None
    found = [
        *rounding,
        sentence("what-is-kept", what=kept or TOTAL, courses=_courses(as_given)),
        sentence("no-length", steps=ASSUMED_STEPS) if has_no_length else "",
        *_of_knobs(as_given),
        _same_weights(as_given),
        _updates(as_given),
        *_of_lengths(as_given, with_length=kept is not None),
    ]
    return _promise("approximate" if is_loose else "same-total-decay", found)


def of_number(pair: Pair) -> Promise:
    """Return what the same number keeps in two forms of an algorithm."""
    if pair.is_one_knob:
        return Promise("same-trajectory", ())
    family = family_of(pair.source)
    found = [
        "" if pair.is_same_step or not family else family.reason("Either", pair.source),
        *(_own_rule(knob) for knob, _ in pair.sides),
        _same_weights(pair),
        sentence("same-updates"),
    ]
    return _promise("same-trajectory" if pair.is_same_step else "approximate", found)


# What is kept by default, as text.
TOTAL = "the total decay of the run"


def _promise(label: Fidelity, found: Iterable[str]) -> Promise:
    """Return what is kept, with each sentence once."""
    return Promise(label, tuple(dict.fromkeys(filter(None, found))))


def _rounding(pair: Pair, value: float, shrink: float) -> list[str]:
    """Return remarks on how the number formats of the weights round the decay."""
    there = shrink_from_number(pair.target, value, pair.after)
    found = [
        [each.text for each in remarks.of_rounding(taken, run, knob)]
        for taken, (knob, run) in zip((shrink, there), pair.sides, strict=True)
    ]
    if found[0] == found[1]:
        return found[0]
    names = ("Before", "After")
    if not pair.is_one_knob:
        names = (pair.source.name, pair.target.name)
    return [
        f"{name}: {text}"
        for name, texts in zip(names, found, strict=True)
        for text in texts
    ]


def _rounded_penalty(pair: Pair, value: float | None) -> list[str]:
    """Return those of a coefficient of an objective, where its lr is known."""
    target, run = pair.target, pair.after
    if value is None or not has_shrink(target, run):
        return []
    try:
        return _rounding(Pair(target, target, run, run), value, shrink=0.0)
    except DwindleError:  # no lr, or no rate at this momentum: the objective stands
        return []


def _same_weights(pair: Pair) -> str:
    source, target = pair.source, pair.target
    if not (source.skips and target.skips) or pair.are_same_weights:
        return ""
    return sentence(
        "same-weights",
        source=source.name,
        source_skips=source.skips,
        target=target.name,
        target_skips=target.skips,
    )


def _otherwise(pair: Pair) -> Iterator[str]:
    """Yield why steps of one update are not the same on both sides."""
    if pair.is_same_update and pair.starts_differently:
        yield sentence("another-first-step")
    elif pair.is_same_update and pair.is_coarse:
        yield sentence("coarse", dtype=pair.after.dtype)


def _own_rule(knob: Knob) -> str:
    return knob.caution.format(name=knob.name)


def _of_knobs(pair: Pair) -> Iterator[str]:
    """Yield each knob's own assumptions, and those on its gradients."""
    for knob, run in pair.sides:
        if decays_by_size(knob, run):
            yield remarks.assumed_noise(knob, run).seen
        if not pair.is_one_knob:
            yield _own_rule(knob)


def _summed_losses(knob: Knob, run: Run) -> str:
    convention = penalty_convention_of(knob)
    return convention.note_on_loss(knob.name, run) if convention else ""


def _of_other_runs(pair: Pair) -> Iterator[str]:
    """Yield how to change the lr between different runs with one objective."""
    before, after = pair.before, pair.after
    if before.loss != after.loss and None not in (before.batch_size, after.batch_size):
        size, lr = before.batch_size, "that many times the lr"
        if after.loss == "sum":
            size, lr = after.batch_size, "the lr divided by that"
        yield sentence("other-loss", size=size, lr=lr)
    families = [family_of(knob) for knob, _ in pair.sides]
    if before != after and all(each and each.has_half_life for each in families):
        yield sentence("other-lr")


def _of_courses(pair: Pair) -> Iterator[str]:
    """Yield how decays that are equal at the peak differ elsewhere."""
    for knob, run in pair.sides:
        if _has_memory(knob, run):
            momentum = facts_of(knob, run).momentum
            # The mean age of what a momentum sums: Σ k μ^k over Σ μ^k.
            late = momentum / (1 - momentum)
            yield sentence("memory", name=knob.name, momentum=momentum, late=late)
    for knob, _ in pair.sides:
        if falls_by_itself(knob):
            yield sentence("falling", name=knob.name)
    if course_of(pair.source) != course_of(pair.target) and not pair.are_alike:
        knob = pair.target if pair.source.is_rate else pair.source
        yield sentence("other-course", name=knob.name, then=course_of(knob).text)


def _quoted_at_peak(pair: Pair) -> str:
    rate = pair.source if pair.source.is_rate else pair.target
    is_constant = pair.before.is_constant and pair.after.is_constant
    if not rate.is_rate or is_constant:
        return ""
    is_of_lr = pair.before.decay_schedule.is_constant
    kind, of_what = "Shrink", " lr" if is_of_lr else " of the lr and of the decay"
    if rate.clock is not None:
        kind = "Half-life" if rate.is_half_life else "Timescale"
    return sentence("at-peak", kind=kind, of_what=of_what)


def _updates(pair: Pair) -> str:
    source, target = pair.source, pair.target
    if source.is_rate or target.is_rate or pair.is_one_knob:
        return ""
    if source.update and source.update == target.update:
        return sentence("same-updates")
    if source.algorithm and source.algorithm == target.algorithm:
        return sentence("two-variants")
    return sentence("other-updates")


def _of_lengths(pair: Pair, *, with_length: bool = True) -> Iterator[str]:
    """Yield that the runs differ in length, or in other facts."""
    before, after = steps_of(pair.before), steps_of(pair.after)
    if with_length and None not in (before, after) and before != after:
        yield sentence("other-length", after=after, before=before)
    if pair.before != pair.after:
        yield sentence("other-run")


def _courses(pair: Pair) -> str:
    courses = [
        course_of(knob).text
        + (
            f" through a momentum of {facts_of(knob, run).momentum:g}"
            if _has_memory(knob, run)
            else ""
        )
        for knob, run in pair.sides
    ]
    if pair.before.schedule != pair.after.schedule:
        shapes = [run.schedule.shape for _, run in pair.sides]
        if shapes[0] == shapes[1]:
            shapes = [str(run.schedule) for _, run in pair.sides]
        courses = [
            f"{text} ({shape})" for text, shape in zip(courses, shapes, strict=True)
        ]
    if courses[0] == courses[1]:
        return sentence("one-course", course=courses[0])
    names = {"source": pair.source.name, "target": pair.target.name}
    return sentence("two-courses", before=courses[0], after=courses[1], **names)
