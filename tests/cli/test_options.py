"""How words become keyword arguments, and the errors for words that cannot."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.cli import on_ray
from dwindle.cli.find import read_seconds
from dwindle.cli.fit import read_columns, read_two, read_where
from dwindle.cli.options import Option, read_number, read_share, read_whole, read_words
from dwindle.cli.study import read_bytes
from dwindle.errors import MissingLibraryError, RangeError, UnknownNameError, UsageError

PLACE = Option("KNOB=VALUE", "a place", required=True)
LR = Option("--peak-lr", "a number", "LR", read_number)
NAME = Option("--name", "a text", "NAME")
FLAG = Option("--nesterov", "a flag")
OPTIONS = (PLACE, LR, NAME, FLAG)
# What reads a value: texts with what they are, and texts that it refuses.
READERS = {
    read_seconds: (
        {"90": 90.0, "2h": 7200.0, "1.5m": 90.0, "1d": 86_400.0},
        ("", "h", "2 weeks", "-1", "0", "1..2"),
    ),
    read_bytes: (
        {"1000": 1000, "512M": 2**29, "512MiB": 2**29, "4g": 2**32},
        ("0.5", "", "lots", "-4G", "0"),
    ),
    read_share: (
        {"10%": 0.1, "0.1%": 0.001, "0.05": 0.05, "5e-2": 0.05},
        ("%", "a%", "1%%", "nan", ""),
    ),
    read_whole: ({"1e6": 10**6}, ("1.5", "inf", "-inf", "many", "")),
    on_ray.read_share_of_node: ({"0.5": 0.5}, ("0", "-1", "inf", "1e6")),
    read_columns: ({'lr,"a, b", ,c': ("lr", "a, b", "c")}, ("a\0,\r\nb",)),
    read_where: (
        {"optimizer=adamw,lr=0.1": {"optimizer": "adamw", "lr": "0.1"}},
        ("", "lr", "=1"),
    ),
    read_two: ({"0.01,0.1": (0.01, 0.1)}, ("0.1", "1,2,3", "a,b")),
}


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
    for number in ("-0.1", "-3e-4", "-inf", "1e-4", "1_000"):
        assert _read("a=1", "--peak-lr", number)["peak_lr"] == float(number)


@given(text=st.text(min_size=1), joined=st.booleans(), first=st.booleans())
def test_any_text_arrives_unchanged(text, *, joined, first):
    """A value is what was typed, joined by = or apart, before or after the place."""
    if not joined and text.startswith("-"):
        text = "x" + text
    words = [f"--name={text}"] if joined else ["--name", text]
    line = [*words, "a=1"] if first else ["a=1", *words]
    assert _read(*line)["name"] == text


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


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_value_is_read_with_its_unit_or_refused_by_its_option(read):
    """Percents, sizes, times and lists as people write them; else an error of ours."""
    good, bad = READERS[read]
    assert {text: read("--it", text) for text in good} == good
    for text in bad:
        with pytest.raises((RangeError, UsageError)) as raised:
            read("--it", text)
        assert "--it" in str(raised.value)


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_whole_numbers_may_be_written_as_floats(number):
    """1e6 and 1000000 are the same whole number."""
    assert read_whole("--n", str(number)) == number
    assert read_whole("--n", repr(float(number))) == number


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ({"ray": True}, MissingLibraryError),
        ({"ray_address": "127.0.0.1:1"}, MissingLibraryError),
        ({"ray": True, "ray_address": "127.0.0.1:6379"}, UsageError),
        ({"gpus_per_training": 1.0}, UsageError),
        ({"cpus_per_training": 2.0}, UsageError),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(typed, error, monkeypatch):
    """Two clusters, needs without any, no Ray; by default there is no cluster."""
    nothing = dict.fromkeys(("ray_address", "cpus_per_training", "gpus_per_training"))
    nothing["ray"] = False
    assert on_ray.cluster_from(nothing) is None
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "unchanged")
    with pytest.raises(error) as raised:
        on_ray.cluster_from(nothing | typed)
    assert "ray" in raised.value.sentences()[-1]
