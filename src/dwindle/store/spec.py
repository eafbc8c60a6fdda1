"""A study as plain data: a base scale, a grid of decays, axes that leave the base."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal, Self

from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError, RangeError, UnknownNameError
from dwindle.store.records import Optimizer, Scale
from dwindle.store.vocabulary import CHOICES, KINDS, LIMITS

Axis = Literal["width", "depth", "batch_size", "dataset_size", "epochs", "lr"]
LrPolicy = Literal["fixed", "sqrt", "linear"]
Hold = Literal["epochs", "steps"]

# Above this nobody has the patience, and plans do not fit into memory.
MOST_TRAININGS = 1_000_000
# Decays that are nearer to each other than this are one decay to any curve.
SMALLEST_STEP = 1.01
WHOLE = ("width", "depth", "batch_size", "dataset_size")
# Exponent of batch size / base batch size in the lr of a cell.
LR_EXPONENT: dict[str, float] = {"fixed": 0.0, "sqrt": 0.5, "linear": 1.0}


@dataclass(frozen=True, kw_only=True)
class AxisSpec:
    """The values that one quantity takes, and what moves or stays with it.

    Args:
        axis: The quantity of scale that varies.
        values: Its values, each once.
        lr: For ``batch_size``: how the lr follows it, as its power 0, 1/2 or 1.
        hold: For ``batch_size`` and ``dataset_size``: whether a cell trains as many
            epochs as the base or as many steps.

    """

    axis: Axis
    values: tuple[float, ...]
    lr: LrPolicy = "fixed"
    hold: Hold = "epochs"

    @property
    def policy(self) -> str:
        """What moves or stays along the axis, in words; empty where nothing can."""
        words = {
            "batch_size": f"{self.hold} held, lr {self.lr}",
            "dataset_size": f"{self.hold} held",
        }
        return words.get(self.axis, "")

    def cells(self, base: Scale) -> tuple[tuple[float, Scale], ...]:
        """Return (value, scale) of every cell of the axis."""
        return tuple((value, self.scale_at(value, base)) for value in self.values)

    def scale_at(self, value: float, base: Scale) -> Scale:
        """Return the base scale with this axis at a value, after the policies.

        With the lr policy p the lr is lr₀ · (B/B₀)^p; with ``hold="steps"`` the
        epochs, maybe a fraction, are those that take the base's number of steps.
        """
        base = canonical_scale(base)
        if value == getattr(base, self.axis):
            return base
        moved = moved_scale(base, self.axis, value)
        if self.axis == "batch_size":
            factor = (moved.batch_size / base.batch_size) ** LR_EXPONENT[self.lr]
            moved = replace(moved, lr=base.lr * factor)
        if self.hold == "steps" and self.axis in ("batch_size", "dataset_size"):
            moved = replace(moved, epochs=base.steps / moved.steps_per_epoch)
        return moved


@dataclass(frozen=True, kw_only=True)
class StudyDraft:
    """A study as somebody wrote it; :func:`faults` tells whether it can be."""

    name: str
    problem: str
    seeds: int
    optimizer: Optimizer
    base: Scale
    axes: tuple[AxisSpec, ...]
    low: float
    high: float
    points: int = 13
    normalization: str = "none"


@dataclass(frozen=True, kw_only=True)
class StudySpec(StudyDraft):
    """Everything that decides which trainings a study consists of.

    Args:
        name: What the study is called in reports.
        problem: Name of the problem, such as ``"digits-mlp"``.
        seeds: Number of seeds; every decay of every cell trains once per seed.
        optimizer: The optimizer but for lr and decay.
        base: The scale that all axes leave from.
        axes: What varies; cells that axes share train once.
        low: Smallest decay of the grid, canonical λ under ``"none"``, > 0.
        high: Largest, above ``low``.
        points: Number of decays from low to high, log-spaced; λ = 0 comes on top.
        normalization: How the decay is spread over layers.

    Raises:
        RangeError: If a number is outside of its range.
        UnknownNameError: If a name is in no table.

    Example:
        >>> base = Scale(
        ...     width=8, depth=1, batch_size=32, dataset_size=64, epochs=2, lr=0.1
        ... )
        >>> widths = AxisSpec(axis="width", values=(4, 8))
        >>> spec = StudySpec(
        ...     name="tiny",
        ...     problem="digits-mlp",
        ...     seeds=3,
        ...     optimizer=Optimizer(name="sgd"),
        ...     base=base,
        ...     axes=(widths,),
        ...     low=1e-4,
        ...     high=1e-2,
        ... )
        >>> [scale.width for scale in spec.scales]  # the base first
        [8, 4]

    """

    def __post_init__(self) -> None:
        for _, fault in faults(self):
            raise fault

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Every cell's scale once, the base's first where an axis has it."""
        found: dict[Scale, None] = {}
        for axis in self.axes:
            found |= dict.fromkeys(scale for _, scale in axis.cells(self.base))
        base = canonical_scale(self.base)
        return tuple(sorted(found, key=lambda scale: scale != base))

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the spec as nested plain dicts and lists."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:  # JSON-like
        """Rebuild a spec from :meth:`as_dict`, also after a trip through JSON."""
        facts = {
            **plain,
            "optimizer": Optimizer.from_dict(plain["optimizer"]),
            "base": Scale(**plain["base"]),
            "axes": tuple(
                AxisSpec(**{**axis, "values": tuple(axis["values"])})
                for axis in plain["axes"]
            ),
        }
        return cls(**facts)


