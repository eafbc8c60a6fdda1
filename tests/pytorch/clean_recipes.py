"""Published recipes as their authors wrote them, each with its numbers and its source.

The networks are small; their kinds of layers are those of the real ones, and so are the
groups, the optimizer, the scheduler with its pace, and the length of the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

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
    model: Callable[[], nn.Module]
    optimizer: Callable[[Any], Any]
    run: Run
    scheduled: Callable[[Any], Any] = field(default=lambda _: None)

    def __str__(self):
        return self.name.replace(" ", "-")

    def build(self):
        model = self.model()
        optimizer = self.optimizer(model)
        return Program(model, optimizer, self.scheduled(optimizer), self.run)


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


def segmenter():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.InstanceNorm2d(8, affine=True))


def recurrent():
    return nn.ModuleList([nn.Embedding(20, 8), nn.LSTM(8, 8), nn.Linear(8, 20)])


def with_frozen_stem():
    model = cnn()
    model[0].requires_grad_(requires_grad=False)
    return model


def head_alone(build, head):
    model = build().requires_grad_(requires_grad=False)
    model.get_submodule(head).requires_grad_()
    return model


def sgd(lr, decay, momentum=0.9, **more):
    """One group: all parameters decay, norms and biases too."""
    options = {"lr": lr, "weight_decay": decay, "momentum": momentum, **more}
    return lambda model: torch.optim.SGD(model.parameters(), **options)


def adamw(lr, decay, betas=(0.9, 0.999), also=()):
    """Matrices decay, and what is named."""
    return lambda model: torch.optim.AdamW(
        grouped(model, decay, also=also), lr=lr, betas=betas
    )


def of_trained(kind, **options):
    """Those that are not frozen, in one group."""
    return lambda model: kind(
        [p for p in model.parameters() if p.requires_grad], **options
    )


def two_adams(nets):
    return [
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for net in nets.values()
    ]


def by_depth(model, factor=0.75, lr=4e-3):
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
    return torch.optim.AdamW(list(groups.values()), lr=lr)


def images(batch_size, epochs, *, dataset_size=IMAGENET, **facts):
    return Run(batch_size=batch_size, dataset_size=dataset_size, epochs=epochs, **facts)


def warm_then_cosine(warmup, total):
    def scheduled(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=warmup)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, total - warmup)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], [warmup])

    return scheduled


def linear_after(warmup, total):
    """Return what transformers calls get_linear_schedule_with_warmup."""

    def share(step):
        if step < warmup:
            return step / max(1, warmup)
        return max(0.0, (total - step) / max(1, total - warmup))

    return lambda optimizer: lr_scheduler.LambdaLR(optimizer, share)


def cosine_to_a_tenth(total):
    def share(step):
        return 0.55 + 0.45 * math.cos(math.pi * min(1, step / total))

    return lambda optimizer: lr_scheduler.LambdaLR(optimizer, share)


def steps_at(*milestones, factor=0.1):
    return lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, factor)


def steps_of(every, factor=0.1):
    return lambda optimizer: lr_scheduler.StepLR(optimizer, every, factor)


BETAS, TABLES = (0.9, 0.95), ["wte.weight", "wpe.weight"]
OWT = {"batch_size": 480, "dataset_size": 8_823_810, "steps": 600_000}
CHARACTERS = {"batch_size": 64, "dataset_size": 3921, "steps": 5000}
TOKENS_950B = {"batch_size": 1024, "dataset_size": 464_000_000, "epochs": 3}
BOOKS = {"batch_size": 256, "dataset_size": 6_400_000, "steps": 1_000_000}
COCO = Run(batch_size=16, dataset_size=118_287, steps=90_000)
RECIPES = [
    Clean("Trainer with 0.01", "transformers' examples: lr 5e-5, 3 epochs, linear",
          TinyGpt, adamw(5e-5, 0.01), images(32, 3, dataset_size=67_349),
          linear_after(0, 6315)),
    Clean("BERT-base", "Devlin et al. 2019 (1810.04805), section A.2: 40 epochs",
          TinyGpt, adamw(1e-4, 0.01), Run(**BOOKS), linear_after(10_000, 1_000_000)),
    Clean("GPT-3 175B", "Brown et al. 2020 (2005.14165), appendix B",
          TinyGpt, adamw(6e-5, 0.1, BETAS), Run(steps=93_750),
          cosine_to_a_tenth(81_250)),
    Clean("LLaMA 7B", "Touvron et al. 2023 (2302.13971), table 2",
          TinyGpt, adamw(3e-4, 0.1, BETAS), Run(steps=250_000),
          cosine_to_a_tenth(250_000)),
    Clean("nanoGPT GPT-2 124M", "karpathy/nanoGPT@3adf61e1, config/train_gpt2.py",
          TinyGpt, adamw(6e-4, 0.1, BETAS, TABLES), Run(**OWT, schedule=TO_A_TENTH)),
    Clean("nanoGPT Shakespeare", "karpathy/nanoGPT, config/train_shakespeare_char.py",
          TinyGpt, adamw(1e-3, 0.1, (0.9, 0.99), TABLES),
          Run(**CHARACTERS, schedule=TO_A_TENTH)),
    Clean("TinyLlama 1.1B", "Zhang et al. 2024 (2401.02385): 3 epochs of 950B tokens",
          TinyGpt, adamw(4e-4, 0.1, BETAS), Run(**TOKENS_950B, schedule=TO_A_TENTH)),
    Clean("ResNet-50", "He et al. 2016 (1512.03385), section 3.4; torchvision's script",
          cnn, sgd(0.1, 1e-4), images(256, 90), steps_of(30)),
    Clean("WRN-28-10", "Zagoruyko & Komodakis 2016 (1605.07146), section 3",
          cnn, sgd(0.1, 5e-4, nesterov=True), images(128, 200, dataset_size=CIFAR),
          steps_at(60, 120, 160, factor=0.2)),
    Clean("DenseNet", "Huang et al. 2017 (1608.06993), section 4.2",
          cnn, sgd(0.1, 1e-4, nesterov=True), images(64, 300, dataset_size=CIFAR),
          steps_at(150, 225)),
    Clean("MobileNetV2", "torchvision, references/classification, MobileNetV2",
          cnn, sgd(0.045, 4e-5), images(256, 300), steps_of(1, 0.98)),
    # 250 steps are an epoch, of any data.
    Clean("nnU-Net", "Isensee et al. 2021 (1809.10486), nnUNetTrainer",
          segmenter, sgd(0.01, 3e-5, 0.99, nesterov=True),
          images(2, 1000, dataset_size=500),
          lambda optimizer: lr_scheduler.PolynomialLR(optimizer, 1000, 0.9)),
    Clean("Mask R-CNN 1x", "detectron2, Base-RCNN-FPN.yaml: 90,000 steps of 16 images",
          with_frozen_stem, sgd(0.02, 1e-4), COCO, steps_at(60_000, 80_000)),
    # 0.97 every 2.4 epochs of 313 steps.
    Clean("EfficientNet-B0", "Tan & Le 2019 (1905.11946), section 5.2",
          cnn, lambda model: torch.optim.RMSprop(
              grouped(model, 1e-5), lr=0.256, alpha=0.9, momentum=0.9, eps=1e-3),
          images(4096, 350), steps_of(751, 0.97)),
    Clean("ConvNeXt-T", "Liu et al. 2022 (2201.03545), table 5",
          cnn, adamw(4e-3, 0.05), images(4096, 300), warm_then_cosine(20, 300)),
    Clean("DeiT-S", "Touvron et al. 2021 (2012.12877), table 9",
          TinyViT, adamw(1e-3, 0.05), images(1024, 300), warm_then_cosine(5, 300)),
    Clean("MAE fine-tuning of ViT-L", "He et al. 2022 (2111.06377), FINETUNE.md",
          partial(TinyViT, blocks=24, width=4), by_depth,
          images(1024, 50, schedule=Schedule(shape="cosine", warmup=0.1))),
    Clean("DCGAN", "Radford et al. 2016 (1511.06434), section 4; torch's tutorial",
          lambda: nn.ModuleDict({"generator": cnn(), "discriminator": cnn()}),
          two_adams, images(128, 5, dataset_size=202_599)),
    Clean("MoCo linear probe", "He et al. 2020 (1911.05722), main_lincls.py",
          partial(head_alone, cnn, "8"),
          of_trained(torch.optim.SGD, lr=30.0, momentum=0.9, weight_decay=0.0),
          images(256, 100), steps_at(60, 80)),
    Clean("torchvision transfer", "torch's transfer-learning tutorial",
          cnn, sgd(1e-3, 0.0), images(4, 25, dataset_size=244), steps_of(7)),
    Clean("BERT fine-tuning", "Hugging Face course, chapter 3: AdamW(all, lr=5e-5)",
          TinyGpt, of_trained(torch.optim.AdamW, lr=5e-5),
          images(8, 3, dataset_size=3668), linear_after(0, 1377)),
    Clean("LoRA without decay", "Hu et al. 2022 (2106.09685), peft's examples",
          partial(head_alone, TinyGpt, "head"),
          of_trained(torch.optim.AdamW, lr=2e-4, weight_decay=0.0),
          images(16, 3, dataset_size=10_000)),
    Clean("AWD-LSTM", "salesforce/awd-lstm-lm, README for PTB, before it averages",
          recurrent, sgd(30.0, 1.2e-6, momentum=0.0),
          images(20, 500, dataset_size=13_280)),
]  # fmt: skip
