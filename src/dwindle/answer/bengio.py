"""Claim 5: Bengio's λ belongs to a sum over samples, and where n/N comes from."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dwindle.answer.claims import claimed
from dwindle.answer.plain import PlainSamples, build_network, matrices, read_digits
from dwindle.findings.model import Claim

# The λ of the answer's own example; few samples, for what is shown is an identity.
L2 = 1e-3
SAMPLES = 600
BATCH_SIZE = 32  # does not divide 600: the last minibatch is short, and must fit too
UNITS = (64, 32, 10)
# Sums of 600 gradients in float64 agree to about 1e-14.
ROUNDING = 1e-11


def _sum_of_losses(network: nn.Module, batch: PlainSamples) -> Tensor:
    outputs = network(batch.inputs)
    return nn.functional.cross_entropy(outputs, batch.labels, reduction="sum")


def _sum_of_squares(network: nn.Module) -> Tensor:
    return torch.stack([w.square().sum() for w in matrices(network)]).sum()


def _gradient(network: nn.Module, value: Tensor) -> Tensor:
    """Return the gradient over all parameters as one vector (parameters,)."""
    parts = torch.autograd.grad(value, list(network.parameters()))
    return torch.cat([part.flatten() for part in parts])


def _distance(left: Tensor, right: Tensor) -> float:
    return float((left - right).norm() / right.norm())


def minibatch_mismatch(network: nn.Module, batch: PlainSamples) -> float:
    """Compare Σ loss + λ n Σ w² with n times (mean loss + λ Σ w²) on one minibatch."""
    n = len(batch)
    losses, squares = _sum_of_losses(network, batch), _sum_of_squares(network)
    summed = _gradient(network, losses + L2 * n * squares)
    # Anew: the first gradient has freed its graph.
    losses, squares = _sum_of_losses(network, batch), _sum_of_squares(network)
    return _distance(summed, n * _gradient(network, losses / n + L2 * squares))


def epoch_mismatch(
    network: nn.Module, samples: PlainSamples, share: Callable[[int], float]
) -> float:
    """Compare an epoch of minibatch gradients, weights fixed, with the full batch.

    The objective is Σ loss + λ_B Σ w² with λ_B = N λ; ``share`` returns how much of its
    penalty a minibatch of n samples carries.
    """
    bengio = L2 * len(samples)

    def objective(batch: PlainSamples, portion: float) -> Tensor:
        squares = _sum_of_squares(network)
        return _sum_of_losses(network, batch) + bengio * portion * squares

    epoch = [
        _gradient(network, objective(batch, share(len(batch))))
        for batch in samples.minibatches(BATCH_SIZE, seed=0)
    ]
    full = _gradient(network, objective(samples, 1.0))
    return _distance(torch.stack(epoch).sum(dim=0), full)


def check_bengio() -> Claim:
    """Add up minibatch gradients with and without the share n/N."""
    samples, network = read_digits(SAMPLES), build_network(UNITS, seed=0)
    batch = next(samples.minibatches(BATCH_SIZE, seed=0))
    per_batch = minibatch_mismatch(network, batch)
    shared = epoch_mismatch(network, samples, lambda n: n / len(samples))
    whole = epoch_mismatch(network, samples, lambda _: 1.0)
    exact = max(per_batch, shared) < ROUNDING
    # Rounded up: the short minibatch is an update, too.
    updates = -(-SAMPLES // BATCH_SIZE)
    return claimed(
        "bengio",
        "holds" if exact and whole > ROUNDING else "does not hold",
        *(
            ("compared gradients", "relative difference"),
            ("Σ loss + λn Σ w²  and  n·(mean loss + λ Σ w²)", f"{per_batch:.1g}"),
            ("epoch of minibatches, share n/N  and  full batch", f"{shared:.1g}"),
            ("epoch of minibatches, no share  and  full batch", f"{whole:.1g}"),
        ),
        samples=SAMPLES,
        updates=updates,
        with_share=shared,
        without=100 * whole,
    )
