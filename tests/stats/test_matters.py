"""What decay gains and what a λ loses: laws, exact cases, and the three verdicts."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import leave_one_out_gains as gains_by_loops
from oracle.curve_by_loops import weighted_regret
from stats.simulated_curves import POPULATIONS, STEP, draw_curves

from dwindle.stats.curve import Curve, read_losses
from dwindle.stats.matters import (
    held_out_gains,
    judge_whether_decay_matters,
    leave_one_out_gains,
    seeds_needed,
)
from dwindle.stats.optimum import minima_of
from dwindle.stats.regret import (
    JudgedCurve,
    Regret,
    measure_gain,
    measure_regret,
    measure_saved_share,
)
from dwindle.stats.student import t_quantile

GRID = np.arange(13) * STEP
DIP = 1 - 0.2 * np.exp(-((GRID - GRID[6]) ** 2) / 4)
WOBBLE = np.array([0.3, -0.1, 0.0, 0.2, -0.4])[:, None]
KIND = st.sampled_from(sorted(POPULATIONS))
SEED = st.integers(0, 10**6)


def curve_of(losses, without, names=None):
    return Curve(
        seeds=tuple(range(len(losses)) if names is None else names),
        log_decay=GRID,
        losses=np.asarray(losses),
        without_decay=None if without is None else np.asarray(without),
    )


def simulated(kind="sgd wide", seed=0, seeds=5, *, noise=1.0, names=None):
    generator = np.random.default_rng(seed)
    drawn = draw_curves(POPULATIONS[kind], generator, seeds=seeds, noise=noise)
    return curve_of(*drawn, names)


def moved(curve, factor, shift):
    """The same curve in other units of the loss and of λ."""
    return replace(
        curve,
        log_decay=curve.log_decay + shift,
        losses=factor * curve.losses,
        without_decay=factor * curve.without_decay,
    )


def at(curve, log_decay):
    return JudgedCurve(curve=curve, values=read_losses(curve, log_decay).values)


@given(KIND, SEED, st.integers(2, 8))
def test_held_out_gains_are_those_of_the_loops(kind, seed, seeds):
    """Each seed's gain at the others' choice equals a scalar loop's."""
    curve = simulated(kind, seed, seeds, noise=3)
    by_loops = gains_by_loops(curve.losses.tolist(), curve.without_decay.tolist())
    assert leave_one_out_gains(curve) == pytest.approx(by_loops)


@given(KIND, SEED, st.floats(0, 12 * STEP))
def test_regret_is_the_weighted_pair_of_the_loops(kind, seed, log_decay):
    """Value and interval follow from the two lists by seed, with the formulas."""
    curve = simulated(kind, seed)
    judged, logs = at(curve, log_decay), np.log(curve.losses)
    plug_in, left_out = [], []
    best = minima_of(curve, logs.mean(axis=0)[None])[0]
    for s, value in enumerate(judged.values):
        others = np.delete(logs, s, axis=0).mean(axis=0)
        chosen = minima_of(curve, others[None])[0]
        plug_in.append(value - read_losses(curve, best).values[s])
        left_out.append(value - read_losses(curve, chosen).values[s])
    found, value = measure_regret([judged]), weighted_regret(plug_in, left_out)
    spread = max(np.std(plug_in, ddof=1), np.std(left_out, ddof=1)) / math.sqrt(5)
    half = t_quantile(0.95, degrees_of_freedom=4) * spread
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, max(0, value - half), max(0, value + half)), abs=1e-12
    )


@given(SEED, st.floats(0, 12 * STEP), st.floats(0.01, 100), st.floats(-9, 9))
def test_neither_units_nor_the_place_of_the_grid_matter(seed, place, factor, shift):
    """Regret and gain have the unit of the loss, and λ may be counted in any unit."""
    curve = simulated("adamw middle", seed, noise=1.5)
    other = moved(curve, factor, shift)
    near = {"abs": 1e-5 * factor}
    one, same = (
        measure_regret([at(curve, place)]),
        measure_regret([at(other, place + shift)]),
    )
    assert same.value == pytest.approx(factor * one.value, **near)
    one, same = judge_whether_decay_matters(curve), judge_whether_decay_matters(other)
    assert same.matters == one.matters
    assert same.gain.value == pytest.approx(factor * one.gain.value, **near)


