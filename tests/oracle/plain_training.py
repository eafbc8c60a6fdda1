"""One network, trained as in a tutorial: autograd and a real torch.optim.

Slow and obvious, and it imports nothing from the package: data, initial weights, data
order and learning rates come in as plain arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

OptimizerOf = Callable[[list[dict[str, object]]], torch.optim.Optimizer]


@dataclass
class Trained:
    model: nn.Sequential
    losses: list[float]  # of every batch, before its step

    def matrices(self) -> list[np.ndarray]:
        """Return weight and bias of each layer as (fan_out, fan_in + 1)."""
        linears = [m for m in self.model if isinstance(m, nn.Linear)]
        return [
            torch.cat([m.weight, m.bias[:, None]], dim=1).detach().numpy()
            for m in linears
        ]

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy."""
        with torch.no_grad():
            logits = self.model(torch.from_numpy(x).double())
            right = torch.from_numpy(y)
            loss = nn.functional.cross_entropy(logits, right)
            return float(loss), float((logits.argmax(1) == right).double().mean())


def network(weights: Sequence[np.ndarray], *, layer_norm: bool) -> nn.Sequential:
    """Return a ReLU network with these (fan_out, fan_in) matrices and zero biases."""
    parts: list[nn.Module] = []
    for matrix in weights:
        linear = nn.Linear(matrix.shape[1], matrix.shape[0]).double()
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(matrix))
            linear.bias.zero_()
        norm = nn.LayerNorm(len(matrix), elementwise_affine=False)
        parts += [linear, norm if layer_norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*parts[:-2])


@dataclass
class Course:
    """Inputs of a training: samples, their order in each epoch, an lr per step."""

    x: np.ndarray
    y: np.ndarray
    orders: Sequence[np.ndarray]
    lrs: Sequence[float]
    batch_size: int


def train_plainly(
    course: Course,
    weights: Sequence[np.ndarray],
    decays: Sequence[float],
    optimizer_of: OptimizerOf,
    *,
    layer_norm: bool = False,
) -> Trained:
    """Take a step per lr; ``decays`` has one λ per matrix, biases have none."""
    model = network(weights, layer_norm=layer_norm)
    linears = [m for m in model if isinstance(m, nn.Linear)]
    groups: list[dict[str, object]] = [
        {"params": [linear.weight], "weight_decay": decay}
        for linear, decay in zip(linears, decays, strict=True)
    ]
    groups.append({"params": [m.bias for m in linears], "weight_decay": 0.0})
    optimizer = optimizer_of(groups)
    inputs, labels = torch.from_numpy(course.x).double(), torch.from_numpy(course.y)
    losses: list[float] = []
    for order in course.orders:
        for batch in torch.from_numpy(order).split(course.batch_size):
            if len(losses) == len(course.lrs):
                break
            for group in optimizer.param_groups:
                group["lr"] = course.lrs[len(losses)]
            optimizer.zero_grad()
            loss: Tensor = nn.functional.cross_entropy(
                model(inputs[batch]), labels[batch]
            )
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return Trained(model, losses)
