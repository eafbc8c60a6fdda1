"""Two nodes of a real cluster on one host: a search survives the loss of one."""

import os
import random
import shutil
import socket
import tempfile
import time
from threading import Thread, Timer

import pytest
from finding.programs import alive, recipe
from on_ray.clusters import MARK, Node, is_joined, is_listening
from study.processes import wait_until

from dwindle.decay.run import Run
from dwindle.errors import UsageError
from dwindle.finding.driver import Settings, run_search
from dwindle.finding.metric import Metric
from dwindle.finding.search import search_of
from dwindle.finding.unit import Unit
from dwindle.store.store import read_store
from dwindle.study.cluster import Cluster

ADDRESS = "127.0.0.1:6390"
# On the node that is to be lost it forks and waits for that; elsewhere it waits until
# one does: a free node would else train all of them while the other still starts.
CODE = """
import os, sys, time
from pathlib import Path
folder, decay = Path(sys.argv[1]), float(sys.argv[2])
name = os.environ["DWINDLE_TEST_NODE"]
if (folder / f"lose-{name}").exists():
    os.fork() or (folder / "hangs").touch()
    time.sleep(600)
while any(folder.glob("lose-*")) and not (folder / "hangs").exists():
    time.sleep(0.05)
print("loss", 1 + (decay - 0.1) ** 2)
"""


@pytest.fixture
def folder():
    # Not that of the test: paths of sockets are short.
    found = tempfile.mkdtemp(prefix="dw-", dir="/tmp")
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture
def nodes(folder):
    head = "--head", "--port=6390", "--num-cpus=1", "--include-dashboard=false"
    started = [Node("a", folder, *head)]
    assert wait_until(lambda: is_listening(6390))
    started.append(second_node(folder))
    yield started
    for node in started:
        node.kill()


def second_node(folder):
    return Node("b", folder, f"--address={ADDRESS}", "--num-cpus=1", "--num-gpus=1")


def test_a_node_that_is_lost_costs_one_training(nodes, tmp_path):
    """It is recorded, tried again on what is left, and no other is trained twice.

    Of its command nothing is left; a call that no node has room for is refused.
    """
    search = search_of(
        train=recipe(CODE, str(tmp_path)).words,
        metric=Metric(text="loss"),
        unit=Unit.from_names("torch.optim.SGD", None, Run()),
        low=1e-3,
        high=1.0,
        trainings=8,
    )
    store, seen = tmp_path / "store.db", []

    def on_progress(at):
        seen.append((at.trained, at.errors))
        if seen.count((1, 0)) == 1 == at.trained:
            (tmp_path / "lose-b").touch()
            Thread(target=lose_b).start()

    def lose_b():
        assert wait_until((tmp_path / "hangs").exists)
        nodes[1].kill()

    with Cluster(ADDRESS) as cluster:
        assert is_joined(cluster, 2)
        assert cluster._room() == 2
        stopped = run_search(
            search, store, Settings(cluster=cluster, jobs=2), on_progress
        )
        assert stopped == "trainings"
        assert is_joined(cluster, 1)
        assert wait_until(lambda: alive(f"{MARK}=b") == [])
        # What only the lost node had: a call that waits for it is not waited for.
        cluster._needs = {"GPU": 1.0}
        with pytest.raises(UsageError) as raised:
            cluster.result(cluster.start(time.sleep, 600))
    assert raised.value.got == "1 CPU and 0 GPU"
    with pytest.raises(UsageError) as raised:
        Cluster(ADDRESS, cpus=64)
    assert "64 CPU" in raised.value.must
    rows = read_store(store).rows
    assert [row["status"] for row in rows] == ["ok"] * 8
    assert max(errors for _, errors in seen) == 1


def test_a_node_lost_at_any_moment_changes_no_answer(nodes, folder, tmp_path):
    """At any moment: each training is there once, with its earlier loss."""
    search = search_of(
        train=recipe("import time; time.sleep(0.3)\n" + CODE, str(tmp_path)).words,
        metric=Metric(text="loss"),
        unit=Unit.from_names("torch.optim.SGD", None, Run()),
        low=1e-3,
        high=1.0,
        trainings=8,
    )
    moments = random.Random(7)  # noqa: S311 no secret

    def trained(name, lose_after=None):
        store, start = tmp_path / f"{name}.db", time.monotonic()
        with Cluster(ADDRESS) as cluster:
            assert is_joined(cluster, 2)
            if lose_after is not None:
                Timer(lose_after, nodes[-1].kill).start()
            run_search(search, store, Settings(cluster=cluster, jobs=2))
        rows = read_store(store).rows
        assert {row["status"] for row in rows} == {"ok"}
        found = sorted((row["trial"], row["loss"]) for row in rows)
        return found, time.monotonic() - start

    whole, seconds = trained("whole")
    for at in range(int(os.environ.get("SOAK", "3"))):
        assert trained(f"lost-{at}", moments.uniform(0, seconds))[0] == whole
        nodes[-1].kill()  # where the search was faster than the moment
        nodes.append(second_node(folder))


def test_a_port_of_something_else_is_told():
    """It is no Ray that listens there: an error of ours within a minute."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UsageError) as raised:
            Cluster(f"127.0.0.1:{port}")
    assert str(port) in raised.value.got
