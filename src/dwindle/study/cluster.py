"""A Ray cluster, a local one or one that already runs: it runs calls, nothing else.

No queue, scheduler or restart of ours: Ray places each call where there is room. A call
that dies with its place is an error to the caller, who decides whether to try again.
"""

import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from dwindle.errors import DwindleError, MissingLibraryError, UsageError

_REACHED_S = 5.0  # a head that is there answers within; Ray itself tries for minutes
# How HTTP/2, which Ray uses, begins: the other side answers with its settings (4).
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_NO_RAY = "something other than Ray listens there"
# While calls run, how often it is checked that some node could still run them.
_POLL_S = 5.0
# Results are numbers and at most some megabytes of output.
_OBJECTS_BYTES = 100 << 20
# A worker of Ray that ends kills its children: those that would end a whole group.
_SPARED = {"env_vars": {"RAY_kill_child_processes_on_worker_exit": "false"}}
_REMEDY_FITS = "Request less with --cpus-per-training and --gpus-per-training."
_REMEDY_JOINS = (
    "Run on one of its nodes, with the Ray and the Python of the cluster, "
    "and RAY_AUTH_TOKEN if it requires a token."
)


class PlaceLostError(Exception):
    """The worker or the node that ran a call has died, or the call was cancelled."""

    def __str__(self) -> str:
        return ": ".join(map(str, self.args))


class Cluster:
    """Runs calls on the nodes of a Ray cluster; owns the connection, and a local one.

    The functions are found by name on every node: dwindle is installed there.

    Args:
        address: ``HOST:PORT`` of the head of a running cluster, or ``auto`` on one of
            its nodes; None starts a local one, on loopback and with a new token.
        cpus: What a call needs on its node.
        gpus: The same of accelerators; a fraction shares one.

    Raises:
        MissingLibraryError: If there is no Ray.
        UsageError: If the cluster cannot be reached, or no node has so much.

    """

    def __init__(
        self, address: str | None = None, *, cpus: float = 1.0, gpus: float = 0.0
    ) -> None:
        self._needs = {"CPU": cpus, "GPU": gpus}
        self._folder: Path | None = None
        self._ray = _ray(is_local=address is None)
        # Ray takes SIGTERM for itself.
        before = signal.getsignal(signal.SIGTERM)
        try:
            if address is None:
                self._start()
            else:
                self._join(address)
            self.at_once = self._room()
        except BaseException:
            self.close()
            raise
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)
        task = self._ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=0, runtime_env=_SPARED
        )
        self._call = task(_call)

    def start(self, function: Callable[..., object], *arguments: object) -> Any:
        """Let a node call a function, found by name there; return a handle of it."""
        return self._call.remote(sys.path, str(Path.cwd()), function, *arguments)

    def keep(self, value: object) -> Any:
        """Send a value once for many calls, and return what stands for it."""
        return self._ray.put(value)

    def first(self, calls: Sequence[object]) -> object:
        """Wait until one of some calls has ended, and return it."""
        while True:
            done = self._ray.wait(list(calls), timeout=_POLL_S)[0]
            if done:
                return done[0]
            self._room()

    def result(self, call: object) -> Any:
        """Wait for a call, and return what it returned.

        One that died with its worker or node, or was cancelled, is a PlaceLostError.
        """
        self.first([call])
        try:
            result = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines() or [""]
            # A traceback from the other side has its error at the end, others first.
            is_theirs = isinstance(error, self._ray.exceptions.RayTaskError)
            text = lines[-1] if is_theirs else lines[0]
            raise PlaceLostError(type(error).__name__, text) from None
        if isinstance(result, DwindleError):
            raise result
        return result

    def cancel(self, call: object) -> None:
        """End a call with the worker that runs it; any thread, also when it is done."""
        with suppress(Exception):  # the cluster may be gone, too
            self._ray.cancel(call, force=True)

    def close(self) -> None:
        """Leave the cluster; a local one ends with all of its processes and files."""
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        # Not TMPDIR: paths of sockets may have 107 characters, and Ray uses 80.
        self._folder = Path(tempfile.mkdtemp(prefix="dwindle-ray-", dir="/tmp"))
        self._init(
            "local",
            must="A Ray cluster of this machine must start.",
            remedy="Is the machine too busy? --jobs trains without Ray.",
            include_dashboard=False,
            object_store_memory=_OBJECTS_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(self._folder),
        )

    def _join(self, address: str) -> None:
        if address != "auto":
            _refuse_unreachable(address)
        must = "The Ray cluster must accept this program."
        self._init(address, must=must, remedy=_REMEDY_JOINS)

    def _init(self, address: str, *, must: str, remedy: str, **more: object) -> None:
        try:
            self._ray.init(
                address=address, log_to_driver=False, logging_level="ERROR", **more
            )
        except Exception as error:  # of many classes
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise UsageError(must, f"{address}: {lines[0]}", remedy) from error

    def _room(self) -> int:
        """Return how many calls the living nodes can run at a time."""
        nodes = [each["Resources"] for each in self._ray.nodes() if each["Alive"]]
        room = sum(_fits(node, self._needs) for node in nodes)
        if room:
            return room
        have = "; ".join(_resources_text(node) for node in nodes) or "no nodes"
        must = f"A node must have {_resources_text(self._needs)} for a training."
        raise UsageError(must, have, _REMEDY_FITS)


