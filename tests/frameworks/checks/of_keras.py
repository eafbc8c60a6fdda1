"""Checks of Keras, on its JAX backend: optimizers, and the penalty in a loss."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from frameworks.checks.check import NUMBER, RUN, START, Check, said, undriven
from frameworks.checks.torch_like import pull, steps, weights

from dwindle.decay.convert import convert
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run

_PEAK = float(RUN.require("lr", "A check"))


def _keras() -> Any:
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
    import numpy as np

    keras = _keras()
    variable = keras.Variable(np.asarray(start), dtype="float64", name="kernel")
    optimizer.build([variable])
    for step, multiplier in enumerate(run.multipliers()):
        optimizer.learning_rate = _PEAK * multiplier
        optimizer.apply([gradient(step, np.asarray(variable.value))], [variable])
    return np.asarray(variable.value)


def _optimizer(name: str, argument: str, number: float, **options: Any) -> Any:
    kind = getattr(_keras().optimizers, name)
    return kind(learning_rate=_PEAK, **{argument: number}, **options)


def _left_of(knob: str) -> Callable[[float, Run], list[float]]:
    """Matrices, but for the knob of what Muon leaves to Adam."""

    def measure(number: float, run: Run) -> list[float]:
        import numpy as np

        name, _, variant = knob.removeprefix("keras.optimizers.").partition(":")
        options = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = _optimizer(name, KNOBS[knob].symbol, number, **options)
        start = np.asarray(START).flatten() if variant else np.asarray(START)
        left = _run(optimizer, start, run, lambda _, w: np.zeros_like(w))
        return [float(each) for each in (left / start).flatten()]

    return measure


def _ftrl() -> Check:
    """With a decay and without one, the weights after a step are the same."""

    def after(number: float) -> list[float]:
        optimizer = _optimizer("Ftrl", "weight_decay", number)
        left = _run(optimizer, START, RUN, _pull)
        return [float(each) for each in left.flatten()]

    return Check(
        knob="keras.optimizers.Ftrl",
        library="keras",
        kind="no rate",
        settings=f"0.5 against 0, {said(RUN)}, gradients that do not depend on w",
        theirs=lambda: after(0.5),
        ours=lambda: after(0.0),
    )


def _pull(step: int, weight: Any) -> Any:
    import numpy as np

    return np.sin(np.arange(4.0).reshape(weight.shape) + 3.7 * step)


def _schedule_free() -> Check:
    """Twice the number is twice the e-folds, but twice the run is not."""
    import math

    def e_folds(steps_of_run: int) -> float:
        run = Run(lr=_PEAK, steps=steps_of_run)
        left = _left_of("keras.optimizers.ScheduleFreeAdamW")(NUMBER, run)
        return -math.log(left[0])

    return Check(
        knob="keras.optimizers.ScheduleFreeAdamW",
        library="keras",
        kind="no rate",
        settings=f"{NUMBER:g}, lr {_PEAK:g}: e-folds of 400 steps over those of 200",
        theirs=lambda: [e_folds(400) / e_folds(200)],
        ours=lambda: [2.0],
    )


def _driven(optimizer: Any) -> list[float]:
    """Weights after gradients that torch gets too."""
    import torch

    def gradient(step: int, weight: Any) -> Any:
        return pull(step, torch.as_tensor(weight)).numpy()

    return [float(each) for each in _run(optimizer, START, RUN, gradient).flatten()]


def _in_torch(build: Callable[[Any], Any], coefficient: float = 0.0) -> list[float]:
    weight = weights()
    steps(
        build([weight]),
        weight,
        RUN,
        lambda step, w: pull(step, w) + coefficient * w.detach(),
    )
    return list(weight.detach().flatten().tolist())


def _adamw() -> Check:
    """The number that convert says for torch gives the same weights, driven too."""

    def ours() -> list[float]:
        import torch

        there = convert(NUMBER, "keras.optimizers.AdamW", to="torch.optim.AdamW", run=RUN)
        assert there.fidelity == "same-trajectory"
        return _in_torch(
            lambda parameters: torch.optim.AdamW(
                parameters, lr=_PEAK, weight_decay=float(there.value or 0), eps=1e-30
            )
        )

    return Check(
        knob="keras.optimizers.AdamW",
        library="keras",
        kind="same trajectory",
        settings=f"{NUMBER:g} against torch.optim.AdamW, eps 1e-30, {said(RUN)}",
        theirs=lambda: _driven(
            _optimizer("AdamW", "weight_decay", NUMBER, epsilon=1e-30)
        ),
        ours=ours,
    )


def _l2() -> Check:
    """A layer with the regularizer against torch.optim.SGD with twice the number."""

    def theirs() -> list[float]:
        import jax
        import jax.numpy as jnp

        keras = _keras()
        penalty = keras.regularizers.L2(NUMBER)
        weight = jnp.asarray(START)
        for step, multiplier in enumerate(RUN.multipliers()):
            noise = jnp.sin(jnp.arange(4.0).reshape(2, 2) + 3.7 * step)
            gradient = 0.3 * weight + noise + jax.grad(penalty)(weight)
            weight -= _PEAK * multiplier * gradient
        return [float(each) for each in weight.flatten()]

    def ours() -> list[float]:
        import torch

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
        settings=f"{NUMBER:g} against torch.optim.SGD, {said(RUN)}, no momentum",
        theirs=theirs,
        ours=ours,
    )


def _checks() -> Iterator[Check]:
    for knob, record in KNOBS.items():
        if knob.startswith("keras.optimizers.") and record.family == "decoupled":
            yield undriven(knob, "keras", _left_of(knob))
    yield _adamw()
    yield _l2()
    yield _ftrl()
    yield _schedule_free()


CHECKS = tuple(_checks())
