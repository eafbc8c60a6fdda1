"""The contracts of trainings and backends, on a local Ray cluster."""

import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from functools import partial
from threading import Timer

import psutil
import pytest
from finding import trainings
from finding.programs import alive, recipe
from finding.test_running import HERE, TestCommand, TrainingContract, requests
from on_ray.clusters import listening
from study.pretended import PRETENDED, die_at_start, die_on_seed_1, engine_of
from study.processes import wait_until
from study.test_backends import BackendContract, outcomes, works

from dwindle.errors import UsageError, WorkerError
from dwindle.finding.function import FunctionRecipe
from dwindle.finding.on_ray import RayRecipe
from dwindle.finding.running import Running
from dwindle.finding.training import Request
from dwindle.study.backends import ATTEMPTS, RayPacks
from dwindle.study.cluster import Cluster

MARK = "DWINDLE_TEST_RUN"


@pytest.fixture(scope="module")
def cluster():
    # Where there is no network but ours, one with an address to the outside.
    outward = os.environ.get("DWINDLE_TEST_ALONE") and ("10.9.8.7/32", "dev", "lo")
    if outward:
        subprocess.run(["ip", "addr", "add", *outward], check=True)
        route = "ip", "route", "add", "default", "dev", "lo", "src", "10.9.8.7"
        subprocess.run(route, check=True)
    with Cluster() as found:
        yield found
    if outward:
        subprocess.run(["ip", "addr", "del", *outward], check=True)


@pytest.fixture
def place(request, cluster):
    request.cls.cluster = cluster


@pytest.mark.usefixtures("place")
class OnRay(TrainingContract):
    """The contract of a training, by a node of Ray; what travels is what is inside."""

    inside = None

    def recipe(self, name):
        return RayRecipe(recipe=self.inside(name), cluster=self.cluster)

    def test_a_recipe_travels(self):
        """It went to the node, and goes there twice."""
        here = self.recipe("good")
        assert here.has_seed
        for _ in range(2):
            with closing(here.open()) as training:
                assert training.train(Request(weight_decay=0.5, seed=3)).loss == 3.5


class TestCommandOnRay(OnRay):
    """A command."""

    inside = TestCommand.recipe


class TestFunctionByNameOnRay(OnRay):
    """A function that a node imports."""

    def inside(self, name):
        return FunctionRecipe.of(f"{HERE}/trainings.py:{name}")


class TestFunctionByValueOnRay(OnRay):
    """A function that is sent to a node."""

    def inside(self, name):
        return FunctionRecipe.of(getattr(trainings, name))


@pytest.mark.usefixtures("place")
class TestPacksOnRay(BackendContract):
    """The contract of a backend of studies."""

    def made(self, engine=PRETENDED):
        return RayPacks(self.cluster, engine=engine)

    def test_a_pack_whose_worker_dies_is_tried_again(self, tmp_path):
        """A lost worker costs one pack again, and no outcome."""
        engine = engine_of(die_on_seed_1, marks=str(tmp_path), times=2)
        found = outcomes(self.made(engine), works()[:4])
        assert {outcome.status for outcome in found.values()} == {"ok"}
        assert len(list(tmp_path.iterdir())) == 2

    def test_workers_that_cannot_start_are_told(self, tmp_path):
        """Where every worker dies the study ends with what to do."""
        version = partial(die_at_start, marks=str(tmp_path), times=999)
        engine = PRETENDED.__class__(PRETENDED.train, version, PRETENDED.load)
        with pytest.raises(WorkerError) as raised:
            self.made(engine).engine_version()
        assert raised.value.died == ATTEMPTS


def test_it_listens_on_loopback_only_and_asks_for_a_token(cluster):
    """Every process of it; where another address is there, too."""
    assert cluster.at_once >= 1
    assert listening(psutil.Process()) == {"127.0.0.1"}
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) >= 32


def test_it_tells_nobody_and_shows_no_page(cluster):
    """No telemetry, no dashboard."""
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not cluster._ray._private.worker.global_worker.node.webui_url


