"""Is this difference noise? The best λ against none, or a reference; two λ."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dwindle.stats.curve import BoolArray, Curve
from dwindle.stats.regret import Regret, measure_gain, measure_saved_share
from dwindle.stats.student import (
    SEEDS_FOR_AN_INTERVAL,
    FloatArray,
    coin_wins,
    half_width,
    seeds_to_settle,
    t_quantile,
)
from dwindle.wording import counted

Matters = Literal["yes", "no", "cannot tell"]

# One-sided: what a 90 % interval leaves on the side of no gain.
ERROR_RATE = 0.05
# A training and its neighbors, as far as they are there: the noise of one training goes
# down by a third, and a curve at the usual spacing hardly changes.
_WEIGHTS = (0.25, 0.5, 0.25)
# A gain whose upper limit is below this share of the loss is not worth tuning for.
NEGLIGIBLE_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class MattersVerdict:
    """Whether decay beats no decay in a cell, why, and by how much.

    ``gain`` is in units of the loss; None where there is no loss without decay.
    ``seeds_needed`` is how many seeds would turn a "cannot tell" into a "yes" if the
    gain is what it seems; None where no number would.
    """

    matters: Matters
    why: str
    gain: Regret | None
    seeds_needed: int | None = None


def judge_whether_decay_matters(curve: Curve) -> MattersVerdict:
    """Test whether the best λ beats λ = 0 by more than the noise of the seeds.

    For each seed the others choose a λ on their 3-point running mean (or none at all,
    if that is lowest at λ = 0); the seed's gain there counts, between log losses,
    so that one collapsed network is one seed and not the whole variance. Decay matters
    if these gains pass a one-sided t test at 5 %, or, where seeds fail to train without
    decay, if so many seeds gain or fail that a sign test shows it at 5 %. If not, and
    the upper limit of the gain is below 2 % of the loss without decay, it does not
    matter. Else it is unknown.
    """
    without = curve.without_decay
    if without is None:
        why = "no seed has a loss without decay to compare with"
        return MattersVerdict(matters="cannot tell", why=why, gain=None)
    compared, failed = curve.only(curve.compared), int(np.isinf(without).sum())
    gain, saved = measure_gain([curve]), measure_saved_share(curve)
    if compared.n + failed < SEEDS_FOR_AN_INTERVAL:
        have = f"{compared.n + failed} of the {SEEDS_FOR_AN_INTERVAL} seeds"
        why = f"{have} that a verdict needs have a loss without decay"
        return MattersVerdict(matters="cannot tell", why=why, gain=gain)
    gains = leave_one_out_gains(compared)
    has_spread = len(gains) >= SEEDS_FOR_AN_INTERVAL
    passes = has_spread and gains.mean() > half_width(gains, probability=1 - ERROR_RATE)
    # A seed that trains with decay and not without it gains by an unknown amount. Where
    # there is none the t test decides alone: it sees how large the gains are.
    won = int((gains > 0).sum()) + failed
    if passes or (failed and coin_wins(won, of=len(gains) + failed) <= ERROR_RATE):
        parts = []
        if saved is not None:
            share = f"{100 * saved.value:.1f} % of the loss without decay"
            parts.append(f"the best λ saves {share}")
        if failed:
            parts.append(f"{counted(failed, 'seed')} trained only with decay")
        return MattersVerdict(matters="yes", why="; ".join(parts), gain=gain)
    if saved is None or saved.high is None:
        why = f"{counted(compared.n, 'seed')} trained without decay, too few to compare"
        return MattersVerdict(matters="cannot tell", why=why, gain=gain)
    if saved.high < NEGLIGIBLE_SHARE:
        why = f"the best λ saves less than {100 * NEGLIGIBLE_SHARE:.0f} % of the loss"
        return MattersVerdict(matters="no", why=why, gain=gain)
    why = f"the seeds' noise hides a gain of up to {100 * saved.high:.1f} %"
    needed = seeds_needed(gains)
    return MattersVerdict(
        matters="cannot tell", why=why, gain=gain, seeds_needed=needed
    )


def leave_one_out_gains(curve: Curve) -> FloatArray:
    """Return each seed's gain at the λ that the other seeds choose, shape (seeds,).

    ``ln L_s(0) - ln L_s(λ chosen without s)``; 0 where the others choose no decay, or
    where there are no others. All seeds must have a finite loss at λ = 0.
    """
    if curve.without_decay is None or curve.n < 2:  # noqa: PLR2004 - one has no others
        return np.zeros(curve.n)
    logs, without = curve.log_losses, np.log(curve.without_decay)
    others = (logs.sum(axis=0) - logs) / (curve.n - 1)
    others_without = (without.sum() - without) / (curve.n - 1)
    padded = np.pad(others, ((0, 0), (1, 1)), mode="edge")
    # One lucky λ must not be chosen for its luck: neighbors vote.
    smooth = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    chosen = smooth.argmin(axis=1)
    gains = without - logs[np.arange(curve.n), chosen]
    return np.where(smooth.min(axis=1) < others_without, gains, 0.0)


def seeds_needed(gains: FloatArray) -> int | None:
    """Return how many seeds would show the mean gain of these, were it the true one.

    More than there are now, at least three; None where nothing was gained, or more than
    1,000 are needed. :func:`~dwindle.stats.student.seeds_to_settle` counts them.
    """
    sd = float(gains.std(ddof=1))
    more = seeds_to_settle(float(gains.mean()), sd, have=len(gains)) if sd else None
    return None if more is None else len(gains) + more


def held_out_gains(
    logs: FloatArray, present: BoolArray, reference: FloatArray
) -> FloatArray:
    """Return each seed's gain over a reference at the λ that the other seeds choose.

    Tables that people have lack trainings: only those that are there count, and a
    reference that a seed was not trained at gives that seed no gain.
    For each seed the others' mean curve, smoothed over neighbors, is lowest at one of
    the λ that the seed has; the gain is the seed's reference minus its own losses there
    and beside, smoothed in the same way; 0 where the others see no gain.

    ``logs`` (seeds, λ) are filled in where they are not ``present``; ``reference``
    (seeds,) is NaN where it is missing. Only seeds that have it and a λ are returned.
    """
    known = ~np.isnan(reference)
    usable = present & (known & present.any(axis=1))[:, None]
    judged = np.flatnonzero(usable.any(axis=1))
    if known.sum() < 2 or len(logs) < 2:  # noqa: PLR2004 - one seed has no others
        return np.zeros(len(judged))
    everywhere = np.ones(logs.shape, dtype=bool)
    smooth = _smoothed((logs.sum(axis=0) - logs) / (len(logs) - 1), everywhere)
    rows = np.arange(len(logs))
    # A seed without the λ that the others choose shows nothing of it. Where most have
    # theirs these alone count; in a random search each takes the best that it has.
    has = usable[rows, smooth.argmin(axis=1)]
    if has.sum() >= max(SEEDS_FOR_AN_INTERVAL, len(judged) / 2):
        judged = np.flatnonzero(has)
    chosen = np.where(usable, smooth, np.inf).argmin(axis=1)
    # Whether the others gain is seen from those that have the reference: levels differ.
    counts = (known.sum() - known)[:, None]
    total = np.where(known[:, None], logs, 0.0)
    same = _smoothed((total.sum(axis=0) - total) / counts, everywhere)
    filled = np.where(known, reference, 0.0)
    expected = (filled.sum() - filled) / counts[:, 0]
    own = _smoothed(logs, usable)
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


@dataclass(frozen=True, kw_only=True)
class TwoDecays:
    """The difference of two decays and what it may be by noise.

    ``mean`` is the loss of the other minus that of the one, with its 90 % limits (None
    where nothing shows a spread); ``n`` the seeds that have both, or the smaller number
    of trainings where seeds do not pair. ``verdict`` is about the one; where it is
    open, ``needed`` is about how many further seeds with both would settle it, were the
    difference what it seems.
    """

    mean: float
    low: float | None
    high: float | None
    paired: bool
    n: int
    verdict: Literal["better", "worse", "cannot tell"]
    needed: int | None


def compare_two(one: Mapping[str, float], other: Mapping[str, float]) -> TwoDecays:
    """Compare two decays that were chosen before their losses were seen: other - one.

    Within seeds that have both, by a paired t interval; where fewer than three do, the
    two groups of trainings by Welch's. Losses are by seed, on the scale on which noise
    is even (a log loss); neither is empty.
    """
    both = sorted(one.keys() & other.keys())
    if len(both) >= SEEDS_FOR_AN_INTERVAL:
        differences = np.array([other[seed] - one[seed] for seed in both])
        half, n = half_width(differences), len(both)
        mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    else:
        first, second = np.array([*one.values()]), np.array([*other.values()])
        n = min(len(first), len(second))
        mean = float(second.mean() - first.mean())
        if n < 2:  # noqa: PLR2004 - one training has no spread
            return TwoDecays(
                mean=mean, low=None, high=None, paired=bool(both), n=n,
                verdict="cannot tell", needed=SEEDS_FOR_AN_INTERVAL - len(both),
            )  # fmt: skip
        spread = math.sqrt(float(first.var(ddof=1) + second.var(ddof=1)))
        # Welch's, of groups that may be spread differently.
        parts = [float(each.var(ddof=1)) / len(each) for each in (first, second)]
        sizes = len(first) - 1, len(second) - 1
        weights = sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
        degrees = sum(parts) ** 2 / weights if weights else min(sizes)
        t = t_quantile(1 - ERROR_RATE, degrees_of_freedom=max(1, int(degrees)))
        half = t * math.sqrt(sum(parts))
    verdict: Literal["better", "worse", "cannot tell"] = "cannot tell"
    if abs(mean) > half:
        verdict = "better" if mean > 0 else "worse"
    needed = None
    if verdict == "cannot tell":
        needed = seeds_to_settle(abs(mean), spread, have=n)
    return TwoDecays(
        mean=mean, low=mean - half, high=mean + half, n=n,
        paired=len(both) >= SEEDS_FOR_AN_INTERVAL,
        verdict=verdict, needed=needed,
    )  # fmt: skip
