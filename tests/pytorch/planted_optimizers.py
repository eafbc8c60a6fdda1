"""Optimizers with a planted fault: what a certificate must not be given to."""

import torch
from torch.optim import SGD, AdamW, Optimizer


class _Counting(SGD):
    """SGD that counts its steps."""

    def __init__(self, groups, **options):
        super().__init__(groups, lr=0.1, **options)
        self.taken = 0

    @torch.no_grad()
    def step(self, closure=None):
        super().step(closure)
        self.taken += 1
        for group in self.param_groups:
            for weight in group["params"]:
                self.afterwards(weight)

    def afterwards(self, weight):
        raise NotImplementedError


class DecaysSecretly(_Counting):
    """Takes a thousandth off every weight, whatever the knob says."""

    def afterwards(self, weight):
        weight.mul_(0.999)


class DecaysSecretlyLater(_Counting):
    """The same, from its fortieth step on: after anybody's rehearsal."""

    def afterwards(self, weight):
        if self.taken > 40:
            weight.mul_(0.999)


class KeepsMasters(_Counting):
    """Steps a copy of its own and writes it over the weights, as ZeRO does."""

    def afterwards(self, weight):
        masters = self.state[weight]
        if "master" not in masters:
            masters["master"] = weight.clone()
        weight.copy_(masters["master"])


class DividesByZero(_Counting):
    """Divides by the norm of the gradient, also where that is zero."""

    def afterwards(self, weight):
        if weight.grad is not None:
            weight.sub_(weight.grad / weight.grad.norm())


class SyncsEverySixSteps(_Counting):
    """Goes back halfway to slow weights in every sixth step, as Lookahead does."""

    def afterwards(self, weight):
        slow = self.state[weight].setdefault("slow", weight.clone())
        if self.taken % 6 == 0:
            slow.lerp_(weight, 0.5)
            weight.copy_(slow)


class DecaysWithoutGradient(AdamW):
    """Fills gradients that are None with zeros, so that all weights decay."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
        return super().step(closure)


class IgnoresItsKnobLater(Optimizer):
    """Decouples as its knob says for forty steps, then not at all."""

    def __init__(self, groups):
        super().__init__(groups, {"lr": 0.1, "weight_decay": 0.0})
        self.taken = 0

    @torch.no_grad()
    def step(self, closure=None):
        self.taken += 1
        for group in self.param_groups:
            knob = group["weight_decay"] if self.taken <= 40 else 0.0
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * knob)
                    weight.sub_(weight.grad, alpha=group["lr"])
        return closure and closure()


class IgnoresItsKnob(SGD):
    """Has a knob that does nothing: a controller holds it all the same."""

    def __init__(self, groups):
        super().__init__(groups, lr=0.1, momentum=0.9)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        return super().step(closure)


class ComputesInFloat32(_Counting):
    """Rounds every weight to float32 in each step, as the kernels of others do."""

    def afterwards(self, weight):
        weight.copy_(weight.float())


class CannotStep(SGD):
    """Raises in every step."""

    def step(self, closure=None):
        message = f"this one never steps, whatever the {closure=}"
        raise RuntimeError(message)
