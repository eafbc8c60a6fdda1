"""The line of mathematics of an explanation: computed, it is the real update."""

import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle.knob_kinds import fitted
from strategies import log_uniform, runs
from tolerance import digits

from dwindle.decay.coordinates import has_shrink
from dwindle.decay.explain import explain
from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.own_facts import facts_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

WITH_A_LINE = [
    knob.name for knob in knobs() if has_shrink(knob) and not knob.wants_clock
]
OPTIMIZERS = sorted(name for name in WITH_A_LINE if KNOBS[name].family in FAMILIES)
LINES = {
    "torch.optim.AdamW": "w ← w − 0.0003·0.1·w − 0.0003·m̂/(√v̂ + ε)",
    "torch.optim.SGD": "b ← 0.9·b + g + 0.1·w; w ← w − 0.0003·b",
    "torch.optim.Adam": ("w ← w − 0.0003·m̂(G)/(√v̂(G) + ε) with G = g + 0.1·w"),
    "torch.optim.ASGD": (
        "w ← w − e_t·(g + (0.1 + 0.0001)·w) with e_0 = 0.0003, "
        "e_t = 0.0003/(1 + 0.0001·0.0003·t)^0.75"
    ),
    "sklearn.linear_model.SGDClassifier:optimal": (
        "w ← w − w/(t₀ + t − 1) − η_t·g with η_t = 1/(0.1·(t₀ + t − 1))"
    ),
    "sklearn.neural_network.MLPClassifier:adam": (
        "w ← w − 0.0003·m̂(G)/(√v̂(G) + ε) with G = g + (0.1/20)·w"
    ),
    "keras.regularizers.L2": "minimize mean loss + 0.1·Σw²",
    "gaussian-prior.sigma": "minimize Σ of all N losses + Σw²/(2·0.1²)",
    "shrink": "w ← w − 0.1·w",
    "half-life:epochs": "w ← w·2^(−1/h) at the peak lr, with h = 0.1 epochs",
}


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_a_line_has_the_numbers_in_it(name, line):
    """The update is written with what was typed, and with nothing unexplained."""
    run = Run(lr=3e-4, momentum=0.9, batch_size=20)
    assert explain(0.1, name, run=run).update == line


def test_unknown_facts_stay_letters_and_are_explained():
    """Without an lr and under a schedule, the letters are said behind the line."""
    run = Run(schedule=Schedule(shape="cosine"))
    assert explain(0.1, "timm.sgdc", run=run).update == (
        "w ← w − η·m_t²·0.1·w − η·m_t·u  (η: the peak lr; m_t: the schedule, 1 at its "
        "peak; u: the optimizer's own step)"
    )


@pytest.mark.parametrize("name", sorted(set(KNOBS) - {"half-life"}))
def test_every_knob_has_one_line(name):
    """Every knob is told in one line that has its number."""
    for run in (Run(), Run(lr=0.2, momentum=0.5, nesterov=True, steps=30)):
        line = explain(0.125, name, run=fitted(run, KNOBS[name])).update
        assert "0.125" in line
        assert "\n" not in line


def after_one_step(line, multiplier):
    """Compute the line with w = 1 and no gradient, in a fresh optimizer."""
    letters = {"w": 1.0, "b": 0.0, "g": 0.0, "m_t": multiplier, "e_t": math.nan}
    formulas = line.partition("  (")[0].partition(" with ")
    first = re.search(r"e_0 = ([^,]*)", formulas[2])
    for text in [*(["e_t ← " + first[1]] if first else []), *formulas[0].split("; ")]:
        name, _, formula = text.partition(" ← ")
        python = formula.replace("m̂/(√v̂ + ε)", "0").replace("sign(c)", "0")
        python = re.sub(r"√([0-9.e+]+)", r"math.sqrt(\1)", python)
        python = python.replace("m_t²", "m_t*m_t").replace("m_0", "m_t")
        python = re.sub(r"\bu\b", "0", python).replace("·", "*").replace("−", "-")
        letters[name] = eval(python, {"math": math}, letters)  # noqa: S307 (our own line)
    return letters["w"]


@given(st.sampled_from(OPTIMIZERS), runs(), log_uniform(1e-5, 0.02))
def test_the_line_computed_is_the_first_step(name, run, shrink):
    """Without a gradient, the line leaves what the family's path has after one step."""
    knob = KNOBS[name]
    number = float(f"{shrink / run.lr:.6g}")  # as the line shows it
    run = Run(
        lr=float(f"{run.lr:.6g}"),
        momentum=float(f"{run.momentum:.6g}"),
        schedule=run.schedule,
        steps=run.total_steps,
        batch_size=16,
    )
    run = fitted(run, knob)
    # The one that refuses to run without a momentum.
    assume(run.momentum or name != "bitsandbytes.optim.SGD")
    path = FAMILIES[knob.family].survival_path
    scale = {"": 1, "/B": 1 / 16, "/√steps": 1 / math.sqrt(run.total_steps)}[knob.scale]
    expected = path(number * scale, facts_of(knob, run))[1]
    assume(expected > 0.1)
    line = explain(number, name, run=run).update
    # 1e-12: a handful of roundings at 1e-16.
    assert after_one_step(line, run.multipliers()[0]) == digits(expected, rel=1e-12)
