"""From a study to its trainings and packs: a pure function, so that resume replans it.

A plan has rounds. Round 0 is the grid of the study. In later rounds a cell
whose best decay lies at an edge of its grid gets a decade more on that side, twice at
most, and one whose grid is coarse around the best decay gets the decays between.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from sys import float_info
from typing import Literal, TypeVar

from dwindle.decay.penalties import layer_coefficients
from dwindle.errors import RangeError, UnknownNameError
from dwindle.store.records import Outcome, Scale, Trial, chance_loss
from dwindle.store.spec import StudySpec
from dwindle.store.tables import AXES, Fault, Relation, Right, judged, right_values
from dwindle.study.cost import cost_of
from dwindle.study.problems import PROBLEMS, Problem

# The grid, and how often it is added to: two extensions, and for the coarsest grids a
# filling of both gaps beside the best decay, one more where that moved it, and a last.
ROUNDS = 6
EXTENSIONS = 2
# The widest gap that an optimum can be read from (see dwindle.stats.optimum), and how
# far around the best decay it must hold: a window of five decays.
FINE = math.log(10) / 3
WINDOW_GAPS = 2
# A grid finer than a twelfth of a decade is extended in twelfths.
FINEST_PARTS = 4
# Steps are compared with a third of a decade: a last bit must not add a place.
_ROUNDING = 1.01
# Problems without hidden layers have neither.
HIDDEN_AXES = ("width", "depth")
# A smallest decay that is better than none by less than this many standard errors is
# no optimum at the edge but a flat curve, which no further decay below would change.
FLAT_STANDARD_ERRORS = 2.0

TINY = float_info.min  # stands for a loss of exactly 0, which has no logarithm

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


def _dataset_faults(right: Right) -> Iterator[Fault]:
    """Yield sizes of training sets that the problem has not, each size once."""
    task, axis = PROBLEMS[right["study", "problem"]], right["axes", "dataset_size"]
    # The base first: where all cells have its size, the fault is at its own key.
    keys = {right["base", "dataset_size"]: ("base", "dataset_size")}
    for size in axis["values"] if axis else ():
        keys.setdefault(size, ("axes", "dataset_size"))
    for size, key in keys.items():
        if size > task.pool_size:
            must = f"at most {task.pool_size}, all that {task.name} has to train on"
            yield key, RangeError("dataset_size", size, must)


def _hidden_faults(right: Right) -> Iterator[Fault]:
    """Yield axes over layers that the problem or the base has not."""
    task = PROBLEMS[right["study", "problem"]]
    for axis in HIDDEN_AXES:
        if not task.facts.hidden and right.get(("axes", axis)):
            names = tuple(name for name in AXES if name not in HIDDEN_AXES)
            hint = f"{task.name} has no hidden layers."
            yield ("axes", axis), UnknownNameError("axis", axis, names, hint)
    widths = right["axes", "width"]
    alike = widths["values"] if task.facts.hidden and widths else []
    if len(alike) > 1 and right["base", "depth"] == 0:
        named = ", ".join(f"{value:g}" for value in alike)
        got = f"[{named}], all of one network without hidden layers"
        remedy = "Write depth = 1 or more in [base], or leave this axis out."
        must = "those of networks with hidden layers"
        fault = RangeError("values of width", got, must, remedy)
        yield ("axes", "width"), fault


def _final_lr_faults(right: Right) -> Iterator[Fault]:
    """Yield a last lr that no schedule leads to."""
    final = right["optimizer", "final_lr"]
    if right["optimizer", "schedule"] == "constant" and final:
        must = 'left out with schedule = "constant", whose lr never falls'
        remedy = 'Leave it out, or write schedule = "cosine".'
        yield ("optimizer", "final_lr"), RangeError("final_lr", final, must, remedy)


def _epochs_faults(right: Right) -> Iterator[Fault]:
    """Yield lengths of run that are one number of steps."""
    batch, data = right["base", "batch_size"], right["base", "dataset_size"]
    of_an_epoch, by_steps = -(-data // batch), dict[int, list[float]]()
    for value in (right["axes", "epochs"] or {"values": ()})["values"]:
        steps = max(1, round(value * of_an_epoch))
        by_steps.setdefault(steps, []).append(value)
    for steps, values in by_steps.items():
        if len(values) > 1:
            must = "far enough apart to differ by a step"
            got = f"{values}, all of {steps} step{'s' if steps > 1 else ''}"
            remedy = f"Keep one of them; {1 / of_an_epoch:.3g} is a step."
            yield ("axes", "epochs"), RangeError("values of epochs", got, must, remedy)


def _problem_faults(right: Right) -> Iterator[Fault]:
    name = right["study", "problem"]
    if name not in PROBLEMS:
        yield ("study", "problem"), UnknownNameError.among("problem", name, PROBLEMS)


# What a study must not have since it would be trained in vain, or cannot be. A store
# that has it can still be read.
PROBLEM_RELATIONS: tuple[Relation, ...] = (
    _problem_faults,
    _dataset_faults,
    _hidden_faults,
    _final_lr_faults,
    _epochs_faults,
)


def refuse_untrainable(spec: StudySpec) -> None:
    """Refuse a study that its problem cannot train, or that would train in vain."""
    for _, fault in judged(PROBLEM_RELATIONS, right_values(spec.as_tables())):
        raise fault


def decay_at(spec: StudySpec, problem: Problem, index: float) -> float:
    """Return the decay at a place of the grid, 0 = low, points − 1 = high.

    ``low · (high/low)^(index/(points−1))``, times the mean over the base cell's layers
    of 1/coefficient, so that a normalized study covers the penalties that a plain one
    would. Places outside of the grid extend it by the same ratio, and fractions lie
    between its decays.
    """
    layers = problem.facts.layer_shapes(spec.base)
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

    Round 0 is the grid, those up to ROUNDS - 1 what its outcomes call for.
    ``outcome_of`` is called with trials of earlier rounds only.
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
    small networks take several seeds. No more models of a scale than its ``capacity``
    train together.
    """
    by_scale: dict[Scale, dict[int, list[Trial]]] = {}
    for trial in trials:
        by_scale.setdefault(trial.scale, {}).setdefault(trial.seed, []).append(trial)
    packs = [
        Pack(trials=group, cost=cost_of(group, problem.facts.layer_shapes(scale)))
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
            yield from even_parts(tuple(trials), math.ceil(len(trials) / capacity))
        return
    for part in even_parts(tuple(seeds), math.ceil(len(seeds) / (capacity // decays))):
        yield tuple(trial for trials in part for trial in trials)


def even_parts(items: tuple[Item, ...], count: int) -> list[tuple[Item, ...]]:
    """Cut items into so many parts that differ by one at most."""
    edges = [round(part * len(items) / count) for part in range(count + 1)]
    return [items[start:end] for start, end in pairwise(edges)]


def _cell_round(
    spec: StudySpec,
    problem: Problem,
    scale: Scale,
    outcome_of: OutcomeOf,
    number: int,
) -> Iterable[Trial]:
    def trials_at(decay: float) -> list[Trial]:
        return [spec.trial(scale, decay, seed) for seed in range(spec.seeds)]

    chance = chance_loss(problem.facts.classes, scale.dataset_size)

    def log_loss(outcome: Outcome | None) -> float:
        # Infinite if it diverged; NaN if it stayed at chance, failed or is not done.
        if outcome is None or outcome.status == "error" or outcome.is_untrained(chance):
            return math.nan
        return math.inf if outcome.loss is None else math.log(outcome.loss or TINY)

    def logs_at(decay: float) -> list[float]:
        return [log_loss(outcome_of(trial)) for trial in trials_at(decay)]

    places = [float(place) for place in range(spec.points)]
    fine = FINE / (math.log(spec.high / spec.low) / (spec.points - 1))
    added = [0.0, *(decay_at(spec, problem, place) for place in places)]
    extensions = 0
    for _ in range(number):
        logs = {at: logs_at(decay_at(spec, problem, at)) for at in places}
        ends = _edge_to_extend(logs, logs_at(0.0), fine)
        side = ends if extensions < EXTENSIONS else None
        extensions += side is not None
        new = _between(logs, fine) if side is None else _beyond(places, side, fine)
        places = sorted(places + new)
        added = [decay_at(spec, problem, place) for place in new]
    return [trial for decay in added for trial in trials_at(decay)]


def _edge_to_extend(
    logs: dict[float, list[float]], undecayed: list[float], fine: float
) -> Literal["low", "high"] | None:
    """Return the edge at which the best decay lies, None unless more may be better."""
    # On a fine grid noise moves the best one by several places: at less than a sixth of
    # a decade from an edge it lies at that edge.
    best, first, last = _best(logs), min(logs), max(logs)
    if best is None:
        return None
    if last - best < fine / 2:
        return "high"
    if best - first < fine / 2 and _is_clearly_lower(logs[best], undecayed):
        return "low"
    return None


def _beyond(
    places: Sequence[float], side: Literal["low", "high"], fine: float
) -> list[float]:
    """Return places over about a decade beyond an edge, in steps of the grid."""
    # fine is a third of a decade as a step between places.
    # The grid's step, or a part of it that is no wider than a third of a decade.
    if fine * _ROUNDING < 1:
        step = 1 / math.ceil(1 / fine / _ROUNDING)
    else:
        step = max(1.0, math.floor(fine / FINEST_PARTS))
    count = math.ceil(3 * fine / step / _ROUNDING)
    if side == "high":
        return [max(places) + step * (i + 1) for i in range(count)]
    return [min(places) - step * (count - i) for i in range(count)]


def _between(logs: dict[float, list[float]], fine: float) -> list[float]:
    """Return places that fill the gaps around the best one, if it lies inside."""
    best = _best(logs)
    if best is None or best in (min(logs), max(logs)):
        return []
    reach = WINDOW_GAPS * fine / _ROUNDING
    new = []
    for one, other in pairwise(sorted(logs)):
        parts = math.ceil((other - one) / fine / _ROUNDING)
        if parts > 1 and one < best + reach and other > best - reach:
            new += [one + (other - one) * i / parts for i in range(1, parts)]
    return new


def _best(logs: dict[float, list[float]]) -> float | None:
    """Return the place of the lowest mean log loss, None if no place has one."""
    means: dict[float, float] = {}
    for place, values in logs.items():
        # What stayed at chance or failed, NaN here, is no evidence about its decay; the
        # networks that trained must be more than half.
        trained = [log for log in values if not math.isnan(log)]
        means[place] = fmean(trained) if 2 * len(trained) > len(values) else math.inf
    best = min(means, key=means.__getitem__)
    return best if math.isfinite(means[best]) else None


def _is_clearly_lower(logs: list[float], others: list[float]) -> bool:
    gains = [other - log for log, other in zip(logs, others, strict=True)]
    if not all(map(math.isfinite, gains)):
        return True
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return fmean(gains) > FLAT_STANDARD_ERRORS * error
