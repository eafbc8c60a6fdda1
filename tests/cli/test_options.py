"""How words become keyword arguments, and what is said of words that cannot."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.cli.options import Option, read_number, read_share, read_whole, read_words
from dwindle.errors import RangeError, UnknownNameError, UsageError

PLACE = Option("KNOB=VALUE", "a place", required=True)
LR = Option("--peak-lr", "a number", "LR", read_number)
NAME = Option("--name", "a text", "NAME")
FLAG = Option("--nesterov", "a flag")
OPTIONS = (PLACE, LR, NAME, FLAG)


def _read(*words):
    return read_words("dwindle try", OPTIONS, words)


def test_words_become_arguments():
    """Places, values and flags arrive by name; what was not given is None or False."""
    assert _read("a=1", "--peak-lr", "0.1", "--nesterov") == {
        "knob_value": "a=1",
        "peak_lr": 0.1,
        "name": None,
        "nesterov": True,
    }


@given(text=st.text(min_size=1), joined=st.booleans(), first=st.booleans())
def test_any_text_arrives_unchanged(text, *, joined, first):
    """A value is what was typed, joined by = or apart, before or after the place."""
    if not joined and text.startswith("-"):
        text = "x" + text
    words = [f"--name={text}"] if joined else ["--name", text]
    line = [*words, "a=1"] if first else ["a=1", *words]
    assert _read(*line)["name"] == text


@pytest.mark.parametrize("number", ["-0.1", "-3e-4", "-inf", "1e-4", "1_000"])
def test_negative_numbers_are_values(number):
    """A number below zero is a value, not an option."""
    assert _read("a=1", "--peak-lr", number)["peak_lr"] == float(number)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ([], UsageError, "Missing argument 'KNOB=VALUE'"),
        (["a", "b"], UsageError, "Got unexpected extra argument (b). Got a b. dwindle"),
        (["a", "--peak-lr"], UsageError, "Option '--peak-lr' requires an argument"),
        (["a", "--peak-lr", "--name"], RangeError, "a number. Got '--name'."),
        (["a", "--nesterov=1"], UsageError, "'--nesterov' does not take a value"),
        (["a", "--name", "b", "--name", "c"], UsageError, "once. Got 'b' and 'c'."),
        (
            ["a", "--peaklr", "1"],
            UnknownNameError,
            "Got '--peaklr'. Nearest: --peak-lr",
        ),
        (["a", "-x"], UnknownNameError, "dwindle try --help lists all options."),
        (["a", "--peak-lr", "fast"], RangeError, "must be a number. Got 'fast'."),
        (["a", "--peak-lr", "nan"], RangeError, "must be a number. Got 'nan'."),
    ],
)
def test_a_wrong_line_is_told_what_to_write(words, error, said):
    """Each mistake in a line says what must hold, what was got, and what to do."""
    with pytest.raises(error, match=re.escape(said)):
        _read(*words)


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("0.1%", 0.001), ("0.05", 0.05), ("5e-2", 0.05)]
)
def test_a_share_may_be_written_in_percent(text, share):
    """10% is 0.1, to the last digit."""
    assert read_share("--warmup", text) == share


@pytest.mark.parametrize("text", ["%", "a%", "1%%", "nan", ""])
def test_a_share_without_a_number_is_refused(text):
    """What is no number before its % sign is told how to write it."""
    with pytest.raises(RangeError, match=r"must be a share.*Write --warmup 0\.1, or"):
        read_share("--warmup", text)


@pytest.mark.parametrize("text", ["1.5", "inf", "-inf", "many", ""])
def test_whole_numbers_are_whole(text):
    """A fraction or an infinity is refused where examples are counted."""
    with pytest.raises(RangeError, match="--batch-size must be a"):
        read_whole("--batch-size", text)


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_whole_numbers_may_be_written_as_floats(number):
    """1e6 and 1000000 are the same whole number."""
    assert read_whole("--n", str(number)) == number
    assert read_whole("--n", repr(float(number))) == number
