"""The catalogue of planted faults: small programs with exactly one fault each."""

import warnings
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


@fault("DW001", "a bias in the decaying group")
def _():
    model = mlp()
    return Program(model, adamw(model, also=["0.bias"]))


@fault("DW001", "all parameters of plain layers to SGD")
def _():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=5e-4)
    return Program(model, optimizer)


@fault("DW001", "a scale of a layer, a vector that is no bias")
def _():
    model = nn.Sequential(nn.Linear(8, 16), nn.PReLU(16), nn.Linear(16, 4))
    return Program(model, adamw(model, also=["1.weight"]))


@fault("DW002", "the gain of a LayerNorm")
def _():
    model = mlp()
    return Program(model, adamw(model, also=["2.weight"]))


@fault("DW002", "BatchNorm in a network without biases")
def _():
    model = nn.Sequential(*cnn()[:-1], nn.Linear(8, 4, bias=False))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4
    )
    return Program(model, optimizer)


@fault("DW002", "a norm of the user's own")
def _():
    model = nn.Sequential(nn.Linear(8, 16), RmsNorm(16), nn.Linear(16, 4))
    return Program(model, adamw(model, also=["1.gain"]))


@fault("DW003", "both embeddings")
def _():
    model = TinyGpt()
    return Program(model, adamw(model, also=["wte.weight", "wpe.weight"]))


@fault("DW004", "a head that came after the optimizer")
def _():
    model = mlp()
    optimizer = adamw(model)
    model[3] = nn.Linear(16, 7)
    return Program(model, optimizer)


@fault("DW004", "a pattern of names that misses some")
def _():
    model = TinyGpt()
    return Program(model, adamw(model, without=["ln_f.weight", "ln_f.bias"]))


@fault("DW029", "a scheduler of the optimizer of before")
def _():
    model = mlp()
    scheduler = StepLR(adamw(model), 1000)
    return Program(model, adamw(model), scheduler)


@fault("DW005", "the same weight twice in a group")
def _():
    model = mlp()
    groups = grouped(model, 0.1)
    groups[0]["params"].append(model[0].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says so, once, and goes on
        return Program(model, torch.optim.AdamW(groups, lr=1e-3))


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


def _adaptive(name, lr):
    model = mlp()
    optimizer = getattr(torch.optim, name)
    return Program(model, optimizer(grouped(model, 0.01), lr=lr))


for each, its_lr in (
    ("Adam", 1e-3),
    ("NAdam", 1e-3),
    ("RAdam", 1e-3),
    ("RMSprop", 1e-3),
    ("Adagrad", 1e-2),
    ("Adamax", 1e-3),
    ("Adadelta", 1.0),
):
    fault("DW008", each)(lambda name=each, lr=its_lr: _adaptive(name, lr))


@fault("DW009", "AdamW on bfloat16 weights")
def _():
    model = mlp().bfloat16()
    return Program(model, adamw(model))


@fault("DW009", "a tiny lr in float32")
def _():
    model = mlp()
    return Program(model, adamw(model, lr=1e-6, weight_decay=0.01))


@fault("DW010", "a short fine-tuning")
def _():
    model = mlp()
    return Program(model, adamw(model, weight_decay=0.01), run=Run(steps=20_000))


@fault("DW010", "a cosine that halves what would have been enough")
def _():
    model = mlp()
    run = Run(steps=8000, schedule=Schedule(shape="cosine"))
    return Program(model, adamw(model), run=run)


@fault("DW011", "half an epoch")
def _():
    model = mlp()
    run = Run(batch_size=100, dataset_size=100_000, epochs=10)
    return Program(model, adamw(model, weight_decay=1.0), run=run)


@fault("DW012", "momentum 0.99")
def _():
    model = mlp()
    groups = grouped(model, 5e-4)
    return Program(model, torch.optim.SGD(groups, lr=0.1, momentum=0.99))


@fault("DW013", "the lambd of ASGD")
def _():
    model = mlp()
    groups = grouped(model, 0.0)[:1]
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.ndim > 1)
    return Program(model, torch.optim.ASGD(groups, lr=0.1))


@fault("DW014", "layer-wise lr")
def _():
    model = mlp()
    groups = grouped(model, 0.05)
    first = [model[0].weight]
    groups[0]["params"] = [model[3].weight]
    groups.append({"params": first, "lr": 1e-5, "weight_decay": 0.05})
    return Program(model, torch.optim.AdamW(groups, lr=1e-3))