def test_output_comes_to_the_driver(cluster, tmp_path):
    """Wherever a training ran, its output is where one of this machine keeps it."""
    printing = RayRecipe(recipe=recipe("print('loss 0.5')"), cluster=cluster)
    with closing(printing.open()) as training:
        result = training.train(
            Request(weight_decay=1.0, number=7, folder=tmp_path / "kept")
        )
    assert result.output == tmp_path / "kept" / "7.txt"
    assert result.output.read_text() == "loss 0.5\n"
    assert result.output.stat().st_mode & 0o777 == 0o600


def test_a_time_out_ends_it_on_its_node(cluster):
    """With what it forked, and the next one trains."""
    hanging = FunctionRecipe.of(f"{HERE}/trainings.py:hanging")
    with closing(RayRecipe(recipe=hanging, cluster=cluster).open()) as training:
        mark = {MARK: "time-out"}
        result = training.train(
            Request(weight_decay=1.0, timeout_s=2.0, environment=mark, number=1)
        )
        assert (result.status, result.is_worth_another_try) == ("error", True)
        assert training.train(Request(weight_decay=3.0)).loss == 3.0
    assert wait_until(lambda: alive(f"{MARK}=time-out") == [])


FORKING = "import os, time; os.fork(); time.sleep(600)"


def test_closing_ends_all_that_runs(cluster):
    """Within seconds, and no process of a command is left on its node."""
    running = Running(RayRecipe(recipe=recipe(FORKING), cluster=cluster), jobs=2)
    Timer(3.0, running.close).start()
    start = time.monotonic()
    assert [result.status for _, result in running.run(requests(2))] == ["error"] * 2
    assert time.monotonic() - start < 30
    running.close()
    assert wait_until(lambda: alive(f"{MARK}=yes") == [])


def test_a_worker_that_is_killed_is_an_outcome(cluster, capfd):
    """It may be tried again, and of its command nothing is left."""
    code = "import sys, os; os.kill(int(open('/proc/' + str(os.getppid()) +"
    code += "'/stat').read().split()[3]), 9); import time; time.sleep(600)"
    fatal = RayRecipe(recipe=recipe(code), cluster=cluster)
    with closing(fatal.open()) as training:
        result = training.train(requests(1)[0])
    assert result.status == "error"
    assert "WorkerCrashedError" in result.error
    assert result.is_worth_another_try
    assert wait_until(lambda: alive(f"{MARK}=yes") == [])
    time.sleep(1.0)  # Ray would print it now
    assert capfd.readouterr().out == ""
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_task_costs_little(cluster, record_property):
    """Beside the function itself: at most 30 ms each, one after the other."""
    quick = RayRecipe(
        recipe=FunctionRecipe.of(f"{HERE}/trainings.py:good"), cluster=cluster
    )
    with Running(quick, jobs=1) as running:
        list(running.run(requests(5)))
        seconds = []
        for request in requests(100):
            start = time.perf_counter()
            list(running.run([request]))
            seconds.append(time.perf_counter() - start)
    median = sorted(seconds)[50]
    record_property("seconds of a task", median)
    print(f"median of a training on Ray: {median * 1e3:.1f} ms")  # noqa: T201
    assert median <= 0.030


def test_an_impossible_need_is_told_at_once(cluster):
    """Ray itself would wait for ever; the rest of the cluster is unharmed."""
    cluster._needs = {"CPU": 1.0, "GPU": 8.0}
    try:
        with pytest.raises(UsageError) as raised:
            cluster._room()
    finally:
        cluster._needs = {"CPU": 1.0, "GPU": 0.0}
    assert raised.value.must == "A node must have 1 CPU and 8 GPU for a training."
    assert raised.value.got.endswith("CPU and 0 GPU")


def test_an_address_where_nobody_listens_is_told_at_once():
    """And what is no address."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for address in (f"127.0.0.1:{port}", "127.0.0.1:99999", "here", "ray://x:1"):
        with pytest.raises(UsageError) as raised:
            Cluster(address)
        assert address in raised.value.got
