"""Quantities of scale, and the λ that an average weight feels."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.findings.sizes import mean_coefficient, quantities, speakable
from dwindle.store.records import Scale

UNITS = st.lists(st.integers(1, 300), min_size=2, max_size=6)
SCALE = Scale(width=64, depth=2, batch_size=32, dataset_size=600, epochs=30, lr=0.05)


def shapes(units):
    return tuple(pairwise(units))


def weights(units):
    return sum(a * b for a, b in shapes(units))


@given(UNITS)
def test_the_askers_normalization_divides_by_the_number_of_weights(units):
    """λ/(L·n·m) per layer is, for an average weight, λ/(number of weights) exactly."""
    for normalization in ("layer-mean", "global-mean"):
        found = mean_coefficient(normalization, shapes(units))
        assert found == pytest.approx(1 / weights(units), rel=1e-12)


@given(UNITS)
def test_an_average_weight_feels_its_fan_in(units):
    """Under fan-in the coefficient is Σ n·fan_in over Σ n."""
    by_hand = sum(a * b * a for a, b in shapes(units)) / weights(units)
    found = mean_coefficient("fan-in", shapes(units))
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_quantities_of_the_digits_network():
    """64-64-64-10 has 8832 weights; 30 epochs of 19 batches are 570 steps."""
    found = quantities(SCALE, shapes([64, 64, 64, 10]))
    assert found == {
        "width": 64,
        "depth": 2,
        "weights": 8832,
        "batch_size": 32,
        "dataset_size": 600,
        "epochs": 30,
        "steps": 570,
        "lr": 0.05,
    }


def test_without_hidden_layers_a_rule_hears_of_no_width():
    """A logistic regression has depth 0 whatever its scale says, and no width."""
    found = speakable(quantities(SCALE, shapes([64, 10])))
    assert "width" not in found
    assert "depth" not in found
    assert found["weights"] == 640
