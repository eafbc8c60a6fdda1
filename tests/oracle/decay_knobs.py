"""What a weight with zero gradient does under each knob, simulated and measured.

Each optimizer of a knob is a loop with a list of learning rates; its rate is read off
the last two of very many steps at the peak lr. No formula is inverted here.
"""

import math


def sgd_rate(x, run):
    """Shrink of a late step of SGD with momentum: a two-state loop until it settles."""
    weight, buffer = 1.0, 0.0
    shrink = 0.0
    for step in range(20_000):
        pull = x * weight
        damp = 1.0 if step == 0 else 1 - run.dampening
        buffer = run.momentum * buffer + damp * pull
        move = pull + run.momentum * buffer if run.nesterov else buffer
        if run.momentum == 0:
            move = pull
        shrink = run.lr * move / weight
        weight -= run.lr * move
        if abs(weight) < 1e-200:
            weight, buffer = weight * 1e200, buffer * 1e200
    return shrink


def half_life_rate(steps):
    """Shrink that leaves one half after so many steps."""
    return 1 - math.exp(math.log(0.5) / steps)


RATES = {
    "torch.optim.SGD": sgd_rate,
    "torch.optim.AdamW": lambda x, run: run.lr * x,
    "torch.optim.Muon": lambda x, run: run.lr * x,
    "loshchilov2019.lambda": lambda x, _run: x,
    "loshchilov2019.lambda-norm": lambda x, run: (
        x * math.sqrt(run.batch_size / (run.dataset_size * run.epochs))
    ),
    "shrink": lambda x, _run: x,
    "half-life:steps": lambda x, _run: half_life_rate(x),
    "half-life:examples": lambda x, run: half_life_rate(x / run.batch_size),
    "half-life:epochs": lambda x, run: half_life_rate(
        x * run.dataset_size / run.batch_size
    ),
    "half-life:run": lambda x, run: half_life_rate(
        x * run.epochs * run.dataset_size / run.batch_size
    ),
    "half-life:tokens": lambda x, run: half_life_rate(
        x / (run.batch_size * run.tokens_per_example)
    ),
}
