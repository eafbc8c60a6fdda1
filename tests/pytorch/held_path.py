"""The path that a held weight shall go, written as one loop of multiplications."""

import math

import torch

from dwindle.pytorch import DecayController

POWERS = {"constant": 0, "follow-lr": 1, "lr-squared": 2}
START = (1.0, -0.7, 0.33, 3.0)
# Along 100 steps float32 weights are rounded 100 times by up to 6e-8, either way.
TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-12}


def weight_of(dtype=torch.float64, start=START):
    """A parameter that nothing pulls at yet."""
    return torch.nn.Parameter(torch.tensor(start, dtype=dtype))


def step_at_rest(optimizer, *weights, steps=1):
    """Steps with gradients that are there and zero."""
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        optimizer.step()


def halved(optimizer, *weights, step=step_at_rest, held=None):
    """Hold ten steps, make ten, and compare: half is left. Return the controller."""
    controller = DecayController(held or optimizer, half_life="10 steps")
    step(optimizer, *weights, steps=10)
    assert all(off(each, 0.5) <= TOLERANCES[each.dtype] for each in weights)
    assert controller.steps_done == 10
    return controller


class Path:
    """What should be left of a weight after each step, from the lr of that step."""

    def __init__(self, half_life_steps, schedule="follow-lr", lr_peak=None, scale=1.0):
        self.shrink = -math.expm1(-math.log(2) * scale / half_life_steps)
        self.power, self.lr_peak = POWERS[schedule], lr_peak
        self.kept = 1.0

    def step(self, lr):
        """Go one step at this lr."""
        share = (lr / self.lr_peak) ** self.power if self.power else 1.0
        self.kept *= 1 - self.shrink * share
        return self.kept


def off(weight, kept, start=START):
    """Largest relative distance of a weight from where it should be."""
    left = weight.detach().double() / torch.tensor(start, dtype=torch.float64)
    return (left / kept - 1).abs().max().item()


def worst_off(optimizer, weight, path, steps, after=lambda: None):
    """Step with zero gradients; return the worst distance along the whole path."""
    worst = 0.0
    for _ in range(steps):
        kept = path.step(float(optimizer.param_groups[0]["lr"]))
        step_at_rest(optimizer, weight)
        after()
        worst = max(worst, off(weight, kept))
    return worst
