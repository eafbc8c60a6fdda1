"""Functions: called by name or by value, what they return, how their worker lives."""

# A training takes what it is given, used or not.
# ruff: noqa: ARG001, ARG005

import os
import signal
import threading
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from finding import trainings
from finding.programs import alive
from study.processes import wait_until

from dwindle.errors import UsageError
from dwindle.finding.call import loss_of, signature_of
from dwindle.finding.function import FunctionRecipe
from dwindle.finding.metric import Metric
from dwindle.finding.running import Running
from dwindle.finding.training import Request

FILE = Path(trainings.__file__)
REQUEST = Request(weight_decay=1.0, seed=2)


@pytest.fixture(scope="module", autouse=True)
def folder_of_trainings():
    """Functions are named relative to the folder of the file."""
    before = Path.cwd()
    os.chdir(FILE.parent)
    yield
    os.chdir(before)


def train(name, request=REQUEST, **options):
    """The result of one training by a function of trainings.py."""
    recipe = FunctionRecipe.of(f"trainings:{name}", **options)
    with closing(recipe.open()) as training:
        return training.train(request)


def test_a_function_gets_what_it_declares(tmp_path):
    """Decay, seed, and of the scale only its own names; whole numbers are whole."""
    request = Request(
        weight_decay=0.5, seed=2, scale={"width": 64.0, "depth": 3}, folder=tmp_path
    )
    result = train("plain", request)
    assert (result.status, result.loss) == ("ok", 134)
    assert result.output.read_text() == "width 64 int\n"
    assert train("anything", request).loss == 64 + 3 + 2


def test_a_file_or_a_module_names_it():
    """module:function and file.py:function are the same; so is the function itself."""
    for target in ("trainings:plain", "trainings.py:plain", f"{FILE}:plain"):
        recipe = FunctionRecipe.of(target)
        assert recipe.has_seed
        assert Path(recipe.signature.file) == FILE
        with closing(recipe.open()) as training:
            assert training.train(REQUEST).loss == 121
    assert not FunctionRecipe.of(trainings.no_seed).has_seed


def test_a_worker_is_asked_again_and_again():
    """One process for all trainings, that of the signature too; not this one."""
    recipe = FunctionRecipe.of("trainings:pid")
    assert recipe.has_seed
    with closing(recipe.open()) as training:
        found = {training.train(REQUEST).loss for _ in range(3)}
        assert len(found | {os.getpid()}) == 2
        other = Request(weight_decay=1.0, environment={"CUDA_VISIBLE_DEVICES": "1"})
        assert training.train(other).loss not in found


def test_closures_reach_a_worker():
    """What a notebook defines is sent by value, with what it refers to: but no lock."""
    offset, lock = np.array([7.0]), threading.Lock()
    recipe = FunctionRecipe.of(lambda weight_decay, seed: weight_decay + offset)
    assert recipe.target is None
    with closing(recipe.open()) as training:
        assert training.train(REQUEST).loss == 8
    with pytest.raises(UsageError) as raised:
        FunctionRecipe.of(lambda weight_decay: lock)
    assert "lock" in raised.value.got


def test_what_a_function_raises_is_an_outcome():
    """The user's own traceback, without our frames, ends in his lines."""
    result = train("raising")
    assert (result.status, result.is_worth_another_try) == ("error", True)
    assert result.error == "ZeroDivisionError: float division by zero"
    assert result.last_lines[0] == "Traceback (most recent call last):"
    assert "trainings.py" in result.last_lines[1]
    assert not [line for line in result.last_lines if "dwindle/finding" in line]
    assert train("leaving").error == "SystemExit: 3"


def test_a_worker_that_dies_is_replaced():
    """A crash is the result of one training, named; the next has a new worker."""
    recipe = FunctionRecipe.of("trainings:crashing")
    with closing(recipe.open()) as training:
        result = training.train(REQUEST)
        assert result.status == "error"
        assert "SIGSEGV" in result.error
        assert result.last_lines[0] == "bye"
        assert result.is_worth_another_try
        assert training.train(Request(weight_decay=2.0)).loss == 2
        worker = training._worker
        os.kill(worker.group.pid, signal.SIGKILL)  # while it is idle
        assert wait_until(worker.group.has_ended)
        assert training.train(Request(weight_decay=3.0)).loss == 3


def test_a_function_that_hangs_is_ended_with_all_that_it_started():
    """At the time-out the worker and its children go; the next has a new one.

    The result of a forked child is never taken for that of the training.
    """
    slot = {"DWINDLE_TEST_HANGS": "yes"}
    recipe = FunctionRecipe.of("trainings:hanging")
    with closing(recipe.open()) as training:
        result = training.train(
            Request(weight_decay=1.0, timeout_s=0.5, environment=slot)
        )
        assert (result.status, result.error) == ("error", "it was ended after 0.5 s")
        assert alive("DWINDLE_TEST_HANGS") == []
        for decay in (2.0, 3.0):  # one that forks a child which returns, and the next
            request = Request(weight_decay=decay, environment=slot)
            assert training.train(request).loss == decay
    assert alive("DWINDLE_TEST_HANGS") == []


