"""How a controller shows what it holds."""

import pytest
import torch
from pytorch.held_path import weight_of
from torch.optim import AdamW

from dwindle.pytorch import DecayController

pytestmark = pytest.mark.usefixtures("quiet")


def _held(**options):
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(30, 50))]},
        {"params": [weight_of()], "decay_scale": 0.0},
    ]
    facts = {"half_life": "3 epochs", "batch_size": 10, "dataset_size": 5000}
    return DecayController(AdamW(groups, lr=3e-4), **(facts | options))


def test_every_lr_is_the_peak_of_a_constant_decay():
    """A constant decay belongs to no lr."""
    assert "every lr" in repr(_held(schedule="constant"))


def test_a_peak_that_the_run_does_not_reach_shows():
    """The largest lr so far stands beside the peak, once there was a step."""
    held = _held()
    assert "largest seen" not in repr(held)
    for lr in (1e-5, 6e-5, 2e-5):
        held.optimizer.param_groups[0]["lr"] = lr
        held.optimizer.step()
    _, head, first, second = repr(held).splitlines()
    assert head.split()[-4:] == ["at", "lr", "largest", "seen"]
    assert first.split()[-2:] == ["0.0003", "6e-05"]
    assert second.split() == ["1", "4", "left", "alone"]
    assert ">largest seen</th>" in held._repr_html_()
    assert ">6e-05</td>" in held._repr_html_()


def test_a_constant_decay_has_no_peak_to_miss():
    """Its half-life holds at every lr: there is nothing to compare."""
    held = _held(schedule="constant")
    held.optimizer.step()
    assert "largest seen" not in repr(held)


def test_a_group_that_was_just_added_is_shown():
    """Between add_param_group and the next step the table says when it is held."""
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = torch.optim.AdamW(weights[:1], lr=1e-3)
    controller = DecayController(optimizer, half_life="20 steps")
    optimizer.add_param_group({"params": weights[1:]})
    assert "the next step" in str(controller)
    weights[0].grad = torch.zeros(3)
    optimizer.step()
    assert "the next step" not in str(controller)
