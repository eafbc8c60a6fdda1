"""Patterns: how a decay goes on, read from the walk of a few zero-gradient weights.

A weight without gradient that a rule multiplies by a fixed factor loses the same share
in every step. Under momentum the loss d of a step follows from the loss before and the
weight, ``d ← p d + q w``; its two roots are the decay. Other walks have no half-life.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from operator import mul

# Entries of a weight after 0, 1, … steps.
Walk = Sequence[Sequence[float]]

# Rates that a library keeps in float32 agree to seven digits.
_SAME = 1e-6
# Lookaheads go back every 5 to 20 steps. Before the lead, a momentum builds up.
_LONGEST_PERIOD, _LEAD = 20, 8
# Where losses grow with the weight's size to this power they are no fixed amount.
_HARDLY = 0.5
_HALF = 0.5  # above it log1p keeps the digits that log would lose
# Below this part of their squares two columns of numbers are collinear.
_COLLINEAR = 1e-18
# A decay that goes on takes at least this part of what a step took; else it ends.
_DYING = 1e-6
# No momentum remembers longer; shares that fall slowly fit one that does.
_LONGEST_MEMORY = 0.9995


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """How a weight with zero gradient decays.

    Args:
        shape: geometric, delayed, oscillating, linear, periodic, power-law, none or
            other.
        first: Share of the weight that the first step took; None where it differs from
            entry to entry.
        shrink: Share per step in the long run; None where there is none.
        last: Share that the last step took.
        amount: What a step takes of a weight of any size; only of a linear decay.
        period: Steps of a swing, or until the pattern comes again.

    """

    shape: str
    first: float | None = None
    shrink: float | None = None
    last: float | None = None
    amount: float | None = None
    period: float | None = None


def pattern_of(walk: Walk, *, eps: float = 2.0**-52) -> Pattern:
    """Return the pattern of a walk.

    Args:
        walk: At least three steps of entries that start away from zero.
        eps: Relative spacing of the numbers that the walk was made in.

    """
    if all(row == walk[0] for row in walk):
        return Pattern(shape="none", first=0.0, shrink=0.0, last=0.0)
    if not all(math.isfinite(entry) for row in walk for entry in row):
        return Pattern(shape="other")
    scaled = [
        [w / start for w, start in zip(row, walk[0], strict=True)] for row in walk
    ]
    middle = [math.fsum(row) / len(row) for row in scaled]
    if len(walk[0]) > 1 and not _alike(scaled, eps):
        return _of_amounts(walk)
    # Also of entries that began alike, as the two of a complex number did.
    alone = _steady_amount(walk) if len(set(walk[0])) == 1 else None
    fits = (fit(middle, eps) for fit in (_geometric, _two_roots, _periodic))
    fitting = next(filter(None, fits), None) or alone
    if fitting is not None:
        return fitting
    # Shares that become smaller from step to step; a lasting rate if they settle.
    shares = _shares(middle)
    falls = all(b <= a * (1 + _SAME) for a, b in pairwise(shares)) and shares[-1] > 0
    shape = "power-law" if falls else "other"
    return Pattern(shape=shape, first=shares[0], last=shares[-1])


def _alike(scaled: Walk, eps: float) -> bool:
    """Return whether all entries keep the same share of themselves."""
    for at, row in enumerate(scaled):
        gone = [abs(1 - share) for share in row]
        if max(row) - min(row) > _SAME * max(gone) + 4 * eps * (at + 1):
            return False
    return True


def _shares(path: Sequence[float]) -> list[float]:
    return [(w - after) / w if w else math.inf for w, after in pairwise(path)]


def _geometric(path: Sequence[float], eps: float) -> Pattern | None:
    shares = _shares(path)
    middle = math.fsum(shares) / len(shares)
    allowed = _SAME * abs(middle) + 4 * eps
    # A weight that got to 0 has a share that is no number, and is not steady.
    steady = all(abs(s - middle) <= allowed for s in shares)
    if not steady or not 0 < shares[0] < 1:
        return None
    # From end to end: each share alone has an error of eps/share.
    left = path[-1] / path[0]
    e_folds = -math.log(left) if left < _HALF else -math.log1p(left - 1)
    shrink = -math.expm1(-e_folds / (len(path) - 1))
    return Pattern(shape="geometric", first=shrink, shrink=shrink, last=shrink)


def _two_roots(path: Sequence[float], eps: float) -> Pattern | None:
    """A weight with a buffer: d ← p d + q w from the second step on."""
    losses = [w - after for w, after in pairwise(path)]
    rows = list(zip(losses, path[1:], losses[1:], strict=False))
    solved = _least_squares(rows)
    if solved is None:
        return None
    p, q = solved
    if p > _LONGEST_MEMORY:
        return None
    biggest = max(map(abs, losses))
    allowed = _SAME * 1e-3 * biggest + 8 * eps * max(map(abs, path))
    if any(abs(d - p * before - q * w) > allowed for before, w, d in rows):
        return None
    return _of_roots(p, q, _shares(path))


def _least_squares(
    rows: Sequence[tuple[float, float, float]],
) -> tuple[float, float] | None:
    """Solve d = p·x + q·y; None where x and y are collinear."""
    # What x has beside y is formed row by row: in sums of squares it would be lost.
    yy = math.fsum(y * y for _, y, _ in rows)
    if yy == 0:
        return None
    alike = math.fsum(x * y for x, y, _ in rows) / yy
    beside = [x - alike * y for x, y, _ in rows]
    area = math.fsum(x * x for x in beside)
    if area <= _COLLINEAR * math.fsum(x * x for x, _, _ in rows):
        return None
    share = math.fsum(y * d for _, y, d in rows) / yy
    rest = [d - share * y for _, y, d in rows]
    p = math.fsum(map(mul, beside, rest)) / area
    return p, share - p * alike


def _of_roots(p: float, q: float, shares: Sequence[float]) -> Pattern:
    total = 1 - p + q
    gap = total * total - 4 * q
    if gap < 0:
        turn = math.atan2(math.sqrt(-gap) / 2, 1 - total / 2)
        period = 2 * math.pi / turn if turn else None
        return Pattern(
            shape="oscillating", first=shares[0], last=shares[-1], period=period
        )
    below = total + math.sqrt(gap)
    shrink = 2 * q / below if below > 0 else 0.0
    if not _DYING * abs(shares[-1]) < shrink < 1:
        return Pattern(shape="other", first=shares[0], last=shares[-1])
    return Pattern(shape="delayed", first=shares[0], shrink=shrink, last=shares[-1])


def _periodic(path: Sequence[float], eps: float) -> Pattern | None:
    """The same shares again and again, as a Lookahead has them, from some step on."""
    shares = _shares(path)
    size = max(map(abs, shares))
    for period in range(1, min(_LONGEST_PERIOD, len(shares) // 3) + 1):
        lead = max(period, _LEAD)
        # Beside the first time, not the one before: a slow fall would pass for none.
        again = zip(cycle(shares[lead : lead + period]), shares[lead:], strict=False)
        if all(abs(a - b) <= _SAME * size + 8 * eps for a, b in again):
            kept = path[lead + period] / path[lead]
            if not 0 < kept < 1:
                return None
            return Pattern(
                shape="periodic" if period > 1 else "delayed",
                first=shares[0],
                shrink=-math.expm1(math.log(kept) / period),
                last=shares[-1],
                period=period if period > 1 else None,
            )
    return None


def _of_amounts(walk: Walk) -> Pattern:
    """What a step takes does not grow with the weight: linear; else other."""
    before, after = walk[-2], walk[-1]
    taken = [abs(b - a) for b, a in zip(before, after, strict=True)]
    inward = all(abs(a) < abs(b) for b, a in zip(before, after, strict=True))
    if not inward or min(taken) == 0:
        return Pattern(shape="other")
    sizes = [abs(entry) for entry in before]
    spread = math.log(max(sizes) / min(sizes)) or math.inf
    if math.log(max(taken) / min(taken)) / spread >= _HARDLY:
        return Pattern(shape="other")
    return Pattern(shape="linear", amount=math.fsum(taken) / len(taken))


def _steady_amount(walk: Walk) -> Pattern | None:
    """A single entry that loses the same amount, so a growing share, in each step."""
    taken = [abs(w[0]) - abs(after[0]) for w, after in pairwise(walk)][len(walk) // 2 :]
    middle = math.fsum(taken) / len(taken)
    if all(abs(t - middle) <= 1e-2 * abs(middle) for t in taken) and middle > 0:
        return Pattern(shape="linear", amount=middle)
    return None
