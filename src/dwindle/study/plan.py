"""From a study to its trainings and packs: a pure function, so that resume replans it.

A plan has rounds. Round 0 is the grid that the study asks for; a cell whose best decay
lies at an edge of its grid gets more decays on that side in rounds 1 and 2.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from typing import TypeVar

from dwindle.decay.penalties import layer_coefficients
from dwindle.errors import DwindleError, RangeError, UnknownNameError
from dwindle.store.records import Outcome, Scale, Trial
from dwindle.store.spec import StudyDraft, StudySpec
from dwindle.store.vocabulary import CHOICES
from dwindle.study.cost import cost_of
from dwindle.study.problem import Problem, layer_shapes

# Extensions of a cell's grid: this many decays, this often. At the usual third of a
# decade three are a factor 10.
EXTENSION_POINTS = 3
ROUNDS = 3
HIDDEN_AXES = ("width", "depth")
# A smallest decay that is better than none by less than this many standard errors is
# no optimum at the edge but a flat curve, which no further decay below would change.
FLAT_STANDARD_ERRORS = 2.0

OutcomeOf = Callable[[Trial], Outcome | None]
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Trials of one shape that train as one stack; ``cost`` in model seconds."""

    trials: tuple[Trial, ...]
    cost: float

    @property
    def scale(self) -> Scale:
        """The scale that all its trials share."""
        return self.trials[0].scale


def problem_faults(
    spec: StudyDraft, problem: Problem
) -> Iterable[tuple[str, DwindleError]]:
    """Yield what a study asks for that its problem does not have, with its key."""
    cells = [("base.dataset_size", spec.base)]
    for axis in spec.axes:
        cells += [(f"axes.{axis.axis}", scale) for _, scale in axis.cells(spec.base)]
        if axis.axis in HIDDEN_AXES and not problem.hidden:
            names = tuple(name for name in CHOICES["axis"] if name not in HIDDEN_AXES)
            hint = f"{problem.name} has no hidden layers."
            yield f"axes.{axis.axis}", UnknownNameError("axis", axis.axis, names, hint)
    must = f"at most {problem.pool_size}, all that {problem.name} has to train on"
    sizes: dict[int, str] = {}
    for key, scale in cells:  # the base first: where all cells have its size it is told
        sizes.setdefault(scale.dataset_size, key)
    for size, key in sizes.items():
        if size > problem.pool_size:
            yield key, RangeError("dataset_size", size, must)


def decay_at(spec: StudySpec, problem: Problem, index: int) -> float:
    """Return the decay at a place of the grid, 0 = low, points − 1 = high.

    ``low · (high/low)^(index/(points−1))``, times the mean over the base cell's layers
    of 1/coefficient, so that a normalized study covers the penalties that a plain one
    would. Places outside of the grid extend it by the same ratio.
    """
    layers = layer_shapes(problem, spec.base)
    coefficients = layer_coefficients(spec.normalization, layers)
    divisor = fmean(1 / coefficient for coefficient in coefficients)
    ratio = (spec.high / spec.low) ** (index / (spec.points - 1))
    # Twelve digits: the last bits of a power differ between machines, and a decay is
    # part of the key under which its training is found again.
    return float(f"{spec.low * ratio * divisor:.12g}")


def round_trials(
    spec: StudySpec, problem: Problem, outcome_of: OutcomeOf, *, number: int
) -> tuple[Trial, ...]:
    """Return the trials that a round adds to those of the rounds before.

    Args:
        spec: The study.
        problem: What it trains on.
        outcome_of: What a trial ended with; only trials of earlier rounds are asked.
        number: 0 for the grid, 1 and 2 for the extensions.

    """
    trials: list[Trial] = []
    for scale in spec.scales:
        trials += _cell_round(spec, problem, scale, outcome_of, number)
    return tuple(trials)


def packs_from_trials(
    trials: Sequence[Trial], problem: Problem, capacity: Callable[[Scale], int]
) -> tuple[Pack, ...]:
    """Return the packs of a round, the costliest first so that cores end together.

    All decays of a seed stay together where they fit, since they share the minibatch;
    small networks take several seeds.

    Args:
        trials: What to train.
        problem: What it is trained on.
        capacity: The most models of a scale that may train together.

    """
    by_scale: dict[Scale, dict[int, list[Trial]]] = {}
    for trial in trials:
        by_scale.setdefault(trial.scale, {}).setdefault(trial.seed, []).append(trial)
    packs = [
        Pack(trials=group, cost=cost_of(group, layer_shapes(problem, scale)))
        for scale, seeds in by_scale.items()
        for group in _groups(list(seeds.values()), capacity(scale))
    ]
    return tuple(sorted(packs, key=lambda pack: -pack.cost))


def _groups(
    seeds: Sequence[Sequence[Trial]], capacity: int
) -> Iterable[tuple[Trial, ...]]:
    """Yield groups of at most ``capacity`` trials, as even as can be."""
    decays = max(len(trials) for trials in seeds)
    if decays > capacity:
        for trials in seeds:
            yield from (tuple(part) for part in _even_parts(trials, capacity))
        return
    for part in _even_parts(seeds, capacity // decays):
        yield tuple(trial for trials in part for trial in trials)


def _even_parts(items: Sequence[Item], most: int) -> Iterable[Sequence[Item]]:
    count = math.ceil(len(items) / most)
    edges = [round(part * len(items) / count) for part in range(count + 1)]
    return (items[start:end] for start, end in pairwise(edges))


def _cell_round(
    spec: StudySpec,
    problem: Problem,
    scale: Scale,
    outcome_of: OutcomeOf,
    number: int,
) -> Iterable[Trial]:
    def trials_at(decay: float) -> list[Trial]:
        return [_trial(spec, scale, decay, seed) for seed in range(spec.seeds)]

    def losses_at(decay: float) -> list[float]:
        return [_loss(outcome_of(trial)) for trial in trials_at(decay)]

    places = list(range(spec.points))
    added = [0.0, *(decay_at(spec, problem, place) for place in places)]
    for _ in range(number):
        losses = {at: losses_at(decay_at(spec, problem, at)) for at in places}
        new = _places_beyond(losses, losses_at(0.0))
        places = sorted(places + new)
        added = [decay_at(spec, problem, place) for place in new]
    return [trial for decay in added for trial in trials_at(decay)]


def _places_beyond(losses: dict[int, list[float]], undecayed: list[float]) -> list[int]:
    """Return the places of the grid to add, none unless the best one is at an edge."""
    means = {place: fmean(values) for place, values in losses.items()}
    best, first, last = min(means, key=means.__getitem__), min(means), max(means)
    if not math.isfinite(means[best]):
        return []
    if best == last:
        return list(range(last + 1, last + 1 + EXTENSION_POINTS))
    if best == first and _is_clearly_lower(losses[first], undecayed):
        return list(range(first - EXTENSION_POINTS, first))
    return []


def _is_clearly_lower(losses: list[float], others: list[float]) -> bool:
    gains = [other - loss for loss, other in zip(losses, others, strict=True)]
    if not all(map(math.isfinite, gains)):
        return True
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return fmean(gains) > FLAT_STANDARD_ERRORS * error


def _loss(outcome: Outcome | None) -> float:
    """Return the loss, infinite for a training that has none."""
    return math.inf if outcome is None or outcome.loss is None else outcome.loss


def _trial(spec: StudySpec, scale: Scale, decay: float, seed: int) -> Trial:
    return Trial(
        problem=spec.problem,
        optimizer=spec.optimizer,
        scale=scale,
        normalization=spec.normalization,
        weight_decay=decay,
        seed=seed,
    )
