"""How words become keyword arguments, and what is said of words that cannot."""

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


def test_negative_numbers_are_values():
    """A number below zero is a value, not an option."""
    for number in ("-0.1", "-3e-4", "-inf", "1e-4", "1_000"):
        assert _read("a=1", "--peak-lr", number)["peak_lr"] == float(number)


def test_a_wrong_line_is_refused():
    """Each mistake is an error of its kind, with what was typed in it."""
    wrong = {
        "": (UsageError, "no words"),
        "a b": (UsageError, "a b"),
        "a --peak-lr": (UsageError, "a --peak-lr"),
        "a --nesterov=1": (UsageError, "a --nesterov=1"),
        "a --name b --name c": (UsageError, "'b' and 'c'"),
        "a --peak-lr --name": (RangeError, "'--name'"),
        "a --peak-lr fast": (RangeError, "'fast'"),
        "a --peak-lr nan": (RangeError, "'nan'"),
        "a --peaklr 1": (UnknownNameError, "--peaklr"),
        "a -x": (UnknownNameError, "-x"),
    }
    found = {}
    for line in wrong:
        with pytest.raises((UsageError, RangeError, UnknownNameError)) as raised:
            _read(*line.split())
        facts = vars(raised.value)
        got = facts.get("got", facts.get("value", facts.get("name")))
        found[line] = (type(raised.value), got)
    assert found == wrong


def test_a_share_may_be_written_in_percent():
    """10% is 0.1, to the last digit; what is no number is refused."""
    shares = {"10%": 0.1, "0.1%": 0.001, "0.05": 0.05, "5e-2": 0.05}
    assert {text: read_share("--warmup", text) for text in shares} == shares
    for text in ("%", "a%", "1%%", "nan", ""):
        with pytest.raises(RangeError) as raised:
            read_share("--warmup", text)
        assert raised.value.must == "a share"


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_whole_numbers_may_be_written_as_floats(number):
    """1e6 and 1000000 are the same whole number; fractions and infinities are none."""
    assert read_whole("--n", str(number)) == number
    assert read_whole("--n", repr(float(number))) == number
    for text in ("1.5", "inf", "-inf", "many", ""):
        with pytest.raises(RangeError) as raised:
            read_whole("--n", text)
        assert raised.value.name == "--n"
