"""Does decay matter here? A gain that was chosen without the seed it is judged on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dwindle.stats.curve import Curve
from dwindle.stats.regret import Regret, measure_gain, measure_saved_share
from dwindle.stats.student import (
    SEEDS_FOR_AN_INTERVAL,
    FloatArray,
    Interval,
    coin_wins,
    half_width,
    seeds_to_settle,
)
from dwindle.wording import counted

Matters = Literal["yes", "no", "cannot tell"]

# One-sided: what a 90 % interval leaves on the side of no gain.
ERROR_RATE = 0.05
# A gain whose upper limit is below this share of the loss is nobody's reason to tune.
NEGLIGIBLE_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class MattersVerdict:
    """Whether decay beats no decay in a cell, why, and by how much.

    ``gain`` is in units of the loss; None where there is no loss without decay.
    ``seeds_needed`` is how many seeds would turn a "cannot tell" into a "yes" if the
    gain is what it looks like; None where no number would.
    """

    matters: Matters
    why: str
    gain: Regret | None
    seeds_needed: int | None = None


def judge_whether_decay_matters(curve: Curve) -> MattersVerdict:
    """Test whether the best λ beats λ = 0 by more than the noise of the seeds.

    For each seed the others choose a λ on their 3-point running mean (or none at all,
    if no λ looks better to them than 0); its own gain there counts, between log losses,
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
            share = f"{saved.value:.1%} of the loss without decay"
            parts.append(f"the best λ saves {share}")
        if failed:
            parts.append(f"{counted(failed, 'seed')} trained only with decay")
        return MattersVerdict(matters="yes", why="; ".join(parts), gain=gain)
    return _without_a_gain(compared, gains, gain=gain, saved=saved)


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


def _without_a_gain(
    curve: Curve, gains: FloatArray, *, gain: Regret | None, saved: Interval | None
) -> MattersVerdict:
    if saved is None or saved.high is None:
        why = f"{counted(curve.n, 'seed')} trained without decay, too few to compare"
        return MattersVerdict(matters="cannot tell", why=why, gain=gain)
    if saved.high < NEGLIGIBLE_SHARE:
        why = f"the best λ saves less than {NEGLIGIBLE_SHARE:.0%} of the loss"
        return MattersVerdict(matters="no", why=why, gain=gain)
    why = f"the seeds' noise hides a gain of up to {saved.high:.1%}"
    return MattersVerdict(
        matters="cannot tell", why=why, gain=gain, seeds_needed=seeds_needed(gains)
    )


def seeds_needed(gains: FloatArray) -> int | None:
    """Return how many seeds would show the mean gain of these, were it the true one.

    More than there are now, at least three; None where nothing was gained, or more than
    1,000 are needed. :func:`~dwindle.stats.student.seeds_to_settle` counts them.
    """
    mean, sd = float(gains.mean()), float(gains.std(ddof=1))
    if mean <= 0 or sd == 0:
        return None
    more = seeds_to_settle(mean, sd, have=len(gains))
    return None if more is None else len(gains) + more
