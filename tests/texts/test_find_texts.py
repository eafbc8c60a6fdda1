"""What a search prints, word by word.

``--snapshot-update`` writes the texts anew; read them before they are kept.
"""

import random
from pathlib import Path

import pytest
from finding.formula import Formula, error, loss_of, search
from syrupy.assertion import SnapshotAssertion

from dwindle.errors import FirstTrainingError, NoEffectError, UsageError
from dwindle.finding.command import CommandRecipe
from dwindle.finding.driver import run_search
from dwindle.finding.found import found_of
from dwindle.finding.metric import Metric
from dwindle.finding.records import Change, Former, find_from_stored
from dwindle.show import as_text
from dwindle.store.store import read_store

FACTS = {"lr": 1e-3, "batch_size": 10, "dataset_size": 100, "epochs": 5.0}
CASES = {
    "found": (Formula, {}),
    "facts are known": (Formula, {"facts": FACTS}),
    "a limit": (Formula, {"trainings": 9}),
    "no seed": (lambda: Formula(has_seed=False), {"trainings": 12}),
    "a failure": (lambda: Formula(fails={3: error()}), {"trainings": 10}),
    "it diverges": (
        lambda: Formula(loss=lambda _, __: float("nan")),
        {"trainings": 10},
    ),
    "an accuracy": (
        lambda: Formula(loss=lambda decay, seed: 1 - loss_of(decay, seed) / 2),
        {"maximize": True, "trainings": 12},
    ),
    "it only hurts": (
        lambda: Formula(loss=lambda decay, seed: 1 + decay / 3 + seed / 100),
        {},
    ),
    "nothing can be told": (
        lambda: Formula(loss=lambda *told: random.Random(f"2{told}").gauss(1, 0.04)),  # noqa: S311 no secret
        {"trainings": 22},
    ),
    "at an edge": (Formula, {"low": 1e-6, "high": 1e-4, "trainings": 12}),
}


def test_what_is_found(snapshot: SnapshotAssertion, tmp_path, monkeypatch):
    """Value, range and reason first; then facts, notes and all trainings."""
    monkeypatch.chdir(tmp_path)  # a path of any length would fold the lines elsewhere
    texts = {}
    for number, (name, (recipe, changes)) in enumerate(CASES.items()):
        path = Path(f"{number}.db")
        run_search(search(recipe(), **changes), path)
        found = found_of(find_from_stored(read_store(path)))
        texts[name] = as_text(found._drawn(), width=80)
    assert texts == snapshot


@pytest.mark.parametrize(
    "refused",
    [
        FirstTrainingError("python train.py", "exit code 1", ("Traceback", "E: no")),
        FirstTrainingError("mine:train", "it was ended after 5 s", ()),
        NoEffectError("0.123456", 3, 0.001, 0.1),
    ],
    ids=["lines", "silent", "no effect"],
)
def test_its_errors(refused, snapshot: SnapshotAssertion):
    """What must hold, what was found, and the way out."""
    assert str(refused) == snapshot


def test_what_is_not_counted_and_what_is_not_there(snapshot: SnapshotAssertion):
    """Trainings of before, one or several, and a command without any word."""
    change = Change(condition="metric", then="loss", now="val_loss")
    texts = [
        Former(trainings=count, changes=changes).text
        for count, changes in ((1, ()), (2, (change,)))
    ]
    with pytest.raises(UsageError) as raised:
        CommandRecipe(words=(), metric=Metric(text="loss"))
    assert [*texts, str(raised.value)] == snapshot
