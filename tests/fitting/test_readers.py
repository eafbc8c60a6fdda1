"""Files as tools write them: every kind gives the same table, and no text acts."""

import json
import shlex
import sqlite3
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from fitting.planted import Planted, as_csv, draw

import dwindle
from dwindle.cli.main import main
from dwindle.errors import AmbiguousNameError, DataFilesError, UnknownNameError
from dwindle.fitting.results import read_results
from dwindle.store.connect import connect

ROWS, _ = draw(Planted(seeds=3, points=5), np.random.default_rng(1), effect=20)
BEST = dwindle.fit(ROWS).value
DATA = Path(__file__).parent.parent / "data"
NOTED = [{**row, "note": "é"} for row in ROWS]
COMMA = [{k: str(v).replace(".", ",") for k, v in row.items()} for row in ROWS]


class Frame:
    """A DataFrame of pandas, as far as it is read."""

    def to_dict(self):
        """Return columns, each by its index."""
        return {name: dict(enumerate(r[name] for r in ROWS)) for name in ROWS[0]}


def w_and_b():
    """Return rows as W&B exports them."""
    return [
        {"Name": f"run-{at}", "State": "finished", "Created": at, "Tags": "",
         "config/weight_decay": row["weight_decay"], "config/seed": row["seed"],
         "summary/val_loss": row["val_loss"], "summary/train_loss": 0.1 * at}
        for at, row in enumerate(ROWS)
    ]  # fmt: skip


TEXTS = {
    "csv": as_csv(ROWS),
    "byte order mark": "\ufeff" + as_csv(ROWS),
    "Excel's text": as_csv(NOTED).encode("utf-16"),
    "a stray é": as_csv(NOTED).encode("latin-1"),
    "tabs": as_csv(ROWS, "\t"),
    "semicolons and decimal commas": as_csv(COMMA, ";"),
    "jsonl": "\n".join(map(json.dumps, ROWS)),
    "json list": json.dumps(ROWS),
    "json columns": json.dumps({k: [r[k] for r in ROWS] for k in ROWS[0]}),
    "nested json": json.dumps([{"config": {"wd": r["weight_decay"], "seed": r["seed"]},
                                "val": {"loss": r["val_loss"]}} for r in ROWS]),
    "W&B": as_csv(w_and_b()),
    "equal rows twice": as_csv(ROWS + ROWS[:4]),
    "a row per epoch": as_csv([{**r, "epoch": e, "val_loss": r["val_loss"] + 9 - e}
                               for r in ROWS for e in (1, 9, 5)]),
}  # fmt: skip


def test_every_kind_of_file_gives_the_same(tmp_path):
    """CSV of any delimiter, JSON of any shape, trackers' exports: one answer."""
    found = {}
    for name, text in TEXTS.items():
        file = tmp_path / "results"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        fit = dwindle.fit(str(file))
        found[name] = (round(fit.value, 9), fit.cells[0].seeds)
        # Every byte is a letter in Latin-1: that it was read so is noted.
        assert bool(read_results(file).remarks) == ("é" in name or "comma" in name)
    assert found == dict.fromkeys(TEXTS, (round(BEST, 9), 3))
    assert dwindle.fit(Frame()).value == pytest.approx(BEST)


# Written by MLflow 3.17.2 (search_runs().to_csv; experiments csv has the same names)
# and by W&B 0.31.0 as its guide to exports does (a frame of summary, config and name).
EXPORTS = {
    "mlflow-3.csv": ("metrics.val_loss", "params.weight_decay", "params.seed", 24, 1),
    "wandb-api-0.csv": (
        "summary.val_loss",
        "config.weight_decay",
        "config.seed",
        18,
        0,
    ),
}


@pytest.mark.parametrize("file", EXPORTS)
def test_a_real_export_is_read_without_any_option(file):
    """Columns are found; a run that failed is left out, and none is pooled apart."""
    found = dwindle.fit(DATA / file)
    columns = found.columns
    named = columns.metric, columns.knob, columns.seed
    counts = found.trainings, sum(found.left_out.values())
    assert (*named, *counts) == EXPORTS[file]
    assert (columns.settings, found.cells[0].verdict) == ((), "optimum")
    # The valley that was logged is at exp(-4), a little elsewhere for each of 3 seeds.
    assert found.cells[0].low < 0.018 < found.cells[0].high


def test_names_and_cells_of_a_csv_are_as_they_were_meant(tmp_path):
    """Two columns of one name are two; an index without a name is none; 0,5 is .5."""
    file = tmp_path / "results.csv"
    for text, columns in (
        (",wd,loss,loss\n0,0.1,2,5\n1,0.2,3\n",
         {"wd": ["0.1", "0.2"], "loss": ["2", "3"], "loss (2)": ["5", ""]}),
        # A file of decimal commas may separate by commas, too.
        ('wd,loss\n"0,1","0,51"\n"0,01","0,42"\n',
         {"wd": ["0.1", "0.01"], "loss": ["0.51", "0.42"]}),
    ):  # fmt: skip
        file.write_text(text)
        assert dict(read_results(file).columns) == columns


