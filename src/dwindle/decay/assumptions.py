"""What a conversion assumes, and what its number does not say, in sentences."""

from collections.abc import Iterator

from dwindle.decay import cautions
from dwindle.decay.coordinates import (
    decays_by_size,
    has_shrink,
    penalty_convention_of,
    shrink_from_number,
)
from dwindle.decay.families import course_of, family_of
from dwindle.decay.fidelity import (
    ASSUMED_STEPS,
    are_alike,
    are_same_weights,
    falls_by_itself,
    has_memory,
    is_coarse,
    is_same_step,
    is_same_update,
    starts_otherwise,
    steps_of,
)
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import default_note, facts_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError

# What keeps the decay of a run, as people read it.
WHOLE = "the total decay of the run"
_OWN_UPDATES = "Only the decay is carried over; the optimizers' own updates differ."
_VARIANTS = (
    "Both run the same algorithm in two variants: only the decay is carried over, and "
    "their own steps are not quite the same."
)
_SAME_UPDATES = (
    "Betas, epsilon and the other options are the same on both sides; the defaults of "
    "libraries differ."
)


def of_penalty(source: Knob, target: Knob, before: Run, after: Run) -> tuple[str, ...]:
    """Return the assumptions of a conversion between coefficients of an objective."""
    both = (source, target)
    found = [
        _same_weights(source, target),
        *(_data_sentence(knob, run) for knob, run in _sides(both, before, after)),
        *(_family_sentence(knob) for knob in both),
        *(_of_knob(knob) for knob in both if source != target),
        _other_lr(source, target, before, after),
        _same_options(source, target, before, after),
        _otherwise(source, target, before, after),
    ]
    return _told(found)


def _told(found: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence for sentence in found if sentence))


def _sides(
    both: tuple[Knob, Knob], before: Run, after: Run
) -> tuple[tuple[Knob, Run], ...]:
    return tuple(zip(both, (before, after), strict=True))


def _same_weights(source: Knob, target: Knob) -> str:
    if not (source.skips and target.skips) or are_same_weights(source, target):
        return ""
    return (
        "This is for weights that decay on both sides: "
        f"{source.name} skips {source.skips}; {target.name} skips {target.skips}."
    )


def _otherwise(source: Knob, target: Knob, before: Run, after: Run) -> str:
    """Say why steps of one update are not the same on both sides."""
    if not is_same_update(source, target, before, after):
        return ""
    if starts_otherwise(source, target, before, after):
        return (
            "The first step is another one: optimi dampens the first buffer too, and "
            "torch's form does not."
        )
    if is_coarse(source, target, before, after):
        return (
            f"In {after.dtype} each library rounds its own order of operations, so the "
            "steps are the same only up to that."
        )
    return ""


def _same_options(source: Knob, target: Knob, before: Run, after: Run) -> str:
    if source == target or not is_same_step(source, target, before, after):
        return ""
    return _SAME_UPDATES


def _of_knob(knob: Knob) -> str:
    return knob.caution.format(name=knob.name)


def _data_sentence(knob: Knob, run: Run) -> str:
    convention = penalty_convention_of(knob)
    note = convention.note_on_loss(knob.name, run) if convention else ""
    if note or knob.family is None:
        return note
    return f"{knob.name}: the loss is the mean over the examples of a minibatch."


def _family_sentence(knob: Knob) -> str:
    family = family_of(knob)
    return family.objective_note.format(name=knob.name) if family else ""


def _other_lr(source: Knob, target: Knob, before: Run, after: Run) -> str:
    families = family_of(source), family_of(target)
    both_have_steps = all(each and each.has_half_life for each in families)
    if before == after or not both_have_steps:
        return ""
    return (
        "The objective is kept, not the decay per step, which goes with the lr; "
        'keep="step" (--keep step) keeps that.'
    )


def of_shrink(source: Knob, target: Knob, before: Run, after: Run) -> tuple[str, ...]:
    """Return the assumptions of a conversion that keeps the shrink at the peak lr."""
    both = (source, target)
    found = [
        _same_weights(source, target),
        *(default_note(knob, run) for knob, run in _sides(both, before, after)),
        *(_memory(knob, run) for knob, run in _sides(both, before, after)),
        *(_falling(knob) for knob in both),
        _quoted_at_peak(source, target, before, after),
        _other_path(source, target, before, after),
        *_of_sides(both, before, after),
        _updates(source, target),
        _otherwise(source, target, before, after),
        _other_length(before, after),
        _other_run(before, after),
    ]
    return _told(found)


def _of_sides(both: tuple[Knob, Knob], before: Run, after: Run) -> Iterator[str]:
    """Yield what each knob always says, and what it assumes of its gradients."""
    for knob, run in _sides(both, before, after):
        if both[0] != both[1]:
            yield _of_knob(knob)
        if decays_by_size(knob, run):
            yield cautions.assumed_noise(knob, run)


