"""Statistics of a loss curve by scalar loops."""

import math


def cubic_minimum(log_decay: list[float], means: list[float]) -> float:
    """Least-squares cubic through five points around the lowest; its minimum.

    The normal equations are solved by elimination, the minimum of the fitted cubic is
    searched over the window point by point.
    """
    lowest = min(range(len(means)), key=means.__getitem__)
    start = min(max(0, lowest - 2), len(means) - 5)
    center = log_decay[lowest]
    u = [log_decay[i] - center for i in range(start, start + 5)]
    y = [means[i] for i in range(start, start + 5)]
    matrix = [[sum(v ** (i + j) for v in u) for j in range(4)] for i in range(4)]
    right = [sum(v**i * w for v, w in zip(u, y, strict=True)) for i in range(4)]
    a = _solve(matrix, right)

    def fitted(v: float) -> float:
        return a[0] + a[1] * v + a[2] * v**2 + a[3] * v**3

    return center + _bottom_of_bowl(fitted, u[0], u[-1])


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(size):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [
                    p - factor * q for p, q in zip(rows[r], rows[i], strict=True)
                ]
    return [rows[i][size] / rows[i][i] for i in range(size)]


def _bottom_of_bowl(f, left: float, right: float) -> float:
    """Lowest inner point of a fine mesh, then ternary search around it."""
    mesh = [left + (right - left) * i / 400 for i in range(401)]
    inner = range(1, 400)
    best = min(
        (i for i in inner if f(mesh[i]) <= min(f(mesh[i - 1]), f(mesh[i + 1]))),
        key=lambda i: f(mesh[i]),
    )
    low, high = mesh[best - 1], mesh[best + 1]
    for _ in range(100):
        third = (high - low) / 3
        if f(low + third) < f(high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def leave_one_out_gains(losses: list[list[float]], without: list[float]) -> list[float]:
    """Each seed's gain, in ln loss, at the λ that the others choose by running mean."""
    losses = [[math.log(loss) for loss in row] for row in losses]
    without = [math.log(loss) for loss in without]
    gains = []
    for held_out in range(len(losses)):
        others = [s for s in range(len(losses)) if s != held_out]
        mean = [
            sum(losses[s][i] for s in others) / len(others)
            for i in range(len(losses[0]))
        ]
        ends = [mean[0], *mean, mean[-1]]
        smooth = [sum(ends[i : i + 3]) / 3 for i in range(len(mean))]
        chosen = min(range(len(smooth)), key=smooth.__getitem__)
        nothing = sum(without[s] for s in others) / len(others)
        better = smooth[chosen] < nothing
        gains.append(without[held_out] - losses[held_out][chosen] if better else 0.0)
    return gains


def least_squares_slope(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope of a line, and its standard error from the scatter around it."""
    n = len(x)
    mx, my = sum(x) / n, sum(y) / n
    sxx = sum((a - mx) ** 2 for a in x)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sxx
    rest = sum((b - my - slope * (a - mx)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(rest / (n - 2) / sxx)


def weighted_regret(plug_in: list[float], left_out: list[float]) -> float:
    """The pair whose biases cancel."""
    n = len(plug_in)
    return (n * sum(plug_in) / n + (n - 1) * sum(left_out) / n) / (2 * n - 1)
