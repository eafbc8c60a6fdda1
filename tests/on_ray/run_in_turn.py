"""Another's cluster, then one of ours, in one process; and the other way."""

import shutil
import subprocess
import sys
import tempfile

import pytest
from on_ray.clusters import Node, is_listening
from ray._raylet import GcsClient
from study.processes import wait_until

ADDRESS = "127.0.0.1:6391"
IN_TURN = {
    "theirs first": (ADDRESS, None, ADDRESS),
    "ours first": (None, ADDRESS, None),
}
CODE = """
from dwindle.study.cluster import Cluster
for address in {addresses}:
    with Cluster(address, cpus=0.5) as cluster:
        print(cluster.result(cluster.start(abs, -7)))
"""


def ran(addresses):
    """Call in clusters at these addresses, in turn and in one process."""
    words = [sys.executable, "-c", CODE.format(addresses=addresses)]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=240, check=False
    )


def has_place():
    """Whether a node has joined its own head, which Ray does not wait for."""
    return bool(GcsClient(address=ADDRESS).get_all_node_info())


@pytest.fixture(scope="module", autouse=True)
def theirs():
    """A cluster that requires no token."""
    folder = tempfile.mkdtemp(prefix="dw-", dir="/tmp")  # paths of sockets are short
    head = "--head", "--port=6391", "--num-cpus=2", "--include-dashboard=false"
    node = Node("a", folder, *head)
    assert wait_until(lambda: is_listening(6391))
    assert wait_until(has_place)
    yield
    node.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("order", IN_TURN)
def test_clusters_in_turn(order):
    """Each runs its calls: none is refused for the token of the one before."""
    done = ran(IN_TURN[order])
    assert done.stdout.split() == ["7", "7", "7"], done.stderr[-2000:]
