"""What a decay does in plain words, from numbers that are computed another way."""

import math
from decimal import Decimal

import pytest

from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.strength import STRENGTHS, strength_of


def test_the_table_of_degrees_goes_up_and_covers_all():
    """From no decay on; each border belongs to the degree above it."""
    borders = [each.least for each in STRENGTHS]
    assert borders[0] == 0
    assert borders == sorted(set(borders))
    assert [strength_of(each.least) for each in STRENGTHS] == [
        each.name for each in STRENGTHS
    ]
    below = [strength_of(math.nextafter(each, 0)) for each in borders[1:]]
    assert below == [each.name for each in STRENGTHS[:-1]]
    assert all(each.why for each in STRENGTHS)


def test_a_share_is_what_the_steps_take():
    """Against (1 - lr·λ)^steps in the digits of Decimal."""
    for lr, steps, strength in (
        ("1e-5", 40_000, "next to nothing"),
        ("1e-5", 400, "nothing"),
        ("1e-4", 30_000, "weak"),
        ("1e-3", 13_000, "moderate"),
    ):
        left = (1 - Decimal(lr) * Decimal("0.1")) ** steps
        found = explain(0.1, "torch.optim.AdamW", run=Run(lr=float(lr), steps=steps))
        taken = f"removes {100 * float(1 - left):.3g}% of a weight over the run"
        assert found.kept == pytest.approx(float(left))
        assert found.summary.startswith(taken)
        assert found.strength == strength


def test_a_half_life_is_counted_in_what_people_count_in():
    """Epochs, else tokens, else shares of the run, else steps."""
    # ln 2 / (1e-3 · 0.1) is 6931.5 steps, and -ln 2 / ln(1 - 1e-4) is 6931.1.
    epochs = {"batch_size": 100, "dataset_size": 50_000, "epochs": 100}
    tokens = {"batch_size": 10, "tokens_per_example": 10, "steps": 50_000}
    known = {
        " 13.9 epochs: strong": epochs | {"tokens_per_example": 10},
        " 693,113 tokens: strong": tokens,
        " 13.9% of the run: strong": {"steps": 50_000},
        " 6,931 steps; the length": {},
    }
    summaries = {
        words: explain(0.1, "torch.optim.AdamW", run={"lr": 1e-3} | facts).summary
        for words, facts in known.items()
    }
    wrong = [words for words, text in summaries.items() if f"every{words}" not in text]
    assert wrong == []
