"""Published recipes as their authors wrote them, each with its numbers and its source.

The networks are small; their kinds of layers are those of the real ones, and so are the
groups, the optimizer, the scheduler with its pace, and the length of the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from pytorch.planted_programs import Program, TinyGpt, cnn, grouped
from torch import nn
from torch.optim import lr_scheduler

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

IMAGENET, CIFAR = 1_281_167, 50_000
TO_A_TENTH = Schedule(shape="cosine", final=0.1)


@dataclass(frozen=True)
class Clean:
    """A recipe that is known to be good, and the program that it makes."""

    name: str
    source: str
    build: Callable[[], Program]

    def __str__(self):
        return self.name


RECIPES: list[Clean] = []


def recipe(name, source):
    def add(build):
        RECIPES.append(Clean(name.replace(" ", "-"), source, build))
        return build

    return add


class TinyViT(nn.Module):
    """Patches, a class token, pre-norm blocks and a head."""

    def __init__(self, blocks=2, width=16):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, 4, stride=4)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, width))
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 4)


class _Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )


def sgd_of_all(model, *, lr, weight_decay, momentum=0.9, nesterov=False):
    """One group: all parameters decay, norms and biases too."""
    return torch.optim.SGD(
        model.parameters(),
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=nesterov,
    )


def images(batch_size, epochs, *, dataset_size=IMAGENET, **facts):
    return Run(batch_size=batch_size, dataset_size=dataset_size, epochs=epochs, **facts)


def warm_then_cosine(optimizer, warmup, total):
    rise = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=warmup)
    fall = lr_scheduler.CosineAnnealingLR(optimizer, total - warmup)
    return lr_scheduler.SequentialLR(optimizer, [rise, fall], [warmup])


def linear_after(optimizer, warmup, total):
    """Return what transformers calls get_linear_schedule_with_warmup."""

    def share(step):
        if step < warmup:
            return step / max(1, warmup)
        return max(0.0, (total - step) / max(1, total - warmup))

    return lr_scheduler.LambdaLR(optimizer, share)


def cosine_to_a_tenth(optimizer, total):
    return lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.55 + 0.45 * math.cos(math.pi * min(1, step / total))
    )


BETAS, TABLES = (0.9, 0.95), ["wte.weight", "wpe.weight"]
OWT = {"batch_size": 480, "dataset_size": 8_823_810, "steps": 600_000}
CHARACTERS = {"batch_size": 64, "dataset_size": 3921, "steps": 5000}
TOKENS_950B = {"batch_size": 1024, "dataset_size": 464_000_000, "epochs": 3}
BOOKS = {"batch_size": 256, "dataset_size": 6_400_000, "steps": 1_000_000}
# AdamW on a language model: decay, lr, second moment's beta and the first, what decays
# besides matrices, the scheduler, the run.
LANGUAGE_MODELS = [
    ("Trainer with 0.01", "transformers' examples: lr 5e-5, 3 epochs, linear",
     0.01, 5e-5, (0.9, 0.999), (), lambda it: linear_after(it, 0, 6315),
     images(32, 3, dataset_size=67_349)),
    ("BERT-base", "Devlin et al. 2019 (1810.04805), section A.2: 40 epochs",
     0.01, 1e-4, (0.9, 0.999), (), lambda it: linear_after(it, 10_000, 1_000_000),
     Run(**BOOKS)),
    ("GPT-3 175B", "Brown et al. 2020 (2005.14165), appendix B",
     0.1, 6e-5, BETAS, (), lambda it: cosine_to_a_tenth(it, 81_250), Run(steps=93_750)),
    ("LLaMA 7B", "Touvron et al. 2023 (2302.13971), table 2",
     0.1, 3e-4, BETAS, (), lambda it: cosine_to_a_tenth(it, 250_000),
     Run(steps=250_000)),
    ("nanoGPT GPT-2 124M", "karpathy/nanoGPT@3adf61e1, config/train_gpt2.py",
     0.1, 6e-4, BETAS, TABLES, None, Run(**OWT, schedule=TO_A_TENTH)),
    ("nanoGPT Shakespeare", "karpathy/nanoGPT, config/train_shakespeare_char.py",
     0.1, 1e-3, (0.9, 0.99), TABLES, None, Run(**CHARACTERS, schedule=TO_A_TENTH)),
    ("TinyLlama 1.1B", "Zhang et al. 2024 (2401.02385): 3 epochs of 950B tokens",
     0.1, 4e-4, BETAS, (), None, Run(**TOKENS_950B, schedule=TO_A_TENTH)),
]  # fmt: skip


def language_model(decay, lr, betas, *facts):
    (also, scheduled, run), model = facts, TinyGpt()
    groups = grouped(model, decay, also=also)
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=betas)
    return Program(model, optimizer, scheduled and scheduled(optimizer), run)


def steps_at(*milestones, factor=0.1):
    return lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, factor)


def steps_of(epochs, factor=0.1):
    return lambda optimizer: lr_scheduler.StepLR(optimizer, epochs, factor)


# SGD on all of a network: lr, decay, Nesterov, the scheduler, the run.
NETWORKS = [
    ("ResNet-50", "He et al. 2016 (1512.03385), section 3.4; torchvision's script",
     0.1, 1e-4, False, steps_of(30), images(256, 90)),
    ("WRN-28-10", "Zagoruyko & Komodakis 2016 (1605.07146), section 3",
     0.1, 5e-4, True, steps_at(60, 120, 160, factor=0.2),
     images(128, 200, dataset_size=CIFAR)),
    ("DenseNet", "Huang et al. 2017 (1608.06993), section 4.2",
     0.1, 1e-4, True, steps_at(150, 225), images(64, 300, dataset_size=CIFAR)),
    ("MobileNetV2", "torchvision, references/classification, MobileNetV2",
     0.045, 4e-5, False, steps_of(1, 0.98), images(256, 300)),
]  # fmt: skip


def network(lr, decay, nesterov, scheduled, run):
    model = cnn()
    optimizer = sgd_of_all(model, lr=lr, weight_decay=decay, nesterov=nesterov)
    return Program(model, optimizer, scheduled(optimizer), run)


for build_, table in ((language_model, LANGUAGE_MODELS), (network, NETWORKS)):
    for name_, source_, *facts_ in table:
        recipe(name_, source_)(partial(build_, *facts_))


@recipe("nnU-Net", "Isensee et al. 2021 (1809.10486), nnUNetTrainer")
def _():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.InstanceNorm2d(8, affine=True))
    optimizer = sgd_of_all(
        model, lr=0.01, weight_decay=3e-5, momentum=0.99, nesterov=True
    )
    scheduler = lr_scheduler.PolynomialLR(optimizer, 1000, 0.9)
    # 250 steps are an epoch, whatever the data.
    return Program(model, optimizer, scheduler, images(2, 1000, dataset_size=500))


@recipe("Mask R-CNN 1x", "detectron2, Base-RCNN-FPN.yaml: 90,000 steps of 16 images")
def _():
    model = cnn()
    model[0].requires_grad_(requires_grad=False)  # the stem of the backbone
    optimizer = sgd_of_all(model, lr=0.02, weight_decay=1e-4)
    scheduler = lr_scheduler.MultiStepLR(optimizer, [60_000, 80_000])
    run = Run(batch_size=16, dataset_size=118_287, steps=90_000)
    return Program(model, optimizer, scheduler, run)


@recipe("EfficientNet-B0", "Tan & Le 2019 (1905.11946), section 5.2")
def _():
    model = cnn()
    optimizer = torch.optim.RMSprop(
        grouped(model, 1e-5), lr=0.256, alpha=0.9, momentum=0.9, eps=1e-3
    )
    # 0.97 every 2.4 epochs of 313 steps.
    scheduler = lr_scheduler.StepLR(optimizer, 751, 0.97)
    return Program(model, optimizer, scheduler, images(4096, 350))


@recipe("ConvNeXt-T", "Liu et al. 2022 (2201.03545), table 5")
def _():
    model = cnn()
    optimizer = torch.optim.AdamW(grouped(model, 0.05), lr=4e-3)
    return Program(
        model, optimizer, warm_then_cosine(optimizer, 20, 300), images(4096, 300)
    )


@recipe("DeiT-S", "Touvron et al. 2021 (2012.12877), table 9")
def _():
    model = TinyViT()
    optimizer = torch.optim.AdamW(grouped(model, 0.05), lr=1e-3)
    return Program(
        model, optimizer, warm_then_cosine(optimizer, 5, 300), images(1024, 300)
    )


@recipe("MAE fine-tuning of ViT-L", "He et al. 2022 (2111.06377), FINETUNE.md")
def _():
    model = TinyViT(blocks=24, width=4)
    optimizer = torch.optim.AdamW(_by_depth(model, 0.75, 4e-3), lr=4e-3)
    run = images(1024, 50, schedule=Schedule(shape="cosine", warmup=0.1))
    return Program(model, optimizer, None, run)


def _by_depth(model, factor, lr):
    """Groups of layers, each with its lr and with 0.05 or none, as MAE builds them."""
    groups = {}
    for name, parameter in model.named_parameters():
        depth = int(name.split(".")[1]) + 1 if name.startswith("blocks") else 0
        depth = 25 if name.startswith(("norm", "head")) else depth
        decay = 0.05 if parameter.ndim > 1 and "token" not in name else 0.0
        decay = 0.0 if name == "pos_embed" else decay
        group = groups.setdefault(
            (depth, decay),
            {"params": [], "lr": lr * factor ** (25 - depth), "weight_decay": decay},
        )
        group["params"].append(parameter)
    return list(groups.values())


@recipe("DCGAN", "Radford et al. 2016 (1511.06434), section 4; torch's tutorial")
def _():
    nets = nn.ModuleDict({"generator": cnn(), "discriminator": cnn()})
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for net in nets.values()
    ]
    return Program(nets, optimizers, None, images(128, 5, dataset_size=202_599))


@recipe("MoCo linear probe", "He et al. 2020 (1911.05722), main_lincls.py")
def _():
    model = cnn()
    model.requires_grad_(requires_grad=False)
    model[-1].requires_grad_(requires_grad=True)
    optimizer = torch.optim.SGD(
        model[-1].parameters(), lr=30.0, momentum=0.9, weight_decay=0.0
    )
    scheduler = lr_scheduler.MultiStepLR(optimizer, [60, 80])
    return Program(model, optimizer, scheduler, images(256, 100))


@recipe("torchvision transfer", "torch's transfer-learning tutorial")
def _():
    model = cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer, 7)
    return Program(model, optimizer, scheduler, images(4, 25, dataset_size=244))


@recipe("BERT fine-tuning", "Hugging Face course, chapter 3: AdamW(all, lr=5e-5)")
def _():
    model = TinyGpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5)
    run = images(8, 3, dataset_size=3668)
    return Program(model, optimizer, linear_after(optimizer, 0, 1377), run)


@recipe("LoRA without decay", "Hu et al. 2022 (2106.09685), peft's examples")
def _():
    model = TinyGpt()
    model.requires_grad_(requires_grad=False)
    model.head.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(model.head.parameters(), lr=2e-4, weight_decay=0.0)
    return Program(model, optimizer, None, images(16, 3, dataset_size=10_000))


@recipe("AWD-LSTM", "salesforce/awd-lstm-lm, README for PTB, before it averages")
def _():
    model = nn.ModuleList([nn.Embedding(20, 8), nn.LSTM(8, 8), nn.Linear(8, 20)])
    optimizer = torch.optim.SGD(model.parameters(), lr=30.0, weight_decay=1.2e-6)
    return Program(model, optimizer, None, images(20, 500, dataset_size=13_280))
