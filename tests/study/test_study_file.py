"""Study files: a good one is read, a bad one answered with every mistake at once."""

import os
import re
import time
from pathlib import Path

import pytest

from dwindle.errors import StudyFileError
from dwindle.store.records import Optimizer, Scale
from dwindle.store.spec import AxisSpec
from dwindle.study.study_file import LARGEST_BYTES, read_study_file
from dwindle.study.study_tables import StudyFile

GOOD = """\
[study]
problem = "digits-mlp"
seeds = 5
[optimizer]
name = "sgd"            # sgd | adamw | adam
lr = 0.05
momentum = 0.9
schedule = "cosine"
warmup = 0.05
[base]
width = 64
depth = 2
batch_size = 32
dataset_size = 600
epochs = 30
[weight_decay]
normalization = "none"
low = 1e-5
high = 1e-1
points = 13
[axes]
width = [16, 32, 64, 128, 256]
batch_size = { values = [8, 16, 32], lr = "sqrt", hold = "steps" }
dataset_size = { values = [150, 300, 600, 1200], hold = "epochs" }
"""


PAGE = Path(__file__).parents[2] / "docs" / "study-file.md"


def test_the_page_about_study_files_is_right(tmp_path):
    """Its example is a study, and it names every key that a study file may have."""
    page = PAGE.read_text("utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert len(read(tmp_path, example).axes) == 3
    schema = StudyFile.model_json_schema()
    tables = [schema, *schema["$defs"].values()]
    keys = {key for table in tables for key in table["properties"]}
    assert {
        key for key in keys if f"`{key}`" not in page and f"[{key}]" not in page
    } == set()


def read(tmp_path, text):
    file = tmp_path / "my-study.toml"
    file.write_text(text)
    return read_study_file(file)


def mistakes(tmp_path, text):
    with pytest.raises(StudyFileError, match=r"must be free of mistakes") as caught:
        read(tmp_path, text)
    return dict.fromkeys(caught.value.mistakes)


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


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


def test_adam_takes_its_betas(tmp_path):
    """A list in TOML is the pair that Adam wants."""
    text = changed('"sgd"  ', '"adamw"\nbetas = [0.9, 0.99]')
    spec = read(tmp_path, text.replace("momentum = 0.9\n", ""))
    assert spec.optimizer.betas == (0.9, 0.99)


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("digits-mlp", "digit-mlp", 2, r"problem.*Got 'digit-mlp'\. Nearest: digits-m"),
        ("seeds = 5", "seed = 5", 3, r"key in \[study\].*'seed'\. Nearest: seeds"),
        ('"sgd"', '"sdg"', 5, r"optimizer.*'sdg'\. Nearest: sgd"),
        ("lr = 0.05", "lr = -1", 6, r"lr must be from 1e-30 to 1e\+30\. Got -1"),
        ("0.9", "1.0", 7, r"momentum must be at least 0 and below 1\. Got 1\.0"),
        ('"cosine"', '"cosin"', 8, r"schedule.*Nearest: cosine"),
        ("width = 64", 'width = "64"', 11, r"width must be a whole number\. Got '64'"),
        ("depth = 2", "", 10, r"\[base\] must have depth.*Write depth = 2"),
        ("size = 32", "size = 601", 13, r"at most dataset_size = 600\. Got 601"),
        ("epochs = 30", "epochs = 0", 15, r"epochs must be .*1,000,000\. Got 0"),
        ('"none"', '"layermean"', 17, r"normalization.*Nearest: layer-mean"),
        ("low = 1e-5", "low = 1", 18, r"low must be below high = 0\.1\. Got 1\."),
        ("points = 13", "points = 1", 20, r"points must be .*from 3 to 1,000\. Got 1"),
        ("[16, 32, 64,", "[16, 0, 64,", 22, r"width must be .*1,000,000\. Got 0"),
        ("width = [", "widht = [", 22, r"key in \[axes\].*'widht'\. Nearest: width"),
        ('"sqrt"', '"squared"', 23, r"lr policy.*'squared'\. Nearest: sqrt"),
        ('hold = "steps"', "hlod = 1", 23, r"\[axes.batch_size\].*Nearest: hold"),
        ("1200]", "1300]", 24, r"at most 1200, all that digits-mlp.*Got 1300"),
        ("[axes]", "[axis]", 21, r"table must be .*'axis'\. Nearest: axes"),
        ("lr = 0.05", "lr = 0,05", 6, r"must be TOML"),
        ('"sgd"', '"adamw"', 7, r"momentum must be left out with adamw: it is sgd's\."),
        ("momentum = 0.9", "eps = 1e-8", 7, r"out with sgd: it is adamw and adam's"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_line_and_remedy(tmp_path, old, new, line, told):
    """Each kind of mistake is found at its line, with what to write instead."""
    found = mistakes(tmp_path, changed(old, new))
    assert next(at for at, _ in found) == line
    with pytest.raises(StudyFileError, match=rf"my-study\.toml:{line}: .*{told}"):
        read(tmp_path, changed(old, new))


def test_all_mistakes_are_told_at_once(tmp_path):
    """Nine mistakes of all kinds in one file: nine lines, in the order of the file."""
    text = GOOD
    for old, new in [
        ("digits-mlp", "mnist"),
        ("lr = 0.05", "lr = 0"),
        ("momentum = 0.9", "momentum = 1.5"),
        ("schedule", "shedule"),
        ("width = 64", "width = true"),
        ("batch_size = 32", "batch_size = 700"),
        ("low = 1e-5", "low = 1"),
        ("[16, 32, 64, 128, 256]", "[16, 16]"),
        ('"sqrt"', '"cubic"'),
    ]:
        text = text.replace(old, new, 1)
    lines = [line for line, _ in mistakes(tmp_path, text)]
    assert lines == [2, 6, 7, 8, 11, 13, 18, 22, 23]


def test_a_wrong_value_hides_no_other(tmp_path):
    """What cannot be judged for want of a right value is not told as a mistake."""
    found = mistakes(tmp_path, changed("dataset_size = 600", "dataset_size = -5"))
    assert len(found) == 1


def test_a_study_without_an_axis_is_refused(tmp_path):
    """No axis is a mistake; none that nobody asked for is trained instead."""
    ((_, told),) = mistakes(tmp_path, GOOD.partition("[axes]")[0])
    assert "Got none. Write [axes] with width" in told


def test_a_missing_table_is_told_with_what_to_write(tmp_path):
    """An empty file is answered with the tables that it needs."""
    found = mistakes(tmp_path, "")
    told = " ".join(text for _, text in found)
    for table in ("study", "optimizer", "base", "weight_decay", "axes"):
        assert f"[{table}] with " in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "must be text in UTF-8"),
        (b"#" * (LARGEST_BYTES + 1), "must be at most 1,000,000 bytes"),
        (b"x = " + b"[" * 100_000, "must be TOML|must not nest"),
    ],
)
def test_what_is_no_study_file_is_refused(tmp_path, content, told):
    """Bytes that are no TOML, or far too many, are refused in words."""
    file = tmp_path / "s.toml"
    file.write_bytes(content)
    with pytest.raises(StudyFileError, match=told):
        read_study_file(file)


