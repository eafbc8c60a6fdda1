"""Numbers are short, and foreign text cannot act."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.report import text

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\x1b]0;title",
    "\x9b31mred",
    "\x1bPdevice\x1b\\rest",
    "a\x00b\x08c\x7f",
    "\u202egnirts\u202c",
    "\ud800lone",
)


@given(st.text() | st.sampled_from(HOSTILE))
def test_clean_text_is_inert(raw: str) -> None:
    """No control, format or surrogate character survives, whatever comes in."""
    cleaned = text.clean(raw)
    kinds = {unicodedata.category(c) for c in cleaned}
    assert not kinds & {"Cc", "Cf", "Cs"}
    assert len(cleaned) <= 240
    cleaned.encode()


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (HOSTILE[0], "red"),
        (HOSTILE[1], "link"),
        (HOSTILE[2], ""),
        (HOSTILE[3], "red"),
        (HOSTILE[4], "rest"),
        (HOSTILE[5], "abc"),
        (HOSTILE[6], "gnirts"),
        ("two\nlines", "two lines"),
        ("f(x)  # two spaces before a remark", "f(x)  # two spaces before a remark"),
    ],
)
def test_clean_keeps_what_can_be_read(raw: str, seen: str) -> None:
    """Escape sequences go with their parameters; words and spaces stay."""
    assert text.clean(raw) == seen


def test_a_megabyte_of_name_is_cut() -> None:
    """A name of a megabyte ends in an ellipsis after its limit."""
    cut = text.clean("x" * 1_000_000, limit=50)
    assert len(cut) == 50
    assert cut.endswith("…")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (1234567.0, "1234567"),
        (4.2e9, "4.2e9"),
        (-0.25, "−0.25"),
        (-2.5e-6, "−2.5e-6"),
        (9.99e-5, "9.99e-5"),
        (128.0, "128"),
    ],
)
def test_number(value: float | None, shown: str) -> None:
    """Numbers read as people type them; what is no number is a dash, never 0."""
    assert text.number(value) == shown


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_number_reads_back(value: float) -> None:
    """What is shown is the value to its three digits."""
    # Three digits leave at most half a unit of the third: 0.5 %.
    assert float(text.number(value)) == pytest.approx(value, rel=5.1e-3)


def test_half_known_intervals_say_so() -> None:
    """An interval with one end is a bound; an exponent may stand alone."""
    assert text.decay_interval(1e-3, None) == "≥ 0.001"
    assert text.exponent(-0.5, None, None) == "−0.50"
    assert text.exponent(None, -1.0, 1.0) == "–"
    assert text.share(None) == "–"


def test_rules_have_readable_titles() -> None:
    """A rule without a title of its own goes by its cleaned name."""
    assert text.rule_title("bengio-map") == "Bengio, MAP"
    assert text.rule_title("\x1b[1mmine") == "mine"
