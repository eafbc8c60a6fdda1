"""The codes: each has a page, a place in the docs, and somebody who finds it."""

import re
import shlex

import pytest
from architecture.source import ROOT

from dwindle.audit.codes import CODES, SEVERITIES, codes_of, resolve_code
from dwindle.cli.audit import OPTIONS
from dwindle.cli.options import read_words
from dwindle.errors import UnknownNameError

FILES_OF_CODES = "codes_of_"


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_a_code_has_a_whole_page(code):
    """Every code says what, why, how it is found, what to write, and the source."""
    assert re.fullmatch(r"DW\d{3}", code.code)
    assert code.severity in SEVERITIES
    assert code.title == code.title.strip()
    assert code.title[0].islower()
    assert not code.title.endswith(".")
    for text in (code.why, code.found, code.write):
        assert len(text) > 30
        assert text.endswith((".", "²."))
    assert code.source


def test_the_codes_are_in_order_and_named_once():
    """The table is sorted, and no two codes share a name or a title."""
    assert list(CODES) == sorted(CODES)
    assert len({code.title for code in CODES.values()}) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_somebody_finds_each_code(code):
    """Each code is given by some file beside the one that explains it."""
    folders = (ROOT / "src/dwindle/audit", ROOT / "src/dwindle/pytorch")
    files = [
        file
        for folder in folders
        for file in folder.rglob("*.py")
        if not file.name.startswith(FILES_OF_CODES)
    ]
    assert [file for file in files if f'"{code}"' in file.read_text("utf-8")]


def test_a_prefix_means_all_of_its_codes():
    """DW03 means DW030 to DW033, and lower case will do."""
    assert codes_of(["dw03"]) == {"DW030", "DW031", "DW032", "DW033"}
    assert codes_of(["DW"]) == set(CODES)
    assert codes_of([]) == frozenset()


@pytest.mark.parametrize("name", ["DW999", "", "WD001", "DW001x"])
def test_an_unknown_code_is_refused_with_the_nearest(name):
    """A code that no table has is an error that offers those that are near."""
    with pytest.raises(UnknownNameError, match=r"The code must be one .* Nearest: DW"):
        codes_of([name])
    with pytest.raises(UnknownNameError, match="--explain all lists the codes"):
        resolve_code(name)


def test_the_docs_list_every_code():
    """The table of docs/audit.md is that of the program: code, severity, title."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")
    rows = re.findall(r"^\| (DW\d{3}) \| (\w+) \| (.+?) \|$", page, re.MULTILINE)
    assert rows == [(each.code, each.severity, each.title) for each in CODES.values()]


def test_the_python_of_the_page_runs(capsys):
    """The Python block of docs/audit.md runs as it stands."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(compile(block, "audit.md", "exec"), {"__name__": "page"})  # noqa: S102
    assert "You went from batch 256 to 2048" in capsys.readouterr().out


def test_the_commands_of_the_page_are_read():
    """Every dwindle line of docs/audit.md is one that the command takes."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")
    lines = re.findall(r"^dwindle audit (.+)$", page, re.MULTILINE)
    assert len(lines) == 6
    for line in lines:
        assert read_words("dwindle audit", OPTIONS, shlex.split(line))
