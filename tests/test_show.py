"""Tables: no number or name is cut at any width, and every face has the same cells."""

import io

import pytest
from rich.console import Console

from dwindle.show import Column, Line, Sheet, Styled, Table, as_text, facts

NAME = "transformers.TrainingArguments.weight_decay"
COLUMNS = (Column("knob", "name"), Column("type now", "number"), Column("keeps λ"))
LONG = "the decay of a step, and λ of the objective, whose sum over the run is the same"
ROWS = (
    (NAME, "0.0387", LONG),
    ("torch.optim.SGD", Styled("1.23e-05", "bold"), (LONG, Styled("tested", "dim"))),
)
TABLE = Table(columns=COLUMNS, rows=ROWS, title="Where", footer=("A note.",))


def drawn_by_rich(drawn: Sheet | Table, width: int, encoding: str = "utf-8") -> str:
    """Return what rich prints into a file of this encoding."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=file, width=width).print(drawn)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [20, 44, 60, 80, 89, 90, 100, 120, 200])
def test_numbers_and_names_are_whole_at_every_width(width: int) -> None:
    """From 20 columns on no number to type is cut, and no letter of a text is lost."""
    text = as_text(TABLE, width=width)
    assert all(number in text for number in ("0.0387", "1.23e-05"))
    assert (NAME in text) == (width >= len(NAME))
    # Nothing is lost, and nothing runs over the edge.
    letters = "".join(text.split())
    assert "".join(LONG.split()) in letters.replace("keepsλ", "") or width >= 90
    assert max(map(len, text.splitlines())) <= max(width, 26)


def test_a_percent_sign_stays_on_the_line_of_its_number() -> None:
    """A line is folded before the number, at every width."""
    for width in range(12, 40):
        assert "17.8 %" in as_text(Line(text="the loss is 17.8 % lower"), width=width)


def test_below_90_columns_a_row_is_a_block() -> None:
    """Below 90 columns the cells of a row stand below each other."""
    lines = as_text(TABLE, width=80).splitlines()
    assert lines[1:3] == [NAME, "  type now  0.0387"]
    assert as_text(TABLE, width=120).splitlines()[1].split() == [
        *("knob", "type", "now", "keeps", "λ"),
    ]


def test_a_block_ends_its_lines_without_blanks() -> None:
    """A name that takes more lines than its cell leaves no blanks behind it."""
    columns = ["rule", "a name that is far too long"]
    table = Table(columns=columns, rows=[("neal", "1")])
    lines = ["".join(pieces) for pieces in table.lines(20)]
    assert len(lines) > 2
    assert lines == [line.rstrip() for line in lines]


def test_a_narrow_table_that_fits_stays_a_table() -> None:
    """What fits without folding any text is a table at any width."""
    table = Table(columns=("group", Column("lr", "number")), rows=[("0", "0.1")])
    assert as_text(table, width=20).splitlines() == ["group   lr", "0      0.1"]


def test_columns_that_no_row_fills_are_left_out() -> None:
    """An empty column takes no room, and an empty table draws nothing."""
    table = Table(columns=("a", "b", "c"), rows=[("1", "", "3"), ("4", "", "6")])
    assert as_text(table).split() == ["a", "c", "1", "3", "4", "6"]
    assert as_text(Table(columns=("a",), rows=[])) == ""


def test_letters_are_replaced_before_widths_are_taken() -> None:
    """In a POSIX locale λ is six letters long, and the columns still stand."""
    table = Table(columns=("penalty λ", "b"), rows=[("λ", "→"), ("1", "2")])
    first, *others = as_text(table, encoding="ascii").splitlines()
    assert first == "penalty lambda  b"
    assert others == ["lambda          ->", "1               2"]
    assert drawn_by_rich(table, 80, "ascii").splitlines() == [first, *others]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_rich_prints_what_the_plain_text_has(width: int) -> None:
    """Terminal and plain text have the same lines."""
    sheet = Sheet(parts=[Line(text="A title", style="bold"), "", TABLE])
    printed = [line.rstrip() for line in drawn_by_rich(sheet, width).splitlines()]
    assert printed == as_text(sheet, width=width).splitlines()


def test_wide_letters_take_two_columns() -> None:
    """Columns stand straight beside letters that take two."""
    table = Table(columns=("a", "b"), rows=[("重み", "1"), ("x", "2")])
    assert as_text(table).splitlines() == ["a     b", "重み  1", "x     2"]


def test_characters_that_act_are_not_drawn() -> None:
    """A name from outside recolors and reorders nothing."""
    table = facts({"name": "\x1b[31mred\u202e", "text": "one\ntwo"})
    assert as_text(table).splitlines() == ["name  [31mred", "text  one", "      two"]


def test_lines_for_copying_are_whole_and_keep_their_indent() -> None:
    """A line of code is neither folded nor cut."""
    line = Line(
        text="for group in groups:\n    group['lr'] = 0.1", whole=True, indent=2
    )
    assert as_text(line, width=5).splitlines()[1] == "      group['lr'] = 0.1"


def test_html_has_every_cell_escaped() -> None:
    """A name is text in HTML, never a tag."""
    html = Sheet(parts=[Table(columns=("<a>",), rows=[("<b>",)]), "&"]).html()
    assert all(each in html for each in ("&lt;a&gt;", "&lt;b&gt;", "&amp;"))
    assert "<b>" not in html
