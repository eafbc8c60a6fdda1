"""Checks of optax: chains in float64, jitted, with the schedule as a function."""

from collections.abc import Callable, Iterator
from typing import Any

from frameworks.checks.check import (
    RUN,
    SMALL,
    START,
    Check,
    estimated,
    number_cancels,
    same_as_penalty,
    schedule_free,
    zero_gradient,
)

from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run

# Builds a chain from the lr of every step and the number of the knob.
Chain = Callable[[Any, float], Any]
_PEAK = float(RUN.require("lr", "A check"))
_TRUST = "the number cancels out of the trust ratio"


def _named(knob: str) -> Chain:
    """The optimizer of that name, with its number in the argument of that name."""

    def build(schedule: Any, number: float) -> Any:
        import optax

        path = knob.removeprefix("optax.").partition(":")[0]
        found: Any = optax
        for part in path.split("."):
            found = getattr(found, part)
        return found(schedule, **{KNOBS[knob].symbol: number})

    return build


def _chain(knob: str) -> Chain:
    """A chain with the link somewhere in it."""

    def build(schedule: Any, number: float) -> Any:
        import optax

        link = optax.add_decayed_weights(number)
        falling = optax.scale_by_schedule(lambda step: -schedule(step) / _PEAK)
        lr = optax.scale_by_learning_rate(schedule)
        links = {
            "before-sgd": (link, optax.sgd(schedule, momentum=0.9)),
            "before-adam": (link, optax.adam(schedule)),
            "before-lr": (optax.scale_by_adam(), link, lr),
            "before-schedule": (
                *(optax.scale_by_adam(), optax.scale(_PEAK), link, falling),
            ),
            "last": (optax.adam(schedule), optax.add_decayed_weights(-number)),
        }
        return optax.chain(*links[knob.partition(":")[2]])

    return build


def _schedule(run: Run) -> Any:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    lrs = jnp.asarray([_PEAK * m for m in run.multipliers()])
    return lambda step: lrs[step]


def _after(
    chain: Any, start: Any, count: int, gradient: Callable[[int, Any], Any]
) -> tuple[Any, Any]:
    """Weights and state after so many steps."""
    import jax
    import optax

    extra = optax.with_extra_args_support(chain)
    weights, state = {"w": start}, extra.init({"w": start})

    @jax.jit
    def step(number: Any, weights: Any, state: Any) -> Any:
        gradients = {"w": gradient(number, weights["w"])}
        # momo needs the value of the loss; the others ignore it.
        updates, state = extra.update(gradients, state, weights, value=0.0)
        return optax.apply_updates(weights, updates), state

    for number in range(count):
        weights, state = step(number, weights, state)
    return weights["w"], state


def _left_of(chain: Chain, *, vector: bool = False) -> Callable[..., list[float]]:
    def measure(number: float, run: Run) -> list[float]:
        import jax.numpy as jnp

        schedule = _schedule(run)
        start = jnp.asarray(START)
        start = start.flatten() if vector else start
        weights, _ = _after(
            chain(schedule, number),
            start,
            run.total_steps,
            lambda _, w: jnp.zeros_like(w),
        )
        return [float(each) for each in (weights / start).flatten()]

    return measure


def chain_of(knob: str) -> Chain:
    """The chain of a record."""
    return (_chain if "add_decayed_weights" in knob else _named)(knob)


def driven(chain: Chain) -> Callable[..., list[float]]:
    """Weights after the gradients that torch gets too, and those of a penalty."""

    def run(number: float, coefficient: float = 0.0) -> list[float]:
        import jax.numpy as jnp

        schedule, start = _schedule(RUN), jnp.asarray(START)

        def gradient(step: Any, weights: Any) -> Any:
            noise = jnp.sin(jnp.arange(4.0).reshape(2, 2) + 3.7 * step)
            return (0.3 + coefficient) * weights + noise

        weights, _ = _after(chain(schedule, number), start, RUN.total_steps, gradient)
        return [float(each) for each in weights.flatten()]

    return run


def _estimated(knob: str) -> Check:
    def after_a_step(number: float) -> tuple[Any, float]:
        import jax.numpy as jnp

        _schedule(RUN)
        weights, state = _after(
            _named(knob)(1.0, number), jnp.asarray(START), 1, lambda _, w: w
        )
        return weights, float(state.estim_lr)

    # optax puts Adam's bias correction of the first step into the decay as well.
    return estimated(knob, "optax", after_a_step, 0.001**0.5 / 0.1)


def _schedule_free(knob: str) -> Check:
    def measure(number: float, run: Run) -> list[float]:
        import jax.numpy as jnp
        import optax

        _schedule(run)
        start = jnp.asarray(START)
        y, state = _after(
            _named(knob)(0.01, number), start, 200, lambda _, w: jnp.zeros_like(w)
        )
        x = optax.contrib.schedule_free_eval_params(state, {"w": y})["w"]
        return [float(each) for each in (x / start).flatten()]

    return schedule_free(knob, "optax", measure)


def _number_cancels(knob: str) -> Check:
    measure = _left_of(chain_of(knob))
    if KNOBS[knob].family == "trust-ratio":
        return number_cancels(knob, "optax", measure, rel=1e-9, why=_TRUST)
    return number_cancels(knob, "optax", measure, rel=0.2, why=SMALL)


def _zero_gradient(knob: str) -> Check:
    measure = _left_of(chain_of(knob), vector=knob.endswith("muon:adam"))
    return zero_gradient(knob, "optax", measure)


# Where the number sets no rate, what is shown instead.
_OF_FAMILY: dict[str | None, Callable[[str], Check]] = {
    "coupled-adaptive": _number_cancels,
    "trust-ratio": _number_cancels,
    "estimated-lr": _estimated,
    "schedule-free": _schedule_free,
}


def _checks() -> Iterator[Check]:
    for knob, record in KNOBS.items():
        if not knob.startswith("optax."):
            continue
        yield _OF_FAMILY.get(record.family, _zero_gradient)(knob)
        if record.penalty is not None:
            yield same_as_penalty(knob, "optax", driven(chain_of(knob)))


CHECKS = tuple(_checks())
