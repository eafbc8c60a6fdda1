"""Is this difference noise? Two weight decays of one cell, compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dwindle.errors import RangeError
from dwindle.fitting.losses import CellLosses
from dwindle.stats.matters import TwoDecays, compare_two
from dwindle.wording import listed, number

_CLOSE = 1e-6  # a typed decay is that of the file up to its last digits
_NO_SHARE = 5e-5  # 0.005 %, which is printed as 0.00 %
_SHOWN = 12  # decays that the error lists: about all of a grid


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Weight decay ``one`` against ``other``, as typed.

    ``by`` is how much lower the loss is with ``one``: as a share of the loss, or in its
    own unit where losses are not all positive or the share rounds to nothing
    (``is_share``); with 90 % limits, None where nothing shows a spread. ``verdict`` is
    about ``one``; ``needed`` as in a cell.
    """

    one: float
    other: float
    by: float
    low: float | None
    high: float | None
    is_share: bool
    found: TwoDecays


def compare_decays(all_losses: CellLosses, chosen: Sequence[float]) -> Compared | None:
    """Compare two decays of a cell: those chosen, or the best with the second best.

    None where fewer than two decays have finite losses, or where nobody chose and
    nothing shows a spread: then the two are the lucky ones.
    """
    log_scale = all_losses.log_scale
    losses = {
        decay: row
        for decay, row in _by_decay(all_losses).items()
        if all(map(math.isfinite, row.values()))
    }
    pair = [_found(each, losses) for each in chosen]
    if not pair:
        means = {d: sum(v.values()) / len(v) for d, v in losses.items()}
        pair = sorted(means, key=means.__getitem__)[:2]
    if len(pair) < 2:  # noqa: PLR2004 - a difference has two sides
        return None
    one, other = pair
    found = compare_two(losses[one], losses[other])
    if found.low is None and not chosen:
        return None
    shown = (found.mean, found.low or 0.0, found.high or 0.0)
    if log_scale and max(map(abs, shown)) < _NO_SHARE:
        losses, log_scale = _by_decay(all_losses, in_own_unit=True), False
        found = compare_two(losses[one], losses[other])

    def shared(value: float | None) -> float | None:
        return value if value is None or not log_scale else -math.expm1(-value)

    return Compared(
        one=one,
        other=other,
        by=shared(found.mean) or 0.0,
        low=shared(found.low),
        high=shared(found.high),
        is_share=log_scale,
        found=found,
    )


@dataclass(frozen=True, kw_only=True)
class NoDecay:
    """Where no decay has the lowest loss: what decay costs, and whether for sure.

    ``least`` and ``most`` are what the tried decays lose against none: as a share of
    the loss without decay, or in its own unit where losses are not all positive.
    """

    is_sure: bool
    least: float
    most: float
    tried: int


def where_none_is_lowest(all_losses: CellLosses) -> NoDecay | None:
    """Return what decay costs, if every decay that was tried has a higher mean loss."""
    # A λ at which one seed diverged may be the best for the others.
    ended = {
        decay: {seed: loss for seed, loss in row.items() if math.isfinite(loss)}
        for decay, row in _by_decay(all_losses).items()
    }
    losses = {decay: row for decay, row in ended.items() if row}
    none = all_losses.typed(0.0)
    if none not in losses:
        return None
    # Within seeds: where some are missing, means over all of them are of other seeds.
    found = [
        compare_two(losses[none], of_seed)
        for decay, of_seed in losses.items()
        if decay != none
    ]
    means = sorted(each.mean for each in found)
    if not means or means[0] <= 0:
        return None
    least, most = means[0], means[-1]
    if all_losses.log_scale:
        least, most = math.expm1(least), math.expm1(most)
    # The luckiest of them: what is certain of it is more certain of the others.
    luckiest = min(found, key=lambda each: each.mean)
    return NoDecay(
        is_sure=luckiest.verdict == "better", least=least, most=most, tried=len(found)
    )


def _by_decay(
    losses: CellLosses, *, in_own_unit: bool = False
) -> dict[float, dict[str, float]]:
    """Return the mean loss of every seed at every decay; infinite where it diverged."""
    takes_logs = losses.log_scale and not in_own_unit

    def read(loss: float) -> float:
        return math.log(loss) if takes_logs and 0 < loss < math.inf else loss

    return {
        losses.typed(decay): {
            seed: fmean(map(read, each)) for seed, each in row.items()
        }
        for decay, row in losses.by_decay.items()
    }


def _found(typed: float, losses: Mapping[float, object]) -> float:
    for decay in losses:
        if math.isclose(decay, typed, rel_tol=_CLOSE):
            return decay
    there = listed([number(decay) for decay in sorted(losses)], most=_SHOWN)
    # One that was trained and diverged has no loss to compare.
    must = f"two weight decays whose trainings all ended: {there or 'there is none'}"
    raise RangeError("--compare", number(typed), must)
