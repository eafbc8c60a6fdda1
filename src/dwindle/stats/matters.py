"""Does decay matter here? A gain that was chosen without the seed it is judged on."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dwindle.stats.curve import SEEDS_FOR_AN_INTERVAL, Curve
from dwindle.stats.regret import measure_gain
from dwindle.stats.student import FloatArray, Interval, half_width

Matters = Literal["yes", "no", "cannot tell"]

ERROR_RATE = 0.05
# A gain whose upper limit is below this share of the loss is nobody's reason to tune.
NEGLIGIBLE_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class MattersVerdict:
    """Whether decay beats no decay in a cell, why, and by how much.

    ``gain`` is in units of the loss; None where there is no loss without decay.
    """

    matters: Matters
    why: str
    gain: Interval | None


def judge_whether_decay_matters(curve: Curve) -> MattersVerdict:
    """Test whether the best λ beats λ = 0 by more than the noise of the seeds.

    For each seed the others choose a λ on their 3-point running mean (or none at all,
    if no λ looks better to them than 0); its own gain there counts. Decay matters if
    these gains pass a one-sided t test at 5 %. If not, and the upper limit of the gain
    is below 2 % of the loss without decay, it does not matter. Else nobody can tell.

    Args:
        curve: One cell.

    Returns:
        The verdict, the reason in words, and the gain with its interval.

    Example:
        >>> x = np.arange(9.0)
        >>> bowl = 2 + 0.1 * (x - 4) ** 2
        >>> verdict = judge_whether_decay_matters(
        ...     Curve(
        ...         seeds=(0, 1, 2),
        ...         log_decay=x,
        ...         losses=np.array([bowl, bowl + 0.1, bowl - 0.1]),
        ...         without_decay=np.array([3.0, 3.1, 2.9]),
        ...     )
        ... )
        >>> verdict.matters, round(verdict.gain.value, 6)
        ('yes', 1.0)

    """
    gain = measure_gain([curve])
    if curve.without_decay is None or gain is None:
        why = "not every seed has a finite loss without decay to compare with"
        return MattersVerdict(matters="cannot tell", why=why, gain=None)
    if not curve.has_spread:
        why = f"{curve.n} of the {SEEDS_FOR_AN_INTERVAL} seeds that a verdict needs"
        return MattersVerdict(matters="cannot tell", why=why, gain=gain)
    gains = leave_one_out_gains(curve)
    lower = gains.mean() - half_width(gains, probability=1 - ERROR_RATE)
    matters: Matters = "yes" if lower > 0 else _without_a_gain(curve, gain)
    return MattersVerdict(matters=matters, why=_why(curve, matters, gain), gain=gain)


def leave_one_out_gains(curve: Curve) -> FloatArray:
    """Return each seed's gain at the λ that the other seeds choose, shape (seeds,).

    Args:
        curve: At least two seeds, each with a loss at λ = 0.

    Returns:
        ``L_s(0) - L_s(λ chosen without s)``; 0 where the others choose no decay.

    Example:
        >>> leave_one_out_gains(
        ...     Curve(
        ...         seeds=(0, 1),
        ...         log_decay=np.arange(5.0),
        ...         losses=np.array([[9.0, 5, 2, 5, 9], [9.0, 5, 3, 5, 9]]),
        ...         without_decay=np.array([6.0, 6.0]),
        ...     )
        ... ).tolist()
        [4.0, 3.0]

    """
    without = curve.without_decay
    if without is None:
        return np.zeros(curve.n)
    others = (curve.losses.sum(axis=0) - curve.losses) / (curve.n - 1)
    others_without = (without.sum() - without) / (curve.n - 1)
    padded = np.pad(others, ((0, 0), (1, 1)), mode="edge")
    # One lucky λ must not be chosen for its luck: neighbors vote.
    smooth = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    chosen = smooth.argmin(axis=1)
    gains = without - curve.losses[np.arange(curve.n), chosen]
    return np.where(smooth.min(axis=1) < others_without, gains, 0.0)


def _without_a_gain(curve: Curve, gain: Interval) -> Matters:
    without = curve.without_decay
    if without is None or gain.high is None:
        return "cannot tell"
    negligible = gain.high < NEGLIGIBLE_SHARE * float(without.mean())
    return "no" if negligible else "cannot tell"


def _why(curve: Curve, matters: Matters, gain: Interval) -> str:
    loss = (
        math.nan if curve.without_decay is None else float(curve.without_decay.mean())
    )
    most = math.nan if gain.high is None else gain.high
    reasons: dict[Matters, str] = {
        "yes": f"the best λ saves {gain.value / loss:.1%} of the loss without decay",
        "no": f"the best λ saves less than {NEGLIGIBLE_SHARE:.0%} of the loss",
        "cannot tell": f"the seeds' noise hides a gain of up to {most / loss:.1%}",
    }
    return reasons[matters]
