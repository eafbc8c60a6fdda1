"""What the code writes into the manual: all places, all records, the evidence."""

import re

import draw_evidence
from architecture.source import ROOT
from docs_pages import WRITTEN
from docs_schemas import DOCUMENTS, FILES

from dwindle.audit.codes import CODES
from dwindle.audit.trainers import TRAINERS
from dwindle.decay.rules import RULES

# Part of the manual: what must stand in it.
RECORDS = {
    "audit-trainers": [f"| {each.name} |" for each in TRAINERS if each.marks],
    "codes": [f"## {code}\n" for code in CODES],
    "rules": [f"## {each.name}\n" for each in RULES],
    "schemas": [f"schemas/{name}.json" for name in FILES | DOCUMENTS],
}


def test_every_place_has_its_writer():
    """What a page asks for is written, and nothing is written for no page."""
    pages = [path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md")]
    places = re.findall(r"<!-- written by make docs: ([\w-]+) -->", "".join(pages))
    # The way to the calculator depends on whether it has been built.
    assert set(places) == {*WRITTEN, "calculator"}


def test_tables_have_every_record():
    """A record of the code that is new is in the manual."""
    lacking = [
        (name, text)
        for name, texts in RECORDS.items()
        for text in texts
        if text not in WRITTEN[name]()
    ]
    assert not lacking


def test_page_and_figures_are_those_of_the_records():
    """docs/evidence.md and its forest plots are written by the script, as they are."""
    written = draw_evidence.written()
    old = [
        name
        for name, text in written.items()
        if (ROOT / "docs" / name).read_text("utf-8") != text
    ]
    assert not old
    there = {path.name for path in (ROOT / "docs" / "evidence").iterdir()}
    assert there == {name.removeprefix("evidence/") for name in written} - {
        "evidence.md"
    }
