"""What a number at a knob does to a weight with zero gradient, in plain loops.

Nothing here is inverted and no sum of logarithms is taken: every step multiplies.
"""

import math

from oracle import decay_by_hand


def shrinks(family, x, lrs, peak):
    """The fraction that each step takes off, by the definition of the family."""
    by_family = {
        "decoupled": [lr * x for lr in lrs],
        "schedule-only": [lr / peak * x for lr in lrs],
        "constant": [x for _ in lrs],
        "corrected": [lr * lr / peak * x for lr in lrs],
        "proximal": [1 - 1 / (1 + lr * x) for lr in lrs],
        "proximal-schedule-only": [1 - 1 / (1 + lr / peak * x) for lr in lrs],
    }
    return by_family[family]


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
    count = run.total_steps
    lrs = [
        run.lr * decay_by_hand.multiplier(run.schedule, t, count) for t in range(count)
    ]
    if knob.is_rate:
        peaks = shrinks("schedule-only", shrink_of_rate(knob, x, run), lrs, run.lr)
        return _product(peaks)
    x = read_by_family(knob, x, run)
    if knob.family == "coupled-sgd":
        has = knob.options
        return [
            float(weight)
            for weight in decay_by_hand.sgd_path(
                lrs,
                x,
                momentum=run.momentum if has.momentum is not None else 0.0,
                dampening=run.dampening if has.dampening is not None else 0.0,
                nesterov=bool(run.nesterov and has.nesterov is not None),
            )
        ]
    if knob.family in {"asgd", "asgd-lambd"}:
        decay, lambd = (x, 1e-4) if knob.family == "asgd" else (0.0, x)
        weights = decay_by_hand.asgd_path(lrs, decay, lambd=lambd, alpha=0.75)
        return [float(weight) for weight in weights]
    return _product(shrinks(knob.family, x, lrs, run.lr))


def _product(taken):
    weights = [1.0]
    for shrink in taken:
        weights.append(weights[-1] * (1 - shrink))
    return weights


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
