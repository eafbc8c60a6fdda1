"""The codes: each has a page, a place in the docs, and somebody who finds it."""

import re
import shlex

import pytest
from architecture.source import ROOT

from dwindle.audit.codes import CODES, SEVERITIES, codes_of, resolve_code
from dwindle.cli.audit import OPTIONS
from dwindle.cli.options import read_words
from dwindle.errors import UnknownNameError

PAGE = (ROOT / "docs/audit.md").read_text("utf-8")


def test_every_code_has_a_whole_page():
    """Each says what, why, how it is found, what to write, and the source."""
    wrong = [
        code
        for name, code in CODES.items()
        if not re.fullmatch(r"DW\d{3}", name)
        or code.severity not in SEVERITIES
        or not code.title[0].islower()
        or code.title.endswith((".", " "))
        or not all(text.endswith((".", "²")) for text in (code.why, code.found))
        or not code.source
        or "" not in code.cases
    ]
    assert wrong == []
    assert list(CODES) == sorted(CODES)
    assert len({code.title for code in CODES.values()}) == len(CODES)


def test_somebody_finds_each_code():
    """Each code, and each case of one, is given by some file of the audit."""
    folders = (ROOT / "src/dwindle/audit", ROOT / "src/dwindle/pytorch")
    text = "\n".join(
        file.read_text("utf-8") for folder in folders for file in folder.rglob("*.py")
    )
    assert [code for code in CODES if f'"{code}"' not in text] == []
    cases = {case for code in CODES.values() for case in code.cases if case}
    assert [case for case in cases if f'"{case}"' not in text] == []


def test_a_prefix_means_all_of_its_codes():
    """DW03 means DW030 to DW033, and lower case will do."""
    assert codes_of(["dw03"]) == {"DW030", "DW031", "DW032", "DW033"}
    assert codes_of(["DW"]) == set(CODES)
    assert codes_of([]) == frozenset()
    assert resolve_code(" dw001").code == "DW001"


@pytest.mark.parametrize("name", ["DW999", "", "WD001", "DW001x"])
def test_an_unknown_code_is_refused_with_the_nearest(name):
    """A code that no table has is an error that offers those that are near."""
    for ask in (resolve_code, lambda name: codes_of([name])):
        with pytest.raises(UnknownNameError) as raised:
            ask(name)
        assert raised.value.name == name.upper()
        assert all(each.startswith("DW") for each in raised.value.nearest)


def test_the_docs_list_every_code():
    """The table of docs/audit.md is that of the program: code, severity, title."""
    rows = re.findall(r"^\| (DW\d{3}) \| (\w+) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert rows == [(each.code, each.severity, each.title) for each in CODES.values()]


def test_the_python_of_the_page_runs(capsys):
    """The Python block of docs/audit.md runs as it stands."""
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "audit.md", "exec"), {"__name__": "page"})  # noqa: S102
    assert "DW030" in capsys.readouterr().out


def test_the_commands_of_the_page_are_read():
    """Every dwindle line of docs/audit.md is one that the command takes."""
    lines = re.findall(r"^dwindle audit (.+)$", PAGE, re.MULTILINE)
    assert len(lines) == 6
    for line in lines:
        assert read_words("dwindle audit", OPTIONS, shlex.split(line))
