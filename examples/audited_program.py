"""What `dwindle audit examples.audited_program:program` asks for: no training."""

import torch
from torch import nn

from dwindle.pytorch import decay_groups

EPOCHS, STEPS_PER_EPOCH = 90, 391


def program():
    """Return what is trained, by what, at which lr: without training it."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    groups = decay_groups(model, weight_decay=5e-4)
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=EPOCHS * STEPS_PER_EPOCH
    )
    return model, optimizer, scheduler
