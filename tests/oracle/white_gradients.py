"""Weights under white gradients: covariances step by step, and a random walk.

Imports nothing from the package.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """state' = move @ state + push · n with n of variance 1; state[0] is the weight."""

    move: Matrix
    push: Matrix


def sgd_step(
    lr: float, weight_decay: float, *, momentum: float, dampening: float, nesterov: bool
) -> Step:
    """State (weight, buffer) under SGD as torch.optim.SGD steps, once it has begun."""
    keep = 1 - dampening if momentum else 1.0
    # buffer' = momentum buffer + keep (decay weight + noise)
    buffer = np.array([keep * weight_decay, momentum])
    gradient = np.array([weight_decay, 0.0])
    direction = gradient + momentum * buffer if nesterov else buffer
    pushed = 1 + momentum * keep if nesterov else keep
    move = np.array([np.array([1.0, 0.0]) - lr * direction, buffer])
    return Step(move, np.array([-lr * pushed, keep]))


def averaged_step(lr: float, weight_decay: float, *, memory: float) -> Step:
    """State (weight, moving average) where the weight shrinks and takes the average."""
    average = np.array([0.0, memory])
    weight = np.array([1 - lr * weight_decay, 0.0]) - lr * average
    return Step(np.array([weight, average]), np.array([-lr * (1 - memory), 1 - memory]))


def settled(step: Step, steps: int) -> tuple[float, float]:
    """RMS of the weight and its correlation with the next one after many steps."""
    covariance = np.zeros((2, 2))
    noise = np.outer(step.push, step.push)
    for _ in range(steps):
        covariance = step.move @ covariance @ step.move.T + noise
    variance = covariance[0, 0]
    return float(np.sqrt(variance)), float((step.move @ covariance)[0, 0] / variance)


def walk(
    advance: Callable[[Matrix], Matrix], start: Matrix, *, burn_in: int, steps: int
) -> tuple[float, float]:
    """RMS and mean angle per step of many weights, after a time to settle.

    ``advance`` takes the weights one step further.
    """
    weights = start
    for _ in range(burn_in):
        weights = advance(weights)
    squares, angles = [], []
    for _ in range(steps):
        after = advance(weights)
        squares.append(float(np.mean(after**2)))
        angles.append(_angle(weights, after))
        weights = after
    return float(np.sqrt(np.mean(squares))), float(np.mean(angles))


def _angle(one: Matrix, other: Matrix) -> float:
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.arccos(np.sum(one * other) / lengths))
