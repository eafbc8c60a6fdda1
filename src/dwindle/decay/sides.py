"""The runs on both sides of a conversion, where either may be a live optimizer."""

from dataclasses import replace

from dwindle.decay.knobs import resolve_knob
from dwindle.decay.run import Run
from dwindle.decay.typed import RunLike, Typed, run_of


def runs_of_sides(
    asked: Typed, place: Typed, run: RunLike | None, run_after: RunLike | None
) -> tuple[Run, Run, tuple[str, ...]]:
    """Return the runs on both sides, and what was given against a live optimizer.

    Args:
        asked: The source, with the facts of a live optimizer.
        place: The target, with its own.
        run: What was given of the source, and of the target where nothing else was.
        run_after: What was given of the target.

    Returns:
        Before, after, and a sentence for each fact that a live optimizer has otherwise.

    Example:
        >>> live = Typed("torch.optim.SGD", 0.0, {"lr": 0.1})
        >>> before, after, _ = runs_of_sides(
        ...     Typed("torch.optim.AdamW", 0.1), live, {"lr": 1e-3}, None
        ... )
        >>> before.lr, after.lr
        (0.001, 0.1)

    """
    before, said = asked.run(run), asked.overruled(run)
    if not place.facts:
        return before, before if run_after is None else run_of(run_after), said
    if run_after is not None:
        return before, place.run(run_after), said + place.overruled(run_after)
    if resolve_knob(asked.knob).family is None:
        # What names no optimizer has no lr of its own: there is one training.
        before = place.run(before)
    # What was given is said of the source; the live target has facts of its own.
    after = replace(run_of(run), **place.facts)
    theirs = tuple(
        f"The {name} of {place.knob} is that of the live optimizer, "
        f"{getattr(after, name)}; the {name} that was given is used at {asked.knob}."
        for name in place.facts
        if run_of(run).is_said(name)
        and getattr(run_of(run), name) != getattr(after, name)
    )
    return before, after, said + theirs
