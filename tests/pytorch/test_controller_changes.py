"""What is changed in mid-run holds from the next step on, exactly, and is resumed."""

import math
from functools import partial

import pytest
import torch
from pytorch.held_path import TOLERANCES, Path, off, undriven_step, weight_of
from tolerance import digits
from torch.optim import SGD, Adam, AdamW, lr_scheduler

from dwindle import HalfLife
from dwindle.errors import MissingFactError, RangeError, RefusedError
from dwindle.pytorch import DecayController

LR = 0.1
OPTIMIZERS = {
    "AdamW": AdamW,
    "SGD": SGD,
    "SGD, momentum": partial(SGD, momentum=0.9),
    "Adam": Adam,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["follow-lr", "constant", "lr-squared"])
def test_a_half_life_that_is_set_holds_from_the_next_step_on(name, schedule):
    """Under a falling lr: five steps of the old one, then five of the new one."""
    weight = weight_of()
    optimizer = OPTIMIZERS[name]([weight], lr=LR)
    falling = lr_scheduler.ExponentialLR(optimizer, 0.9)
    held = DecayController(optimizer, half_life="20 steps", schedule=schedule)
    kept = 1.0
    for step in range(10):
        if step == 5:
            held.half_life = "4 steps"
        lr = optimizer.param_groups[0]["lr"]
        kept *= Path(20 if step < 5 else 4, schedule, LR).step(lr)
        undriven_step(optimizer, weight)
        falling.step()
    assert off(weight, kept) <= TOLERANCES[torch.float64]
    assert held.e_folds[0] == digits(-math.log(kept), rel=1e-12)
    assert (held.half_life, held.half_life_steps) == (HalfLife(4, "steps"), 4)
    assert "of 4 steps" in repr(held)


def test_what_rounding_owes_outlives_the_change():
    """In float32 the decay that was asked and not yet written is written later."""
    start = tuple(1 + k / 997 for k in range(997))
    weight = weight_of(torch.float32, start=start)
    optimizer = AdamW([weight], lr=1e-3)
    held = DecayController(optimizer, half_life="300k steps", schedule="constant")
    for step in range(500):
        held.half_life = "300k steps" if step % 2 else "100k steps"
        undriven_step(optimizer, weight)
    before = torch.tensor(start, dtype=torch.float64)
    e_folds = -(weight.detach().double() / before).log().mean().item()
    asked = 250 * math.log(2) * (1 / 300_000 + 1 / 100_000)
    assert held.e_folds[0] == digits(asked, rel=1e-12)
    # A single weight is rounded at every step: what is left of that over a thousand.
    assert e_folds == digits(asked, rel=2e-3)


@pytest.mark.parametrize(
    ("half_life", "kind", "fact"),
    [
        (3, RangeError, ("name", "half_life")),
        ("0 steps", RangeError, ("name", "half_life")),
        ("3 epochs", MissingFactError, ("fact", "dataset_size")),
    ],
)
def test_a_half_life_that_cannot_be_held_changes_nothing(half_life, kind, fact):
    """It is refused as at construction, and the old one goes on."""
    weight = weight_of()
    optimizer = AdamW([weight], lr=LR)
    held = DecayController(optimizer, half_life="10 steps")
    with pytest.raises(kind) as raised:
        held.half_life = half_life
    assert getattr(raised.value, fact[0]) == fact[1]
    undriven_step(optimizer, weight, steps=10)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_life_that_16_bits_would_round_away_is_refused(dtype):
    """Given or set: the number format is looked at again."""
    optimizer = AdamW([weight_of(dtype)], lr=LR)
    held = DecayController(optimizer, half_life="50 steps", schedule="constant")
    with pytest.raises(RefusedError) as raised:
        held.half_life = "50k steps"
    assert held.half_life_steps == 50
    with pytest.raises(RefusedError) as again:
        DecayController(AdamW([weight_of(dtype)]), half_life="3000 steps")
    name = str(dtype).removeprefix("torch.")
    assert all(name in each.value.asked for each in (raised, again))


def test_a_penalty_has_no_half_life_to_set():
    """Its number is the knob itself."""
    held = DecayController(SGD([weight_of()], lr=LR), penalty=1e-4)
    assert held.half_life is None
    with pytest.raises(RefusedError, match=r"holds a penalty.*half_life=\.\.\."):
        held.half_life = "10 steps"


def test_a_slip_in_a_name_is_an_error():
    """No attribute is taken that would do nothing."""
    held = DecayController(AdamW([weight_of()]), half_life="10 steps")
    with pytest.raises(AttributeError, match="half_lif"):
        held.half_lif = "5 steps"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_peak_may_be_set(name):
    """The half-life belongs to the new lr from the next step on."""
    weight = weight_of()
    optimizer = OPTIMIZERS[name]([weight], lr=LR)
    held = DecayController(optimizer, half_life="10 steps")
    undriven_step(optimizer, weight)
    optimizer.param_groups[0]["lr"] = LR / 10
    held.lr_peak = LR / 10
    undriven_step(optimizer, weight, steps=9)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]
    assert held.lr_peak == (LR / 10,)
    with pytest.raises(RangeError) as raised:
        held.lr_peak = -1.0
    assert (raised.value.name, raised.value.value) == ("lr_peak", "-1.0")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_decay_scale_may_be_set(name):
    """Twice as fast, not at all, and back again; a group that rested may join."""
    one, other = weight_of(), weight_of()
    groups = [{"params": [one]}, {"params": [other], "decay_scale": 0.0}]
    optimizer = OPTIMIZERS[name](groups, lr=LR)
    optimizer.param_groups[0]["decay_scale"] = 1.0
    DecayController(optimizer, half_life="10 steps")
    kept, scales = [1.0, 1.0], [(1, 0), (2, 0), (0, 1), (0, 0.5), (1, 1)]
    for pair in scales:
        for at, scale in enumerate(pair):
            optimizer.param_groups[at]["decay_scale"] = scale
            if scale:
                kept[at] *= Path(10, "follow-lr", LR, scale).step(LR)
        undriven_step(optimizer, one, other)
        assert off(one, kept[0]) <= TOLERANCES[torch.float64]
        assert off(other, kept[1]) <= TOLERANCES[torch.float64]