def test_cells_are_averaged_inside_of_a_seed_by_its_name():
    """Noise that cancels within each seed leaves no spread; only shared seeds count."""
    dip = curve_of(np.tile(2 + 0.1 * (GRID - GRID[6]) ** 2, (3, 1)), None)
    noise = np.array([0.2, -0.1, 0.4])
    values = (2.5 + noise, 2.7 - noise)
    pooled = measure_regret([JudgedCurve(curve=dip, values=each) for each in values])
    assert pooled.value == pytest.approx(0.6, abs=1e-9)
    assert pooled.high - pooled.low == pytest.approx(0, abs=1e-9)
    first = simulated(seed=1)
    second = simulated(seed=2, names=(4, 2, 0, 9, 8))
    both = [at(each, 5.0) for each in (first, second)]
    shared = [at(each.only((0, 2, 4)), 5.0) for each in (first, second)]
    found, one, other = map(measure_regret, (both, shared[:1], shared[1:]))
    assert found == measure_regret(shared)
    means = {s: (one.by_seed[s] + other.by_seed[s]) / 2 for s in (0, 2, 4)}
    assert found.by_seed == pytest.approx(means)
    assert found.value == pytest.approx(np.mean([*means.values()]))
    assert measure_regret([both[0], at(simulated(names=range(5, 10)), 5.0)]) is None


def test_too_few_seeds_have_no_interval_and_another_error_adds_in_quadrature():
    """A point value only; 3 and 4 are 5, and no regret is below zero."""
    for seeds in (1, 2):
        found = measure_regret([at(simulated(seeds=seeds), 3.0)])
        assert found.value > 0
        assert (found.low, found.high) == (None, None)
    plain = Regret(value=6.0, low=3.0, high=9.0)
    assert plain.widened(4.0, 4.0) == replace(plain, low=1.0, high=11.0)
    assert plain.widened(40.0, 0.0).low == 0.0
    assert Regret(value=1.0, low=None, high=None).widened(1.0, 1.0).low is None


def test_the_gain_is_the_regret_of_no_decay():
    """None where λ = 0 diverged in a cell; without noise it is the depth of the dip."""
    curve = simulated()
    no_decay = JudgedCurve(curve=curve, values=curve.without_decay)
    assert measure_gain([curve]) == measure_regret([no_decay])
    assert measure_gain([curve, replace(curve, without_decay=None)]) is None
    dip = 2 - 0.5 * np.exp(-((GRID - GRID[6]) ** 2) / 20)
    # The cubic finds the bottom of a symmetric dip exactly.
    exact = measure_gain([curve_of(np.tile(dip, (3, 1)), np.full(3, 2.0))])
    assert exact.value == pytest.approx(0.5, abs=1e-9)


# SGD, batch size 8, 8 seeds: losses without decay and at the λ that the others choose.
# The sixth seed is a dead network without decay (ln 10 = 2.303).
DEAD_WITHOUT = np.array([0.252, 0.319, 0.333, 0.270, 0.354, 2.309, 0.257, 0.236])
GAINS = np.array([0.147, 0.188, 0.231, 0.130, 0.243, 2.220, 0.144, 0.137])


def test_one_collapsed_seed_does_not_hide_that_eight_of_eight_gain():
    """Between losses t is 1.68 and below 1.90; between log losses 4 and more."""
    shape = np.linspace(0.0, 1.0, 7) ** 2
    chosen = np.log(DEAD_WITHOUT - GAINS)[:, None]
    left = np.log(DEAD_WITHOUT)[:, None] * shape + chosen * (1 - shape)
    losses = np.exp(np.concatenate([left[:, ::-1], left[:, 1:]], axis=1))
    gains = leave_one_out_gains(curve_of(losses, DEAD_WITHOUT))
    assert (gains > 0.45).all()
    assert gains.mean() / (gains.std(ddof=1) / math.sqrt(8)) > 4
    # Not trained like a diverged one: seven gains decide, and the share stays one.
    without = np.where(DEAD_WITHOUT > 2, np.inf, DEAD_WITHOUT)
    for each in (DEAD_WITHOUT, without):
        verdict = judge_whether_decay_matters(curve_of(losses, each))
        assert verdict.matters == "yes"
    assert verdict.gain.value == pytest.approx(
        GAINS[np.isfinite(without)].mean(), abs=0.01
    )


