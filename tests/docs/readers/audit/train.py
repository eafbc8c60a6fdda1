"""A training with what audit looks at."""

import torch
from torch import nn


def make() -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return model and optimizer."""
    model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 2))
    return model, torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)