@pytest.mark.parametrize("mark", [-1.0, math.inf, math.nan, "2", None])
def test_a_decay_scale_that_is_no_number_is_refused(mark):
    """At construction and in mid-run, with the group and what it must be."""
    optimizer = AdamW([weight_of()], lr=LR)
    DecayController(optimizer, half_life="10 steps")
    optimizer.param_groups[0]["decay_scale"] = mark
    with pytest.raises(RangeError) as raised:
        optimizer.step()
    assert raised.value.name.startswith("decay_scale of")
    marked = AdamW([{"params": [weight_of()], "decay_scale": mark}], lr=LR)
    with pytest.raises(RangeError) as raised:
        DecayController(marked, half_life="10 steps")
    assert raised.value.name.startswith("decay_scale of")


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("last", [False, True])
def test_what_was_set_is_resumed(name, last):
    """The script begins as before; the checkpoint says what was set since.

    The state of the optimizer overwrites the knob, before or after the controller is
    built; neither matters.
    """
    runs = []
    facts = {"half_life": "1 epoch", "batch_size": 10, "dataset_size": 100}
    for broken in (False, True):
        weight = weight_of(torch.float32)
        optimizer = OPTIMIZERS[name]([weight], lr=LR, weight_decay=0.3)
        held = DecayController(optimizer, **facts)
        for step in range(9):
            if step == 3:
                held.half_life, held.batch_size = "40 examples", 5
            if step == 6 and broken:
                state = held.state_dict(), optimizer.state_dict()
                optimizer = OPTIMIZERS[name]([weight], lr=LR)
                if last:
                    optimizer.load_state_dict(state[1])
                held = DecayController(optimizer, **facts)
                if not last:
                    optimizer.load_state_dict(state[1])
                held.load_state_dict(state[0])
            weight.grad = torch.full_like(weight, (-1) ** step)
            optimizer.step()
        runs.append((weight.tolist(), held.e_folds, held._hold.owed, held.batch_size))
    assert runs[0] == runs[1]
    assert (held.half_life_steps, held.batch_size) == (8, 5)


def test_another_half_life_in_the_script_counts_after_a_change_too(told):
    """The script was edited: its half-life counts, and both are named."""
    held = DecayController(AdamW([weight_of()]), half_life="10 steps")
    held.half_life = "4 steps"
    again = DecayController(AdamW([weight_of()]), half_life="7 steps")
    again.load_state_dict(held.state_dict())
    assert again.half_life_steps == 7
    words = "half_life is 7 steps now, and was 4 steps in the checkpoint"
    assert told()[-1] == words


def test_a_controller_that_nobody_kept_is_found():
    """By its optimizer, also where that is wrapped; none where nothing is held."""
    optimizer = SGD([weight_of()], lr=LR)
    with pytest.raises(RefusedError, match="None holds it"):
        DecayController.of(optimizer)
    DecayController(optimizer, half_life="10 steps")
    with pytest.raises(RefusedError, match=r"DecayController\.of\(optimizer\)"):
        DecayController(optimizer, half_life="9 steps")
    DecayController.of(optimizer).half_life = "5 steps"
    assert DecayController.of(optimizer).half_life_steps == 5
    DecayController.of(optimizer).remove()
    held = DecayController(optimizer, half_life="9 steps")
    assert DecayController.of(optimizer) is held


def test_the_first_of_two_controllers_does_not_remove_the_second():
    """It was removed once, and the second one's hooks are not its own."""
    weight = weight_of()
    optimizer = SGD([weight], lr=LR)
    first = DecayController(optimizer, half_life="3 steps")
    first.remove()
    second = DecayController(optimizer, half_life="10 steps")
    first.remove()
    undriven_step(optimizer, weight, steps=10)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]
    assert second.steps_done == 10


def test_a_group_that_comes_later_without_a_mark_is_told(told):
    """It is held from then on if it has a mark, at its own lr; else that is said."""
    old, added, marked, resting = (weight_of() for _ in range(4))
    groups = [{"params": [old], "decay_scale": 1.0}]
    optimizer = SGD(groups, lr=LR, momentum=0.9)
    held = DecayController(optimizer, half_life="10 steps")
    undriven_step(optimizer, old, steps=5)
    told_before = len(told())
    optimizer.add_param_group({"params": [added]})
    optimizer.add_param_group({"params": [marked], "decay_scale": 1.0, "lr": 0.01})
    optimizer.add_param_group({"params": [resting], "decay_scale": 0.0})
    undriven_step(optimizer, old, added, marked, resting, steps=10)
    (message,) = told()[told_before:]
    assert "group 1, added" in message
    assert off(added, 1.0) == 0
    assert off(old, 0.5**1.5) <= TOLERANCES[torch.float64]
    assert off(marked, 0.5) <= TOLERANCES[torch.float64]
    assert off(resting, 1.0) == 0
    optimizer.param_groups[1]["decay_scale"] = 1.0  # what the line advises
    undriven_step(optimizer, added, steps=10)
    assert off(added, 0.5) <= TOLERANCES[torch.float64]
    assert held.mechanisms == ("multiply", "multiply", "multiply", "left alone")