@contextmanager
def cluster_for(ray: "bool | str | Cluster") -> Iterator[Cluster | None]:
    """Give the requested cluster, and leave it at the end; None for none.

    ``ray`` is whether a local one is to be started, or ``HOST:PORT`` of one that runs;
    a cluster itself is its owner's and left open.
    """
    if isinstance(ray, Cluster) or not ray:
        yield ray or None
        return
    with Cluster(None if ray is True else ray) as cluster:
        yield cluster


def _ray(*, is_local: bool) -> Any:
    """Import Ray so that it reports no use, and a local one requires a token."""
    # Its processes listen on loopback only, but other people may have a shell here.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if is_local:
        # On Linux, too, Ray then takes 127.0.0.1 and no outward address for its own.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise MissingLibraryError("Ray", "A training on a cluster", "ray") from error
    _forget_authentication()
    # It prints the death of any worker on stdout, where answers are read by programs.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # noqa: SLF001
    return ray


def _forget_authentication() -> None:
    """Let Ray read the variables again: it keeps those of this process's last cluster.

    Without that, a local one would refuse us after one that requires no token.
    """
    # Its tests do this, too; there is no public way. Where that is gone, the start of a
    # cluster fails with the reason.
    with suppress(ImportError, AttributeError):
        from ray._raylet import AuthenticationTokenLoader, Config

        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


def _refuse_unreachable(address: str) -> None:
    """Refuse what is no address, or where nobody listens: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        must = "A Ray cluster must be given by the host and port of its head."
        remedy = "Write --ray-address 10.0.0.1:6379, or auto on one of its nodes."
        raise UsageError(must, repr(address), remedy)
    try:
        at = host.strip("[]"), int(port)
        with socket.create_connection(at, _REACHED_S) as tried:
            tried.sendall(_GREETING)
            if tried.recv(9, socket.MSG_WAITALL)[3:4] != b"\4":
                raise ConnectionError(_NO_RAY)
    except (OSError, OverflowError) as error:
        must = "The head of the Ray cluster must be reachable."
        remedy = "Is it running there? ray start --head prints its address."
        raise UsageError(must, f"{address}: {error}", remedy) from None


def _fits(has: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """Return how often a node has what is needed."""
    return min(int(has.get(k, 0.0) / need + 1e-9) for k, need in needs.items() if need)


def _resources_text(has: Mapping[str, float]) -> str:
    return f"{has.get('CPU', 0):g} CPU and {has.get('GPU', 0):g} GPU"


def _call(
    path: list[str], folder: str, function: Callable[..., object], *arguments: object
) -> object:
    """Call a function on a node as the driver would: its folder, its modules."""
    os.chdir(folder)
    sys.path[:] = [*path, *(each for each in sys.path if each not in path)]
    try:
        return function(*arguments)
    except DwindleError as error:
        return error