@fault("DW015", "tokens that the batch lacks")
def _():
    model = TinyGpt()
    backward(model, torch.tensor([[1, 2, 3, 4]]))
    return Program(model, adamw(model, also=["wte.weight"]))


@fault("DW015", "a padding row that was loaded with numbers")
def _():
    model = TinyGpt()
    model.wte = nn.Embedding(20, 16, padding_idx=0)
    nn.init.normal_(model.wte.weight)
    return Program(model, adamw(model, also=["wte.weight"]))


@fault("DW016", "convolutions before BatchNorm")
def _():
    model = cnn()
    groups = grouped(model, 1e-4)
    return Program(model, torch.optim.SGD(groups, lr=0.1, momentum=0.9))


@fault("DW016", "weight_norm")
def _():
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 16)),
        nn.ReLU(),
        nn.Linear(16, 4),
    )
    decayed = [model[0].parametrizations.weight.original1, model[2].weight]
    ids = {id(each) for each in decayed}
    others = [each for each in model.parameters() if id(each) not in ids]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    return Program(model, torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1))


@fault("DW018", "layer decay under a scheduler of torch")
def _():
    model = mlp()
    optimizer = adamw(model)
    for group, scale in zip(optimizer.param_groups, (0.1, 1.0), strict=True):
        group["lr_scale"] = scale
    return Program(model, optimizer, scheduler=StepLR(optimizer, 10))


@fault("DW019", "an Adam that decouples")
def _():
    model = mlp()
    return Program(model, SilentAdam(grouped(model, 0.1), lr=1e-3))


@fault("DW020", "a weight decay out of a YAML file")
def _():
    model = mlp()
    optimizer = adamw(model)
    optimizer.param_groups[0]["weight_decay"] = "1e-1"
    return Program(model, optimizer)


@fault("DW021", "SGD as it comes")
def _():
    model = mlp()
    return Program(model, torch.optim.SGD(model.parameters(), lr=0.1))


@fault("DW022", "frozen after a backward")
def _():
    model = mlp()
    optimizer = adamw(model)
    backward(model, torch.ones(2, 8))
    model[0].weight.requires_grad_(requires_grad=False)
    model[0].weight.grad.zero_()
    return Program(model, optimizer)


@fault("DW022", "an optimizer that fills in zeros")
def _():
    model = mlp()
    model[0].weight.requires_grad_(requires_grad=False)
    return Program(model, FillingSgd(grouped(model, 1e-3), lr=0.1))


@fault("DW024", "more than all of a weight")
def _():
    model = mlp()
    return Program(model, adamw(model, lr=0.1, weight_decay=12.0))


@fault("DW024", "SGD without momentum overshoots")
def _():
    model = mlp()
    return Program(model, torch.optim.SGD(grouped(model, 0.5), lr=10.0))


@fault("DW026", "a decay that the schedule leaves alone")
def _():
    model = mlp()
    optimizer = FixedDecay(grouped(model, 1e-4), lr=0.1)
    run = Run(steps=50_000, schedule=Schedule(shape="cosine"))
    return Program(model, optimizer, run=run)


@fault("DW027", "an optimizer that forgets its weight_decay")
def _():
    model = mlp()
    return Program(model, DeafSgd(grouped(model, 1e-3), lr=0.1))


@fault("DW028", "a decay under another name")
def _():
    model = mlp()
    groups = grouped(model, 0.1)
    groups[0]["wd"] = groups[0].pop("weight_decay") / 2
    return Program(model, torch.optim.AdamW(groups, lr=1e-3))


@fault("DW028", "a typing mistake in a group")
def _():
    model = mlp()
    groups = grouped(model, 0.1)
    groups[0]["weigth_decay"] = 0.3
    return Program(model, torch.optim.AdamW(groups, lr=1e-3))


@fault("DW028", "a factor that no scheduler reads")
def _():
    model = mlp()
    groups = grouped(model, 0.1)
    groups[0]["lr_mult"] = 0.1
    return Program(model, torch.optim.AdamW(groups, lr=1e-3))


@fault("DW040", "only embeddings decay")
def _():
    model = TinyGpt()
    embeddings = [model.wte.weight, model.wpe.weight]
    ids = {id(each) for each in embeddings}
    others = [each for each in model.parameters() if id(each) not in ids]
    groups = [{"params": embeddings}, {"params": others, "weight_decay": 0.0}]
    return Program(model, torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1))


@fault("DW041", "the fourth argument")
def _():
    model = mlp()
    groups = grouped(model, 0.01)
    return Program(model, torch.optim.AdamW(groups, 1e-3, (0.9, 0.999), 0.1))
