"""find and tune from Python: where trainings run, and where results are kept."""

import math
import os
import sys
import threading

import pytest

import dwindle
from dwindle.errors import (
    MissingLibraryError,
    RangeError,
    StoreUnlikeError,
    StudyStoppedError,
    UnknownNameError,
    UsageError,
)
from dwindle.finding.driver import Settings
from dwindle.finding.function import InlineRecipe
from dwindle.finding.unit import Unit

SEARCH = {"knob": "torch.optim.SGD", "low": 1e-3, "high": 1, "trainings": 9}
SCALES = {"proxies": {"width": [1, 2]}, "target": {"width": 4}}
FACES = {
    "find": lambda train, **more: dwindle.find(train, **{**SEARCH, **more}),
    "tune": lambda train, **more: dwindle.tune(train, **SEARCH, **SCALES, **more),
}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def valley(weight_decay, seed, width=1):
    return width + (math.log(weight_decay or 1e-9) + 3) ** 2 / 100 + seed / 10


def make_trainer(weight_decay):
    return weight_decay


def find_inline(function, **more):
    return FACES["find"](InlineRecipe(function=function), **more)


@pytest.mark.parametrize("face", FACES)
def test_what_cannot_run_leaves_nothing(face, temporary, monkeypatch):
    """No Ray, nobody at an address, no jobs: an error before anything is trained."""
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setitem(sys.modules, "ray", None)
    for ray in (True, "127.0.0.1:1"):
        with pytest.raises(MissingLibraryError) as missing:
            FACES[face](valley, ray=ray)
        assert missing.value.library == "Ray"
    for jobs in (0, -1):
        with pytest.raises(RangeError) as refused:
            FACES[face](valley, jobs=jobs)
        assert refused.value.value == jobs
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("face", FACES)
def test_results_without_a_store_are_kept_where_something_stops(face, temporary):
    """After Ctrl-C the error has the line to continue; after an end nothing is left."""

    def stops(weight_decay, seed, width=1):
        decays.append(weight_decay)
        if len(decays) == 4:
            raise KeyboardInterrupt
        return valley(weight_decay, seed, width)

    decays = []
    recipe = InlineRecipe(function=stops)
    with pytest.raises(StudyStoppedError) as stopped:
        FACES[face](recipe)
    assert stopped.value.trained == 3
    assert f'store="{stopped.value.store}"' in stopped.value.remedy
    FACES[face](recipe, store=stopped.value.store)
    assert len(decays) == {"find": 9, "tune": 18}[face] + 1
    (kept,) = temporary.iterdir()
    FACES[face](InlineRecipe(function=valley))
    assert list(temporary.iterdir()) == [kept]


def test_devices_on_ray_are_ray_s():
    """Slots of this machine are refused there."""
    with pytest.raises(UsageError) as raised:
        Settings(cluster=object(), slots=("cuda:0",))
    assert "--gpus-per-training" in raised.value.remedy


def test_it_is_called_in_the_caller_s_thread():
    """Keras and JAX keep settings for each thread; and no decay can be left out."""
    threads = []

    def train(weight_decay, seed):
        threads.append(threading.current_thread())
        return valley(weight_decay, seed)

    found = find_inline(train, zero=False)
    assert threads == [threading.current_thread()] * 9
    assert all(each.weight_decay > 0 for each in found.curve)
    assert (found.trainings, found.matters) == (9, "cannot tell")


def test_a_training_that_is_none_ends_the_search():
    """An error that no other decay would avoid is raised as it is."""

    def train(weight_decay, seed):
        if seed or weight_decay:
            raise UsageError("must", "got", "")
        return 1.0

    with pytest.raises(UsageError) as raised:
        find_inline(train)
    assert raised.value.got == "got"


def test_it_belongs_to_its_source(tmp_path):
    """The training is identified by the user's own function, or by the hashes."""
    source, *others = (
        InlineRecipe(function=valley, hashes={"the data": "1"}, name="a"),
        InlineRecipe(function=valley, source=make_trainer, name="a"),
        InlineRecipe(function=valley, hashes={"the data": "2"}, name="a"),
    )
    store = tmp_path / "kept.db"
    for _ in range(2):
        FACES["find"](source, store=store)
    for other in others:
        with pytest.raises(StoreUnlikeError) as raised:
            FACES["find"](other, store=store)
        names = {name for name, *_ in raised.value.differences}
        assert "contents of the data" in names


def test_a_number_without_record_is_searched_over(tmp_path):
    """In its own unit, backwards if ``inverse``; its store can be read."""
    options = {"low": 1, "high": 1000, "trainings": 20, "knob": "own:svm.C:inverse"}
    found = find_inline(
        lambda weight_decay, seed: valley(1 / weight_decay, seed),
        **options,
        store=tmp_path / "kept.db",
    )
    assert (found.symbol, found.e_folds) == ("C", None)
    assert found.value == pytest.approx(math.exp(3), rel=0.05)
    assert found.low < found.value < found.high
    assert any(math.isinf(each.weight_decay) for each in found.curve)
    for name in ("own:", "own", "own::inverse"):  # what it is called is in the answer
        with pytest.raises(UnknownNameError) as raised:
            Unit.from_names(name, None, dwindle.Run())
        assert raised.value.name == name