def moved_scale(base: Scale, axis: str, value: float) -> Scale:
    """Return the base scale with one quantity changed, canonical."""
    return canonical_scale(Scale(**{**asdict(base), axis: value}))


def canonical_scale(scale: Scale) -> Scale:
    """Return the scale with whole numbers as int and the others as float.

    30 and 30.0 epochs are one cell, and must get one key in the store.
    """
    kinds: dict[str, Callable[[Any], Any]] = {
        name: int if name in WHOLE else float for name in asdict(scale)
    }
    return Scale(**{name: kinds[name](getattr(scale, name)) for name in kinds})


@dataclass(frozen=True, kw_only=True)
class ProblemFacts:
    """What must be known of a problem to know the networks that it was trained with.

    Args:
        inputs: Numbers in a sample.
        classes: Classes to tell apart.
        hidden: Whether there are hidden layers; without, every scale is one layer.
        validation_samples: Samples in a validation set; None in stores from before
            each seed drew its own.

    """

    inputs: int
    classes: int
    hidden: bool
    validation_samples: int | None = None

    def layer_shapes(self, scale: Scale) -> tuple[tuple[int, int], ...]:
        """Return (fan_in, fan_out) of every weight matrix of the network of a scale.

        Example:
            >>> scale = Scale(
            ...     width=8, depth=2, batch_size=1, dataset_size=1, epochs=1, lr=1
            ... )
            >>> ProblemFacts(inputs=64, classes=10, hidden=True).layer_shapes(scale)
            ((64, 8), (8, 8), (8, 10))

        """
        depth = scale.depth if self.hidden else 0
        units = (self.inputs, *[scale.width] * depth, self.classes)
        return tuple(pairwise(units))


def faults(draft: StudyDraft) -> Iterator[tuple[str, DwindleError]]:
    """Yield every fault of a draft, with the key of the study file that it sits at."""
    yield from _range_faults("study", {"seeds": draft.seeds})
    yield from _optimizer_faults(draft.optimizer)
    yield from _range_faults("base", asdict(draft.base))
    grid = {"low": draft.low, "high": draft.high, "points": draft.points}
    yield from _range_faults("weight_decay", grid)
    yield from _name_faults("weight_decay", {"normalization": draft.normalization})
    if not draft.low < draft.high:
        must, remedy = f"below high = {draft.high:g}", "Swap the two, or move one."
        yield "weight_decay.low", RangeError("low", f"{draft.low:g}", must, remedy)
    if not draft.axes:
        remedy = "Write [axes] with width = [16, 32, 64]."
        yield "axes", RangeError("axes", "none", "one or more to vary", remedy)
    for axis in draft.axes:
        yield from _axis_faults(axis)
    yield from _batch_faults(draft)
    yield from _count_faults(draft)