def test_a_missing_file_is_told(tmp_path):
    """A path without a file says so."""
    with pytest.raises(StudyFileError, match=r"must be readable.*No such file"):
        read_study_file(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("width = 64", f"width = {'9' * 400}", "width must be a whole number from 1"),
        ("seeds = 5", f"seeds = {'9' * 400}", "seeds must be a whole number from 1"),
        ("seeds = 5", "seeds = 1_000_000_000_000", "seeds must be a whole number from"),
        ("points = 13", "points = 100_000_000", "points must be a whole number from 3"),
        ("low = 1e-5", "low = 5e-324", "low must be from 1e-30 to 1e"),
        ("high = 1e-1", "high = 1e308", "high must be from 1e-30 to 1e"),
        ("low = 1e-5", "low = 0.099999999999999", "points must be so few that neigh"),
        ("lr = 0.05", "lr = inf", r"lr must be from 1e-30 to 1e\+30\. Got inf"),
        ("lr = 0.05", "lr = 1e-300", "lr must be from 1e-30"),
        ("lr = 0.05", "lr = nan", "lr must be from 1e-30"),
        ("epochs = 30", "epochs = 1e300", "epochs must be above 0, and at most"),
        (
            '"cosine"\nwarmup = 0.05',
            '"wsd"\nwarmup = 0.9',
            r"warmup must be at most 0\.8 with .* wsd",
        ),
    ],
)
def test_numbers_that_nobody_can_train_are_refused(tmp_path, old, new, told):
    """Sizes beyond any training are mistakes of the file, not failures of a run."""
    text = changed(old, new)
    found = mistakes(tmp_path, text)
    assert [re.search(told, text) is not None for _, text in found] == [True]


def test_a_plan_of_a_million_trainings_is_refused(tmp_path):
    """Numbers that are fine one by one can make a plan that nobody can train."""
    (mistake,) = mistakes(
        tmp_path, changed("seeds = 5", "seeds = 9999").replace("= 13", "= 300")
    )
    assert "at most 1,000,000 trainings" in mistake[1]


@pytest.mark.parametrize("betas", ["[0.9]", "[0.9, 0.99, 0.999]", "0.9", '["a", 1.0]'])
def test_betas_are_two_numbers(tmp_path, betas):
    """Too few, too many, and no list have one text, which says what was given."""
    optimizer = f'name = "adamw"\nbetas = {betas}'
    text = changed('name = "sgd"', optimizer).replace("momentum = 0.9", "")
    found = mistakes(tmp_path, text)
    must = "betas must be a list of two numbers, such as [0.9, 0.999]. Got"
    assert all(text.startswith(must) for _, text in found)


def test_a_size_is_told_once(tmp_path):
    """Data that every cell has too much of is one mistake, at its own key."""
    text = changed("dataset_size = 600", "dataset_size = 5000")
    told = [line for line, text in mistakes(tmp_path, text) if "5000" in text]
    assert len(told) == 1


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    """What an editor on Windows writes in front of a file is read over."""
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_study_file(path).base.width == 64


def test_what_has_no_end_is_refused(tmp_path):
    """A device, a pipe and a folder are no study files: nothing is read from them."""
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(StudyFileError, match="must be a regular file"):
            read_study_file(path)


def test_thousands_of_mistakes_are_told_soon(tmp_path):
    """A file of unknown keys is refused in seconds: its schema is built once."""
    keys = "\n".join(f"key{number} = 1" for number in range(2000))
    start = time.monotonic()
    found = mistakes(tmp_path, changed("seeds = 5", f"seeds = 5\n{keys}"))
    assert len(found) == 2000
    # 21 s when the schema was built for every key; the near names take 1 s.
    assert time.monotonic() - start < 10
