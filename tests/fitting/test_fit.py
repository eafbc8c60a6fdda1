"""From a file of results to an answer: files as people have them, their truth known."""

import json
import shlex

import numpy as np
import pytest
from fitting.planted import Planted, as_csv, draw

import dwindle
from dwindle.cli.main import main
from dwindle.errors import DataFilesError, UsageError

SHARP = Planted(seeds=5, points=13, zero=True, fresh=0.005)


@pytest.fixture(scope="module")
def sharp():
    """Rows of a clear dip, and its truth."""
    return draw(SHARP, np.random.default_rng(0), effect=60)


def test_a_csv_gives_the_best_decay(sharp, tmp_path, capsys):
    """A file of weight_decay, seed and val_loss is enough, and its truth is found."""
    rows, truth = sharp
    file = tmp_path / "results.csv"
    file.write_text(as_csv(rows))
    assert main(["fit", str(file), "--json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert (cell["matters"], cell["verdict"]) == ("yes", "optimum")
    assert cell["low"] < truth < cell["high"]
    assert cell["trainings"] == len(rows)
    assert cell["needed"] is None
    # Without λ = 0 whether decay matters is open, but the optimum is claimed.
    (bare,) = dwindle.fit([row for row in rows if row["weight_decay"]]).cells
    assert (bare.matters, bare.verdict) == ("cannot tell", "optimum")
    assert bare.low < truth < bare.high


@pytest.mark.parametrize("name", ["val_accuracy", "val_error", "f1"])
def test_shares_and_percentages_are_no_one_column(name):
    """0.91 beside 91.2 is refused; one unit, one lucky run and chance are not."""
    shares = [
        {"wd": 10.0**-k, "seed": s, name: 0.8 - 0.01 * abs(k - 2) + 0.002 * s}
        for k in range(5)
        for s in range(3)
    ]
    percents = [{**row, name: 100 * row[name]} for row in shares]
    with pytest.raises(DataFilesError) as raised:
        dwindle.fit([*shares[:4], *percents[4:]])
    assert name in raised.value.must
    assert dwindle.fit(shares).value == pytest.approx(dwindle.fit(percents).value)
    for odd in (1.0, 0.5, 90.0):
        assert dwindle.fit([{**percents[0], name: odd}, *percents[1:]]).cells


def test_what_seems_wrong_in_rows_is_noted(sharp):
    """Several losses of one training, an impossible λ: none is silent."""
    rows, truth = sharp
    twice = dwindle.fit([*rows, *({**row, "val_loss": 9.0} for row in rows[:3])])
    assert [note for note in twice.notes if "3 rows" in note]
    assert repr(twice) == f"<Fit: {twice.headline}>"
    impossible = dwindle.fit([*rows, {**rows[0], "weight_decay": -1}])
    assert impossible.left_out["with an impossible weight decay"] == 1
    assert impossible.cells[0].low < truth < impossible.cells[0].high


def test_what_is_open_has_a_line_that_find_accepts(tmp_path, capsys, monkeypatch):
    """Noise gets a number of further seeds, and find plans them from the line."""
    monkeypatch.chdir(tmp_path)
    noisy = Planted(seeds=4, points=5, fresh=0.1)
    rows, _ = draw(noisy, np.random.default_rng(9), effect=0)
    (tmp_path / "results.csv").write_text(as_csv(rows))
    (tmp_path / "my train.py").write_text("print('val_loss', 1)")
    script = ["python", "my train.py", "--wd", "{weight_decay}", "--seed", "{seed}"]
    assert main(["fit", "results.csv", "--json", "--", *script]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cells"][0]["verdict"] == "cannot tell"
    first, command, *words = shlex.split(found["command"])
    assert (first, command, words[-6:]) == ("dwindle", "find", script)
    assert main(["find", "--dry-run", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)


ONE_SEED = [
    {"weight_decay": 10.0**-k, "seed": 0, "val_loss": 2 + 0.1 * (k - 2) ** 2}
    for k in range(5)
]
DECAY, SEED = ("--wd", "{weight_decay}"), ("--seed", "{seed}")


def test_no_line_is_printed_that_settles_nothing():
    """Without {weight_decay} find would refuse it; without {seed} nothing pairs."""
    for words in ([], ["{seed}"], ["${weight_decay}"]):
        with pytest.raises(UsageError) as raised:
            dwindle.fit(ONE_SEED, script=["python", "t.py", *words])
        assert "{weight_decay}" in raised.value.remedy
    with_seed = dwindle.fit(ONE_SEED, script=["python", "t.py", *DECAY, *SEED])
    assert with_seed.command.endswith("--seed '{seed}'")
    seedless = dwindle.fit(ONE_SEED, script=["python", "t.py", *DECAY])
    assert seedless.command == ""
    # Before all other notes, of which three are printed.
    assert set(seedless.notes) - set(with_seed.notes) == {seedless.notes[0]}
    # Rows that have no seed are compared unpaired anyway.
    no_seed = [{k: row[k] for k in ("weight_decay", "val_loss")} for row in ONE_SEED]
    assert dwindle.fit(no_seed[:2], script=["python", "t.py", *DECAY]).command


@pytest.mark.parametrize(
    ("column", "printed"),
    [
        ("value", "METRIC"),
        ("objective_value", "METRIC"),
        ("metrics.val_loss", "val_loss"),
        ("val_loss", "val_loss"),
    ],
)
def test_the_metric_of_the_line_is_what_a_training_prints(column, printed):
    """Optuna's own column is none: it becomes a name to fill in, with a note."""
    rows = [
        {"weight_decay": row["weight_decay"], "seed": 0, column: row["val_loss"]}
        for row in ONE_SEED
    ]
    found = dwindle.fit(rows)
    words = shlex.split(found.command)
    assert words[words.index("--metric") + 1] == printed
    assert any("METRIC" in note for note in found.notes) == (printed == "METRIC")