def _count_faults(draft: StudyDraft) -> Iterator[tuple[str, DwindleError]]:
    """Yield what makes a plan that nobody could train, or decays that are alike."""
    if out_of_range("points", draft.points) or not draft.low < draft.high:
        return
    step = (draft.high / draft.low) ** (1 / (draft.points - 1))
    if step < SMALLEST_STEP:
        got = f"{draft.points} from {draft.low:g} to {draft.high:g}"
        must = f"so few that neighbors are {SMALLEST_STEP - 1:.0%} apart"
        yield "weight_decay.points", RangeError("points", got, must)
    cells = 1 + sum(len(axis.values) for axis in draft.axes)
    trainings = cells * draft.seeds * (draft.points + 1)
    if trainings > MOST_TRAININGS:
        must = f"so few that the study has at most {MOST_TRAININGS:,} trainings"
        got = f"{draft.seeds:,}, which makes {trainings:,}"
        yield "study.seeds", RangeError("seeds", got, must)


def _batch_faults(draft: StudyDraft) -> Iterator[tuple[str, DwindleError]]:
    """Yield where a batch is larger than the data that it is drawn from."""
    if draft.base.batch_size > draft.base.dataset_size:
        yield "base.batch_size", _batch_fault(draft.base)
        return
    for axis in draft.axes:
        if axis.axis in ("batch_size", "dataset_size"):
            cells = [moved_scale(draft.base, axis.axis, at) for at in axis.values]
            wrong = [cell for cell in cells if cell.batch_size > cell.dataset_size]
            yield from ((f"axes.{axis.axis}", _batch_fault(cell)) for cell in wrong)


def _batch_fault(scale: Scale) -> RangeError:
    must = f"at most dataset_size = {scale.dataset_size}"
    return RangeError("batch_size", scale.batch_size, must, "Lower it.")


def _optimizer_faults(optimizer: Optimizer) -> Iterator[tuple[str, DwindleError]]:
    facts = asdict(optimizer)
    yield from _range_faults("optimizer", facts)
    falls = Schedule.decay_share
    if optimizer.schedule == "wsd" and optimizer.warmup > 1 - falls:
        must = f"at most {1 - falls:g} with the schedule wsd, which falls at the end"
        yield "optimizer.warmup", RangeError("warmup", optimizer.warmup, must)
    if type(facts["nesterov"]) is not bool:
        nesterov = RangeError("nesterov", facts["nesterov"], "true or false")
        yield "optimizer.nesterov", nesterov
    yield from _name_faults("optimizer", facts)
    if optimizer.nesterov and (optimizer.momentum == 0 or optimizer.dampening != 0):
        got = f"momentum = {optimizer.momentum:g}, dampening = {optimizer.dampening:g}"
        must = "false, or momentum above 0 and dampening 0"
        yield "optimizer.nesterov", RangeError("nesterov", f"true with {got}", must)


def _axis_faults(axis: AxisSpec) -> Iterator[tuple[str, DwindleError]]:
    key = f"axes.{axis.axis}"
    yield from _name_faults("axes", {"axis": axis.axis, "hold": axis.hold})
    yield from _name_faults("axes", {"lr policy": axis.lr})
    for value in axis.values:
        yield from ((key, fault) for _, fault in _range_faults("", {axis.axis: value}))
    if not axis.values or len(set(axis.values)) < len(axis.values):
        must = "at least one number, none of them twice"
        yield key, RangeError(f"values of {axis.axis}", list(axis.values), must)


def _range_faults(
    table: str, facts: dict[str, Any]
) -> Iterator[tuple[str, DwindleError]]:
    for name, value in facts.items():
        fault = out_of_range(name, value)
        if fault:
            yield f"{table}.{name}", fault


def _name_faults(
    table: str, facts: dict[str, Any]
) -> Iterator[tuple[str, DwindleError]]:
    for name, value in facts.items():
        known = CHOICES.get(name, ())
        if known and value not in known:
            yield f"{table}.{name}", _unknown(name, value)


def _unknown(name: str, value: object) -> UnknownNameError:
    return UnknownNameError.among(KINDS.get(name, name), str(value), CHOICES[name])


def out_of_range(name: str, value: Any) -> RangeError | None:  # a number or a pair
    """Return what is wrong with the value of a named number, or None."""
    if name not in LIMITS:
        return None
    must, holds = LIMITS[name]
    numbers, count = (value, 2) if name == "betas" else ((value,), 1)
    fits = (
        isinstance(numbers, tuple)
        and len(numbers) == count
        # What is read from a store may be anything: a text has no size to compare.
        and all(type(number) in (int, float) and holds(number) for number in numbers)
    )
    return None if fits else RangeError(name, value, must)
