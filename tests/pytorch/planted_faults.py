"""The catalogue of planted faults: small programs with exactly one fault each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pytorch.planted_modules import (
    DeafSgd,
    FillingSgd,
    FixedDecay,
    RmsNorm,
    SilentAdam,
)
from pytorch.planted_programs import (
    Program,
    TinyGpt,
    adamw,
    backward,
    cnn,
    grouped,
    mlp,
)
from torch import nn
from torch.optim.lr_scheduler import StepLR

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.pytorch.penalty import L2Penalty


@dataclass(frozen=True)
class Fault:
    """A code and a program with that fault and no other."""

    code: str
    name: str
    build: Callable[[], Program]

    def __str__(self):
        return f"{self.code}-{self.name}"


FAULTS: list[Fault] = []


def fault(code, name):
    def add(build):
        FAULTS.append(Fault(code, name.replace(" ", "-"), build))
        return build

    return add


def with_norm():
    return nn.Sequential(nn.Linear(8, 16), RmsNorm(16), nn.Linear(16, 4))


def with_scale():
    return nn.Sequential(nn.Linear(8, 16), nn.PReLU(16), nn.Linear(16, 4))


COSINE = Schedule(shape="cosine")
EPOCHS = Run(batch_size=100, dataset_size=100_000, epochs=10)
# What AdamW at lr 1e-3 and 0.1 on the matrices is given beside, and the run.
UNDER_ADAMW = [
    ("DW001", "a bias in the decaying group", mlp, {"also": ["0.bias"]}, None),
    ("DW001", "a scale, which is no bias", with_scale, {"also": ["1.weight"]}, None),
    ("DW002", "the gain of a LayerNorm", mlp, {"also": ["2.weight"]}, None),
    ("DW002", "a norm of the user's own", with_norm, {"also": ["1.gain"]}, None),
    ("DW003", "both embeddings", TinyGpt, {"also": ["wte.weight", "wpe.weight"]}, None),
    ("DW004", "a pattern that misses some", TinyGpt,
     {"without": ["ln_f.weight", "ln_f.bias"]}, None),
    ("DW009", "bfloat16 weights", lambda: mlp().bfloat16(), {}, None),
    ("DW009", "a tiny lr in float32", mlp, {"lr": 1e-6, "weight_decay": 0.01}, None),
    ("DW010", "a short fine-tuning", mlp, {"weight_decay": 0.01}, Run(steps=20_000)),
    # Without its schedule it would have been enough.
    ("DW010", "half by a cosine", mlp, {}, Run(steps=8000, schedule=COSINE)),
    ("DW011", "half an epoch", mlp, {"weight_decay": 1.0}, EPOCHS),
    ("DW024", "all of a weight", mlp, {"lr": 0.1, "weight_decay": 12.0}, None),
]  # fmt: skip
for code_, name_, build_, options_, run_ in UNDER_ADAMW:

    @fault(code_, name_)
    def _(build=build_, options=options_, run=run_):
        model = build()
        return Program(model, adamw(model, **options), run=run)


TORCHS = torch.optim
# Optimizers whose matrices decay by a number.
UNDER_OTHERS = [
    *(
        ("DW008", name, mlp, 0.01, getattr(TORCHS, name), {"lr": 1e-3})
        for name in ("Adam", "NAdam", "RAdam", "RMSprop", "Adamax")
    ),
    ("DW008", "Adagrad", mlp, 0.01, TORCHS.Adagrad, {"lr": 1e-2}),
    ("DW008", "Adadelta", mlp, 0.01, TORCHS.Adadelta, {"lr": 1.0}),
    ("DW012", "momentum 0.99", mlp, 5e-4, TORCHS.SGD, {"lr": 0.1, "momentum": 0.99}),
    ("DW016", "convolutions before BatchNorm", cnn, 1e-4, TORCHS.SGD,
     {"lr": 0.1, "momentum": 0.9}),
    ("DW019", "an Adam that decouples", mlp, 0.1, SilentAdam, {"lr": 1e-3}),
    ("DW024", "SGD without momentum overshoots", mlp, 0.5, TORCHS.SGD, {"lr": 10.0}),
    ("DW026", "left alone by the schedule", mlp, 1e-4, FixedDecay, {"lr": 0.1}),
    ("DW027", "it forgets its weight_decay", mlp, 1e-3, DeafSgd, {"lr": 0.1}),
    # AdamW(groups, 1e-3, (0.9, 0.999), 0.1): the fourth argument is eps.
    ("DW041", "the fourth argument", mlp, 0.01, TORCHS.AdamW, {"lr": 1e-3, "eps": 0.1}),
]  # fmt: skip
LONG = Run(steps=50_000, schedule=COSINE)
for code_, name_, build_, decay_, kind_, options_ in UNDER_OTHERS:

    @fault(code_, name_)
    def _(build=build_, decay=decay_, kind=kind_, options=options_, code=code_):
        model = build()
        optimizer = kind(grouped(model, decay), **options)
        return Program(model, optimizer, run=LONG if code == "DW026" else None)


def planted(code, build=mlp, **options):
    """Plant a fault into a model and its AdamW once both are there."""

    def add(plant):
        @fault(code, plant.__name__.replace("_", " "))
        def _():
            model = build()
            optimizer = adamw(model, **options)
            return Program(model, optimizer, plant(model, optimizer))

    return add


@planted("DW004")
def a_head_that_came_after_the_optimizer(model, _):
    model[3] = nn.Linear(16, 7)


@planted("DW005")
def the_same_weight_twice_in_a_group(model, optimizer):
    optimizer.param_groups[0]["params"].append(model[0].weight)


@planted("DW014")
def layer_wise_lr(model, optimizer):
    optimizer.param_groups[0]["params"] = [model[3].weight]
    first = {"params": [model[0].weight], "lr": 1e-5, "weight_decay": 0.1}
    optimizer.add_param_group(first)


@planted("DW015", TinyGpt, also=["wte.weight"])
def tokens_that_the_batch_lacks(model, _):
    backward(model, torch.tensor([[1, 2, 3, 4]]))


@planted("DW015", TinyGpt, also=["wte.weight"])
def a_padding_row_that_was_loaded_with_numbers(model, _):
    model.wte.padding_idx = 0


@planted("DW018")
def layer_decay_under_a_scheduler_of_torch(_, optimizer):
    for group, scale in zip(optimizer.param_groups, (0.1, 1.0), strict=True):
        group["lr_scale"] = scale
    return StepLR(optimizer, 10)


@planted("DW020")
def a_weight_decay_out_of_a_yaml_file(_, optimizer):
    optimizer.param_groups[0]["weight_decay"] = "1e-1"


@planted("DW022")
def frozen_after_a_backward(model, _):
    backward(model, torch.ones(2, 8))
    model[0].weight.requires_grad_(requires_grad=False)
    model[0].weight.grad.zero_()


@planted("DW028", weight_decay=0.01)
def a_decay_under_another_name(_, optimizer):
    optimizer.param_groups[0]["wd"] = 0.05


@planted("DW028")
def a_typing_mistake_in_a_group(_, optimizer):
    optimizer.param_groups[0]["weigth_decay"] = 0.3


@planted("DW028")
def a_factor_that_no_scheduler_reads(_, optimizer):
    optimizer.param_groups[0]["lr_mult"] = 0.1


@planted("DW029")
def a_scheduler_of_the_optimizer_of_before(model, _):
    return StepLR(adamw(model), 1000)


def all_to_sgd(model, **options):
    """Every parameter decays."""
    return Program(model, TORCHS.SGD(model.parameters(), lr=0.1, **options))


@fault("DW001", "all parameters of plain layers to SGD")
def _():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    return all_to_sgd(model, weight_decay=5e-4)


@fault("DW002", "BatchNorm in a network without biases")
def _():
    model = nn.Sequential(*cnn()[:-1], nn.Linear(8, 4, bias=False))
    return all_to_sgd(model, momentum=0.9, weight_decay=1e-4)


@fault("DW021", "SGD as it comes")
def _():
    return all_to_sgd(mlp())


@fault("DW005", "two optimizers with the same head")
def _():
    model = mlp()
    first = adamw(model)
    second = torch.optim.AdamW([model[3].weight], lr=1e-3, weight_decay=0.1)
    return Program(model, [first, second])


@fault("DW006", "a head tied by its memory")
def _():
    model = TinyGpt()
    model.head.weight = nn.Parameter(model.wte.weight.detach())
    return Program(model, adamw(model))


@fault("DW007", "a penalty in the loss beside weight_decay")
def _():
    model = mlp()
    groups = grouped(model, 1e-3)
    model.penalty = L2Penalty(model, 1e-3)  # as long as the model lives
    return Program(model, torch.optim.SGD(groups, lr=0.1))


@fault("DW013", "the lambd of ASGD")
def _():
    model = mlp()
    groups = grouped(model, 0.0)[:1]
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.ndim > 1)
    return Program(model, torch.optim.ASGD(groups, lr=0.1))


def these_decay(model, decayed):
    """AdamW, whose decay only these get."""
    ids = {id(each) for each in decayed}
    others = [each for each in model.parameters() if id(each) not in ids]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    return Program(model, torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1))


@fault("DW016", "weight_norm")
def _():
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 16))
    model = nn.Sequential(normed, nn.ReLU(), nn.Linear(16, 4))
    direction = normed.parametrizations.weight.original1
    return these_decay(model, [direction, model[2].weight])


@fault("DW022", "an optimizer that fills in zeros")
def _():
    model = mlp()
    model[0].weight.requires_grad_(requires_grad=False)
    return Program(model, FillingSgd(grouped(model, 1e-3), lr=0.1))


@fault("DW040", "only embeddings decay")
def _():
    model = TinyGpt()
    return these_decay(model, [model.wte.weight, model.wpe.weight])
