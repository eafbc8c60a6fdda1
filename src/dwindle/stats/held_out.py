"""What the best λ gains for a seed that had no say in choosing it, of any table.

Tables that people have lack trainings: only those that are there count, and a reference
that a seed was not trained at gives that seed no gain.
"""

import numpy as np

from dwindle.stats.curve import BoolArray
from dwindle.stats.student import FloatArray

# A training and its neighbors, as far as they are there: the noise of one training goes
# down by a third, and a curve at the usual spacing hardly changes.
_WEIGHTS = (0.25, 0.5, 0.25)


def held_out_gains(
    logs: FloatArray, present: BoolArray, reference: FloatArray
) -> FloatArray:
    """Return each seed's gain over a reference at the λ that the other seeds choose.

    For each seed the others' mean curve, smoothed over neighbors, is lowest at one of
    the λ that the seed has; the gain is the seed's reference minus its own losses there
    and beside, smoothed in the same way; 0 where the others see no gain.

    Args:
        logs: Log losses, shape (seeds, λ), λ rising; what is missing is filled in.
        present: Which of them were trained.
        reference: Log loss of each seed at the reference; NaN where it is missing.

    Returns:
        Gains of the seeds that have a reference and a λ, shape (at most seeds,).
    """
    known = ~np.isnan(reference)
    usable = present & (known & present.any(axis=1))[:, None]
    judged = np.flatnonzero(usable.any(axis=1))
    if known.sum() < 2 or len(logs) < 2:  # noqa: PLR2004 - one seed has no others
        return np.zeros(len(judged))
    everywhere = np.ones(logs.shape, dtype=bool)
    smooth = _smoothed((logs.sum(axis=0) - logs) / (len(logs) - 1), everywhere)
    chosen = np.where(usable, smooth, np.inf).argmin(axis=1)
    # Whether the others gain is seen from those that have the reference: levels differ.
    counts = (known.sum() - known)[:, None]
    total = np.where(known[:, None], logs, 0.0)
    same = _smoothed((total.sum(axis=0) - total) / counts, everywhere)
    filled = np.where(known, reference, 0.0)
    expected = (filled.sum() - filled) / counts[:, 0]
    own = _smoothed(logs, usable)
    rows = np.arange(len(logs))
    gains = np.where(same[rows, chosen] < expected, reference - own[rows, chosen], 0.0)
    found: FloatArray = gains[judged]
    return found


def _smoothed(logs: FloatArray, present: BoolArray) -> FloatArray:
    """Return weighted means of neighbors that are there; NaN around none."""
    padded = np.pad(np.where(present, logs, 0.0), ((0, 0), (1, 1)))
    there = np.pad(present.astype(float), ((0, 0), (1, 1)))
    width = logs.shape[1]
    total = np.zeros(logs.shape)
    weight = np.zeros(logs.shape)
    for at, each in enumerate(_WEIGHTS):
        total += each * padded[:, at : at + width]
        weight += each * there[:, at : at + width]
    nothing: FloatArray = np.full(logs.shape, np.nan)
    np.divide(total, weight, out=nothing, where=weight > 0)
    return nothing
