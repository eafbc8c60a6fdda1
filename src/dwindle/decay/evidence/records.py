"""Measured exponents as records, and what to expect of them in a new setting.

Everything is about one coordinate, the shrink per step s = lr·λ, written as

    s ∝ B^batch · (lr·W/B)^lr · D^data · R^repetition · W^width · Z^depth

with the batch B, the width W, the examples (or tokens) seen D, how often each of them
is seen R, and the depth Z. Where parameters P are given instead of width and depth, √P
stands for W beside the lr, and P^parameters for the others. A quantity that somebody
measured is a sum of these exponents: at a fixed lr the batch has batch - lr, with an
lr ∝ B it has batch. So measurements of different quantities constrain the same few
exponents, and a change made in two steps is the change made in one.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from dwindle.errors import UnknownNameError
from dwindle.plain import table_beside

KindOfRun = Literal[
    "single-pass", "many-epochs-normalized", "many-epochs-plain", "fine-tuning"
]
EvidenceFamily = Literal["adaptive", "sgd"]

# In the order in which they are shown.
KINDS: Mapping[KindOfRun, str] = MappingProxyType(
    {
        "single-pass": "single pass",
        "many-epochs-normalized": "normalized networks over many epochs",
        "many-epochs-plain": "plain small networks over many epochs",
        "fine-tuning": "fine-tuning",
    }
)
FAMILIES_OF_EVIDENCE: Mapping[EvidenceFamily, str] = MappingProxyType(
    {"adaptive": "AdamW and its kind", "sgd": "SGD"}
)
# The base exponents, in the order of every vector and matrix of the posterior.
BASES = ("lr", "batch", "data", "repetition", "width", "parameters", "depth")


class Quantity(NamedTuple):
    """A quantity of scale that was measured: ``form`` has its base exponents."""

    name: str
    title: str
    form: Mapping[str, float]


_PER_PARAMETER = "parameters at fixed tokens per parameter"
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        name: Quantity(name, title, form)
        for name, title, form in (
            ("lr", "learning rate alone", {"lr": 1.0}),
            ("batch", "batch size at a fixed lr", {"batch": 1.0, "lr": -1.0}),
            (
                "batch-sqrt-lr",
                "batch size with lr ∝ √batch",
                {"batch": 1.0, "lr": -0.5},
            ),
            ("batch-linear-lr", "batch size with lr ∝ batch", {"batch": 1.0}),
            ("tokens", "tokens of a single pass", {"data": 1.0}),
            ("dataset", "dataset at fixed epochs", {"data": 1.0}),
            ("epochs", "epochs over a fixed dataset", {"data": 1.0, "repetition": 1.0}),
            ("repetition", "epochs at fixed examples seen", {"repetition": 1.0}),
            ("width", "width at a fixed lr", {"width": 1.0, "lr": 1.0}),
            ("width-mup", "width with lr ∝ 1/width", {"width": 1.0}),
            ("params", "parameters at fixed tokens", {"parameters": 1.0}),
            ("params-tpp", _PER_PARAMETER, {"parameters": 1.0, "data": 1.0}),
            # The tokens fall as the parameters grow.
            (
                "params-compute",
                "parameters at fixed compute",
                {"parameters": 1.0, "data": -1.0},
            ),
            ("depth", "depth", {"depth": 1.0}),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who published a record: the name in records, where it stands, and when."""

    name: str
    citation: str
    year: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """One exponent of the best lr·λ over a quantity of scale.

    Args:
        source: Name of a :class:`Source`.
        setting: Network and data; records of one setting share a deviation.
        quantity: Name of a :class:`Quantity`.
        family: ``adaptive`` (AdamW and its kind) or ``sgd``.
        kind_of_run: Class of the training, a key of :data:`KINDS`.
        exponent: Power of the quantity.
        low: Lower end of its 90 % interval.
        high: Upper end.
        factor: Largest over smallest value of the quantity.
        held: What stayed.
        tuned: Whether lr and decay were tuned together, or the decay alone.
        metric: Whether the best decay was that of a loss or of an error.
        estimator: How the exponent was found.
        split: What the metric was measured on.
        kind: ``measured``; ``restated``, a rule without curves that were seen; or
            ``theory``.
        read: What was read for this record.
        note: What to know besides.

    """

    source: str
    setting: str
    quantity: str
    family: EvidenceFamily
    kind_of_run: KindOfRun
    exponent: float
    low: float
    high: float
    factor: float
    held: str
    tuned: Literal["joint", "axis"]
    metric: Literal["loss", "error"]
    estimator: str
    split: str
    kind: Literal["measured", "restated", "theory"]
    read: Literal["primary text", "secondary text", "from memory"]
    note: str

    @property
    def sd(self) -> float:
        """Standard deviation, of a normal distribution with that interval."""
        return (self.high - self.low) / (2 * Z90)

    @property
    def form(self) -> Mapping[str, float]:
        """Weights of the base exponents."""
        return QUANTITIES[self.quantity].form


# Of a standard normal distribution, 90 % lie within so many standard deviations.
Z90 = 1.6448536269514722


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Two quantities of one setting whose exponents' errors are correlated by r."""

    setting: str
    first: str
    second: str
    r: float


@dataclass(frozen=True)
class Evidence:
    """Sources, records, and correlated errors: those of others, and our own."""

    sources: Mapping[str, Source] = field(hash=False)
    records: tuple[Record, ...]
    correlations: tuple[Correlation, ...]


