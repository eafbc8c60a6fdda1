"""A small training for every loop: what is driven, what only decays, what was seen."""

import math
from dataclasses import dataclass, field
from itertools import count

import torch
from torch import nn

BATCH, EPOCHS = 4, 3
PEAK = 0.1


def at_rest():
    """Where the matrix that can only decay begins."""
    return torch.linspace(0.5, 2, 64).view(8, 8)


class Net(nn.Module):
    """A layer that learns, and a matrix whose gradient is zero: it can only decay."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.at_rest = nn.Parameter(at_rest())

    def forward(self, inputs, labels):
        error = self.layer(inputs).squeeze(-1) - labels
        return {"loss": error.square().mean() + 0 * self.at_rest.sum()}


def net(recipe):
    """The same net every time; at some backward passes its gradient overflows."""
    torch.manual_seed(7)
    made = Net()
    passes = count()
    made.layer.weight.register_hook(
        lambda gradient: (
            gradient * (math.inf if next(passes) in recipe.overflow_at else 1)
        )
    )
    return made


def examples(number=20):
    """The same data every time: a list is a data set for all three."""
    seed = torch.Generator().manual_seed(11)
    inputs = torch.randn(number, 4, generator=seed)
    labels = inputs.sum(1)
    return [{"inputs": x, "labels": y} for x, y in zip(inputs, labels, strict=True)]


class Stream(torch.utils.data.IterableDataset):
    """The same data without a length."""

    def __iter__(self):
        return iter(examples())


@dataclass(kw_only=True)
class Recipe:
    """What a loop does; every harness reads it."""

    half_life: str | None = "2 epochs"
    schedule: str = "follow-lr"
    optimizer: str = "AdamW"
    groups: str = "one"
    weight_decay: float = 0.0  # of the group that is not the one of biases
    warm_up: int = 0
    accumulation: int = 1
    drop_last: bool = False
    bf16: bool = False
    held_before_prepare: bool = False  # Accelerate alone has a choice
    stream: bool = False
    examples: int = 20
    scaler: str = ""  # "", "fused" or "unfused": how the optimizer meets a loss scale
    overflow_at: tuple = ()
    save_at: int | None = None
    resume_from: object = None
    facts: dict = field(default_factory=dict)


@dataclass(kw_only=True)
class Seen:
    """What a training showed."""

    lrs: list
    net: Net
    controller: object

    @property
    def kept(self):
        """What is left of the matrix at rest."""
        after = self.net.at_rest.detach().double()
        return (after / at_rest().double()).mean().item()

    def expected(self, half_life_steps, *, power=1):
        """What a half-life leaves along the lr that the loop really used."""
        shrink = 1 - 2 ** (-1 / half_life_steps)
        return math.prod(1 - shrink * (lr / PEAK) ** power for lr in self.lrs)


def factor(recipe):
    """The multiplier of the lr at each step: from 0 up, then a cosine down to 0.2."""

    def multiplier(step):
        if step < recipe.warm_up:
            return step / recipe.warm_up
        return 0.6 + 0.4 * math.cos(math.pi * (step - recipe.warm_up) / 20)

    return multiplier


def optimizer_of(recipe, model):
    """A torch optimizer of a recipe, on one group or on the usual two."""
    options = {"momentum": 0.9} if recipe.optimizer == "SGD" else {}
    if recipe.scaler:
        options["fused"] = recipe.scaler == "fused"
    vectors = [model.layer.bias]
    matrices = [model.layer.weight, model.at_rest]
    groups = {
        "one": [{"params": matrices + vectors}],
        "two": [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": vectors},
        ],
    }[recipe.groups]
    options |= {"weight_decay": 0.0}
    return getattr(torch.optim, recipe.optimizer)(groups, lr=PEAK, **options)


def recording(optimizer):
    """The list that gets the lr of every step that is not skipped inside."""
    lrs = []

    def record(self, *_):
        if not getattr(self, "found_inf", None):
            lrs.append(self.param_groups[0]["lr"])

    optimizer.register_step_pre_hook(record)
    return lrs


def loss_scale():
    """A scaler of the CPU: the path of fp16 without a GPU."""
    return torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=10_000)


def data_of(recipe):
    """The data of a recipe."""
    return Stream() if recipe.stream else examples(recipe.examples)