def of_rounding(  # noqa: PLR0913, PLR0917  # two sides
    source: Knob, target: Knob, value: float, before: Run, after: Run, shrink: float
) -> tuple[str, ...]:
    """Return what the number formats of the weights do to the decay, if anything."""
    there = shrink_from_number(target, value, after)
    sides = ((shrink, before, source), (there, after, target))
    found = [[each.text for each in cautions.of_rounding(*side)] for side in sides]
    if found[0] == found[1]:
        return tuple(found[0])
    names = ["Before", "After"] if source == target else [source.name, target.name]
    return tuple(
        f"{name}: {text}"
        for name, texts in zip(names, found, strict=True)
        for text in texts
    )


def of_rounded_penalty(target: Knob, value: float | None, run: Run) -> tuple[str, ...]:
    """Return the same of a coefficient of an objective, where its lr is known."""
    if value is None or not has_shrink(target, run):
        return ()
    try:
        return of_rounding(target, target, value, run, run, 0.0)
    except DwindleError:  # no lr, or no rate at this momentum: the objective stands
        return ()


def _memory(knob: Knob, run: Run) -> str:
    if not has_memory(knob, run):
        return ""
    momentum = facts_of(knob, run).momentum
    late = momentum / (1 - momentum)
    return (
        f"{knob.name}: the decay goes through a momentum of {momentum:g}; this is "
        f"its rate once it runs. It starts about {late:.3g} steps late, and noise in "
        "the gradients meets it otherwise."
    )


def _falling(knob: Knob) -> str:
    if not falls_by_itself(knob):
        return ""
    return f"{knob.name}: this is the first step's rate; its step size falls by itself."


def _quoted_at_peak(source: Knob, target: Knob, before: Run, after: Run) -> str:
    rate = source if source.is_rate else target
    is_constant = before.schedule == after.schedule == Schedule()
    if not rate.is_rate or is_constant:
        return ""
    return (
        f"{rate.name.partition(':')[0].capitalize()} is said at the peak lr; "
        "averaged over the run the decay is slower."
    )


def _other_path(source: Knob, target: Knob, before: Run, after: Run) -> str:
    if course_of(source) == course_of(target) or are_alike(
        source, target, before, after
    ):
        return ""
    knob = target if source.is_rate else source
    way = course_of(knob).text
    return f"{knob.name}: at the peak lr the shrink is this, and then it {way}."


def _updates(source: Knob, target: Knob) -> str:
    if source.is_rate or target.is_rate or source == target:
        return ""
    if source.update and source.update == target.update:
        return _SAME_UPDATES
    same = source.algorithm and source.algorithm == target.algorithm
    return _VARIANTS if same else _OWN_UPDATES


def _other_length(before: Run, after: Run) -> str:
    steps = [steps_of(run) for run in (before, after)]
    if None in steps or steps[0] == steps[1]:
        return ""
    return (
        f"The run has {steps[1]:,.0f} steps instead of {steps[0]:,.0f}, so all of it "
        "leaves another share of a weight."
    )


def _other_run(before: Run, after: Run) -> str:
    if before == after:
        return ""
    return (
        'keep (--keep) chooses what stays: the decay of a "step", as without it, of an '
        '"epoch" or of the "run". Which of them should stay when the scale changes is '
        "a question of its own: see rescale."
    )


def of_total(
    source: Knob, target: Knob, before: Run, after: Run, kept: str
) -> tuple[str, ...]:
    """Return the assumptions of a conversion that keeps the average of a run.

    ``kept`` says what: the total decay of the run, or of its average step or epoch.
    """
    both = (source, target)
    found = [
        f"What is kept is {kept}, not the way there: " + _ways(both, before, after),
        _no_length(before, after),
        _same_weights(source, target),
        *_of_sides(both, before, after),
        _updates(source, target),
        "" if kept == WHOLE else _other_length(before, after),
        _other_run(before, after),
    ]
    return _told(found)


def _ways(both: tuple[Knob, Knob], before: Run, after: Run) -> str:
    ways = [course_of(knob).text for knob in both]
    if before.schedule != after.schedule:
        shapes = [str(run.schedule.shape) for run in (before, after)]
        if shapes[0] == shapes[1]:
            shapes = ["before", "after"]
        ways = [f"{way} ({shape})" for way, shape in zip(ways, shapes, strict=True)]
    if ways[0] == ways[1]:
        return f"on both sides the decay {ways[0]}, and the runs differ."
    return f"the decay of {both[0].name} {ways[0]}, that of {both[1].name} {ways[1]}."


def _no_length(before: Run, after: Run) -> str:
    if (steps_of(before), steps_of(after)) != (None, None):
        return ""
    return (
        f"No length is given: the average is that of a run of {ASSUMED_STEPS:,} steps, "
        "and nearly that of any long one. Give steps for the exact number."
    )


def of_number(source: Knob, target: Knob, run: Run) -> tuple[str, ...]:
    """Return the assumptions of one number in two forms of an algorithm."""
    if source == target:
        return ()
    same = is_same_step(source, target, run, run)
    family = family_of(source)
    reason = family.reason("Either", source) if family else ""
    found = [
        _same_weights(source, target),
        _of_knob(source),
        _of_knob(target),
        _SAME_UPDATES,
        "" if same else reason,
    ]
    return _told(found)
