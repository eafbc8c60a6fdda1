"""Study files: a good one is read, a bad one answered with every mistake at once."""

import os
import time
from pathlib import Path

import pytest
from study.mistakes import CHANGES, GOOD, changed

from dwindle.errors import StudyFileError
from dwindle.store import LARGEST_STUDY_FILE
from dwindle.store.records import Optimizer, Scale
from dwindle.store.spec import AxisSpec
from dwindle.store.tables import AXES, TABLES, plain_tables
from dwindle.study.study_file import read_study_file

PAGE = Path(__file__).parents[2] / "docs" / "study-file.md"


def test_the_page_about_study_files_is_right(tmp_path):
    """Its example is a study, and it names every key that a study file may have."""
    page = PAGE.read_text("utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert len(read(tmp_path, example).axes) == 3
    tables = [*TABLES.values(), *AXES.values()]
    keys = {*TABLES, *(key for table in tables for key in table.model_fields)}
    assert {
        key for key in keys if f"`{key}`" not in page and f"[{key}]" not in page
    } == set()


def read(tmp_path, text):
    file = tmp_path / "my-study.toml"
    file.write_text(text)
    return read_study_file(file)


def lines(tmp_path, text):
    """The lines at which the mistakes of a file are reported."""
    with pytest.raises(StudyFileError) as refused:
        read(tmp_path, text)
    return [line for line, _ in refused.value.mistakes]


def test_a_good_file_is_a_study(tmp_path):
    """Every value of the file arrives where it belongs; the name is the file's."""
    spec = read(tmp_path, GOOD)
    assert spec.name == "my-study"
    assert spec.optimizer == Optimizer(
        name="sgd", momentum=0.9, schedule="cosine", warmup=0.05
    )
    assert spec.base == Scale(
        width=64, depth=2, batch_size=32, dataset_size=600, epochs=30, lr=0.05
    )
    assert (spec.low, spec.high, spec.points, spec.seeds) == (1e-5, 1e-1, 13, 5)
    assert spec.axes == (
        AxisSpec(axis="width", values=(16, 32, 64, 128, 256)),
        AxisSpec(axis="batch_size", values=(8, 16, 32), lr="sqrt", hold="steps"),
        AxisSpec(axis="dataset_size", values=(150, 300, 600, 1200)),
    )
    tables = spec.as_tables()
    assert type(spec).from_tables(plain_tables(tables), "another name") == spec
    # A list in TOML is the pair that Adam takes, and a name may be given.
    text = changed('"sgd"  ', '"adamw"\nbetas = [0.9, 0.99]')
    text = changed("seeds = 5", 'seeds = 5\nname = "mine"', text)
    spec = read(tmp_path, changed("momentum = 0.9\n", "", text))
    assert (spec.optimizer.betas, spec.name) == ((0.9, 0.99), "mine")


def test_each_mistake_is_found_at_its_line_and_no_other(tmp_path):
    """A wrong value is one mistake: what it hides from judgement is not reported."""
    found = {change: lines(tmp_path, changed(*change)) for change in CHANGES}
    assert found == CHANGES


def test_all_mistakes_are_reported_at_once(tmp_path):
    """In the order of the file; also what must hold between values that are right."""
    text = GOOD
    for old, new in [
        ("digits-mlp", "mnist"),
        ("momentum = 0.9", "nesterov = true"),
        ("schedule", "shedule"),
        ("width = 64", 'width = "64"'),
        ("low = 1e-5", "low = 1"),
        ("1200]", "10]"),
    ]:
        text = changed(old, new, text)
    assert lines(tmp_path, text) == [2, 7, 8, 11, 18, 24]


def test_what_is_no_study_file_is_refused(tmp_path):
    """Bytes that are no TOML, far too many, or none; a byte order mark is read over.

    Nothing is read from a device, a pipe and a folder.
    """
    file, pipe = tmp_path / "s.toml", tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path, tmp_path / "none.toml"):
        with pytest.raises(StudyFileError) as refused:
            read_study_file(path)
        assert [line for line, _ in refused.value.mistakes] == [1]
    contents = (b"\xff\xfe", b"#" * (LARGEST_STUDY_FILE + 1), b"x = " + b"[" * 100_000)
    for content in contents:
        file.write_bytes(content)
        with pytest.raises(StudyFileError) as refused:
            read_study_file(file)
        assert len(refused.value.mistakes) == 1
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())  # as editors on Windows do
    assert read_study_file(file).base.width == 64


def test_thousands_of_mistakes_are_reported_soon(tmp_path):
    """A file of unknown keys is refused in seconds: its schema is built once."""
    keys = "\n".join(f"key{number} = 1" for number in range(2000))
    start = time.process_time()
    assert len(lines(tmp_path, changed("seeds = 5", f"seeds = 5\n{keys}"))) == 2000
    # 21 s when the schema was built for every key; the near names take 1 s.
    assert time.process_time() - start < 10
