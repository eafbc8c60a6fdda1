"""Result files as people have them, with a known truth: thirty kinds, and a draw."""

import csv
import io
from dataclasses import dataclass

import numpy as np

DECADE = np.log(10)
_REACH = 2 * DECADE  # how far a smooth deviation of a seed remembers itself


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One kind of results.

    Noise of ln loss: a ``level`` that all λ of a seed share, a smooth deviation
    (``apart``) that differs between distant λ, and ``fresh`` noise of each training.
    Without ``paired`` every training has another seed, and so all three. With
    ``random`` every seed has other λ. ``missing`` is a share of rows.
    """

    seeds: int
    points: int
    decades: float = 4.0
    zero: bool = False
    paired: bool = True
    random: bool = False
    has_seed: bool = True
    level: float = 0.1
    apart: float = 0.0
    fresh: float = 0.02
    missing: float = 0.0
    score: bool = False
    heavy: bool = False
    own_scale: bool = False

    @property
    def ends(self):
        """The ends of the range in ln λ."""
        return np.log(1e-4), np.log(1e-4) + self.decades * DECADE

    def standard_error(self, distance):
        """Of the difference of the means of two λ, paired where seeds are."""
        smooth = self.apart**2 * (1 - np.exp(-0.5 * (distance / _REACH) ** 2))
        own = self.fresh**2 + (smooth if self.paired else self.level**2 + self.apart**2)
        both = self.seeds * (1 - self.missing) ** 2  # seeds that have the two of them
        return np.sqrt(2 * own / both)


# Grids and searches, paired or not, tidy or not.
KINDS = {
    "grid of 13, 5 seeds, zero": Planted(seeds=5, points=13, zero=True),
    "grid of 13, 5 seeds": Planted(seeds=5, points=13),
    "grid of 9, 4 seeds, zero": Planted(seeds=4, points=9, zero=True),
    "grid of 9, 4 seeds": Planted(seeds=4, points=9),
    "grid of 7, 8 seeds, zero": Planted(seeds=8, points=7, zero=True),
    "grid of 7, 8 seeds": Planted(seeds=8, points=7),
    "grid of 5, 5 seeds": Planted(seeds=5, points=5),
    "grid of 5, 10 seeds, zero": Planted(seeds=10, points=5, zero=True),
    "smooth deviations, 5 seeds, zero": Planted(
        seeds=5, points=13, zero=True, apart=0.03, fresh=0.01
    ),
    "smooth deviations, 5 seeds": Planted(seeds=5, points=13, apart=0.03, fresh=0.01),
    "smooth deviations, 8 seeds": Planted(seeds=8, points=9, apart=0.03, fresh=0.01),
    "heavy tails, 6 seeds, zero": Planted(seeds=6, points=9, zero=True, heavy=True),
    "heavy tails, 6 seeds": Planted(seeds=6, points=9, heavy=True),
    "loud, 8 seeds, zero": Planted(seeds=8, points=9, zero=True, level=0.3, fresh=0.1),
    "quiet levels, 5 seeds": Planted(seeds=5, points=9, level=0.0),
    "two decades, 5 seeds": Planted(seeds=5, points=7, decades=2),
    "six decades, 5 seeds, zero": Planted(seeds=5, points=13, decades=6, zero=True),
    "a tenth missing, 6 seeds, zero": Planted(
        seeds=6, points=13, zero=True, missing=0.1
    ),
    "a fifth missing, 8 seeds": Planted(seeds=8, points=9, missing=0.2),
    "half missing, 12 seeds": Planted(seeds=12, points=9, missing=0.5),
    "accuracies, 5 seeds, zero": Planted(seeds=5, points=9, zero=True, score=True),
    "accuracies, 6 seeds": Planted(seeds=6, points=9, score=True),
    "rewards around zero, 6 seeds": Planted(seeds=6, points=9, own_scale=True),
    "one seed each, 9 λ": Planted(seeds=1, points=9, paired=False, has_seed=False),
    "one seed each, 13 λ": Planted(seeds=1, points=13, paired=False),
    "random search of 30": Planted(
        seeds=1, points=30, paired=False, random=True, has_seed=False
    ),
    "random search of 100, accuracies": Planted(
        seeds=1, points=100, paired=False, random=True, score=True
    ),
    "3 fresh seeds each, 7 λ": Planted(seeds=3, points=7, paired=False),
    "5 fresh seeds each, 5 λ, zero": Planted(
        seeds=5, points=5, paired=False, zero=True
    ),
    "3 fresh seeds each, 9 λ, zero, no seed column": Planted(
        seeds=3, points=9, paired=False, zero=True, has_seed=False
    ),
}


def draw(kind, generator, *, effect):
    """Return rows of trainings as dicts, and the true best λ.

    The end of the range that is nearer in loss, or λ = 0 where it is there, lies above
    the best λ by ``effect`` standard errors of that difference.
    """
    low, high = kind.ends
    center = low + generator.uniform(0.35, 0.65) * (high - low)
    reach = min(center - low, high - center)
    depth = effect * kind.standard_error(reach)
    grid = np.linspace(low, high, kind.points)
    rows = []
    for seed in range(kind.seeds):
        if kind.random:
            grid = generator.uniform(low, high, kind.points)
        rise = np.minimum(((grid - center) / reach) ** 2, 2.0)
        places, rise = [grid, rise] if not kind.zero else [
            np.append(grid, low), np.append(rise, 1.0),
        ]  # fmt: skip
        noise = _noise(kind, generator, places)
        for at, log_loss in enumerate(depth * rise + noise):
            if generator.uniform() < kind.missing:
                continue
            is_zero = kind.zero and at == len(grid)
            row = {"weight_decay": 0.0 if is_zero else float(np.exp(grid[at]))}
            if kind.has_seed:
                row["seed"] = seed if kind.paired else 1000 * seed + at
            rows.append({**row, **_metric(kind, float(log_loss))})
    return rows, float(np.exp(center))


def _noise(kind, generator, places):
    """Noise of ln loss of one seed, or of trainings that share none."""
    count = len(places)
    if kind.paired:
        scaled = (places[:, None] - places[None, :]) / _REACH
        shared = np.exp(-0.5 * scaled**2) + 1e-9 * np.eye(count)
        smooth = np.linalg.cholesky(shared) @ generator.standard_normal(count)
        common = generator.normal(0, kind.level) + kind.apart * smooth
    else:
        common = generator.normal(0, np.hypot(kind.level, kind.apart), count)
    fresh = generator.standard_normal(count)
    if kind.heavy:
        fresh = generator.standard_t(4, count) / np.sqrt(2)
    return common + kind.fresh * fresh


def _metric(kind, log_loss):
    if kind.score:  # about 80 % are right
        return {"test_acc": 1 - 0.2 * float(np.exp(log_loss))}
    if kind.own_scale:
        return {"score": -log_loss}
    return {"val_loss": float(np.exp(log_loss))}


def as_csv(rows, delimiter=","):
    """Return rows as the text of a CSV file."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
