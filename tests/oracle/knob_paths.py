"""What a number at a knob does to a weight with zero gradient, in plain loops.

Nothing here is inverted and no sum of logarithms is taken: every step multiplies.
"""

import math

from oracle import decay_by_hand
from oracle.knob_kinds import fitted


def read_by_family(knob, x, run):
    """The number that the update rule sees."""
    if knob.scale == "/B":
        return x / run.batch_size
    if knob.scale == "·B/64":  # ultralytics' nominal batch
        return x * run.batch_size / 64
    if knob.scale == "/√steps":
        return x / math.sqrt(run.total_steps)
    return x


def shrink_of_rate(knob, x, run):
    """The shrink per step that a half-life, a timescale or a shrink stands for."""
    if knob.name == "shrink":
        return x
    examples = run.dataset_size / math.ceil(run.dataset_size / run.batch_size)
    steps = {
        "steps": x,
        "examples": x / examples,
        "tokens": x / (examples * (run.tokens_per_example or 1)),
        "epochs": x * math.ceil(run.dataset_size / run.batch_size),
        "run": x * run.total_steps,
    }[knob.clock]
    return 1 / steps if knob.timescale else 1 - 0.5 ** (1 / steps)


def path(knob, x, run):
    """What is left of a weight of 1 after 0, 1, … steps."""
    if knob.is_rate:
        family, x = "schedule-only", shrink_of_rate(knob, x, run)
    else:
        family, x = knob.family, read_by_family(knob, x, run)
    weights = decay_by_hand.family_path(family, x, fitted(run, knob))
    return [float(weight) for weight in weights]


def sgd_rate(x, run):
    """The shrink of a late step of SGD with momentum: a two-state loop that settles."""
    weight, buffer, shrink, before = 1.0, 0.0, 0.0, math.nan
    for step in range(20_000):
        pull = x * weight
        damp = 1.0 if step == 0 else 1 - run.dampening
        buffer = run.momentum * buffer + damp * pull
        move = pull + run.momentum * buffer if run.nesterov else buffer
        if run.momentum == 0:
            move = pull
        before, shrink = shrink, run.lr * move / weight
        if step and shrink == before:
            break
        weight -= run.lr * move
        if abs(weight) < 1e-200:
            weight, buffer = weight * 1e200, buffer * 1e200
    return shrink
