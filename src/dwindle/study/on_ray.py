"""Packs on a Ray cluster: one call each, wherever there is room."""

from collections import deque
from collections.abc import Generator, Sequence
from typing import cast

from dwindle.errors import WorkerError
from dwindle.study.backends import ATTEMPTS
from dwindle.study.cluster import Cluster, PlaceLostError
from dwindle.study.worker import STACKED, Engine, Trained, Work, failed, train_timed


class RayPacks:
    """Trains packs on a cluster, as many at a time as it has room for; see Backend.

    Args:
        cluster: Where; it is left open.
        engine: What trains; its functions are importable by name on every node.

    """

    def __init__(self, cluster: Cluster, engine: Engine = STACKED) -> None:
        self.workers = cluster.at_once
        self._cluster = cluster
        self._engine = engine

    def engine_version(self) -> str:
        """Return the version of the engine on some node.

        Raises:
            WorkerError: If every worker dies before it can train.

        """
        for _ in range(ATTEMPTS):
            try:
                call = self._cluster.start(self._engine.version)
                return str(self._cluster.result(call))
            except PlaceLostError:
                continue
        raise WorkerError(ATTEMPTS)

    def run(self, works: Sequence[Work]) -> Generator[Trained, None, None]:
        """Train all packs, starting them in the order given."""
        waiting, deaths = deque(range(len(works))), [0] * len(works)
        busy: dict[object, int] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    index = waiting.popleft()
                    what = self._engine, index, works[index]
                    busy[self._cluster.start(train_timed, *what)] = index
                call = self._cluster.first(list(busy))
                index = busy.pop(call)
                try:
                    trained = cast("Trained", self._cluster.result(call))
                except PlaceLostError as error:
                    deaths[index] += 1
                    if deaths[index] < ATTEMPTS:
                        waiting.appendleft(index)
                        continue
                    why = f"its place was lost {ATTEMPTS} times ({error})"
                    outcomes = failed(works[index], why)
                    trained = Trained(index=index, outcomes=outcomes, seconds=0.0)
                yield trained
        finally:
            for call in busy:
                self._cluster.cancel(call)

    def close(self) -> None:
        """Do nothing: the cluster is its owner's."""
