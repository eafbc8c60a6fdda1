"""What one trained network is worth, computed without its neighbors in the pack.

A product over a whole pack rounds differently with the number of its models, and free
memory decides that number. So each model is evaluated alone: a training that is found
again has the number that it would have in any pack.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from dwindle.study.batches import Samples

_BATCH = 128  # small enough for its activations to stay in the cache


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Mean cross-entropy and the share of samples that are right."""

    loss: float
    accuracy: float


def evaluate(weights: Sequence[Tensor], samples: Samples) -> Evaluated:
    """Evaluate one network on all samples.

    Args:
        weights: One (fan_out, fan_in + 1) per layer, the bias last, each contiguous.
        samples: Their inputs have a last feature of 1.

    """
    total, right = 0.0, 0
    batches = (torch.split(each, _BATCH) for each in (samples.inputs, samples.labels))
    for inputs, labels in zip(*batches, strict=True):
        log_p = torch.log_softmax(_logits(weights, inputs), 1)  # (batch, classes)
        total -= float(log_p.gather(1, labels[:, None]).sum(dtype=torch.float64))
        right += int((log_p.argmax(1) == labels).sum())
    return Evaluated(loss=total / len(samples), accuracy=right / len(samples))


def sums_of_squares(weights: Sequence[Tensor]) -> list[float]:
    """Return Σ w² of each layer's matrix, without the biases, in double precision."""
    return [float(matrix[:, :-1].double().square().sum()) for matrix in weights]


def _logits(weights: Sequence[Tensor], inputs: Tensor) -> Tensor:
    *hidden, last = weights
    for matrix in hidden:
        inputs = pad(torch.relu(inputs @ matrix.t()), (0, 1), value=1.0)
    return inputs @ last.t()
