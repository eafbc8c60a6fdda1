"""What stands in the repository about our own studies follows from their exports."""

from pathlib import Path

import evidence
import pytest
from evidence_nets import NETS
from exports import read_export

from dwindle.study.problems import PROBLEMS
from dwindle.study.study_file import read_study_file

ROOT = Path(__file__).parents[2]
MOST_BYTES = 2_000_000


@pytest.fixture(autouse=True, scope="module")
def nets_of_our_studies():
    """The problems that only the script trains are taken out again."""
    with pytest.MonkeyPatch.context() as patch:
        for name, net in NETS.items():
            patch.setitem(PROBLEMS, name, net)
        yield


def test_every_export_is_of_the_study_of_its_file():
    """Each file has one, small and complete, and none is of another study."""
    specs = evidence.specs()
    there = {path.name.removesuffix(".json.gz") for path in exports()}
    assert there == set(specs)
    for path in exports():
        stored = read_export(path)
        assert stored.spec == specs[path.name.removesuffix(".json.gz")]
        assert stored.complete
        assert path.stat().st_size <= MOST_BYTES
    # A study that is read from its file alone is the one with a split per seed.
    for path in (ROOT / "studies").glob("*.toml"):
        assert read_study_file(path) == specs[path.stem]


@pytest.mark.full
def test_records_and_tables_are_those_of_the_exports():
    """The file of our own records and the page of the studies, letter by letter."""
    studies = evidence.exports()
    assert evidence.toml_of(studies) == evidence.RECORDS.read_text("utf-8")
    assert evidence.page_of(studies) == evidence.PAGE.read_text("utf-8")
    assert evidence.splits_of(studies) == evidence.SPLITS_PAGE.read_text("utf-8")


def test_records_of_one_study_are_those_of_its_export():
    """The quick run checks the smallest export in the same way."""
    alone = {
        path.name.removesuffix(".json.gz"): path
        for path in exports()
        if "@" not in path.name
    }
    for name in evidence.FIXED:  # their records are about other exports, too
        del alone[name]
    name, smallest = min(alone.items(), key=lambda pair: pair[1].stat().st_size)
    text = evidence.RECORDS.read_text("utf-8")
    found = list(evidence.records({name: read_export(smallest)}))
    assert found
    for record in found:
        lines = evidence.toml_table("record", record)
        assert lines in text


def exports():
    return sorted((ROOT / "studies").glob("*.json.gz"))


def test_a_verdict_that_changes_with_the_split_is_undecided():
    """Undecided splits contradict nothing; opposite ones leave it open."""

    def exponent(course):
        return evidence.Exponent(
            quantity="batch",
            metric="loss",
            value=0.1,
            low=0.0,
            high=0.2,
            course=course,
            factor=4.0,
            cells=3,
            note="",
        )

    for fixed, contradicts in (("up", False), ("unknown", False), ("still", True)):
        row = evidence.SplitRow(
            study="any", resampled=exponent("up"), fixed={0: exponent(fixed)}
        )
        assert row.contradicts is contradicts
