"""Optimizers with a planted fault: what a certificate must not be given to."""

from types import MappingProxyType

import torch
from torch.optim import SGD, AdamW, Optimizer


class EachWeight(Optimizer):
    """Moves one weight that has a gradient after the other, and counts its steps."""

    built = MappingProxyType({"lr": 0.1, "weight_decay": 0.0})

    def __init__(self, groups, **options):
        super().__init__(groups, {**self.built, **options})
        self.taken = 0

    @torch.no_grad()
    def step(self, closure=None):
        self.taken += 1
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(group, weight)
        return closure and closure()

    def move(self, group, weight):
        raise NotImplementedError


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
    """Takes a thousandth off every weight, at any number of the knob."""

    def afterwards(self, weight):
        weight.mul_(0.999)


class DecaysSecretlyLater(_Counting):
    """The same, from its fortieth step on: after any rehearsal."""

    def afterwards(self, weight):
        if self.taken > 40:
            weight.mul_(0.999)


class KeepsMasters(_Counting):
    """Steps a copy and writes it over the weights, as ZeRO does."""

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


class IgnoresItsKnobLater(EachWeight):
    """Decouples by its knob for forty steps, then not at all."""

    def move(self, group, weight):
        knob = group["weight_decay"] if self.taken <= 40 else 0.0
        weight.mul_(1 - group["lr"] * knob).sub_(weight.grad, alpha=group["lr"])


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


class SkipsRest(Optimizer):
    """Steps only where some gradient is not zero, as Prodigy and D-Adaptation do."""

    def __init__(self, groups, **options):
        super().__init__(groups, {"lr": 0.1, "weight_decay": 0.0, **options})

    @torch.no_grad()
    def step(self, closure=None):
        weights = [w for group in self.param_groups for w in group["params"]]
        driven = [weight for weight in weights if weight.grad is not None]
        if any(weight.grad.abs().max() > 0 for weight in driven):
            for group in self.param_groups:
                self.move(group, [w for w in group["params"] if w.grad is not None])
        return closure and closure()

    def move(self, group, weights):
        for weight in weights:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.sub_(weight.grad, alpha=group["lr"])


class FindsItsLr(SkipsRest):
    """Takes steps as long as its weights went from their start; first 1e-6."""

    def __init__(self, groups, **options):
        super().__init__(groups, **{"lr": 1.0, **options})
        self.found = 1e-6

    def move(self, group, weights):
        lr = group["lr"] * self.found
        for weight in weights:
            start = self.state[weight].setdefault("start", weight.clone())
            weight.mul_(1 - lr * group["weight_decay"])
            weight.sub_(weight.grad, alpha=lr)
            if weight.grad.abs().max() > 0:
                went = (start - weight).abs().max().item()
                self.found = min(max(self.found, went), 1.0)


class RebuildsFromStart(SkipsRest):
    """Writes start minus the sum of all gradients, as dual averaging does."""

    def move(self, group, weights):
        for weight in weights:
            state = self.state[weight]
            start = state.setdefault("start", weight.clone())
            total = state.setdefault("total", torch.zeros_like(weight))
            penalty = group["weight_decay"] * weight
            total.add_(weight.grad + penalty, alpha=group["lr"])
            weight.copy_(start - total)


class RebuildsWhatIsDriven(RebuildsFromStart):
    """The same, and leaves a weight alone whose gradient is zero."""

    def move(self, group, weights):
        super().move(group, [w for w in weights if w.grad.abs().max() > 0])


class DecaysLaterWhatIsDriven(RebuildsWhatIsDriven):
    """The same from its fourteenth step on: after any rehearsal of that."""

    def move(self, group, weights):
        for weight in weights:
            count = self.state[weight]["count"] = self.state[weight].get("count", 0) + 1
            if count < 14:
                weight.sub_(weight.grad, alpha=group["lr"])
            else:
                super().move(group, [weight])


class _Masters(EachWeight):
    """Adam on float32 copies of its 16-bit weights, rounded into these (apex)."""

    built = MappingProxyType({"lr": 1e-3, "weight_decay": 0.0, "eps": 1e-8})
    decoupled = True

    def move(self, group, weight):
        state = self.state[weight]
        is_narrow = weight.dtype in (torch.bfloat16, torch.float16)
        master = state.setdefault("master", weight.float()) if is_narrow else weight
        gradient = weight.grad.to(master.dtype)
        if self.decoupled:
            master.mul_(1 - group["lr"] * group["weight_decay"])
        else:
            gradient = gradient + group["weight_decay"] * master
        mean = state.setdefault("mean", torch.zeros_like(master))
        square = state.setdefault("square", torch.zeros_like(master))
        steps = state["steps"] = state.get("steps", 0) + 1
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient * gradient, 1e-3)
        size = (square / (1 - 0.999**steps)).sqrt() + group["eps"]
        master.addcdiv_(mean / (1 - 0.9**steps), size, value=-group["lr"])
        weight.copy_(master)


class DecoupledMasters(_Masters):
    """Decays the float32 copies: longer than 16 bits could."""


class CoupledMasters(_Masters):
    """Has a penalty, so the weights would have to be multiplied from outside."""

    decoupled = False
