"""Third-party optimizers and a norm, which do not do what their names promise."""

import torch
from pytorch.planted_optimizers import EachWeight
from torch import nn


class RmsNorm(nn.Module):
    """A norm that torch does not know, under a new name."""

    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gain / x.square().mean(-1, keepdim=True).sqrt()


class SilentAdam(torch.optim.Adam):
    """Called Adam, and decouples without an option for it."""

    def __init__(self, params, lr=1e-3, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        for options in (self.defaults, *self.param_groups):
            del options["decoupled_weight_decay"]

    @torch.no_grad()
    def step(self, closure=None):
        """Take the decay off beside the update."""
        kept = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
            group["weight_decay"], group["decoupled_weight_decay"] = 0.0, False
        super().step(closure)
        for group, weight_decay in zip(self.param_groups, kept, strict=True):
            group["weight_decay"] = weight_decay
            del group["decoupled_weight_decay"]


SilentAdam.__name__ = "Adam"


class CoupledAdamW(SilentAdam):
    """Called AdamW, and adds the decay to the gradient."""

    @torch.no_grad()
    def step(self, closure=None):
        """Do what torch's Adam does."""
        for group in self.param_groups:
            group["decoupled_weight_decay"] = False
        torch.optim.Adam.step(self, closure)
        for group in self.param_groups:
            del group["decoupled_weight_decay"]


CoupledAdamW.__name__ = "AdamW"


class FillingSgd(torch.optim.SGD):
    """Fills in a gradient of zero where there is none, as some do for all-reduce."""

    def step(self, closure=None):
        """Step all parameters alike."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
        return super().step(closure)


class FixedDecay(EachWeight):
    """Takes its weight_decay off at every step, at any lr."""

    def move(self, group, weight):
        """Decay, then descend."""
        weight.mul_(1 - group["weight_decay"]).sub_(weight.grad, alpha=group["lr"])


class DeafSgd(torch.optim.SGD):
    """Takes a weight_decay and forgets it."""

    def step(self, closure=None):
        """Step as if it were 0."""
        kept = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        loss = super().step(closure)
        for group, weight_decay in zip(self.param_groups, kept, strict=True):
            group["weight_decay"] = weight_decay
        return loss
