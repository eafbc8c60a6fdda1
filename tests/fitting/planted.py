"""Result files as people have them, with a known truth: how trainings were drawn."""

import csv
import io
from dataclasses import dataclass

import numpy as np

DECADE = np.log(10)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One kind of results.

    ``effect`` is the depth of the dip in standard errors of the (paired) difference
    between the best λ and the end of the range, or λ = 0 where ``zero``; 0 is a flat
    curve. Noise: a ``level`` that all λ of a seed share, a smooth deviation that grows
    between distant λ (``apart``), and ``fresh`` noise of each training.
    """

    seeds: int
    points: int
    decades: float = 4.0
    zero: bool = False
    paired: bool = True
    level: float = 0.1
    apart: float = 0.0
    fresh: float = 0.02
    missing: float = 0.0
    score: bool = False
    heavy: bool = False

    @property
    def log_decay(self):
        """The grid in ln λ, from 1e-4."""
        return np.log(1e-4) + np.linspace(0, self.decades * DECADE, self.points)

    @property
    def standard_error(self):
        """Of the difference of two distant λ, over the seeds of a kind."""
        smooth = 0 if not self.paired else 2 * self.apart**2
        own = self.fresh**2 if self.paired else self.fresh**2 + self.level**2
        return np.sqrt((2 * own + smooth) / self.seeds)


def dip(kind, center):
    """Return a curve that is 0 at its best and 1 at the nearer end, and at λ = 0."""
    x = kind.log_decay
    width = min(center - x[0], x[-1] - center)
    shape = np.minimum(((x - center) / width) ** 2, 2.0)
    return shape, 1.0


def draw(kind, generator, *, effect):
    """Return rows of trainings as dicts, and the true best λ."""
    x = kind.log_decay
    center = generator.uniform(
        x[0] + 0.35 * (x[-1] - x[0]), x[0] + 0.65 * (x[-1] - x[0])
    )
    shape, at_zero = dip(kind, center)
    depth = effect * kind.standard_error
    rows = []
    for seed in range(kind.seeds):
        level = generator.normal(0, kind.level)
        smooth = _smooth(generator, x) * kind.apart
        grid = [(0.0, at_zero, smooth[0])] if kind.zero else []
        grid += list(zip(np.exp(x), shape, smooth, strict=True))
        for at, (decay, rise, deviation) in enumerate(grid):
            if not kind.paired:
                level = generator.normal(0, kind.level)
            if generator.uniform() < kind.missing:
                continue
            noise = (
                generator.standard_t(4) / np.sqrt(2)
                if kind.heavy
                else generator.normal()
            )
            log_loss = depth * rise + level + deviation + kind.fresh * noise
            loss = (
                float(np.exp(log_loss - 1.5)) if kind.score else float(np.exp(log_loss))
            )
            rows.append(
                {
                    "weight_decay": float(decay),
                    "seed": seed if kind.paired else seed * 100 + at,
                    "test_acc" if kind.score else "val_loss": 1 - loss
                    if kind.score
                    else loss,
                }
            )
    return rows, float(np.exp(center))


def _smooth(generator, x):
    """A smooth random curve of sd 1 that forgets itself over two decades."""
    scaled = (x[:, None] - x[None, :]) / (2 * DECADE)
    covariance = np.exp(-0.5 * scaled**2) + 1e-8 * np.eye(len(x))
    return np.linalg.cholesky(covariance) @ generator.standard_normal(len(x))


def as_csv(rows, delimiter=","):
    """Return rows as the text of a CSV file."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
