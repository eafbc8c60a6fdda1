"""Chains of optax with the link in them, and what a loop over the words expects."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dwindle.integrations.optax import decay

STEPS, PEAK, HALF_LIFE = 80, 0.03, 40
POWERS = {"follow-lr": 1, "constant": 0, "lr-squared": 2}
TABLE = [PEAK * at / 10 for at in range(10)] + [
    PEAK * (1 + math.cos(math.pi * at / 70)) / 2 for at in range(70)
]


def warm(step):
    """Warm-up from 0 and cosine, in double; optax computes its own in single."""
    return jnp.asarray(TABLE)[step]


def weights(dtype=None):
    sizes = jnp.linspace(0.3, 7.0, 24, dtype=dtype).reshape(4, 6)
    return {"layer": {"kernel": sizes, "bias": jnp.ones(6, dtype)}}


def run(optimizer, params, steps=STEPS, gradient=jnp.zeros_like, state=None):
    """Weights and state after jitted steps."""

    @jax.jit
    def step(params, state):
        gradients = jax.tree.map(gradient, params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params) if state is None else state
    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def left_of(optimizer, *, steps=STEPS, dtype=None):
    params = weights(dtype)
    after, _ = run(optimizer, params, steps)
    assert (after["layer"]["bias"] == params["layer"]["bias"]).all()
    return np.asarray(after["layer"]["kernel"] / params["layer"]["kernel"], "float64")


def asked(schedule, lr, steps=STEPS, half_life=HALF_LIFE):
    """What the half-life and the lr of each step leave: one loop over the words."""
    left, peak = 1.0, 1 - 0.5 ** (1 / half_life)
    for at in range(steps):
        share = (float(lr(at)) if callable(lr) else lr) / PEAK
        left *= 1 - peak * share ** POWERS[schedule]
    return left


def held(lr=warm, schedule="follow-lr", half_life=HALF_LIFE, **facts):
    facts = {"steps": STEPS, "schedule": schedule} | facts
    return decay(f"{half_life} steps", learning_rate=lr, **facts)
