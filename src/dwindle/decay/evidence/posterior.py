"""What to expect of the base exponents in a new setting: ``posterior.json``, read."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from dwindle.decay.evidence.records import (
    BASES,
    FAMILIES_OF_EVIDENCE,
    KINDS,
    QUANTITIES,
    Z90,
    EvidenceFamily,
    KindOfRun,
    Record,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """The predictive distribution of a class of trainings and a family of optimizers.

    Args:
        mean: Of the base exponents, in the order of ``BASES``.
        covariance: Theirs, in a new setting.
        records: How many measurements of each quantity the cell has.
        restated: How many rules for it there that were only restated.
        rules: Rules that may name a candidate, best first by the records of the class.

    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    records: Mapping[str, int] = field(hash=False)
    restated: Mapping[str, int] = field(hash=False)
    rules: tuple[str, ...]

    def of(self, logs: Mapping[str, float]) -> tuple[float, float]:
        """Return mean and standard deviation of a weighted sum of base exponents.

        Args:
            logs: Weights by base exponent; what is absent is 0.

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
    """Return the file as it is: cells, spreads, and how well it predicts."""
    text = files(__package__).joinpath("posterior.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def cell_of(kind: KindOfRun, family: EvidenceFamily) -> Cell:
    """Return the predictive distribution of a cell."""
    (cell,) = (
        each
        for each in read_posterior()["cells"]
        if (each["kind_of_run"], each["family"]) == (kind, family)
    )
    return Cell(
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


def expected(
    records: Sequence[Record], quantities: Sequence[str] = tuple(QUANTITIES)
) -> tuple[Expected, ...]:
    """Return what to expect of quantities, in every cell where they make sense."""
    return tuple(
        _expected(kind, family, name, records)
        for kind in KINDS
        for family in FAMILIES_OF_EVIDENCE
        for name in quantities
        if name not in (_AGAIN_ONLY if kind == "single-pass" else _ONCE_ONLY)
    )


def _expected(
    kind: KindOfRun, family: EvidenceFamily, name: str, records: Sequence[Record]
) -> Expected:
    mean, sd = cell_of(kind, family).of(QUANTITIES[name].form)
    here = [
        each.kind
        for each in records
        if (each.kind_of_run, each.family, each.quantity) == (kind, family, name)
    ]
    restated = here.count("restated")
    return Expected(
        kind_of_run=kind,
        family=family,
        quantity=name,
        exponent=mean,
        low=mean - Z90 * sd,
        high=mean + Z90 * sd,
        measured=len(here) - restated,
        restated=restated,
    )


def nobody_measured(everything: Sequence[Expected]) -> tuple[Expected, ...]:
    """Return those that no record measures: a rule may have been restated for them."""
    return tuple(each for each in everything if not each.measured)
