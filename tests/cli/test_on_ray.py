"""--ray and --ray-address where there is no Ray, or they contradict each other."""

import sys

import pytest

from dwindle.cli import on_ray
from dwindle.errors import MissingLibraryError, RangeError, UsageError

NOTHING = {
    "ray": False,
    "ray_address": None,
    "cpus_per_training": None,
    "gpus_per_training": None,
}


def test_without_ray_the_install_line_is_told(monkeypatch):
    """For a local cluster as for a running one; and nothing is asked for by default."""
    assert on_ray.cluster_asked_for(NOTHING) is None
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "unchanged")
    for asked in ({"ray": True}, {"ray_address": "127.0.0.1:1"}):
        with pytest.raises(MissingLibraryError) as raised:
            on_ray.cluster_asked_for({**NOTHING, **asked})
        assert "pip install '.[ray]'" in str(raised.value)


@pytest.mark.parametrize(
    "asked",
    [
        {"ray": True, "ray_address": "127.0.0.1:6379"},
        {"gpus_per_training": 1.0},
        {"cpus_per_training": 2.0},
    ],
)
def test_what_contradicts_itself_is_refused(asked):
    """Two clusters, or needs without any."""
    with pytest.raises(UsageError) as raised:
        on_ray.cluster_asked_for({**NOTHING, **asked})
    assert "--ray" in raised.value.remedy


@pytest.mark.parametrize("text", ["0", "-1", "inf", "1e6"])
def test_a_need_is_a_share_of_a_node(text):
    """A part of a GPU is one, nothing is none."""
    assert on_ray.read_share_of_node("--gpus-per-training", "0.5") == 0.5
    with pytest.raises(RangeError) as raised:
        on_ray.read_share_of_node("--gpus-per-training", text)
    assert "--gpus-per-training" in str(raised.value)
