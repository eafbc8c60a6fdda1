"""What a conversion assumes, and what its number does not say, in sentences."""

from dwindle.decay.coordinates import facts_of, penalty_convention_of
from dwindle.decay.knob import Knob
from dwindle.decay.paths import are_alike, path_of
from dwindle.decay.run import Run

_ASGD = ("asgd", "asgd-lambd")
_OWN_UPDATES = "Only the decay is carried over; the optimizers' own updates differ."


def of_penalty(source: Knob, target: Knob, before: Run, after: Run) -> tuple[str, ...]:
    """Return the assumptions of a conversion between coefficients of an objective."""
    both = (source, target)
    found = [
        _same_weights(source, target),
        *dict.fromkeys(
            _data_sentence(knob, run) for knob, run in _sides(both, before, after)
        ),
        *dict.fromkeys(_family_sentence(knob) for knob in both),
        _other_lr(source, target, before, after),
    ]
    return tuple(sentence for sentence in found if sentence)


def _sides(
    both: tuple[Knob, Knob], before: Run, after: Run
) -> tuple[tuple[Knob, Run], ...]:
    return tuple(zip(both, (before, after), strict=True))


def _same_weights(source: Knob, target: Knob) -> str:
    if not (source.skips and target.skips) or source.skips == target.skips:
        return ""
    return (
        "The same weights are penalized on both sides: "
        f"{source.name} skips {source.skips}; {target.name} skips {target.skips}."
    )


def _data_sentence(knob: Knob, run: Run) -> str:
    convention = penalty_convention_of(knob)
    name = convention.name.partition(":")[0] if convention else ""
    if name == "half-squared":
        return (
            f"{knob.name} has half the squared error; λ stands beside the whole one, "
            "as torch.nn.MSELoss has it."
        )
    if name in {"batch-sum", "half-batch-sum"}:
        return f"{knob.name}: the losses of a minibatch of {run.batch_size} are summed."
    if name in {"data-sum", "inverse-data-sum", "half-data-sum"}:
        return f"{knob.name}: the losses of all {run.dataset_size} examples are summed."
    if name == "prior":
        return (
            f"{knob.name}: the loss is a negative log-likelihood, of "
            f"{run.dataset_size} examples."
        )
    if knob.family is not None:
        return f"{knob.name}: the loss is the mean over the examples of a minibatch."
    return ""


def _family_sentence(knob: Knob) -> str:
    if knob.family == "coupled-adaptive":
        return (
            f"{knob.name} minimizes the same objective, but divides the penalty's "
            "gradient by the size of the whole one, so the number sets no half-life."
        )
    if knob.family == "optimal-schedule":
        return (
            f"{knob.name} minimizes the same objective, by steps whose size its number "
            "sets."
        )
    if knob.family == "asgd":
        return f"{knob.name}: lambd stays at its default, 1e-4, a penalty of its own."
    return ""


def _other_lr(source: Knob, target: Knob, before: Run, after: Run) -> str:
    coupled = {source.family, target.family} <= {"coupled-sgd", *_ASGD}
    if before == after or not coupled:
        return ""
    return (
        "The objective is kept, not the decay per step, which goes with the lr; "
        "to keep that, convert to a half-life and back."
    )


def is_exact(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell whether every single step takes off as much on both sides."""
    if source == target and before == after:
        return True
    return are_alike(source, target, before, after) and not any(
        knob.family in _ASGD or _has_memory(knob, run)
        for knob, run in _sides((source, target), before, after)
    )


def of_shrink(source: Knob, target: Knob, before: Run, after: Run) -> tuple[str, ...]:
    """Return the assumptions of a conversion that keeps the shrink at the peak lr."""
    both = (source, target)
    found = [
        *(_memory(knob, run) for knob, run in _sides(both, before, after)),
        *(_falling(knob) for knob in both),
        _quoted_at_peak(source, target, before, after),
        _other_path(source, target, before, after),
        _own_updates(source, target),
        _other_run(before, after),
    ]
    return tuple(dict.fromkeys(sentence for sentence in found if sentence))


def _has_memory(knob: Knob, run: Run) -> bool:
    return knob.family == "coupled-sgd" and facts_of(knob, run).momentum > 0


def _memory(knob: Knob, run: Run) -> str:
    if not _has_memory(knob, run):
        return ""
    late = run.momentum / (1 - run.momentum)
    return (
        f"{knob.name}: the decay goes through a momentum of {run.momentum:g}; this is "
        f"its rate once it runs. It starts about {late:.3g} steps late, and noise in "
        "the gradients meets it otherwise."
    )


def _falling(knob: Knob) -> str:
    if knob.family not in _ASGD:
        return ""
    return f"{knob.name}: this is the first step's rate; its step size falls by itself."


def _quoted_at_peak(source: Knob, target: Knob, before: Run, after: Run) -> str:
    rate, run = (source, before) if source.is_rate else (target, after)
    shape, warmup = run.schedule.shape, run.schedule.warmup
    if not rate.is_rate or (shape == "constant" and warmup == 0):
        return ""
    return (
        f"{rate.name.partition(':')[0].capitalize()} is said at the peak lr; "
        "averaged over the run the decay is slower."
    )


def _other_path(source: Knob, target: Knob, before: Run, after: Run) -> str:
    if are_alike(source, target, before, after):
        return ""
    knob = target if source.is_rate else source
    return (
        f"{knob.name}: at the peak lr the shrink is this, and then it {path_of(knob)}."
    )


def _own_updates(source: Knob, target: Knob) -> str:
    if source.is_rate or target.is_rate or source.name == target.name:
        return ""
    return _OWN_UPDATES


def _other_run(before: Run, after: Run) -> str:
    if before == after:
        return ""
    return (
        "The shrink per step is kept. What else should stay when the scale changes is "
        "a question of its own: see rescale."
    )


def of_total(source: Knob, target: Knob, paths: tuple[str, str]) -> tuple[str, ...]:
    """Return the assumptions of a conversion that keeps the total decay of the run."""
    ways = (
        "What the run leaves of a weight with zero gradient is the same, the way there "
        f"is not: the decay of {source.name} {paths[0]}, that of {target.name} "
        f"{paths[1]}."
    )
    return ways, _OWN_UPDATES
