"""What is changed in mid-run holds from the next step on, exactly, and is resumed."""

import math
import random
from functools import partial

import pytest
import torch
from pytorch.held_path import TOLERANCES, Path, halved, off, step_at_rest, weight_of
from tolerance import digits
from torch.optim import SGD, AdamW

from dwindle import HalfLife
from dwindle.errors import MissingFactError, RangeError, RefusedError
from dwindle.pytorch import DecayController

LR = 0.1
OPTIMIZERS = {
    "AdamW": AdamW,
    "SGD": SGD,
    "SGD, momentum": partial(SGD, momentum=0.9),
}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["follow-lr", "constant", "lr-squared"])
def test_what_is_set_holds_from_the_next_step_on(name, schedule, dtype):
    """Half-life, peak, lr and the scales of two groups, set in any order."""
    # In float32, too: the rounding residual outlives a change.
    draw, weights = random.Random(0), [weight_of(dtype), weight_of(dtype)]  # noqa: S311
    groups = [{"params": [weight], "decay_scale": 1.0} for weight in weights]
    optimizer = OPTIMIZERS[name](groups, lr=LR)
    held = DecayController(optimizer, half_life="20 steps", schedule=schedule)
    half_life, peak, lr, scales, kept = 20, LR, LR, [1.0, 1.0], [1.0, 1.0]
    for _ in range(40):
        match draw.randrange(4):
            case 0:
                half_life = draw.choice((10, 20, 40))
                held.half_life = f"{half_life} steps"
            case 1:
                held.lr_peak = peak = draw.choice((LR, 2 * LR))
            case 2:
                lr = draw.choice((LR, LR / 2, LR / 10))
            case 3:
                scales[draw.randrange(2)] = draw.choice((0.0, 0.5, 1.0, 2.0))
        for at, group in enumerate(optimizer.param_groups):
            group["lr"], group["decay_scale"] = lr, scales[at]
            kept[at] *= Path(half_life, schedule, peak, scales[at]).step(lr)
        step_at_rest(optimizer, *weights)
        for weight, left in zip(weights, kept, strict=True):
            assert off(weight, left) <= TOLERANCES[dtype]
    assert held.e_folds == digits(tuple(-math.log(each) for each in kept), rel=1e-12)
    assert held.half_life == HalfLife(half_life, "steps")
    assert f"of {half_life} steps" in repr(held)


WRONG = [  # what is set to what it cannot be, and the error
    ({"half_life": "10 steps"}, "half_life", 3, RangeError),
    ({"half_life": "10 steps"}, "half_life", "0 steps", RangeError),
    ({"half_life": "10 steps"}, "half_life", "3 epochs", MissingFactError),
    ({"half_life": "10 steps"}, "lr_peak", -1.0, RangeError),
    ({"half_life": "10 steps"}, "half_lif", "5 steps", AttributeError),  # a slip
    ({"penalty": 1e-4}, "half_life", "10 steps", RefusedError),
]


def test_what_cannot_be_held_changes_nothing():
    """It is refused as at construction, and what was held goes on."""
    for options, name, value, kind in WRONG:
        held = DecayController(SGD([weight_of()], lr=LR), **options)
        before = held.state_dict()
        with pytest.raises(kind) as raised:
            setattr(held, name, value)
        wanted = "dataset_size" if kind is MissingFactError else name
        assert wanted in str(raised.value)
        assert held.state_dict() == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_life_that_16_bits_would_round_away_is_refused(dtype):
    """Given or set: the number format is checked again."""
    optimizer = AdamW([weight_of(dtype)], lr=LR)
    held = DecayController(optimizer, half_life="50 steps", schedule="constant")
    with pytest.raises(RefusedError) as raised:
        held.half_life = "50k steps"
    assert held.half_life_steps == 50
    with pytest.raises(RefusedError) as again:
        DecayController(AdamW([weight_of(dtype)]), half_life="3000 steps")
    name = str(dtype).removeprefix("torch.")
    assert all(name in each.value.asked for each in (raised, again))


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
    """The script begins as before; the checkpoint has what was set since."""
    # The state of the optimizer overwrites the knob, before or after the controller
    # is built; neither matters.
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
        runs.append(
            (weight.tolist(), held.e_folds, held._hold.residuals, held.batch_size)
        )
    assert runs[0] == runs[1]
    assert (held.half_life_steps, held.batch_size) == (8, 5)


def test_another_half_life_in_the_script_counts_after_a_change_too(logged):
    """The script was edited: its half-life counts, and both are named."""
    held = DecayController(AdamW([weight_of()]), half_life="10 steps")
    held.half_life = "4 steps"
    again = DecayController(AdamW([weight_of()]), half_life="7 steps")
    again.load_state_dict(held.state_dict())
    assert again.half_life_steps == 7
    message = "half_life is 7 steps now, and was 4 steps in the checkpoint"
    assert logged()[-1] == message


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

    def step(*given, steps):
        first.remove()
        step_at_rest(*given, steps=steps)

    halved(optimizer, weight, step=step)


def test_a_group_that_comes_later_without_a_mark_is_logged(logged):
    """It is held from then on if it has a mark, at its own lr; else that is logged."""
    old, added, marked, resting = (weight_of() for _ in range(4))
    groups = [{"params": [old], "decay_scale": 1.0}]
    optimizer = SGD(groups, lr=LR, momentum=0.9)
    held = DecayController(optimizer, half_life="10 steps")
    step_at_rest(optimizer, old, steps=5)
    logged_before = len(logged())
    optimizer.add_param_group({"params": [added]})
    optimizer.add_param_group({"params": [marked], "decay_scale": 1.0, "lr": 0.01})
    optimizer.add_param_group({"params": [resting], "decay_scale": 0.0})
    step_at_rest(optimizer, old, added, marked, resting, steps=10)
    (message,) = logged()[logged_before:]
    assert "group 1, added" in message
    assert off(added, 1.0) == 0
    assert off(old, 0.5**1.5) <= TOLERANCES[torch.float64]
    assert off(marked, 0.5) <= TOLERANCES[torch.float64]
    assert off(resting, 1.0) == 0
    optimizer.param_groups[1]["decay_scale"] = 1.0  # what the line advises
    step_at_rest(optimizer, added, steps=10)
    assert off(added, 0.5) <= TOLERANCES[torch.float64]
    assert held.mechanisms == ("multiply", "multiply", "multiply", "left alone")
