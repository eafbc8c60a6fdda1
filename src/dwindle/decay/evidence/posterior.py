"""What to expect of the base exponents in a new setting: ``posterior.json``, read."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from dwindle.decay.evidence.records import BASES, EvidenceFamily, KindOfRun


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """The predictive distribution of a class of trainings and a family of optimizers.

    Args:
        mean: Of the base exponents, in the order of ``BASES``.
        covariance: Theirs, in a new setting.
        records: How many records of each quantity the cell has.
        rules: Rules that may name a candidate, best first by the records of the class.

    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    records: Mapping[str, int] = field(hash=False)
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
        rules=tuple(cell["rules"]),
    )
