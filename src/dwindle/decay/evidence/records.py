"""Measured exponents as records, and the quantities of scale that they are about.

Everything is about one coordinate, the shrink per step s = lr·λ, written as

    s ∝ B^batch · (lr·W/B)^lr · D^data · R^repetition · W^width · Z^depth

with the batch B, the width W, the examples (or tokens) seen D, how often each of them
is seen R, and the depth Z. Where parameters P are given instead of width and depth, √P
stands for W beside the lr, and P^parameters for the others. A quantity that somebody
measured is a sum of these exponents: at a fixed lr the batch has batch - lr, with an
lr ∝ B it has batch. So measurements of different quantities speak of the same few
exponents, and a change made in two steps is the change made in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """Who published a record.

    Args:
        name: What records call it.
        citation: Where it stands.
        year: Of the text.

    """

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
    """Two exponents of one setting whose errors go together.

    Args:
        setting: That of the two records.
        first: Quantity of one.
        second: Quantity of the other.
        r: Correlation of their errors.

    """

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
    """Return the records that are known."""
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
    """Return the problem, optimizer and axis of our own studies that hang on a split.

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
