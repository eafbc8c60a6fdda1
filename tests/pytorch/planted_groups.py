"""Programs with several groups or optimizers, each right but for what it is named."""

from dataclasses import replace
from functools import partial

import torch
from pytorch.planted_programs import Program, TinyGpt, backward, cnn, grouped, mlp
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.pytorch.groups import decay_groups

RUN = Run(batch_size=128, dataset_size=50_000, epochs=90)
SHORT = Run(batch_size=128, dataset_size=50_000, epochs=3)


class Net(nn.Module):
    """Three stages of one kind, whose matrices may have separate groups."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.denorm_proj = nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.denorm_proj(self.stem(x)).relu())


def _matrices(net):
    return [net.stem.weight, net.denorm_proj.weight, net.head.weight]


def _vectors(net):
    return [net.stem.bias, net.denorm_proj.bias, net.head.bias]


def _by_stage(net, lrs, decays):
    groups = [
        {"params": [each], "lr": lr, "weight_decay": decay}
        for each, lr, decay in zip(_matrices(net), lrs, decays, strict=True)
    ]
    return [*groups, {"params": _vectors(net), "weight_decay": 0.0}]


PROGRAMS = {}


def program(build):
    """Keep what builds a program under its name."""
    PROGRAMS[build.__name__] = build
    return build


EQUAL, TORCHS = (1e-3, 1e-3, 1e-3), torch.optim
SWINGING = {"lr": 0.1, "momentum": 0.99}
# A group for each of three stages: its lr, its decay; the run, optimizer and options.
STAGES = {
    # Fine-tuning with three lrs: the two slow ones hardly decay.
    "three_lrs": ((5e-5, 3e-4, 2e-3), (0.05,) * 3, RUN, TORCHS.AdamW, {}),
    # 5e-5 was typed for 5e-2 in one group of three.
    "typo_in_one_group": (EQUAL, (0.05, 5e-5, 0.05), RUN, TORCHS.AdamW, {}),
    # Adam's L2 in two groups, whose lrs differ.
    "adam_at_two_lrs": (
        (1e-4, 1e-3, 1e-3), (0.01, 0.01, 0.0), RUN, TORCHS.Adam, {"eps": 1e-6}
    ),
    # Three epochs, one group too weak, one too strong, one that is right.
    "short_fine_tuning": (EQUAL, (0.2, 2.0, 0.9), SHORT, TORCHS.AdamW, {}),
    # Momentum 0.99 and a strong decay in one group of two.
    "swinging_in_one_group": (
        (0.1, 0.1, 1e-3), (5e-4,) * 3, RUN, TORCHS.SGD, SWINGING
    ),
    # A backbone at lr 1e-6 whose decay float32 rounds away, beside a head.
    "narrow_decay_beside_a_wide_one": (
        (1e-6, 1e-3, 1e-3), (0.01, 0.1, 0.1), RUN, TORCHS.AdamW, {}
    ),
}  # fmt: skip


def staged(name):
    net, (lrs, decays, run, kind, options) = Net(), STAGES[name]
    groups = _by_stage(net, lrs, decays)
    return Program(net, kind(groups, **{"lr": max(lrs), **options}), run=run)


PROGRAMS |= {name: partial(staged, name) for name in STAGES}


@program
def two_decays():
    """A backbone and a head with a decay each, biases among them."""
    net = Net()
    groups = [
        {"params": [*net.stem.parameters(), *net.denorm_proj.parameters()]},
        {"params": net.head.parameters(), "lr": 1e-3, "weight_decay": 0.3},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-5, weight_decay=0.01)
    return Program(net, optimizer, run=RUN)


@program
def layer_decay():
    """An lr that falls by layers, under a cosine, as MAE is fine-tuned."""
    net = Net()
    lrs = [5e-4 * 0.1**depth for depth in (2, 1, 0)]
    optimizer = torch.optim.AdamW(
        _by_stage(net, lrs, (0.05,) * 3), lr=5e-4, betas=(0.9, 0.95)
    )
    run = replace(RUN, schedule=Schedule(shape="cosine"))
    return Program(net, optimizer, run=run)


@program
def gan():
    """Two optimizers over two networks; everything in them decays."""
    nets = nn.ModuleDict({"generator": mlp(), "critic": mlp()})
    optimizers = [
        torch.optim.AdamW(nets["generator"].parameters(), lr=1e-4, weight_decay=0.05),
        torch.optim.AdamW(
            nets["critic"].parameters(), lr=4e-4, betas=(0.0, 0.9), weight_decay=0.1
        ),
    ]
    return Program(nets, optimizers, run=RUN)


@program
def muon_and_adamw():
    """Muon for the matrices, AdamW for the rest, whose biases decay."""
    model = TinyGpt()
    matrices, _ = (group["params"] for group in grouped(model, 0.1))
    ids = {id(each) for each in matrices}
    others = [each for each in model.parameters() if id(each) not in ids]
    optimizers = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1),
        torch.optim.AdamW(others, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1),
    ]
    return Program(model, optimizers, run=RUN)


@program
def muon_forgets():
    """Muon and AdamW share a model, and the norms are in neither."""
    model = TinyGpt()
    matrices, _ = (group["params"] for group in grouped(model, 0.1))
    embeddings = [model.wte.weight, model.wpe.weight, model.ln_f.weight]
    optimizers = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1),
        torch.optim.AdamW(embeddings, lr=3e-4, weight_decay=0.0),
    ]
    return Program(model, optimizers, run=RUN)


@program
def two_rmsprops():
    """Coupled adaptive decay in one of two optimizers, at two lrs."""
    nets = nn.ModuleDict({"a": mlp(), "b": mlp()})
    optimizers = [
        torch.optim.RMSprop(grouped(nets["a"], 0.01), lr=1e-3, momentum=0.9),
        torch.optim.AdamW(grouped(nets["b"], 0.1), lr=1e-3),
    ]
    return Program(nets, optimizers, run=RUN)


@program
def fused_options():
    """All in one group of SGD, with options that no line may lose."""
    model = cnn()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    scheduler = CosineAnnealingLR(optimizer, 90 * 100)
    run = Run(batch_size=128, dataset_size=12_800, epochs=90)
    return Program(model, optimizer, scheduler, run, torch.randn(4, 3, 12, 12))


@program
def embeddings_and_biases():
    """All of a language model decays: biases, gains, embeddings and weights."""
    model = TinyGpt()
    backward(model, torch.tensor([[1, 2, 3, 4]]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    return Program(model, optimizer, run=RUN)


@program
def own_groups_of_a_normalization():
    """Groups of decay_groups with a bias that was added by hand."""
    net = Net()
    groups = decay_groups(net, weight_decay=0.1, lr_scales={"head.*": 10.0}, lr=1e-4)
    optimizer = torch.optim.AdamW(groups, lr=1e-4)
    return Program(net, optimizer, run=RUN)


@program
def resting_group():
    """An lr of 0 freezes the stem; the biases of the head decay."""
    net = Net()
    groups = [
        {"params": net.stem.parameters(), "lr": 0.0},
        {"params": [*net.denorm_proj.parameters(), *net.head.parameters()]},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    return Program(net, optimizer, run=RUN)


@program
def spared_by_a_name():
    """A list of names with norm in it spares a matrix."""
    net = Net()
    spared = ("bias", "norm")
    named = list(net.named_parameters())
    groups = [
        {"params": [p for n, p in named if not any(w in n for w in spared)]},
        {
            "params": [p for n, p in named if any(w in n for w in spared)],
            "weight_decay": 0.0,
        },
    ]
    return Program(net, torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1), run=RUN)


@program
def wrong_way_round():
    """Only the biases decay."""
    net = Net()
    groups = [
        {"params": _vectors(net), "weight_decay": 0.1},
        {"params": _matrices(net), "weight_decay": 0.0},
    ]
    return Program(net, torch.optim.AdamW(groups, lr=1e-3), run=RUN)
