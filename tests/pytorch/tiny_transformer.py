"""A transformer in small, and the names of it that decay."""

import torch
from torch import nn

from dwindle.pytorch import decay_groups


class Tiny(nn.Module):
    """A transformer in small: every role once, and its own no_weight_decay."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(7, 4)
        self.pos_embed = nn.Parameter(torch.ones(1, 3, 4))
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.head = nn.Linear(4, 7, bias=False)


class Block(nn.Module):
    """A normalization and two matrices."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.up = nn.Linear(4, 8)
        self.down = nn.Linear(8, 4)


def decaying(model, **options):
    return {row.name for row in decay_groups(model, **options).rows if row.decays}
