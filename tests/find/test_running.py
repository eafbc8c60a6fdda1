"""Trainings side by side: slots, turns, and an end of all of them."""

import time
from threading import Timer

import pytest
from find.programs import alive, recipe

from dwindle.errors import UsageError
from dwindle.find.command import CommandRecipe
from dwindle.find.metric import Metric
from dwindle.find.running import Running, slot_variables
from dwindle.find.training import Ask

DECAY = "import sys; print('loss', sys.argv[-1])"


def asks(count):
    return [
        Ask(weight_decay=number, number=number, environment={"DWINDLE_TEST_RUN": "yes"})
        for number in range(1, count + 1)
    ]


def test_each_training_gets_its_own_outcome():
    """Two at a time, all come back, each with what was asked."""
    with Running(recipe(DECAY), jobs=2) as running:
        found = {ask.number: came.loss for ask, came in running.run(asks(5))}
        assert found == {number: number for number in range(1, 6)}
        assert [ask.number for ask, _ in running.run(asks(1))] == [1]
        assert list(running.run([])) == []


def test_the_next_is_asked_for_when_a_slot_is_free():
    """A plan that is made as outcomes come is not read ahead."""
    ended = []

    def one_by_one():
        for ask in asks(3):
            assert len(ended) >= ask.number - 1
            yield ask

    with Running(recipe(DECAY)) as running:
        for ask, _ in running.run(one_by_one()):
            ended.append(ask)
    assert len(ended) == 3


def test_trainings_at_the_same_time_have_slots_of_their_own(tmp_path):
    """Each finds the device of its slot, and never one that another has now."""
    code = (
        "import os, sys, time; slot = os.environ['CUDA_VISIBLE_DEVICES'];"
        "path = sys.argv[1] + slot; os.mkdir(path); time.sleep(0.1); os.rmdir(path);"
        "print('loss', slot)"
    )
    with Running(recipe(code, f"{tmp_path}/"), slots=("cuda:3", "cuda:5")) as running:
        assert running.jobs == 2
        found = [came.loss for _, came in running.run(asks(6))]
    assert set(found) == {3, 5}
    assert len(found) == 6


def test_closing_ends_all_that_runs():
    """Within seconds, from a handler of Ctrl-C as well, and nothing is left."""
    running = Running(recipe("import os, time; os.fork(); time.sleep(600)"), jobs=3)
    Timer(0.5, running.close).start()
    start = time.monotonic()
    found = [came.status for _, came in running.run(asks(3))]
    assert found == ["error"] * 3
    assert time.monotonic() - start < 20
    running.close()
    assert alive("DWINDLE_TEST_RUN") == []


def test_one_that_fails_fails_alone():
    """An exit code is the outcome of its training only."""
    code = "import sys; sys.exit(1) if sys.argv[-1] == '2' else print('loss 1')"
    with Running(recipe(code), jobs=2) as running:
        found = {ask.number: came.status for ask, came in running.run(asks(3))}
    assert found == {1: "ok", 2: "error", 3: "ok"}


def test_slots_are_devices_or_variables():
    """Anything else is refused with what may be written."""
    assert slot_variables("cuda:1") == {"CUDA_VISIBLE_DEVICES": "1"}
    assert slot_variables("cpu") == {"CUDA_VISIBLE_DEVICES": ""}
    assert slot_variables("A=b=c") == {"A": "b=c"}
    for slot in ("cuda", "cuda:x", "gpu0", "=1", ""):
        with pytest.raises(UsageError) as raised:
            slot_variables(slot)
        assert raised.value.got == repr(slot)


def test_trainings_that_would_share_a_file_of_results_are_refused():
    """Two at a time cannot write one file; with {out} each has its own."""
    words = ("echo", "{weight_decay}")
    shared = CommandRecipe(words=words, metric=Metric(text="m.json:loss"))
    with pytest.raises(UsageError) as raised:
        Running(shared, jobs=2)
    assert "{out}" in raised.value.remedy
    own = CommandRecipe(words=(*words, "{out}"), metric=Metric(text="m.json:loss"))
    Running(own, jobs=2).close()
    Running(shared).close()
