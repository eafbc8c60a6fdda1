"""dwindle.find and dwindle.tune: where trainings run, and where results are kept."""

import os
import sys

import pytest

import dwindle
from dwindle.errors import (
    MissingLibraryError,
    RangeError,
    StudyStoppedError,
    UsageError,
)
from dwindle.finding.driver import Settings
from dwindle.finding.function import InlineRecipe

SEARCH = {"knob": "torch.optim.SGD", "low": 1e-3, "high": 1, "trainings": 9}
SCALES = {"proxies": {"width": [1, 2]}, "target": {"width": 4}}
FACES = {
    "find": lambda train, **more: dwindle.find(train, **SEARCH, **more),
    "tune": lambda train, **more: dwindle.tune(train, **SEARCH, **SCALES, **more),
}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for what is temporary."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def valley(weight_decay, seed, width=1):
    return 1 + (weight_decay - 0.1) ** 2 + seed / 10 + width


@pytest.mark.parametrize("face", FACES)
def test_what_cannot_run_leaves_nothing(face, temporary, monkeypatch):
    """No Ray, nobody at an address, no jobs: told before anything is trained."""
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
    """After Ctrl-C the error has what to write; after an end nothing is left."""

    def stops(weight_decay, seed, width=1):
        asked.append(weight_decay)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return valley(weight_decay, seed, width)

    asked = []
    recipe = InlineRecipe(function=stops)
    with pytest.raises(StudyStoppedError) as stopped:
        FACES[face](recipe)
    assert stopped.value.trained == 3
    assert f'store="{stopped.value.store}"' in stopped.value.remedy
    FACES[face](recipe, store=stopped.value.store)
    assert len(asked) == {"find": 9, "tune": 18}[face] + 1
    (kept,) = temporary.iterdir()
    FACES[face](InlineRecipe(function=valley))
    assert list(temporary.iterdir()) == [kept]


def test_devices_on_ray_are_ray_s():
    """Slots of this machine say nothing there."""
    with pytest.raises(UsageError) as raised:
        Settings(cluster=object(), slots=("cuda:0",))
    assert "--gpus-per-training" in raised.value.remedy
