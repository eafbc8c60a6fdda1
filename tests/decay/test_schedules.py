"""Schedules: exact multipliers of the peak learning rate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import decay_by_hand
from strategies import schedules
from tolerance import digits

from dwindle.decay import long_runs
from dwindle.decay.convert import convert
from dwindle.decay.coordinates import (
    e_folds_from_number,
    has_shrink,
    number_from_e_folds,
    shrink_from_number,
)
from dwindle.decay.explain import explain
from dwindle.decay.families import FAMILIES, STAYS, course_of
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError


@given(schedules(), st.integers(1, 200))
def test_every_step_against_the_definition(schedule, steps):
    """Each multiplier is that of its shape's definition for that step alone."""
    by_hand = [decay_by_hand.multiplier(schedule, t, steps) for t in range(steps)]
    # abs 1e-15: two ways to round numbers of at most 1.
    assert schedule.multipliers(steps) == pytest.approx(by_hand, rel=0, abs=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_two_halves_that_both_round_up_still_fit(steps):
    """Warm-up and fall may each round up to more than there is; the fall gives way."""
    schedule = Schedule(shape="wsd", warmup=0.5, decay_share=0.5)
    by_hand = [decay_by_hand.multiplier(schedule, t, steps) for t in range(steps)]
    assert schedule.multipliers(steps) == pytest.approx(by_hand, rel=0, abs=1e-15)


IMPOSSIBLE = [
    ("warmup", {"warmup": 1.0}),
    ("warmup", {"warmup": -0.1}),
    ("final", {"final": 1.1}),
    ("decay_share", {"decay_share": 0.0}),
    ("warmup", {"shape": "wsd", "warmup": 0.9}),
]


def test_impossible_shares_are_refused():
    """Each share has its range, and WSD needs room for both; no steps are no run."""
    for name, facts in IMPOSSIBLE:
        with pytest.raises(RangeError) as raised:
            Schedule(**facts)
        assert (raised.value.name, raised.value.value) == (name, facts[name])
    whole = Schedule(warmup="10 steps")
    with pytest.raises(RangeError) as raised:
        whole.multipliers(10)
    assert raised.value.value == whole.warmup
    assert whole.multipliers(11) == Schedule(warmup=10 / 11).multipliers(11)
    with pytest.raises(RangeError) as raised:
        Schedule().multipliers(0)
    assert (raised.value.name, raised.value.value) == ("steps", 0)


STEPS = 300


def dino(step, steps):
    """Return what facebookresearch/dino, utils.py, has, over its largest."""
    return (0.4 + 0.5 * (0.04 - 0.4) * (1 + math.cos(math.pi * step / steps))) / 0.4


def megatron(step, steps):
    """Return what megatron/core/optimizer_param_scheduler.py, has, cosine from 0."""
    return 0.5 * (math.cos(math.pi * (1 - step / steps)) + 1)


def nanochat(step, steps):
    """Return what karpathy/nanochat, scripts/base_train.py, had."""
    return 1 - step / steps


MULTIPLIERS_BY_TEXT = {
    "cosine from 10%": dino,
    "cosine from 0.04/0.4": dino,
    "cosine from 0": megatron,
    "linear to 0": nanochat,
    "linear": nanochat,
}


EACH = (
    *("torch.optim.AdamW", "torch.optim.SGD", "optimi.AdamW:decouple_lr"),
    *("tfa.optimizers.AdamW", "timm.adamc", "timm.adan", "optimi.Adan:decouple_lr"),
)


@pytest.mark.parametrize("text", MULTIPLIERS_BY_TEXT)
@pytest.mark.parametrize("knob", EACH)
def test_e_folds_against_a_loop(knob, text):
    """Every family, under a cosine of the lr: the total is that of the loop."""
    momentum = 0.9 if KNOBS[knob].family == "coupled-sgd" else 0.0
    facts = {"lr": 0.05, "momentum": momentum, "steps": STEPS}
    lrs = Schedule(shape="cosine", final=0.1)
    run = Run(**facts, schedule=lrs, decay_schedule=text)
    own = [MULTIPLIERS_BY_TEXT[text](step, STEPS) for step in range(STEPS)]
    for number in (0.02, 1e-9):
        path = decay_by_hand.family_path(KNOBS[knob].family, number, run, own)
        lost = decay_by_hand.lost(path)
        # 1e-11: an fsum of logarithms of single steps, each rounded a few times.
        assert e_folds_from_number(KNOBS[knob], number, run) == digits(lost, rel=1e-11)
        there = number_from_e_folds(KNOBS[knob], lost, run)
        assert there == digits(number, rel=1e-9)


def test_a_long_run_is_summed_by_a_few_places():
    """Where nothing is walked, the sum over two schedules at once is that of NumPy."""
    steps = 3 * long_runs.LONGEST_WALK
    schedule = Schedule(shape="wsd", warmup=0.1, decay_share=0.3)
    run = Run(lr=1e-3, steps=steps, schedule=schedule, decay_schedule="cosine from 10%")
    place = np.arange(steps)
    own = 1 - 0.45 * (1 + np.cos(np.pi * place / steps))
    m = np.asarray([decay_by_hand.multiplier(schedule, t, steps) for t in place])
    hand = -math.fsum(np.log1p(-0.1 * 1e-3 * m * own))
    adamw = KNOBS["torch.optim.AdamW"]
    assert e_folds_from_number(adamw, 0.1, run) == digits(hand, rel=1e-12)
    constant = Run(lr=1e-3, steps=steps, decay_schedule="linear to 0")
    hand = -math.fsum(np.log1p(-0.1 * 1e-3 * (1 - place / steps)))
    assert e_folds_from_number(adamw, 0.1, constant) == digits(hand, rel=1e-12)


def test_the_peak_is_what_is_typed_and_no_more():
    """The shrink and the half-life are those at the peak; only the run is another."""
    wrong = []
    for name, knob in KNOBS.items():
        family = FAMILIES.get(knob.family or "")
        falls = family is not None and not family.course.is_of_schedule
        if not has_shrink(knob) or falls or knob.name == "half-life":
            continue
        facts = {"lr": 0.01, "batch_size": 8, "dataset_size": 80, "steps": 100}
        facts |= {"tokens_per_example": 4, "momentum": 0.5}
        number = 0.2 if knob.clock else 0.01
        plain = shrink_from_number(knob, number, Run(**facts))
        own = shrink_from_number(knob, number, Run(**facts, decay_schedule="linear"))
        if plain != own:
            wrong.append(name)
    assert wrong == []


def test_ends_may_be_the_decays_themselves():
    """From 0.04 to 0.4, as in DINO, if either of the two is typed."""
    facts = {"lr": 0.05, "steps": STEPS, "schedule": "cosine"}
    shares = Run(**facts, decay_schedule="cosine from 0.04/0.4")
    ends = Run(**facts, decay_schedule="cosine from 0.04 to 0.4")
    adamw, wanted = "torch.optim.AdamW", explain(0.4, "torch.optim.AdamW", run=shares)
    for typed in (0.04, 0.4):
        found = explain(typed, adamw, run=ends)
        assert (found.value, found.e_folds) == (0.4, wanted.e_folds)
        assert found.decay_schedule == "cosine from 0.04 to 0.4"
        there = convert(
            typed,
            adamw,
            to="optax.adamw",
            run=ends,
            run_after={**facts, "lr": 0.1, "decay_schedule": ends.decay_schedule},
        )
        assert there.value == digits(0.2, rel=1e-12)
        assert there.decay_schedule == "cosine from 0.02 to 0.2"
    longer = {**facts, "steps": 4 * STEPS, "batch_size": 8}
    before = {**facts, "batch_size": 8}
    both = [
        rescale(
            typed,
            adamw,
            before={**before, "decay_schedule": text},
            after={**longer, "decay_schedule": text},
            regime="single-pass",
        )
        for typed, text in ((0.04, "cosine from 0.04 to 0.4"), (0.4, "cosine from 10%"))
    ]
    assert both[0].recommendation == both[1].recommendation
    half_life = convert("100 steps", "half-life", to=adamw, run=ends).value
    assert half_life == convert("100 steps", "half-life", to=adamw, run=shares).value
    with pytest.raises(RangeError) as raised:
        explain(0.05, adamw, run=ends)
    assert raised.value.name == "decay_schedule"
    for text in ("cosine from 0.04", "cosine from 1 to 0.4", "linear from 0.1 to 10%"):
        with pytest.raises(RangeError) as raised:
            Run(decay_schedule=text)
        assert raised.value.name in {"start", "final"}


def test_conversions_know_whose_decay_has_a_schedule():
    """The same on both sides keeps every step; on one side only the total is kept."""
    run = Run(lr=1e-3, steps=1000, decay_schedule="linear to 0")
    plain = Run(lr=1e-3, steps=1000)
    one = convert(0.1, "torch.optim.AdamW", to="optax.adamw", run=run)
    assert (one.value, one.fidelity) == (0.1, "same-trajectory")
    both = convert(0.1, "torch.optim.AdamW", to="optax.adamw", run=run, run_after=plain)
    assert both.coordinate == "total"
    assert both.value == digits(0.05, rel=2e-3)  # half of it, but for half a step
    stays = convert(0.1, "torch.optim.AdamW", to="tfa.optimizers.AdamW", run=run)
    assert course_of(KNOBS["tfa.optimizers.AdamW"]) == STAYS
    assert stays.value == digits(1e-4, rel=1e-9)


def test_explain_and_rescale_count_it():
    """E-folds halve under a linear fall, and a longer run does not change the half."""
    facts = {"lr": 1e-3, "steps": 10_000}
    plain = explain(0.1, "torch.optim.AdamW", run=facts)
    own = explain(0.1, "torch.optim.AdamW", run=facts | {"decay_schedule": "linear"})
    assert own.e_folds == digits(plain.e_folds / 2, rel=2e-4)
    assert own.half_life["steps"] == plain.half_life["steps"]
    assert "fading-decay" in {each.code for each in own.warnings}
    longer = facts | {"steps": "x5", "decay_schedule": "linear"}
    found = rescale(0.1, "torch.optim.AdamW", before=facts, after=longer)
    assert found.unchanged.e_folds == digits(2.5 * plain.e_folds, rel=2e-4)
