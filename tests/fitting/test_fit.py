"""From a file of results to an answer: files as people have them, their truth known."""

import json
import shlex

import numpy as np
import pytest
from fitting.planted import Planted, as_csv, draw

import dwindle
from dwindle.cli.main import main
from dwindle.errors import DataFilesError, RefusedError, UsageError

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


def test_a_score_is_read_as_its_error(sharp):
    """Accuracies are recognized by their name, and 1 - accuracy is what counts."""
    rows, truth = sharp
    scored = [
        {
            "wd": r["weight_decay"],
            "seed": r["seed"],
            "test_acc": 1 - 0.2 * r["val_loss"],
        }
        for r in rows
    ]
    found = dwindle.fit(scored)
    assert found.columns.maximize
    assert found.value == pytest.approx(dwindle.fit(rows).value)
    assert found.cells[0].low < truth < found.cells[0].high


def test_rows_without_a_zero_have_an_optimum_all_the_same(sharp):
    """Without λ = 0 whether decay matters is open, but the optimum is claimed."""
    rows = [row for row in sharp[0] if row["weight_decay"]]
    (cell,) = dwindle.fit(rows).cells
    assert (cell.matters, cell.verdict) == ("cannot tell", "optimum")
    assert cell.low < sharp[1] < cell.high


def test_nothing_that_differs_is_pooled():
    """A group per value of another hyper-parameter; none alike is refused."""
    rows = [
        {"weight_decay": 10.0**-k, "dropout": d, "val_loss": 2 + 0.1 * (k - 2) ** 2}
        for k in range(5)
        for d in (0.0, 0.1)
    ]
    found = dwindle.fit(rows)
    assert [dict(cell.settings) for cell in found.cells] == [
        {"dropout": "0"},
        {"dropout": "0.1"},
    ]
    assert len(dwindle.fit(rows, ignore=["dropout"]).cells) == 1
    searched = [{**row, "lr": 0.1 + at} for at, row in enumerate(rows)]
    with pytest.raises(RefusedError) as raised:
        dwindle.fit(searched)
    assert raised.value.asked
    # So is one that has another value in every row, by its name.
    drawn = [{**row, "dropout": 0.1 + at / 99} for at, row in enumerate(rows)]
    with pytest.raises(RefusedError) as refused:
        dwindle.fit(drawn)
    assert refused.value.asked == raised.value.asked


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


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([{"wd": 0.1, "loss": 2.0}, {"wd": 0.01, "loss": 1.0}], "cannot tell"),
        ([{"wd": 0.1, "loss": 2.0}, {"wd": 0.1, "loss": 1.0}], "cannot tell"),
        ([{"wd": 0.1, "loss": 2.0}], "cannot tell"),
    ],
)
def test_few_rows_are_an_answer_too(rows, verdict):
    """Two rows, one λ, one row: nothing is claimed."""
    (cell,) = dwindle.fit(rows).cells
    assert cell.verdict == verdict
    assert cell.low is None


def test_what_looks_wrong_in_rows_is_said(sharp):
    """One loss for all λ, several of one training, an impossible λ: none is silent."""
    rows, truth = sharp
    (cell,) = dwindle.fit([{**row, "val_loss": 0.5} for row in rows]).cells
    assert (cell.verdict, cell.value, cell.compared) == ("cannot tell", None, None)
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
    """Optuna's own column is none: a name to fill in, which a note says."""
    rows = [
        {"weight_decay": row["weight_decay"], "seed": 0, column: row["val_loss"]}
        for row in ONE_SEED
    ]
    found = dwindle.fit(rows)
    words = shlex.split(found.command)
    assert words[words.index("--metric") + 1] == printed
    assert any("METRIC" in note for note in found.notes) == (printed == "METRIC")


def test_seeds_that_share_few_decays_are_read_too():
    """Two trainings a seed around the best, as find makes them: value and interval."""
    generator, center = np.random.default_rng(0), np.log(1e-2)
    pairs = center + generator.normal(0, 0.2, (6, 1)) + np.array([-0.6, 0.6])
    places = [np.linspace(np.log(1e-4), 0, 7), *pairs]
    rows = [
        {
            "weight_decay": float(np.exp(x)),
            "seed": seed,
            "val_loss": float(np.exp(0.1 * seed + 0.02 * (x - center) ** 2)),
        }
        for seed, of_seed in enumerate(places)
        for x in of_seed
    ]
    (cell,) = dwindle.fit(rows).cells
    assert (cell.paired, cell.seeds, cell.verdict) == (True, 7, "cannot tell")
    assert cell.low < 1e-2 < cell.high
    assert cell.value == pytest.approx(1e-2, rel=0.1)