@given(SEED, st.integers(3, 8))
def test_no_gain_is_above_all_of_the_loss(seed, seeds):
    """Shares of the loss are below 1, however wild one of the losses is."""
    generator = np.random.default_rng(seed)
    without = np.exp(4 * generator.standard_normal(seeds))
    losses = np.exp(generator.standard_normal((seeds, 13)))
    saved = measure_saved_share(curve_of(losses, without))
    assert max(saved.value, saved.high) <= 1


def test_seeds_needed_are_those_that_overcome_the_noise():
    """With so many seeds the mean is twice the t quantile; with one fewer it is not."""
    gains = np.array([0.1, -0.05, 0.2, 0.0, 0.1])
    needed = seeds_needed(gains)
    for seeds, is_enough in ((needed, True), (needed - 1, False)):
        error = gains.std(ddof=1) / math.sqrt(seeds)
        twice = 2 * t_quantile(0.95, degrees_of_freedom=seeds - 1) * error
        assert (gains.mean() >= twice) == is_enough
    assert seeds_needed(-gains) is None
    assert seeds_needed(np.full(5, 0.1)) is None  # no noise that seeds would shrink


LEVELS = 1 + WOBBLE[:, 0]  # losses without decay
NOISE = 0.1 * np.random.default_rng(0).standard_normal((5, 14))
RISING = 1 + np.exp((GRID - GRID[4]) / 2)
# What is seen: losses, those without decay, the verdict.
VERDICTS = {
    "a dip, however much levels differ": (DIP + WOBBLE, LEVELS, "yes"),
    "seeds that agree to the last bit": ([DIP] * 5, np.ones(5), "yes"),
    "five of five train only with decay": ([DIP] * 5, np.full(5, np.inf), "yes"),
    "four of four do": ([DIP] * 4, np.full(4, np.inf), "cannot tell"),
    "no gain above 2 % in reach": (np.ones((5, 13)) + WOBBLE, LEVELS, "no"),
    "decay that only hurts": (RISING + WOBBLE, LEVELS, "no"),
    "fresh noise": (1 + NOISE[:, 1:], 1 + NOISE[:, 0], "cannot tell"),
    "one seed": ((DIP + WOBBLE)[:1], LEVELS[:1], "cannot tell"),
    "two that agree": ((DIP + WOBBLE)[:2], LEVELS[:2], "cannot tell"),
    "no reference": (DIP + WOBBLE, None, "cannot tell"),
}


def test_each_kind_of_curve_has_its_verdict():
    """A paired gain matters; noise, two seeds and no reference leave it open."""
    judged = {
        name: judge_whether_decay_matters(curve_of(losses, without))
        for name, (losses, without, _) in VERDICTS.items()
    }
    found = {name: verdict.matters for name, verdict in judged.items()}
    assert found == {name: matters for name, (*_, matters) in VERDICTS.items()}
    dip, *_ = gains = [verdict.gain for verdict in judged.values()]
    assert dip.value == pytest.approx(0.2, abs=0.002)  # read off the grid
    assert math.isfinite(gains[1].value)
    assert judged["two that agree"].gain.low is judged["no reference"].gain is None
    needed = judged["fresh noise"].seeds_needed
    assert needed is None or needed > 5


def test_a_held_out_gain_needs_a_reference_and_may_lack_trainings():
    """Of three seeds one has no reference; one lacks the λ that the others choose."""
    logs = np.array([[3.0, 2, 1, 2, 3], [3.0, 2, 1, 2, 3], [3.1, 2, 1, 2, 3]])
    present = np.ones((3, 5), bool)
    reference = np.array([3.0, np.nan, 3.0])
    gains = held_out_gains(logs, present, reference)
    assert gains == pytest.approx([1.5, 1.5])
    assert held_out_gains(logs[:1], present[:1], reference[:1]).tolist() == [0.0]
    present[0, 2] = False  # it is judged beside, where its own neighbors are two
    fewer = held_out_gains(logs, present, reference)
    # Of 2 and its neighbor 3, with weights .5 and .25.
    assert fewer == pytest.approx([3 - (2 * 0.5 + 3 * 0.25) / 0.75, 1.5])
