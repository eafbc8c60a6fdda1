"""Checks of Keras, on its JAX backend: optimizers, and the penalty in a loss."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from frameworks.checks.check import NUMBER, RUN, START, Check, brief, zero_gradient
from frameworks.checks.torch_like import pull, steps, weights

from dwindle.decay.convert import convert
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run

_PEAK = float(RUN.require("lr", "A check"))


def keras_module() -> Any:
    """Keras on JAX in float64, in any environment."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    keras.config.set_floatx("float64")
    return keras


def _run(
    optimizer: Any, start: Any, run: Run, gradient: Callable[[int, Any], Any]
) -> Any:
    """Step through a run; the optimizer decays by itself."""
    keras = keras_module()
    variable = keras.Variable(np.asarray(start), dtype="float64", name="kernel")
    optimizer.build([variable])
    for step, multiplier in enumerate(run.multipliers()):
        optimizer.learning_rate = _PEAK * multiplier
        optimizer.apply([gradient(step, np.asarray(variable.value))], [variable])
    return np.asarray(variable.value)


def _optimizer(name: str, argument: str, number: float, **options: Any) -> Any:
    kind = getattr(keras_module().optimizers, name)
    return kind(learning_rate=_PEAK, **{argument: number}, **options)


def _left_of(knob: str) -> Callable[[float, Run], list[float]]:
    """Matrices, but for the knob of what Muon leaves to Adam."""

    def measure(number: float, run: Run) -> list[float]:
        name, _, variant = knob.removeprefix("keras.optimizers.").partition(":")
        options = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = _optimizer(name, KNOBS[knob].symbol, number, **options)
        start = np.asarray(START).flatten() if variant else np.asarray(START)
        left = _run(optimizer, start, run, lambda _, w: np.zeros_like(w))
        return [float(each) for each in (left / start).flatten()]

    return measure


def _ftrl() -> Check:
    """At any number, the first step computes a weight of 0 without gradients."""
    return Check(
        knob="keras.optimizers.Ftrl",
        library="keras",
        kind="no rate",
        settings=f"0.5, lr {_PEAK:g}, one step",
        theirs=lambda: _left_of("keras.optimizers.Ftrl")(0.5, Run(lr=_PEAK, steps=1)),
        ours=lambda: [0.0] * 4,
        why="zero is exact",
    )


def _schedule_free() -> Check:
    """The weights decay, the iterate does not: a loop over that rule, a power law."""
    number, run = 2.0, Run(lr=_PEAK, steps=200)

    def ours() -> list[float]:
        weight, mixing = 1.0, 0.9
        for step in range(1, run.total_steps + 1):
            decayed = weight * (1 - _PEAK * number)
            average = (decayed - (1 - mixing)) / mixing
            average += (1 - average) / step
            weight = (1 - mixing) + mixing * average
        return [weight] * 4

    return Check(
        knob="keras.optimizers.ScheduleFreeAdamW",
        library="keras",
        kind="no rate",
        settings=f"{number:g}, {brief(run)}: a loop over weight, average and iterate",
        theirs=lambda: _left_of("keras.optimizers.ScheduleFreeAdamW")(number, run),
        ours=ours,
    )


def driven(knob: str, **options: Any) -> Callable[[float], list[float]]:
    """Weights after the gradients that torch gets too."""

    def run(number: float) -> list[float]:
        def gradient(step: int, weight: Any) -> Any:
            return pull(step, torch.tensor(weight)).numpy()

        name = knob.rpartition(".")[2]
        optimizer = _optimizer(name, "weight_decay", number, **options)
        left = _run(optimizer, START, RUN, gradient)
        return [float(each) for each in left.flatten()]

    return run


def _in_torch(build: Callable[[Any], Any]) -> list[float]:
    weight = weights()
    steps(build([weight]), weight, RUN, pull)
    return list(weight.detach().flatten().tolist())


def _adamw() -> Check:
    """The number that convert gives for torch makes the same weights, driven too."""

    def ours() -> list[float]:
        there = convert(
            NUMBER, "keras.optimizers.AdamW", to="torch.optim.AdamW", run=RUN
        )
        assert there.fidelity == "same-decay"  # equal steps without epsilon alone
        return _in_torch(
            lambda parameters: torch.optim.AdamW(
                parameters, lr=_PEAK, weight_decay=float(there.value or 0), eps=1e-30
            )
        )

    return Check(
        knob="keras.optimizers.AdamW",
        library="keras",
        kind="same trajectory",
        settings=f"{NUMBER:g} against torch.optim.AdamW, eps 1e-30, {brief(RUN)}",
        theirs=lambda: driven("keras.optimizers.AdamW", epsilon=1e-30)(NUMBER),
        ours=ours,
    )


def _l2() -> Check:
    """A layer with the regularizer against torch.optim.SGD with twice the number."""

    def theirs() -> list[float]:
        import jax
        import jax.numpy as jnp

        keras = keras_module()
        penalty = keras.regularizers.L2(NUMBER)
        weight = jnp.asarray(START)
        for step, multiplier in enumerate(RUN.multipliers()):
            noise = jnp.sin(jnp.arange(4.0).reshape(2, 2) + 3.7 * step)
            gradient = 0.3 * weight + noise + jax.grad(penalty)(weight)
            weight -= _PEAK * multiplier * gradient
        return [float(each) for each in weight.flatten()]

    def ours() -> list[float]:
        there = convert(NUMBER, "keras.regularizers.L2", to="torch.optim.SGD", run=RUN)
        return _in_torch(
            lambda parameters: torch.optim.SGD(
                parameters, lr=_PEAK, weight_decay=float(there.value or 0)
            )
        )

    return Check(
        knob="keras.regularizers.L2",
        library="keras",
        kind="same trajectory",
        settings=f"{NUMBER:g} against torch.optim.SGD, {brief(RUN)}, no momentum",
        theirs=theirs,
        ours=ours,
    )


def _checks() -> Iterator[Check]:
    for knob, record in KNOBS.items():
        if knob.startswith("keras.optimizers.") and record.family == "decoupled":
            yield zero_gradient(knob, "keras", _left_of(knob))
    yield _adamw()
    yield _l2()
    yield _ftrl()
    yield _schedule_free()


CHECKS = tuple(_checks())