def read_evidence() -> Evidence:
    """Return the records of both files."""
    found: dict[str, list[dict[str, Any]]] = {}  # Any: cells
    for name in ("records.toml", "own_records.toml"):
        for table, rows in table_beside(__file__, name).items():
            found.setdefault(table, []).extend(rows)
    return Evidence(
        {each["name"]: Source(**each) for each in found["source"]},
        tuple(Record(**each) for each in found["record"]),
        tuple(Correlation(**each) for each in found["correlation"]),
    )


def split_contradictions() -> frozenset[tuple[str, str, str]]:
    """Return problem, optimizer and axis of our studies that depend on the split.

    There, which way the best λ by loss goes changes with the validation split.
    """
    rows = table_beside(__file__, "own_records.toml").get("contradiction", ())
    return frozenset(
        (each["problem"], each["optimizer"], each["axis"]) for each in rows
    )


def quantity_named(name: str) -> Quantity:
    """Return a quantity by its name."""
    if name not in QUANTITIES:
        raise UnknownNameError.among("quantity", name, tuple(QUANTITIES))
    return QUANTITIES[name]


@dataclass(frozen=True, kw_only=True, eq=False)
class EvidenceCell:
    """The predictive distribution of a class of trainings and a family of optimizers.

    ``mean`` and ``covariance`` are of the base exponents in a new setting, in the order
    of ``BASES``. ``records`` counts the measurements of each quantity, ``restated`` the
    rules for it that were only restated; ``rules`` may name a candidate, best first.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    records: Mapping[str, int] = field(hash=False)
    restated: Mapping[str, int] = field(hash=False)
    rules: tuple[str, ...]

    def of(self, logs: Mapping[str, float]) -> tuple[float, float]:
        """Return mean and standard deviation of base exponents, weighted and summed.

        Example:
            >>> mean, sd = cell_of("single-pass", "adaptive").of({"data": 1.0})
            >>> mean < 0 < sd
            True

        """
        weights = [logs.get(base, 0.0) for base in BASES]
        mean = math.fsum(w * m for w, m in zip(weights, self.mean, strict=True))
        variance = math.fsum(
            one * other * self.covariance[i][j]
            for i, one in enumerate(weights)
            if one
            for j, other in enumerate(weights)
            if other
        )
        return mean, math.sqrt(max(variance, 0.0))

    def decides(self, logs: Mapping[str, float]) -> str:
        """Return the base exponent whose knowledge would shrink the sum's range most.

        Example:
            >>> cell_of("many-epochs-normalized", "adaptive").decides({"lr": 2.0})
            'lr'

        """
        weights = [logs.get(base, 0.0) for base in BASES]
        explained = {
            base: math.fsum(w * c for w, c in zip(weights, row, strict=True)) ** 2
            / row[place]
            for place, (base, row) in enumerate(
                zip(BASES, self.covariance, strict=True)
            )
            if weights[place]
        }
        return max(explained, key=explained.__getitem__)


@cache
def read_posterior() -> dict[str, Any]:  # JSON
    """Return the file as JSON: cells, spreads, and how well it predicts."""
    text = Path(__file__).with_name("posterior.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def cell_of(kind: KindOfRun, family: EvidenceFamily) -> EvidenceCell:
    """Return the predictive distribution of a cell."""
    (cell,) = (
        each
        for each in read_posterior()["cells"]
        if (each["kind_of_run"], each["family"]) == (kind, family)
    )
    return EvidenceCell(
        mean=tuple(cell["mean"]),
        covariance=tuple(map(tuple, cell["covariance"])),
        records=cell["records"],
        restated=cell["restated"],
        rules=tuple(cell["rules"]),
    )


# A run that sees its data once has tokens, and one that sees it again has epochs.
_ONCE_ONLY = {"tokens", "params-tpp", "params-compute"}
_AGAIN_ONLY = {"dataset", "epochs", "repetition"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The exponent of a quantity to expect in a new setting of a cell.

    Args:
        kind_of_run: Class of the training.
        family: Family of the optimizer.
        quantity: What grows.
        exponent: Power that the best lr·λ goes with.
        low: Lower end of its 90 % range.
        high: Upper end.
        measured: Records of that quantity in the cell that were measured.
        restated: Rules for it there that were only restated.

    """

    kind_of_run: KindOfRun
    family: EvidenceFamily
    quantity: str
    exponent: float
    low: float
    high: float
    measured: int
    restated: int


def expected(quantities: Sequence[str] = tuple(QUANTITIES)) -> tuple[Expected, ...]:
    """Return what to expect of quantities, in every cell where they make sense."""

    def of(kind: KindOfRun, family: EvidenceFamily, name: str) -> Expected:
        cell = cell_of(kind, family)
        mean, sd = cell.of(QUANTITIES[name].form)
        return Expected(
            kind_of_run=kind,
            family=family,
            quantity=name,
            exponent=mean,
            low=mean - Z90 * sd,
            high=mean + Z90 * sd,
            measured=cell.records.get(name, 0),
            restated=cell.restated.get(name, 0),
        )

    return tuple(
        of(kind, family, name)
        for kind, family, name in product(KINDS, FAMILIES_OF_EVIDENCE, quantities)
        if name not in (_AGAIN_ONLY if kind == "single-pass" else _ONCE_ONLY)
    )


def nobody_measured(everything: Sequence[Expected]) -> tuple[Expected, ...]:
    """Return those that no record measures: a rule may have been restated for them."""
    return tuple(each for each in everything if not each.measured)
