"""Numbers that came as text are read as numbers, and what was understood is said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.written import said_of
from dwindle.errors import RangeError

# A YAML file without points in its numbers, as PyYAML reads it.
YAML_BORN = {"lr": "1e-3", "batch_size": "1e2", "dataset_size": "5e4", "epochs": "9e0"}
NUMBERS = {"lr": 1e-3, "batch_size": 100, "dataset_size": 50_000, "epochs": 9.0}


def test_a_run_of_texts_is_the_run_of_its_numbers():
    """Texts and numbers make equal runs, which say what was understood."""
    run = Run(**YAML_BORN)
    assert run == Run(**NUMBERS)
    assert hash(run) == hash(Run(**NUMBERS))
    assert run.total_steps == 4500
    assert run.read_as[0] == "lr: '1e-3' was read as 0.001."
    assert len(run.read_as) == len(YAML_BORN)
    assert Run(**NUMBERS).read_as == ()


def test_an_explanation_says_what_it_understood():
    """The value and the facts that came as text are told beside the same numbers."""
    found = explain("1e-1", "torch.AdamW", run=Run(**YAML_BORN))
    assert found.understood[:2] == (
        "torch.optim.AdamW: '1e-1' was read as 0.1.",
        "lr: '1e-3' was read as 0.001.",
    )
    plain = explain(0.1, "torch.AdamW", run=Run(**NUMBERS))
    assert plain.understood == ()
    told, usual = found.as_dict(), plain.as_dict()
    assert told.pop("understood") != usual.pop("understood")
    assert json.dumps(told) == json.dumps(usual)


def test_a_conversion_takes_texts_too():
    """A value that is text converts as its number does, which is told."""
    there = convert("1e-3", "keras.regularizers.L2", to="torch.SGD")
    assert (there.value_from, there.value) == (0.001, 0.002)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_reads_as_it_was_written_is_not_said(number):
    """A number's own text needs no word on how it was understood."""
    assert said_of("lr", repr(number), number) == ""


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"lr": "fast"}, r"lr must be a number\. Got 'fast'\. Write lr=1e-3\."),
        ({"lr": "nan"}, r"lr must be a finite number, 0 or more\. Got nan\."),
        ({"lr": "-1e-3"}, r"lr must be a finite number, 0 or more\. Got -0\.001\."),
        ({"lr": float("inf")}, r"lr must be a finite number, 0 or more\. Got inf\."),
        ({"epochs": "1e400"}, r"epochs must be a finite number above 0\. Got inf\."),
        ({"batch_size": "1.5"}, r"batch_size must be a whole number\. Got '1\.5'\."),
        ({"steps": "inf"}, r"steps must be a whole number\. Got 'inf'\."),
        ({"momentum": "1e0"}, r"momentum must be in \[0, 1\)\. Got 1\.0\."),
    ],
)
def test_texts_that_cannot_be_are_refused(facts, said):
    """A text without a possible number is refused in words, as a number is."""
    with pytest.raises(RangeError, match=said):
        Run(**facts)
