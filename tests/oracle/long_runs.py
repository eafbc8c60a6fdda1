"""e-folds of long runs, by blocks of steps and by closed forms; imports no package."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2**19
# 64 binary digits where the machine has them, so that millions of roundings are none.
_Long = np.longdouble
Multipliers = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def cosine(steps: int, *, warm: int, final: float) -> Multipliers:
    """Multipliers of a warm-up and a cosine, for any steps of the run."""

    def at(step: NDArray[np.float64]) -> NDArray[np.float64]:
        angle = np.pi * (step - warm) / (steps - warm)
        fall = final + (1 - final) * (1 + np.cos(angle)) / 2
        return np.where(step < warm, (step + 1) / (warm + 1), fall)

    return at


def lost_by_sgd(
    multipliers: Multipliers,
    steps: int,
    *,
    lr: float,
    weight_decay: float,
    options: Mapping[str, float],
) -> float:
    """Multiply the matrices of (weight, buffer) of all steps, in pairs of blocks."""
    momentum, nesterov = options.get("momentum", 0.0), options.get("nesterov", False)
    lost, state = 0.0, np.array([1.0, 0.0], dtype=_Long)
    for start in range(0, steps, _BLOCK):
        here = np.arange(start, min(start + _BLOCK, steps), dtype=_Long)
        keep = np.where(
            here == 0, _Long(1), _Long(1) - _Long(options.get("dampening", 0.0))
        )
        rate = _Long(lr) * multipliers(here)
        decay, mu = _Long(weight_decay), _Long(momentum)
        moves = np.empty((len(here), 2, 2), dtype=_Long)
        moves[:, 1, 0], moves[:, 1, 1] = keep * decay, mu
        lead = mu if nesterov else _Long(1)
        moves[:, 0, 0] = 1 - rate * (lead * keep * decay + (decay if nesterov else 0))
        moves[:, 0, 1] = -rate * lead * mu
        while len(moves) > 1:
            odd = moves[-1:] if len(moves) % 2 else moves[:0]
            pairs = moves[: len(moves) // 2 * 2]
            moves = np.concatenate([_times(pairs[1::2], pairs[::2]), odd])
        state = moves[0] @ state
        # What is left is 1 again, so that nothing underflows.
        lost -= float(np.log(np.abs(state[0])))
        state /= np.abs(state[0])
    return lost


def _times(left: NDArray, right: NDArray) -> NDArray:
    """Multiply stacks of 2x2 matrices; numpy has no fast product of long doubles."""
    product = np.empty_like(left)
    for row in (0, 1):
        for column in (0, 1):
            product[:, row, column] = (
                left[:, row, 0] * right[:, 0, column]
                + left[:, row, 1] * right[:, 1, column]
            )
    return product


def lost_under_a_cosine(shrink: float, steps: int) -> float:
    """-ln of Π 1 - shrink (1 + cos(πt/n))/2 over t < n, in closed form.

    Over a full turn Π a - b cos θ_k is (a + √(a² - b²))/2 to the power of the number of
    points, times (1 - z^-n)² with z the larger root of z + 1/z = 2a/b. Half a turn is
    half of it and of its first point, less half of its last, at which nothing decays.
    """
    half = shrink / 2
    below = shrink - half**2 + half**2  # 1 - (1 - half)² + half²
    root = below / (1 + math.sqrt(1 - below))  # 1 - √((1 - half)² - half²)
    turn = 2 * steps * math.log1p(-(half + root) / 2)
    return -(turn + math.log1p(-shrink)) / 2


def lost_under_a_line(shrink: float, steps: int) -> float:
    """-ln of Π 1 - shrink (1 - t/n) over t < n: a ratio of gamma functions."""
    start = steps * (1 - shrink) / shrink
    return (
        math.lgamma(start)
        - math.lgamma(start + steps)
        - steps * (math.log(shrink) - math.log(steps))
    )
