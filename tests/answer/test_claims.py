"""The claims: each is measured, and each measurement can come out otherwise."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from dwindle.answer import bengio, convex, factor_two, one_weight
from dwindle.answer.plain import (
    AskersObjective,
    build_network,
    dead_inputs,
    matrices,
    read_digits,
)
from dwindle.answer.whole import check_claims
from dwindle.findings.model import Claim

EXPECTED_VERDICTS = {
    "factor-two": "holds",
    "one-tenth-percent": "holds with a correction",
    "layers-and-units": "holds",
    "normalization": "holds",
    "bengio": "holds",
    "minibatch": "holds",
}


# Enough for every verdict: the weights within 1e-3, a wrong scaling 50 times farther.
QUICK = {
    (one_weight, "HOW"): dataclasses.replace(one_weight.HOW, epochs=1),
    (convex, "FULL_BATCH"): dataclasses.replace(convex.FULL_BATCH, epochs=500),
    (convex, "MINIBATCHES"): (dataclasses.replace(convex.MINIBATCHES[0], epochs=400),),
}


@pytest.fixture(
    scope="module", params=["quick", pytest.param("full", marks=pytest.mark.full)]
)
def claims(request: pytest.FixtureRequest) -> Iterator[dict[str, Claim]]:
    """All claims, with short trainings or with those of the command."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), budget in QUICK.items():
            if request.param == "quick":
                patch.setattr(module, name, budget)
        yield {claim.id: claim for _, claim in check_claims()}


def test_all_six_claims_are_checked_and_agree_with_mathematics(
    claims: dict[str, Claim],
) -> None:
    """Six claims, in order, each with the verdict that algebra predicts."""
    assert {name: claim.verdict for name, claim in claims.items()} == EXPECTED_VERDICTS


def test_every_claim_has_whose_it_is_how_it_was_checked_and_a_number(
    claims: dict[str, Claim],
) -> None:
    """No column of the table of claims is ever empty; rows fit their header."""
    for claim in claims.values():
        assert claim.claim
        assert claim.whose
        assert claim.how
        assert any(character.isdigit() for character in claim.number)
        assert len({len(row) for row in claim.table}) <= 1


def test_the_factor_two_is_measured_and_not_assumed() -> None:
    """λ/2 Σ w² has the gradient λw: the same measurement then gives 1."""
    half = factor_two.gradient_over_decay(lambda w: factor_two.askers_penalty(w) / 2)
    assert half == pytest.approx(1, abs=1e-12)  # rounding of 100 float64 divisions


@pytest.mark.parametrize("reading", factor_two.READINGS, ids=lambda r: r.formula)
def test_the_measured_shrink_is_the_slow_root(
    reading: factor_two.LambdaReading,
) -> None:
    """One step of the real optimizer takes off what the slow root computes."""
    decay = reading.lr * reading.weight_decay
    roots = np.roots([1, -(1 + reading.momentum - decay), reading.momentum])
    # 300 steps leave 0.9^300 = 2e-14 of the fast root.
    assert factor_two.measure_shrink(reading) == pytest.approx(
        1 - max(roots), rel=1e-10
    )


@pytest.mark.parametrize("normalization", ["none", "layer-mean", "global-mean"])
def test_weights_without_gradient_decay_by_the_coefficient_of_their_layer(
    normalization: str,
) -> None:
    """2·lr·λ·c per step, c the first layer's factor, in a real training."""
    width, depth = 8, 2
    weights = 64 * width + width * width + width * 10
    factor = {
        "none": 1.0,
        "layer-mean": 1 / (3 * 64 * width),
        "global-mean": 1 / weights,
    }
    seen = one_weight.observe(
        (width, depth),
        read_digits(64),
        AskersObjective(l2=0.1, normalization=normalization),
    )
    expected = 2 * one_weight.HOW.lr * 0.1 * factor[normalization]
    assert seen.weights == weights
    # Ten updates in float64; the shrink of 1e-6 keeps ten of sixteen digits.
    assert seen.shrink == pytest.approx(expected, rel=1e-8)


def test_dead_pixels_exist_and_their_weights_get_no_data_gradient() -> None:
    """Some pixels are black in every digit, and the loss does not see their weights."""
    samples = read_digits(600)
    dead = dead_inputs(samples)
    network = build_network((64, 16, 10), seed=1)
    AskersObjective(l2=0.0).data_term(network, samples).backward()
    gradient = matrices(network)[0].grad
    assert gradient is not None
    assert len(dead) >= 1
    assert gradient[:, dead].abs().max().item() == 0.0
    assert gradient.abs().max().item() > 0.0


def test_a_wrong_share_of_the_penalty_does_not_add_up() -> None:
    """Half of n/N per minibatch misses the full-batch gradient; n/N does not."""
    samples, network = read_digits(100), build_network((64, 8, 10), seed=0)
    half = bengio.epoch_mismatch(network, samples, lambda n: n / 200)
    right = bengio.epoch_mismatch(network, samples, lambda n: n / 100)
    assert half > 1e-3
    assert right < 1e-12  # four float64 sums


def test_the_convex_check_detects_a_wrong_penalty() -> None:
    """Full-batch training finds scikit-learn's minimum only with the right C."""
    samples = read_digits(600)
    how = dataclasses.replace(convex.FULL_BATCH, epochs=500)
    ways = {"descent": lambda: convex.descend(samples, penalty=0.05, how=how)}
    right = convex.solve_with_sklearn(samples, inverse_strength=1 / (0.05 * 600))
    wrong = convex.solve_with_sklearn(samples, inverse_strength=1 / 0.05)
    assert convex.distances(ways, right)["descent"] < 1e-3  # the claim's own limit
    assert convex.distances(ways, wrong)["descent"] > 0.05


def test_the_minibatch_verdict_follows_from_its_two_numbers() -> None:
    """Both limits of the claim can fail it."""
    numbers = ((1e-4, 500.0), (2e-3, 500.0), (1e-4, 49.0))
    found = [convex.verdict_of(farthest_right=f, farther=t) for f, t in numbers]
    assert found == ["holds", "does not hold", "does not hold"]


def test_the_penalty_at_the_start_is_that_of_he_normal_weights() -> None:
    """Σ w² of a fresh layer is about twice its units, for any number of inputs."""
    network = build_network((64, 256, 256, 10), seed=0)
    for weight, units in zip(matrices(network), (256, 256, 10), strict=True):
        expected, count = 2 * units, weight.numel()
        # Σ w² of n normal weights has relative deviation √(2/n); four of them.
        margin = 4 * math.sqrt(2 / count)
        assert weight.square().sum().item() == pytest.approx(expected, rel=margin)