def test_losses_that_come_step_by_step():
    """The last counts, or the best; NaN ends the training where it comes."""
    assert train("pairs").loss == 2
    assert train("pairs", metric=Metric(text="loss", take="min")).loss == 1
    result = train("diverging")
    assert (result.status, result.loss) == ("diverged", None)
    assert "step 2" in result.error


LOSSES = (
    (0.5, 0.5),
    (3, 3.0),
    (np.float32(0.5), 0.5),
    (np.array(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (torch.tensor(0.5), 0.5),
    (torch.tensor([0.5], dtype=torch.bfloat16), 0.5),
    (Decimal("0.5"), 0.5),
    (Fraction(1, 2), 0.5),
    ({"loss": 2, "val_loss": torch.tensor(0.5)}, 0.5),
)
NO_LOSSES = (
    (None, "None"),
    (True, "bool"),
    ("0.5", "str"),
    (b"0.5", "bytes"),
    (1j, "complex"),
    ((0.5, 0.9), "tuple"),
    ([0.5], "list"),
    (np.array([0.5, 0.9]), "(2,)"),
    (torch.zeros(2, 3), "(2, 3)"),
    (torch.tensor(0.5, requires_grad=True), "item()"),
    ({"acc": 1}, "acc"),
    ({}, "without keys"),
    ({"val_loss": None}, "its val_loss is None"),
    # A name that is spelt otherwise there is no reason to take another number.
    ({"loss": 0.5, "val_los": 0.4}, "val_los"),
    (iter([]), "iterator"),
    ((each for each in [0.5]), "yielded a float"),
    ((each for each in []), "yielded nothing"),
    ((each for each in [(1, "0.5")]), "its loss at step 1"),
)


def test_what_is_plainly_one_number_is_the_loss():
    """Numbers of any library with one value, and the named key of a dict."""
    metric = Metric(text="val_loss")
    for returned, loss in LOSSES:
        found = loss_of(returned, metric)
        assert (found.status, found.loss) == ("ok", loss), returned
    for returned in (float("nan"), np.float32("inf"), torch.tensor(float("-inf"))):
        assert loss_of(returned).status == "diverged"


def test_what_is_no_loss_is_never_guessed():
    """Each of the wrong results gives an error that names it."""
    for returned, what in NO_LOSSES:
        found = loss_of(returned, Metric(text="val_loss"))
        assert (found.status, found.loss) == ("error", None)
        assert what in found.error


def needs_more(weight_decay, seed, lr):
    return 1.0


def test_functions_that_cannot_train_are_refused():
    """No decay, a decay by position, an argument that nobody gives, no function."""
    by_position = lambda weight_decay, /: 1.0  # noqa: E731
    for function in (trainings.without_decay, by_position, needs_more, 3, print, type):
        with pytest.raises(UsageError) as raised:
            FunctionRecipe.of(function)
        assert "Write" in str(raised.value) or "default" in raised.value.remedy
    assert signature_of(needs_more, ("lr",)).names == ("lr",)


NAMES = {
    "trainings:no_such": "no no_such",
    "trainings:without_decay": "without_decay(seed)",
    "trainings:NOT_A_FUNCTION": "an int",
    "traininks:plain": "no module traininks",
    "traininks.py:plain": "no such file",
    "trainings": "trainings",
    "breaks.py:train": "ZeroDivisionError",
    "imports.py:train": "no_such_library",
}


def test_names_that_lead_to_no_training_are_refused(tmp_path, monkeypatch):
    """No module, no function, a module that raises: refused before anything trains."""
    (tmp_path / "breaks.py").write_text("1 / 0\n")
    (tmp_path / "imports.py").write_text("import no_such_library\n")
    (tmp_path / "trainings.py").write_bytes(FILE.read_bytes())
    monkeypatch.chdir(tmp_path)
    found = {}
    for target in NAMES:
        with pytest.raises(UsageError) as raised:
            FunctionRecipe.of(target).has_seed  # noqa: B018 it is looked up now
        found[target] = raised.value
    assert [each for each, got in NAMES.items() if got not in found[each].got] == []
    assert "trainings" in found["traininks:plain"].remedy
    assert "breaks.py" in found["breaks.py:train"].remedy  # where it happened


def test_workers_side_by_side_share_the_cores(monkeypatch):
    """Each has its part of the threads; what the user set stays."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    recipe = FunctionRecipe.of("trainings:threads")
    with Running(recipe, jobs=2) as running:
        found = {result.loss for _, result in running.run([REQUEST, REQUEST])}
    assert found == {max(1, len(os.sched_getaffinity(0)) // 2)}
    assert recipe.environment_for(1) == {}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert recipe.environment_for(2) == {}
