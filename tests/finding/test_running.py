"""Trainings side by side: slots, turns, and an end of all of them."""

import pickle
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Timer

import pytest
from finding import trainings
from finding.programs import alive, recipe

from dwindle.errors import UsageError
from dwindle.finding.command import CommandRecipe
from dwindle.finding.function import FunctionRecipe, InlineRecipe
from dwindle.finding.metric import Metric
from dwindle.finding.running import Running, slot_variables
from dwindle.finding.training import Request

HERE = str(Path(__file__).parent)


def requests(count):
    return [
        Request(
            weight_decay=number, number=number, environment={"DWINDLE_TEST_RUN": "yes"}
        )
        for number in range(1, count + 1)
    ]


def test_each_training_gets_its_own_outcome():
    """Two at a time, each result comes with its request; one fails alone."""
    code = "import sys; d = sys.argv[-1]; sys.exit(1) if d == '2' else print('loss', d)"
    with Running(recipe(code), jobs=2) as running:
        found = {
            request.number: result.loss for request, result in running.run(requests(5))
        }
        assert found == {1: 1, 2: None, 3: 3, 4: 4, 5: 5}
        assert [request.number for request, _ in running.run(requests(1))] == [1]
        assert list(running.run([])) == []


def test_the_next_is_taken_when_a_slot_is_free():
    """Requests that are made as results come are not read ahead."""
    ended = []

    def one_by_one():
        for request in requests(3):
            assert len(ended) >= request.number - 1
            yield request

    with Running(recipe("print('loss 1')")) as running:
        for request, _ in running.run(one_by_one()):
            ended.append(request)
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
        found = [result.loss for _, result in running.run(requests(6))]
    assert (set(found), len(found)) == ({3, 5}, 6)


def test_closing_ends_all_that_runs():
    """Within seconds, from a handler of Ctrl-C as well, and nothing is left."""
    running = Running(recipe("import os, time; os.fork(); time.sleep(600)"), jobs=3)
    Timer(0.5, running.close).start()
    start = time.monotonic()
    found = [result.status for _, result in running.run(requests(3))]
    assert found == ["error"] * 3
    assert time.monotonic() - start < 20
    running.close()
    assert alive("DWINDLE_TEST_RUN") == []


class TrainingContract:
    """What a driver relies on, wherever a training runs."""

    def recipe(self, name):
        raise NotImplementedError

    def result(self, name, **request):
        with closing(self.recipe(name).open()) as training:
            return training.train(
                Request(**{"weight_decay": 0.5, "seed": 3, **request})
            )

    def test_what_comes_of_a_training(self):
        """NaN has no loss and is no error; where none came none will come again."""
        result = {name: self.result(name) for name in ("nan", "bad", "nothing")}
        facts = {
            n: (c.status, c.loss, c.is_worth_another_try) for n, c in result.items()
        }
        assert facts == {
            "nan": ("diverged", None, False),
            "bad": ("error", None, True),
            "nothing": ("error", None, False),
        }
        assert result["bad"].last_lines[-1].startswith("ZeroDivisionError")

    def test_a_recipe_travels(self):
        """It is plain data: here and on another machine the same loss comes back."""
        recipe = self.recipe("good")
        assert recipe.has_seed
        for each in (pickle.loads(pickle.dumps(recipe)), recipe):
            with closing(each.open()) as training:
                result = training.train(Request(weight_decay=0.5, seed=3))
            assert (result.status, result.loss, result.error) == ("ok", 3.5, None)
            assert result.seconds >= 0


class TestCommand(TrainingContract):
    """The contract, by a command."""

    def recipe(self, name):
        code = (
            f"import sys; sys.path.insert(0, {HERE!r}); import trainings as t; t.main("
        )
        code += f"{name!r})"
        words = (sys.executable, "-c", code, "{weight_decay}", "{seed}")
        return CommandRecipe(words=words, metric=Metric(text="loss"))


class TestFunctionByName(TrainingContract):
    """The contract, by a function that a worker imports."""

    def recipe(self, name):
        return FunctionRecipe.of(f"{HERE}/trainings.py:{name}")


class TestFunctionByValue(TrainingContract):
    """The contract, by a function that is sent to a worker."""

    def recipe(self, name):
        return FunctionRecipe.of(getattr(trainings, name))


class TestInline(TrainingContract):
    """The contract, in this process."""

    def recipe(self, name):
        return InlineRecipe(function=getattr(trainings, name))


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
