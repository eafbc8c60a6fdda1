"""Small torch programs, set up right: what a planted fault is planted into."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dwindle.decay.run import Run
from dwindle.pytorch.audit import audit

# Long enough for a half-life at lr 1e-3 and weight_decay 0.1, short enough for epochs.
RUN = Run(batch_size=100, dataset_size=50_000, epochs=60)


@dataclass(frozen=True)
class Program:
    """What ``audit`` is called with."""

    model: nn.Module
    optimizer: Any
    scheduler: Any = None
    run: Run | None = None
    example: Any = None

    def audited(self):
        """What the audit finds."""
        facts = {"scheduler": self.scheduler, "run": self.run, "example": self.example}
        return audit(self.model, self.optimizer, **facts)


def codes(found, *severities):
    """The codes of an audit of these severities."""
    return {each.code for each in found.findings if each.severity in severities}


def of(found, code):
    """The first finding of a code."""
    return next(each for each in found.findings if each.code == code)


class TinyGpt(nn.Module):
    """Two embeddings, one pre-norm block, a head that is not tied."""

    def __init__(self, tokens=20, length=8, width=16):
        super().__init__()
        self.wte = nn.Embedding(tokens, width)
        self.wpe = nn.Embedding(length, width)
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens, bias=False)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.ln_2(x))
        return self.head(self.ln_f(x))


def mlp():
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 4)
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


_MATRICES = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)


def grouped(model, weight_decay, *, also=(), without=()):
    """Two groups, by hand: weights of layers decay, and what ``also`` names."""
    decayed, others = [], []
    for name, parameter in model.named_parameters():
        if name in without:
            continue
        owner = model.get_submodule(name.rpartition(".")[0])
        is_weight = isinstance(owner, _MATRICES) and parameter.ndim > 1
        (decayed if is_weight or name in also else others).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def adamw(model, *, weight_decay=0.1, lr=1e-3, also=(), without=()):
    groups = grouped(model, weight_decay, also=also, without=without)
    return torch.optim.AdamW(groups, lr=lr)


def backward(model, *inputs):
    """Fill the gradients as one step of a training does."""
    model(*inputs).square().mean().backward()
