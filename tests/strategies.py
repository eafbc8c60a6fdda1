"""Hypothesis strategies: runs, schedules, half-lives, shrinks over all magnitudes."""

import math

from hypothesis import strategies as st

from dwindle.decay.half_life import HalfLife
from dwindle.decay.read_numbers import CLOCKS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of every magnitude between two positive ones."""
    exponents = st.floats(math.log(low), math.log(high))
    return exponents.map(lambda x: min(max(math.exp(x), low), high))


def shrinks(high: float = 0.5) -> st.SearchStrategy[float]:
    """Shrinks per step, down to the smallest that is promised."""
    return log_uniform(1e-15, high)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    warmup = draw(st.sampled_from([0.0, 0.05, 0.3]))
    plain, styles = ["constant", "linear", "cosine"], ["", "-cosine", "-exponential"]
    names = [*plain, *(f"wsd{style}" for style in (*styles, "-sqrt"))]
    return Schedule(
        shape=draw(st.sampled_from(names)),
        warmup=warmup,
        warmup_start=draw(st.sampled_from([None, 0.0, 0.1])) if warmup else None,
        final=draw(st.floats(0, 1)),
        decay_share=draw(st.floats(0.05, 0.7)),
    )


@st.composite
def runs(draw: st.DrawFn, momentum: float | None = None) -> Run:
    """Runs of 1 to 200 steps with every fact that a decay may ask for."""
    if momentum is None:
        momentum = draw(st.sampled_from([0.0, 0.5, 0.9, 0.99]))
    nesterov = draw(st.booleans()) if momentum else False
    dampening = 0.0 if nesterov else draw(st.sampled_from([0.0, 0.3, 0.9]))
    batch_size = draw(st.integers(1, 64))
    return Run(
        lr=draw(log_uniform(1e-5, 10)),
        schedule=draw(schedules()),
        momentum=momentum,
        dampening=dampening,
        nesterov=nesterov,
        batch_size=batch_size,
        dataset_size=batch_size + draw(st.integers(0, 1000)),
        steps=draw(st.integers(1, 200)),
        tokens_per_example=draw(st.integers(1, 4096)),
    )


def half_lives() -> st.SearchStrategy[HalfLife]:
    values = st.floats(min_value=0, exclude_min=True, allow_nan=False)
    return st.builds(HalfLife, values, st.sampled_from(CLOCKS))
