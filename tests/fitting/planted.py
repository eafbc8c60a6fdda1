"""Result files as people have them, with a known truth: how trainings were drawn."""

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
    Without ``paired`` every training has a seed of its own, and so all three. With
    ``random`` every seed has λ of its own. ``missing`` is a share of rows.
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


def draw(kind, generator, *, effect):
    """Draw one file.

    Args:
        kind: What kind.
        generator: Of random numbers.
        effect: How much the end of the range that is nearer in loss, or λ = 0 where it
            is there, lies above the best λ: in standard errors of that difference.

    Returns:
        Rows of trainings as dicts, and the true best λ.

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
