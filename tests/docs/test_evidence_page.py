"""The page of evidence is what its script writes from the records."""

import draw_evidence
from architecture.source import ROOT


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
