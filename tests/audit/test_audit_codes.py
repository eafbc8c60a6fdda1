"""The codes: each has a page, a place in the docs, and somebody who finds it."""

import re

import pytest
from architecture.source import ROOT

from dwindle.audit.codes import CODES, SEVERITIES, codes_of, resolve_code
from dwindle.errors import UnknownNameError


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
