"""The asker's training, written as a PyTorch user would, in double precision.

The claims are checked on this, not on the stacked engine: what they show is then
about PyTorch and about the question, and not about us.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dwindle.decay.penalties import layer_coefficients
from dwindle.decay.schedules import Schedule
from dwindle.study.problems import problem


@dataclass(frozen=True)
class PlainSamples:
    """Inputs (samples, features) in float64 and labels (samples,)."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def minibatches(self, batch_size: int, *, seed: int) -> Iterator["PlainSamples"]:
        """Yield one epoch in shuffled order; the last minibatch may be short."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        for rows in torch.split(order, batch_size):
            yield PlainSamples(self.inputs[rows], self.labels[rows])


def read_digits(samples: int) -> PlainSamples:
    """Return the first digits, black as 0 and white as 1."""
    data = problem("digits-mlp").load()
    inputs = np.array(data.x, dtype=np.float64)
    return PlainSamples(
        torch.from_numpy((inputs[:samples] - inputs.min()) / np.ptp(inputs)),
        torch.from_numpy(np.array(data.y[:samples], dtype=np.int64)),
    )


def build_network(units: Sequence[int], *, seed: int) -> nn.Sequential:
    """Return a ReLU network with He-normal weights and zero biases, float64."""
    generator = torch.Generator().manual_seed(seed)
    parts: list[nn.Module] = []
    for fan_in, fan_out in pairwise(units):
        linear = nn.Linear(fan_in, fan_out, dtype=torch.float64)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(linear.bias)
        parts += [linear, nn.ReLU()]
    # No ReLU behind the last layer: the loss takes logits.
    return nn.Sequential(*parts[:-1])


def matrices(network: nn.Module) -> list[Tensor]:
    """Return the weight matrices, first layer first."""
    return [p for p in network.parameters() if p.ndim == 2]  # noqa: PLR2004


@dataclass(frozen=True, kw_only=True)
class AskersObjective:
    """Mean cross-entropy + λ Σ over layers of c_j Σ w²: the question's formula.

    ``normalization`` sets c_j: 1 (``none``), or one of the asker's two readings of
    "divide by the number of weights" (``layer-mean``, ``global-mean``).
    """

    l2: float
    normalization: str = "none"

    def data_term(self, network: nn.Module, samples: PlainSamples) -> Tensor:
        """Return the mean cross-entropy, a scalar tensor."""
        return nn.functional.cross_entropy(network(samples.inputs), samples.labels)

    def penalty(self, network: nn.Module) -> Tensor:
        """Return λ Σ c_j Σ w², a scalar tensor."""
        weights = matrices(network)
        shapes = [(w.shape[1], w.shape[0]) for w in weights]
        factors = layer_coefficients(self.normalization, shapes)
        terms = [c * w.square().sum() for c, w in zip(factors, weights, strict=True)]
        return self.l2 * torch.stack(terms).sum()


@dataclass(frozen=True, kw_only=True)
class Descent:
    """SGD: learning rate, samples per update, passes over the data, momentum.

    With ``is_cosine`` the lr falls to zero along a cosine over all passes.
    """

    lr: float
    batch_size: int
    epochs: int
    momentum: float = 0.0
    is_cosine: bool = False


Groups = list[dict[str, Any]]  # Any: torch declares its param groups so


def train(
    groups: Groups,
    samples: PlainSamples,
    loss_of: Callable[[PlainSamples], Tensor],
    how: Descent,
) -> int:
    """Minimize a loss in place with torch.optim.SGD; return the updates made."""
    optimizer = torch.optim.SGD(groups, lr=how.lr, momentum=how.momentum)
    planned = how.epochs * -(-len(samples) // how.batch_size)
    falling = Schedule(shape="cosine").multipliers(planned) if how.is_cosine else ()
    multipliers = iter(falling or repeat(1.0))
    for epoch in range(how.epochs):
        for batch in samples.minibatches(how.batch_size, seed=epoch):
            lr = how.lr * next(multipliers)
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.zero_grad()
            loss_of(batch).backward()  # type: ignore[no-untyped-call]  # untyped torch
            optimizer.step()
    return planned


def dead_inputs(samples: PlainSamples) -> Tensor:
    """Return the indices of inputs that are zero in every sample.

    Their weights never get a gradient of the data term: they measure the decay of "a
    weight that the error does not care about".
    """
    return (samples.inputs == 0).all(dim=0).nonzero().squeeze(1)
