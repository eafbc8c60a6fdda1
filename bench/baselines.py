"""What one writes without packs: a loop over λ, in one process or over all cores."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy


def train(task, weights, decay):
    """Train one network in the fastest plain way; return its validation loss."""
    parts = []
    for matrix in weights:  # the engine's initialization, (fan_out, fan_in)
        linear = nn.Linear(matrix.shape[1], matrix.shape[0])
        linear.weight.data.copy_(matrix)
        linear.bias.data.zero_()
        parts += [linear, nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    matrices = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": biases}]
    optimizer = task.optimizer(groups, weight_decay=0.0, fused=True)
    lrs = iter(task.lrs)
    for order in task.orders:
        x, y = (whole[order].split(task.batch_size) for whole in (task.x, task.y))
        for inputs, labels in zip(x, y, strict=True):  # an epoch is gathered once
            groups[0]["lr"] = groups[1]["lr"] = next(lrs)
            optimizer.zero_grad()
            cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    with torch.no_grad():
        return float(cross_entropy(model(task.valid_x), task.valid_y))


def loop(jobs):
    """Train (task, weights, decay) one after the other in this process."""
    return [train(*job) for job in jobs]


def loop_on_all_cores(pool, trials, train_trial):
    """Train the same on a pool of processes that have one thread each."""
    return list(pool.map(train_trial, trials))
