"""A study as plain data: a base scale, a grid of decays, axes that leave the base."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from dwindle.plain import Plain
from dwindle.store.records import PER_SEED, Optimizer, Scale, Split, Trial
from dwindle.store.tables import AXES, TABLES, faults

Axis = Literal["width", "depth", "batch_size", "dataset_size", "epochs", "lr"]
LrPolicy = Literal["fixed", "sqrt", "linear"]
Hold = Literal["epochs", "steps"]

# Axes whose values are counts.
WHOLE = ("width", "depth", "batch_size", "dataset_size")
# Exponent of batch size / base batch size in the lr of a cell.
LR_EXPONENT: dict[str, float] = {"fixed": 0.0, "sqrt": 0.5, "linear": 1.0}


@dataclass(frozen=True, kw_only=True)
class AxisSpec:
    """The values that one quantity takes, and what moves or stays with it.

    ``lr`` is for ``batch_size``: how the lr follows it, as its power 0, 1/2 or 1.
    ``hold`` is for ``batch_size`` and ``dataset_size``: whether a cell trains as many
    epochs as the base or as many steps.
    """

    axis: Axis
    values: tuple[float, ...]
    lr: LrPolicy = "fixed"
    hold: Hold = "epochs"

    @property
    def policy(self) -> str:
        """What moves or stays along the axis, as text; empty where nothing can."""
        policies = {
            "batch_size": f"{self.hold} held, lr {self.lr}",
            "dataset_size": f"{self.hold} held",
        }
        return policies.get(self.axis, "")

    def as_table(self) -> dict[str, Any]:
        """Return the axis as a study file has it: policies only where there are any."""
        facts = {"values": list(self.values), "lr": self.lr, "hold": self.hold}
        known = AXES[self.axis].model_fields if self.axis in AXES else facts
        return {name: facts[name] for name in known}

    def cells(self, base: Scale) -> tuple[tuple[float, Scale], ...]:
        """Return (value, scale) of every cell of the axis."""
        return tuple((value, self.scale_at(value, base)) for value in self.values)

    def scale_at(self, value: float, base: Scale) -> Scale:
        """Return the base scale with this axis at a value, after the policies.

        With the lr policy p the lr is lr₀ · (B/B₀)^p; with ``hold="steps"`` the
        epochs, maybe a fraction, are those that take the base's number of steps.
        """
        base = canonical_scale(base)
        # The base itself, without rounding by way of a policy: axes share its cell.
        if value == getattr(base, self.axis):
            return base
        moved = canonical_scale(Scale(**{**asdict(base), self.axis: value}))
        if self.axis == "batch_size":
            factor = (moved.batch_size / base.batch_size) ** LR_EXPONENT[self.lr]
            moved = replace(moved, lr=base.lr * factor)
        if self.hold == "steps" and self.axis in ("batch_size", "dataset_size"):
            moved = replace(moved, epochs=base.steps / moved.steps_per_epoch)
        return moved


@dataclass(frozen=True, kw_only=True)
class StudySpec(Plain):
    """Everything that decides which trainings a study consists of.

    Every decay of every cell trains once per seed, and cells that axes share train
    once. The grid has ``points`` decays from ``low`` to ``high``, log-spaced, canonical
    λ under the normalization ``"none"``; λ = 0 comes on top. With ``split`` ``"per
    seed"`` each seed draws its own pool and validation set, whose choice intervals then
    include; a number is one split for all. With ``grid`` there is a cell for every
    combination of the axes' values, else every cell leaves the base along one axis.
    """

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
    split: Split = PER_SEED
    grid: bool = False

    def __post_init__(self) -> None:
        for _, fault in faults(self.as_tables()):
            raise fault

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Every cell's scale once, the base's first where an axis has it."""
        base = canonical_scale(self.base)
        found: dict[Scale, None] = {base: None} if self.grid else {}
        for axis in self.axes:
            starts = tuple(found) if self.grid else (base,)
            reached = [at for start in starts for _, at in axis.cells(start)]
            found = dict.fromkeys(reached if self.grid else [*found, *reached])
        return tuple(sorted(found, key=lambda scale: scale != base))

    def trial(self, scale: Scale, weight_decay: float, seed: int) -> Trial:
        """Return a training of the study."""
        return Trial(
            problem=self.problem,
            optimizer=self.optimizer,
            scale=scale,
            normalization=self.normalization,
            weight_decay=weight_decay,
            seed=seed,
            split=self.split,
        )

    def as_tables(self) -> dict[str, Any]:
        """Return the spec as the tables of a study file."""
        base = asdict(self.base)
        optimizer = {**asdict(self.optimizer), "lr": base.pop("lr")}
        of_study, of_grid = TABLES["study"], TABLES["weight_decay"]
        return {
            "study": {name: getattr(self, name) for name in of_study.model_fields},
            "optimizer": optimizer,
            "base": base,
            "weight_decay": {
                name: getattr(self, name) for name in of_grid.model_fields
            },
            "axes": {axis.axis: axis.as_table() for axis in self.axes},
        }

    @classmethod
    def from_tables(cls, tables: dict[str, Any], name: str) -> Self:
        """Build a spec from tables without a fault; they may lack a name."""
        optimizer = dict(tables["optimizer"])
        base = Scale(**tables["base"], lr=optimizer.pop("lr"))
        axes = [
            {**table, "axis": axis, "values": tuple(map(float, table["values"]))}
            for axis, table in tables["axes"].items()
        ]
        return cls(
            **{"name": name, **tables["study"], **tables["weight_decay"]},
            optimizer=Optimizer(**optimizer),
            base=base,
            axes=tuple(AxisSpec(**axis) for axis in axes),
        )


def canonical_scale(scale: Scale) -> Scale:
    """Return the scale with whole numbers as int and the others as float.

    30 and 30.0 epochs are one cell, and must get one key in the store.
    """
    kinds: dict[str, Callable[[Any], Any]] = {
        name: int if name in WHOLE else float for name in asdict(scale)
    }
    return Scale(**{name: kinds[name](getattr(scale, name)) for name in kinds})
