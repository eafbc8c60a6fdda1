"""How long epochs and runs of ``fit`` are: as given, else as the loop knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import digits

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError
from dwindle.integrations.keras_run import FitFacts


def _steps(text, **facts):
    facts = {"run": Run()} | facts
    return FitFacts(**facts).half_life_steps(HalfLife.parse(text))


@given(st.integers(1, 1000), st.integers(1, 100), st.integers(1, 8))
def test_epochs_and_run_come_from_the_loop(batches, epochs, gathered):
    """Without facts of the user an epoch is its batches, in updates."""
    facts = {"batches": batches, "epochs": epochs, "gathered": gathered}
    # a product and a quotient, each rounded once
    assert _steps("3 epochs", **facts) == digits(3 * batches / gathered, rel=1e-15)
    run = 0.5 * batches * epochs / gathered
    assert _steps("50% of the run", **facts) == digits(run, rel=1e-15)
    assert _steps("7 steps", **facts) == 7


@given(st.integers(1, 64), st.integers(0, 1000), st.integers(1, 4))
def test_the_facts_of_the_user_count(batch_size, more, gathered):
    """Batch and data of the user count, not the loop's batches."""
    data = gathered * batch_size + more
    run = Run(batch_size=batch_size, dataset_size=data, epochs=2)
    facts = {"run": run, "batches": 10**9, "epochs": 10**9, "gathered": gathered}
    updates = -(-data // batch_size) / gathered
    assert _steps("1 epoch", **facts) == digits(updates, rel=1e-15)  # one quotient
    assert _steps("50% of the run", **facts) == digits(updates, rel=1e-15)
    # ⌈N/(B·g)⌉ updates of an epoch of N examples, where a batch is at most the data
    whole = -(-data // (batch_size * gathered))
    examples = _steps(f"{data} examples", **facts)
    assert examples == digits(whole, rel=1e-14)  # N/(N/u), each rounded


def test_steps_of_the_user_are_the_run():
    """They are real updates, so they are more batches where gradients are gathered."""
    facts = FitFacts(run=Run(steps=100), batches=8, epochs=2, gathered=4)
    assert facts.half_life_steps(HalfLife.parse("20% of the run")) == 20
    assert facts.batches_of_run == 400
    # Each fact comes from whoever knows it.
    assert FitFacts(run=Run(epochs=5), batches=8).batches_of_run == 40
    assert FitFacts(run=Run(epochs=5)).batches_of_run is None


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("3 epochs", "dataset_size"),
        ("20% of the run", "steps"),
        ("3 examples", "batch_size"),
        ("3 tokens", "tokens_per_example"),
    ],
)
def test_an_unknown_fact_is_reported(text, fact):
    """The error names the fact."""
    run = Run(batch_size=8) if fact == "tokens_per_example" else Run()
    with pytest.raises(MissingFactError, match=rf"needs {fact}\."):
        _steps(text, run=run)


def test_an_update_is_no_larger_than_the_data():
    """Gathered batches beyond the data are refused, not rounded."""
    run = Run(batch_size=8, dataset_size=16)
    with pytest.raises(RangeError) as raised:
        _steps("3 examples", run=run, gathered=4)
    assert (raised.value.name, raised.value.value) == ("batch_size", 32)