def test_what_is_no_dictionary_stays_a_text():
    """A ladder of brackets, a call or a set is no dictionary; nor is it run."""
    texts = ["{" + "[" * 1001, "{print(1)}", "{1, 2}", "{'a': 1}"]
    rows = [{"note": text, "loss": 1.0} for text in texts]
    assert dict(read_results(rows[:3]).columns)["note"] == texts[:3]
    assert dict(read_results(rows).columns)["note.a"] == [None, None, None, 1]


@pytest.mark.parametrize(
    ("most", "rows"),
    [
        ("MOST_ROWS", ["a,b", *["1,2"] * 5]),
        ("MOST_ROWS", ['{"a": 1}'] * 5),
        ("MOST_COLUMNS", ["a,b,c,d,e", "1,2,3,4,5"]),
        ("MOST_COLUMNS", ['{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}']),
        ("MOST_BYTES", ["a,b", "1,2"]),
    ],
)
def test_a_table_that_is_too_large_is_refused(most, rows, tmp_path, monkeypatch):
    """Rows, columns and bytes have a limit, in a file and in what was read of it."""
    for module in ("results", "table"):
        monkeypatch.setattr(f"dwindle.fitting.{module}.{most}", 4)
    file = tmp_path / "results"
    file.write_text("\n".join(rows))
    with pytest.raises(DataFilesError) as raised:
        read_results(file)
    assert raised.value.path == str(file)


def test_runs_that_did_not_finish_are_left_out_and_counted():
    """Failed, running, pruned, missing: each has its count; nan has diverged."""
    rows = w_and_b()
    for at, state in enumerate(("failed", "crashed", "running", "killed")):
        rows[at]["State"] = state
    rows[4]["summary/val_loss"] = ""
    rows[5]["summary/val_loss"] = "NaN"
    found = dwindle.fit(rows)
    assert found.left_out == {"failed": 3, "unfinished": 1, "without a loss": 1}
    assert found.cells[0].diverged == 1


def sqlite_file(file, text):
    connection = sqlite3.connect(file)
    connection.executescript(text)
    connection.close()
    return file


def test_a_file_of_optuna_is_read_without_optuna(tmp_path):
    """A file that Optuna 5 wrote: states, categories, and an infinite value."""
    file = sqlite_file(tmp_path / "study.db", (DATA / "optuna-5.sql").read_text())
    before = file.read_bytes()
    table = read_results(file)
    assert table.columns["optimizer"][:3] == ["adamw", "sgd", "adamw"]
    assert table.columns["lr"][:2] == [0.1, 0.01]
    assert table.columns["user_attrs_note"][0] == "it's"
    assert table.maximize is False
    found = dwindle.fit(file, ignore=["optimizer", "lr"])
    assert found.left_out == {"pruned": 1, "failed": 1, "unfinished": 1}
    assert (found.cells[0].diverged, found.trainings) == (1, 10)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(UnknownNameError) as raised:
        dwindle.fit(file, study="demi")
    assert raised.value.nearest == ("demo",)


def test_a_file_of_an_old_optuna_is_read(tmp_path):
    """Before version 3 the value stood in the trial, and the direction in the study.

    What is written beside the file, and not into it yet, is read too; a category that
    is no choice stays its number, and a note that is no JSON a text.
    """
    file = tmp_path / "old.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(OLD_OPTUNA)
    assert file.with_name("old.db-wal").stat().st_size
    table = read_results(file)
    connection.close()
    assert table.maximize
    assert dict(table.columns) == {
        "value": [0.5, 0.7, None],
        "state": ["COMPLETE", "COMPLETE", "FAIL"],
        "wd": [0.1, 0.2, None],
        "kind": [7.0, "sgd", None],
        "user_attrs_note": ["no {json", None, None],
    }


OLD_OPTUNA = """
CREATE TABLE studies (study_id INTEGER, study_name TEXT, direction TEXT);
CREATE TABLE trials (trial_id INTEGER, study_id INTEGER, state TEXT, value FLOAT);
CREATE TABLE trial_params (trial_id INTEGER, param_name TEXT, param_value FLOAT,
    distribution_json TEXT);
CREATE TABLE trial_user_attributes (trial_id INTEGER, key TEXT, value_json TEXT);
INSERT INTO studies VALUES (1, 'old', 'MAXIMIZE');
INSERT INTO trials VALUES (1, 1, 'COMPLETE', 0.5), (2, 1, 'COMPLETE', 0.7),
    (3, 1, 'FAIL', NULL);
INSERT INTO trial_params VALUES
    (1, 'wd', 0.1, '{"name": "FloatDistribution", "attributes": {}}'),
    (2, 'wd', 0.2, '{"name": "FloatDistribution", "attributes": {}}'),
    (1, 'kind', 7.0, '{"name": "CategoricalDistribution",
        "attributes": {"choices": ["adamw", "sgd"]}}'),
    (2, 'kind', 1.0, '{"name": "CategoricalDistribution",
        "attributes": {"choices": ["adamw", "sgd"]}}'),
    (9, 'wd', 0.3, '{}');
INSERT INTO trial_user_attributes VALUES (1, 'note', 'no {json');
"""


