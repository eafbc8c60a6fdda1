"""A run that is broken off and taken up again goes on, bit by bit; copies; removal."""

import copy
import json
import pickle
from functools import partial

import pytest
import torch
from pytorch.held_path import TOLERANCES, off, step_at_rest, weight_of
from tolerance import digits
from torch import nn
from torch.optim import SGD, Adam, AdamW, lr_scheduler

from dwindle.errors import CheckpointError, RefusedError
from dwindle.pytorch import DecayController

pytestmark = pytest.mark.usefixtures("quiet")


class OwnState(AdamW):
    """A class with a custom pickled state: all its attributes."""

    def __getstate__(self):
        hooks = {name for name in vars(self) if "hooks" in name}
        return {name: each for name, each in vars(self).items() if name not in hooks}


HELD = {
    "AdamW": partial(AdamW, lr=0.01, weight_decay=0.1),
    "SGD": partial(SGD, lr=0.01, weight_decay=0.1),
    "SGD, momentum": partial(SGD, lr=0.01, momentum=0.9, weight_decay=0.1),
    "own state": partial(OwnState, lr=0.01, weight_decay=0.1),
}


def test_the_state_is_plain_data_and_older_ones_are_taken():
    """JSON holds it; a state that lacks a number of later versions will do, too."""
    weight = weight_of()
    optimizer = AdamW([weight], lr=0.01)
    rising = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
    held = DecayController(optimizer, half_life="9 steps")
    for _ in range(3):
        step_at_rest(optimizer, weight)
        rising.step()
    state = held.state_dict()
    assert json.loads(json.dumps(state)) == state
    assert (state["version"], state["steps_done"]) == (1, 3)
    assert state["lr_seen"] == [digits(0.007, rel=1e-12)]  # of the whole run
    for lacks, taken in (("", {}), ("lr_seen", {"lr_seen": [0.0]}), (BEGUN, {})):
        resumed = DecayController(AdamW([weight_of()], lr=0.01), half_life="9 steps")
        resumed.load_state_dict({n: v for n, v in state.items() if n != lacks})
        assert resumed.state_dict() == {**state, **taken}, lacks


BEGUN = "half_life_begun_with"


def _named(*names, build=AdamW):
    return build([(name, nn.Parameter(torch.ones(2, 3))) for name in names])


def _shaped(*shapes, build=AdamW):
    return build([nn.Parameter(torch.ones(shape)) for shape in shapes])


MADE = (_shaped((2, 3), (3,)), _named("a", "b"))
FOREIGN = [  # of which optimizer the state is, what in it is changed, what differs
    (MADE[0], _shaped((2, 3), (3,), build=Adam), {}, ("Adam", "AdamW")),
    (MADE[0], _shaped((3,), (2, 3)), {}, ("(3,)", "(2, 3)")),
    (MADE[0], _shaped((2, 3)), {}, ("1 of them", "2")),
    (MADE[0], _shaped((2, 3), (3,)), {"version": 7}, ("7", "1")),
    (MADE[1], _named("b", "a"), {}, ("b (2, 3)", "a (2, 3)")),
]


def test_the_state_of_another_optimizer_is_refused():
    """Class, order, number, version, names: nothing is taken from a foreign state."""
    for made, other, changed, differ in FOREIGN:
        held = DecayController(copy.deepcopy(made), half_life="9 steps")
        before = held.state_dict()
        foreign = DecayController(other, half_life="9 steps").state_dict()
        with pytest.raises(CheckpointError) as raised:
            held.load_state_dict(foreign | changed)
        assert (raised.value.saved, raised.value.here) == differ
        assert held.state_dict() == before


def test_a_peak_of_the_checkpoint_counts_unless_one_is_given():
    """A lower lr, or a scheduler built anew, is no new peak; a given one is."""
    begun = AdamW([weight_of()], lr=0.1)
    before = DecayController(begun, half_life="9 steps")
    step_at_rest(begun, *begun.param_groups[0]["params"])
    for lr_peak, expected in ((None, 0.1), (0.5, 0.5)):
        optimizer = AdamW([weight_of()], lr=0.01)
        held = DecayController(optimizer, half_life="9 steps", lr_peak=lr_peak)
        held.load_state_dict(before.state_dict())
        lr_scheduler.StepLR(optimizer, 5)  # writes initial_lr, 0.01
        step_at_rest(optimizer, *optimizer.param_groups[0]["params"])
        assert held.lr_peak == (expected,)


