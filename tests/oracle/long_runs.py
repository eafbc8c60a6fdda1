"""e-folds of long runs, by blocks of steps and by closed forms; imports no package."""

import math


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
