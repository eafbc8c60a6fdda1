"""Clusters to try things on: one for a whole file, and what their processes hold."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
from study.processes import wait_until

TESTS = str(Path(__file__).parents[1])
# Nodes of ours are found by this; what trainings start inherits it.
MARK = "DWINDLE_TEST_NODE"


def listening(process):
    """Addresses on which a process and all that it started wait for connections."""
    found = set()
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            found |= {
                at.laddr.ip.removeprefix("::ffff:")
                for at in each.net_connections("inet")
                if at.status == psutil.CONN_LISTEN
            }
    return found


class Node:
    """A node in its own process group, as it is on its own machine."""

    def __init__(self, name, folder, *words):
        self.environment = {
            **os.environ,
            MARK: name,
            "RAY_USAGE_STATS_ENABLED": "0",
            # Beyond 30 s, on a busy machine, a node would end itself.
            "RAY_agent_register_timeout_ms": "300000",
            "PYTHONPATH": os.pathsep.join([TESTS, *filter(None, sys.path)]),
        }
        ray = str(Path(sys.executable).with_name("ray"))
        self.process = subprocess.Popen(
            [
                *(ray, "start", *words, "--block", "--node-ip-address=127.0.0.1"),
                *("--object-store-memory=80000000", "--disable-usage-stats"),
                f"--temp-dir={folder}",
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._tree = functools.partial(psutil.Process, self.process.pid)

    def processes(self):
        """All that is left of it and of what it started."""
        with contextlib.suppress(psutil.Error):
            tree = self._tree()
            return [tree, *tree.children(recursive=True)]
        return []

    def kill(self):
        """Kill it at once, with all of its processes: a machine that is gone."""
        for each in self.processes():
            with contextlib.suppress(psutil.Error):
                if "parent.py" not in " ".join(each.cmdline()):
                    each.send_signal(signal.SIGKILL)
        self.process.wait()


def is_joined(cluster, nodes):
    """Wait until a cluster has so many living nodes."""
    alive = lambda: [each for each in cluster._ray.nodes() if each["Alive"]]  # noqa: E731
    return wait_until(lambda: len(alive()) == nodes)


def is_listening(port):
    """Whether a head can be reached on this machine."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
