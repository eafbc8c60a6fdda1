"""A table of seeds and weight decays: what is compared within a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dwindle.fitting.losses import CellLosses
from dwindle.stats.curve import BoolArray, Curve, curve_from_losses
from dwindle.stats.matters import held_out_gains
from dwindle.stats.student import FloatArray

# More are averaged in blocks: what is left out one by one takes its time.
_MOST_SEEDS = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedTable:
    """A table of seeds and λ, and which of its trainings are there."""

    curve: Curve
    present: BoolArray  # (seeds, λ)
    block: int  # seeds that a row is the mean of; the last one has the rest
    seeds: int

    def gains_over(self, end: int | None) -> FloatArray:
        """Return gains over an end of the range, or over no decay (None)."""
        logs, curve = self.curve.log_losses, self.curve
        if end is None:
            without = curve.without_decay
            reference = np.full(curve.n, np.nan)
            if without is not None:
                finite = np.isfinite(without)
                reference[finite] = np.log(without[finite])
            return held_out_gains(logs, self.present, reference)
        reference = np.where(self.present[:, end], logs[:, end], np.nan)
        others = np.delete(np.arange(logs.shape[1]), end)
        if not len(others):
            return np.zeros(curve.n)
        return held_out_gains(logs[:, others], self.present[:, others], reference)


def seed_table(losses: CellLosses, shared: Sequence[str]) -> SeedTable | None:
    """Return the table of seeds and λ, with what is missing filled in."""
    # Seeds with less than half as many λ as the fullest, and λ with less than half as
    # many of these seeds, do not count: what is filled in only helps to choose a λ.
    decays = list(losses.by_decay)
    whole = np.full((len(shared), len(decays)), np.nan)
    row_of = {seed: row for row, seed in enumerate(shared)}
    for column, of_seed in enumerate(losses.by_decay.values()):
        for seed, each in of_seed.items():
            if seed in row_of:
                whole[row_of[seed], column] = sum(each) / len(each)
    block = 1 + (len(whole) - 1) // _MOST_SEEDS
    if block > 1:
        whole = _block_means(whole, block)
    whole[_lost_between(whole)] = np.nan
    here = ~np.isnan(whole)
    rows = here.mean(axis=1) >= here.mean(axis=1).max() / 2
    columns = here[rows].mean(axis=0) >= here[rows].mean(axis=0).max() / 2
    whole, decay = whole[np.ix_(rows, columns)], np.array(decays)[columns]
    missing = np.isnan(whole) & (decay > 0)
    # A λ counts as ruined for all where half of its seeds are missing.
    full = 2 * missing.sum(axis=0) < len(whole)
    whole, decay, missing = whole[:, full], decay[full], missing[:, full]
    if not np.isfinite(whole[:, decay > 0]).any():
        return None
    if not losses.log_scale:
        finite = whole[np.isfinite(whole)]
        spread = float(finite.std()) or 1.0
        whole = np.exp((whole - finite.mean()) / spread)
    # What is missing is filled in as a network at chance is: by its seed and its λ.
    found = curve_from_losses(decay, np.where(missing, 1.0, whole), untrained=missing)
    if found is None:
        return None
    kept = np.isin(np.log(decay, where=decay > 0, out=decay * 0), found.log_decay)
    kept &= decay > 0
    return SeedTable(
        curve=replace(found, left_out=0),
        present=~missing[:, kept],
        block=block,
        seeds=min(found.n * block, len(shared)),
    )


def _lost_between(whole: FloatArray) -> BoolArray:
    """Return what diverged between λ of its seed that trained, where most others did.

    It is not λ that is to blame: such a training is missing, as one that failed.
    """
    ended = np.isfinite(whole)
    below = np.logical_or.accumulate(ended, axis=1)
    above = np.logical_or.accumulate(ended[:, ::-1], axis=1)[:, ::-1]
    lost = np.isinf(whole)
    found: BoolArray = lost & below & above & (lost.sum(axis=0) < ended.sum(axis=0))
    return found


def _block_means(whole: FloatArray, block: int) -> FloatArray:
    """Return means of so many seeds each: as good as seeds, where there are plenty."""
    starts = np.arange(0, len(whole), block)
    here = ~np.isnan(whole)
    total = np.add.reduceat(np.where(here, whole, 0.0), starts, axis=0)
    count = np.add.reduceat(here.astype(float), starts, axis=0)
    nothing: FloatArray = np.full(total.shape, np.nan)
    np.divide(total, count, out=nothing, where=count > 0)
    return nothing