def test_studies_that_have_no_one_answer_are_refused(tmp_path):
    """Several studies need a name; several objectives have no best decay."""
    dump = (DATA / "optuna-5.sql").read_text()
    two = "INSERT INTO study_directions VALUES(9, 'MAXIMIZE', 1, 1);"
    several = dump + "INSERT INTO studies VALUES(2, 'other');"
    for text, error in (
        (several, AmbiguousNameError),
        (dump + two, DataFilesError),
        ("CREATE TABLE mine (x);", DataFilesError),
    ):
        file = sqlite_file(tmp_path / f"{error.__name__}{len(text)}.db", text)
        with pytest.raises(error) as raised:
            dwindle.fit(file)
        assert vars(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"a,b\n", b"1,2\n3,4\n", b"a,b\n1,2,3\n", b"\x00\x01\x02", b"[1, 2]",
        b'{"a": [1], "b": [1, 2]}', b'{"a": 1}\nnot json', b"[" * 100_000,
        b"wd;loss\n1,234;2,345\n", b'a,b\n"' + b"x" * (2 << 20), b"[]", b"[[1]]",
        b"SQLite format 3\x00" + b"x" * 100, b"PAR1" * 9,
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(data, tmp_path, capsys):
    """Not one of these gives a traceback or an answer."""
    file = tmp_path / "results"
    file.write_bytes(data)
    assert main(["fit", str(file), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "DataFilesError"


def test_parquet_is_read_by_what_is_there(tmp_path, monkeypatch):
    """Polars or pyarrow give its columns; without either there is an error."""
    file = tmp_path / "results.parquet"
    file.write_bytes(b"PAR1....")
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    frame = types.SimpleNamespace(to_dict=lambda as_series: columns)  # noqa: ARG005
    polars = types.SimpleNamespace(read_parquet=lambda path: frame)  # noqa: ARG005
    monkeypatch.setitem(sys.modules, "polars", polars)
    assert dwindle.fit(file).value == pytest.approx(BEST)
    monkeypatch.setitem(sys.modules, "polars", None)
    arrow = types.SimpleNamespace(to_pydict=lambda: columns)
    parquet = types.SimpleNamespace(read_table=lambda path: arrow)  # noqa: ARG005
    monkeypatch.setitem(sys.modules, "pyarrow", types.ModuleType("pyarrow"))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    assert dwindle.fit(file).value == pytest.approx(BEST)
    parquet.read_table = None  # a library fails in its own ways
    for module in (sys.modules["pyarrow.parquet"], None):
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", module)
        with pytest.raises(DataFilesError) as raised:
            dwindle.fit(file)
        assert raised.value.path == str(file)


HOSTILE = "$(touch pwned) '\"; =cmd|' \x1b[31m\u202e\nval_loss"


def test_names_of_columns_never_act(tmp_path, capsys, monkeypatch):
    """Quotes, substitutions, escapes and formulas are letters, also in the command."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"weight_decay": row["weight_decay"], "seed": row["seed"],
         "$(touch pwned)": row["seed"] % 2, HOSTILE: 1 + row["val_loss"] % 0.01}
        for row in ROWS
    ]  # fmt: skip
    Path("r.json").write_text(json.dumps(rows))
    options = ["--cells", "$(touch pwned)", "--metric", HOSTILE]
    assert main(["fit", "r.json", *options]) == 0
    text = capsys.readouterr().out
    assert not any(c in text for c in "\x1b\u202e\r")
    assert main(["fit", "r.json", *options, "--json"]) == 0
    command = json.loads(capsys.readouterr().out)["command"]
    words = shlex.split(command)
    assert words[:2] == ["dwindle", "find"]
    assert "\n" not in command
    # A shell that runs the line with another first word starts nothing else.
    subprocess.run(["sh", "-c", f": {command}"], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json"]


def test_ambiguous_columns_are_refused():
    """Two decays or two losses that are alike: both are named."""
    rows = [{"wd": 1, "l2": at, "loss": 2, "wd_": 3} for at in range(3)]
    assert dwindle.fit(rows).columns.knob == "l2"
    for row, at in zip(rows, (1, 2, 3), strict=True):
        row["wd"] = at
    with pytest.raises(AmbiguousNameError) as raised:
        dwindle.fit(rows)
    assert raised.value.candidates == ("wd", "l2")
    with pytest.raises(DataFilesError) as raised:
        dwindle.fit([{"a": 1, "b": 2}])
    assert raised.value.path == "the list"


def test_what_is_no_file_of_results_is_named(tmp_path):
    """A store of ours is for dwindle report; a missing file has no number of errno."""
    store = tmp_path / "t-find.db"
    connect(store, writes=True)[0].close()
    with pytest.raises(DataFilesError) as raised:
        dwindle.fit(store)
    assert f"dwindle report {store}" in raised.value.remedy
    with pytest.raises(DataFilesError) as missing:
        dwindle.fit(tmp_path / "none.csv")
    assert missing.value.got == "no such file or directory"
