"""Claim 6: with a mean loss the minibatch size drops out, on a convex problem.

Logistic regression on digits has one minimum, so "the same objective" can be seen:
full-batch training, minibatches of any size with lr → 0, and scikit-learn must all
arrive at the same weights.
"""

import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from dwindle.answer.claims import claimed
from dwindle.answer.plain import (
    Descent,
    Groups,
    PlainSamples,
    build_network,
    read_digits,
    train,
)
from dwindle.findings.model import Claim, ClaimVerdict

PENALTY = 0.05  # canonical λ: mean loss + λ/2 Σ w²
SAMPLES = 600  # few: each way of training goes over them a thousand times
UNITS = (64, 10)  # no hidden layer: a convex problem
# What the claim requires: the right conversions agree to 1e-3 of the weights, and a
# wrong scaling lands at least fifty times farther away.
SAME = 1e-3
FARTHER = 50


# Until it has converged: what is compared are minima, not ways to them.
FULL_BATCH = Descent(
    batch_size=SAMPLES, lr=0.5, epochs=1500, momentum=0.9, is_cosine=True
)
# These divide 600, so that every sample weighs the same in an epoch.
MINIBATCHES = (
    Descent(batch_size=100, lr=1.0, epochs=1000, is_cosine=True),
    Descent(batch_size=30, lr=0.5, epochs=600, is_cosine=True),
)


def descend(samples: PlainSamples, *, penalty: float, how: Descent) -> Tensor:
    """Return the trained weights (classes, inputs) of a torch.optim.SGD run."""
    network = build_network(UNITS, seed=0)
    weight, bias = network.parameters()
    # The bias is free, as in scikit-learn.
    groups: Groups = [{"params": [weight], "weight_decay": penalty}, {"params": [bias]}]

    def loss_of(batch: PlainSamples) -> Tensor:
        return nn.functional.cross_entropy(network(batch.inputs), batch.labels)

    train(groups, samples, loss_of, how)
    return _without_gauge(weight.detach())


def _without_gauge(weight: Tensor) -> Tensor:
    # Adding one vector to the weights of every class changes no probability; the
    # penalty removes it at the minimum, so only the rest is compared.
    return weight - weight.mean(dim=0)


def solve_with_sklearn(samples: PlainSamples, *, inverse_strength: float) -> Tensor:
    """Return the weights (classes, inputs) of a LogisticRegression with this C."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=inverse_strength, tol=1e-10, max_iter=20_000)
    with warnings.catch_warnings():
        # A tolerance of 1e-10 may be below what lbfgs can still improve.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(samples.inputs.numpy(), samples.labels.numpy())
    return _without_gauge(torch.from_numpy(model.coef_))


def distances(
    ways: Mapping[str, Callable[[], Tensor]], reference: Tensor
) -> dict[str, float]:
    """Return the relative distance of each solution from the reference."""
    return {
        name: ((solve() - reference).norm() / reference.norm()).item()
        for name, solve in ways.items()
    }


def check_minibatch() -> Claim:
    """Train the convex problem in every way, rightly and wrongly scaled."""
    samples = read_digits(SAMPLES)

    def by_descent(how: Descent) -> Callable[[], Tensor]:
        return lambda: descend(samples, penalty=PENALTY, how=how)

    def by_sklearn(penalty: float) -> Callable[[], Tensor]:
        # scikit-learn minimizes C Σ loss + Σ w²/2: over C·N, mean loss + λ/2 Σ w².
        inverse = 1 / (penalty * SAMPLES)
        return lambda: solve_with_sklearn(samples, inverse_strength=inverse)

    small = MINIBATCHES[-1].batch_size
    right_ways = {"full batch": by_descent(FULL_BATCH)} | {
        f"minibatches of {each.batch_size}, lr → 0": by_descent(each)
        for each in MINIBATCHES
    }
    wrong_ways = {
        f"λ/{small}: divided by the minibatch": by_sklearn(PENALTY / small),
        "2λ: the factor 2 counted twice": by_sklearn(2 * PENALTY),
        "C = 1/λ: the N forgotten": by_sklearn(PENALTY / SAMPLES),
    }
    reference = by_sklearn(PENALTY)()
    right, wrong = distances(right_ways, reference), distances(wrong_ways, reference)
    farthest = max(right.values())
    farther = min(wrong.values()) / farthest
    rows = [(name, "right", f"{far:.1e}") for name, far in right.items()]
    rows += [(name, "wrong", f"{far:.1e}") for name, far in wrong.items()]
    return claimed(
        "minibatch",
        verdict_of(farthest_right=farthest, farther=farther),
        *(("solution", "scaling", "relative distance"), *rows),
        samples=SAMPLES,
        penalty=PENALTY,
        farthest=farthest,
        farther=farther,
    )


def verdict_of(*, farthest_right: float, farther: float) -> ClaimVerdict:
    """Return the verdict that the two numbers of the claim lead to."""
    return "holds" if farthest_right < SAME and farther >= FARTHER else "does not hold"
