"""Numbers as text: what is typed reads back as itself, what is read is short."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle import wording

NUMBERS = st.floats(min_value=1e-12, max_value=1e12)


@given(NUMBERS)
def test_a_number_to_type_is_itself_to_three_digits(value: float) -> None:
    """What is typed is the number, to half of its third digit."""
    text = wording.number(value)
    assert float(text) == pytest.approx(value, rel=5.001e-3)
    assert len(text) <= len("1.23e-05")


@given(NUMBERS, st.integers(min_value=0, max_value=10**7 - 1))
def test_counts_are_short_and_whole_numbers_keep_their_digits(
    value: float, whole: int
) -> None:
    """A count has no power and seven characters; 4096 is not typed as 4100."""
    text = wording.count(max(value, 1e-3))
    assert "e" not in text
    assert len(text) <= len("999,999")
    assert float(wording.number(float(whole))) == whole


def test_counts_at_the_edges() -> None:
    """A count that rounds to the next letter shows that letter; shares may grow."""
    shown = {999.4: "999", 999_999.7: "1M", 999_999_999: "1B", 1e15: "1,000,000B"}
    shown |= {None: "–", math.inf: "–"}
    assert {value: wording.count(value) for value in shown} == shown
    grown = {12.5: "1,250 %", 1e5: "1e+07 %"}
    assert {share: wording.percent(share) for share in grown} == grown


@given(st.floats(min_value=0, max_value=1))
def test_a_share_shows_all_or_nothing_only_where_it_is(share: float) -> None:
    """0 % is nothing, and 100 % is all but a millionth."""
    text = wording.percent(share)
    assert (text == "0 %") == (share == 0)
    assert text != "100 %" or share > 0.999999


HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\x9b31mred",
    "a\x00b\x08c\x7f",
    "\u202egnirts\u202c",
    "\ud800lone",
    "x" * 1_000_000,
)


@given(st.text() | st.sampled_from(HOSTILE))
def test_cleaned_text_is_one_line_without_characters_that_act(text: str) -> None:
    """No control or format character is left, and the text is short."""
    cleaned = wording.clean(text, limit=20)
    assert len(cleaned) <= 20
    cleaned.encode()
    assert not {unicodedata.category(letter) for letter in cleaned} & {"Cc", "Cf", "Cs"}


def test_a_sequence_that_a_terminal_obeys_leaves_no_letters() -> None:
    """Colors, moves, links and titles go as a whole, also when they are cut off."""
    cleaned = {
        text: wording.clean(text) for text in (*HOSTILE[:3], "a\x1b[31", "\x1bMb")
    }
    assert list(cleaned.values()) == ["red", "link", "red", "a", "b"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_no_sign_is_lost_in_another_encoding(encoding: str) -> None:
    """A minus stays a minus wherever it is written: a lost one is another number."""
    text = wording.plain_letters("v̂^−0.36 (−0.56 to −0.16) 3 → 名", encoding)
    assert text == "v^-0.36 (-0.56 to -0.16) 3 -> ?"


@given(st.text())
def test_plain_letters_are_of_the_encoding(text: str) -> None:
    """Whatever the letters, an encoding can write the plain text."""
    assert wording.plain_letters(text).isascii()
    assert wording.plain_letters(text, "utf-8") == text or not text.isprintable()


def test_bars_of_a_curve_stay_apart_in_ascii() -> None:
    """A curve that is drawn with eight heights has eight letters in any locale."""
    bars = "▁▂▃▄▅▆▇█"
    assert len(set(wording.plain_letters(bars))) == len(bars)


def test_an_infinite_number_is_not_a_missing_one() -> None:
    """An infinite half-life is typed as inf; a dash stands for what is not known."""
    texts = [wording.number(value) for value in (math.inf, -math.inf, math.nan)]
    assert texts == ["inf", "-inf", wording.NOTHING]