@pytest.mark.parametrize("name", HELD)
def test_removed_it_leaves_no_trace(name):
    """Knob, marker and hooks are as they were, and the optimizer decays as it did."""
    weight, other = weight_of(), weight_of()
    optimizer, untouched = HELD[name]([weight]), HELD[name]([other])
    held = DecayController(optimizer, half_life="9 steps")
    step_at_rest(optimizer, weight)
    held.remove()
    assert optimizer.param_groups[0].keys() == untouched.param_groups[0].keys()
    assert optimizer.param_groups[0]["weight_decay"] == 0.1
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    optimizer.param_groups[0]["weight_decay"] = 0.4
    held.remove()  # nothing is there any more, so nothing is put back
    assert optimizer.param_groups[0]["weight_decay"] == 0.4
    DecayController(optimizer, half_life="9 steps")  # and it can be held again


def _weight_decays(optimizer):
    return [group["weight_decay"] for group in optimizer.state_dict()["param_groups"]]


def _groups():
    return [
        {"params": [weight_of()]},
        {"params": [weight_of()], "weight_decay": 0.0},
        {"params": [weight_of()], "weight_decay": 0.2, "decay_scale": 0.0},
    ]


@pytest.mark.parametrize("name", HELD)
def test_a_checkpoint_has_the_weight_decay_of_the_user(name):
    """Not the one of a step, which under a falling lr is in the hundreds."""
    # Nothing else of the state is touched, and the optimizer goes on as it was held.
    optimizer = HELD[name](_groups())
    falling = lr_scheduler.CosineAnnealingLR(optimizer, T_max=101)
    weights = [group["params"][0] for group in optimizer.param_groups]
    held = DecayController(optimizer, half_life="30 steps", schedule="constant")
    for _ in range(100):
        step_at_rest(optimizer, *weights)
        falling.step()
        assert _weight_decays(optimizer) == [0.1, 0.0, 0.2]
    by_knob = held.mechanisms[0] == "native"
    assert (optimizer.param_groups[0]["weight_decay"] > 100) == by_knob
    state = optimizer.state_dict()
    bare = HELD[name](_groups()).state_dict()["param_groups"][0].keys()
    assert state["param_groups"][0].keys() == bare | {"decay_scale", "initial_lr"}
    assert off(weights[0], 0.5 ** (100 / 30)) <= TOLERANCES[torch.float64]


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it)), copy.copy]
)
@pytest.mark.parametrize("name", HELD)
def test_a_copy_has_the_weight_decay_of_the_user(name, copied):
    """It has no hooks, so that the number of a step would stay for good."""
    optimizer = HELD[name](_groups())
    optimizer.tag = "mine"
    held = DecayController(optimizer, half_life="3 steps", schedule="constant")
    step_at_rest(optimizer, *(g["params"][0] for g in optimizer.param_groups))
    before = [group["weight_decay"] for group in optimizer.param_groups]
    twin, state = copied(optimizer), held.state_dict()
    assert [group["weight_decay"] for group in twin.param_groups] == [0.1, 0.0, 0.2]
    assert [group["weight_decay"] for group in optimizer.param_groups] == before
    assert "__getstate__" not in vars(twin)
    # What a class pickles is pickled; torch's own pickles no such attribute.
    kept = "mine" if name == "own state" else None
    assert getattr(twin, "tag", None) == kept
    held.remove()
    assert "__getstate__" not in vars(optimizer)
    assert not optimizer._optimizer_state_dict_post_hooks
    again = DecayController(twin, half_life="3 steps", schedule="constant")
    again.load_state_dict(state)
    step_at_rest(twin, *(g["params"][0] for g in twin.param_groups))
    assert (held.steps_done, again.steps_done) == (1, 2)


def test_a_model_and_its_optimizer_are_copied_together():
    """The copy of the optimizer works on the copy of the model, with its own decay."""
    model = nn.Linear(2, 2)
    optimizer = AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    DecayController(optimizer, half_life="3 steps")
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    twin, other = copy.deepcopy((model, optimizer))
    assert other.param_groups[0]["params"][0] is twin.weight
    assert other.param_groups[0]["weight_decay"] == 0.1
    assert other.state[twin.weight]["exp_avg"].equal(
        optimizer.state[model.weight]["exp_avg"]
    )


def test_a_controller_itself_is_not_copied():
    """It lives in hooks that copies do not have."""
    held = DecayController(AdamW([weight_of()]), half_life="9 steps")
    with pytest.raises(RefusedError, match=r"hooks.*hand state_dict"):
        copy.deepcopy(held)


def test_the_marker_travels_with_the_optimizer():
    """A group that was left alone stays so after a resume, though all knobs are 0."""
    groups = [{"params": [weight_of()]}, {"params": [weight_of()], "weight_decay": 0}]
    optimizer = SGD(groups, lr=0.1, weight_decay=0.1)
    DecayController(optimizer, half_life="9 steps")
    groups = [{"params": [weight_of()]}, {"params": [weight_of()]}]
    resumed = SGD(groups, lr=0.1)
    resumed.load_state_dict(optimizer.state_dict())
    held = DecayController(resumed, half_life="9 steps")
    assert held.mechanisms == ("native", "left alone")
