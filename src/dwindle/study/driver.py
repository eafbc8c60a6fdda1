"""Runs a study: plans, trains what is missing, commits pack by pack, and resumes."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from dwindle.errors import StudyStoppedError
from dwindle.store.records import Conditions, Outcome, Scale, Trial
from dwindle.store.spec import StudySpec
from dwindle.store.store import Store
from dwindle.study import machine
from dwindle.study.backends import Backend, Inline
from dwindle.study.cost import Estimate, pack_size
from dwindle.study.plan import (
    ROUNDS,
    Pack,
    packs_from_trials,
    refuse_untrainable,
    round_trials,
)
from dwindle.study.problems import Problem, problem
from dwindle.study.stopping import stopping_on_signals
from dwindle.study.worker import Trained


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """How far a study is: reported at its start and after every pack."""

    study: str
    trained: int
    planned: int
    diverged: int
    errors: int
    estimate: Estimate

    def seconds_left(self) -> float | None:
        """Return the wall time left from now, None before anything was measured."""
        return self.estimate.seconds_left(time.monotonic())


OnProgress = Callable[[StudyProgress], None]


def run_study(
    spec: StudySpec,
    store_path: Path,
    backend: Backend | None = None,
    on_progress: OnProgress | None = None,
    memory_bytes: int | None = None,
) -> None:
    """Train everything that a study needs and its store does not have yet.

    Each pack is committed as it is done, so that after any stop calling this again with
    the same arguments carries on.

    Args:
        spec: The study.
        store_path: Its store; made if there is none.
        backend: Where packs train; this process when None. It is left open.
        on_progress: Called at the start of each round and after each pack.
        memory_bytes: The most that all packs in training may take together; half of
            what is free when None.

    Raises:
        StudyStoppedError: On Ctrl-C, SIGTERM or SIGHUP; finished packs are in the
            store.
    """
    backend = backend or Inline()
    refuse_untrainable(spec)
    task = problem(spec.problem)
    with stopping_on_signals():
        conditions = _conditions_of(spec, backend.engine_version())
        with Store(
            store_path, spec=spec, conditions=conditions, problem=task.facts
        ) as store:
            study = _Study(spec, task, store, backend, on_progress, memory_bytes)
            try:
                study.run()
            except KeyboardInterrupt:
                at = study.progress()
                path = str(store_path)
                raise StudyStoppedError(path, at.trained, at.planned) from None


def _conditions_of(spec: StudySpec, engine_version: str) -> Conditions:
    """Return the conditions under which a study trains here and now."""
    # Workers and memory are none: they change no number (of compiled steps).
    return Conditions(
        engine_version=engine_version,
        torch_version=version("torch"),
        dtype="float32",
        device_type="cpu",
        problem=spec.problem,
        optimizer=spec.optimizer,
        normalization=spec.normalization,
        machine=machine.description(),
    )


def first_packs(
    spec: StudySpec, *, workers: int, memory_bytes: int | None = None
) -> tuple[Pack, ...]:
    """Return the packs of a study before any extension: what a dry run shows."""
    refuse_untrainable(spec)
    task = problem(spec.problem)
    trials = round_trials(spec, task, lambda _: None, number=0)
    capacity = _capacity(spec, task, workers, memory_bytes)
    return packs_from_trials(trials, task, capacity)


def _capacity(
    spec: StudySpec, task: Problem, workers: int, memory_bytes: int | None
) -> Callable[[Scale], int]:
    # Each worker has its share of the ceiling, as all may be at the largest pack.
    ceiling = (memory_bytes or machine.free_memory_bytes() // 2) // workers
    return lambda scale: pack_size(scale, task, spec.optimizer, ceiling)


@dataclass
class _Study:
    """A study in progress; owns the counts of its progress."""

    spec: StudySpec
    problem: Problem
    store: Store
    backend: Backend
    on_progress: OnProgress | None
    memory_bytes: int | None
    planned: list[Trial] = field(default_factory=list)
    outcomes: dict[Trial, Outcome] = field(default_factory=dict)
    estimate: Estimate = field(init=False)

    def __post_init__(self) -> None:
        self.estimate = Estimate(planned=0.0, workers=self.backend.workers)

    def run(self) -> None:
        workers = self.backend.workers
        capacity = _capacity(self.spec, self.problem, workers, self.memory_bytes)
        for number in range(ROUNDS):
            trials = round_trials(
                self.spec, self.problem, self.outcomes.get, number=number
            )
            self.planned += trials
            packs = packs_from_trials(trials, self.problem, capacity)
            self._train(list(self._missing(packs)))
        # Without packs in the last round nothing has written the plan yet.
        self.store.plan(self.planned)
        # What failed is trained again by the next run of the same command.
        if not self.progress().errors:
            self.store.finish()

    def progress(self) -> StudyProgress:
        status = [outcome.status for outcome in self.outcomes.values()]
        return StudyProgress(
            study=self.spec.name,
            trained=len(status),
            planned=len(self.planned),
            diverged=status.count("diverged"),
            errors=status.count("error"),
            estimate=self.estimate,
        )

    def _missing(self, packs: Iterable[Pack]) -> Iterator[Pack]:
        """Yield what is not committed, or failed; take the outcomes of the rest."""
        for pack in packs:
            known = {trial: self.store.outcome(trial) for trial in pack.trials}
            done = {t: out for t, out in known.items() if out and out.status != "error"}
            self.outcomes |= done
            rest = tuple(trial for trial in pack.trials if trial not in done)
            left = pack.cost * len(rest) / len(pack.trials)
            self._estimate(planned=pack.cost, skipped=pack.cost - left)
            if rest:
                yield replace(pack, trials=rest, cost=left)

    def _train(self, packs: list[Pack]) -> None:
        self._report()
        if not packs:
            return
        self.store.plan(self.planned)
        with closing(self.backend.run([pack.trials for pack in packs])) as results:
            for trained in results:
                self._commit(packs[trained.index], trained)

    def _commit(self, pack: Pack, trained: Trained) -> None:
        trainings = list(zip(pack.trials, trained.outcomes, strict=True))
        self.store.commit(trainings, seconds=trained.seconds)
        self.outcomes |= dict(trainings)
        if not self.estimate.began:
            began = time.monotonic() - trained.seconds
            self.estimate = replace(self.estimate, began=began)
        self._estimate(done=pack.cost, worked=trained.seconds)
        self._report()

    def _estimate(self, **added: float) -> None:
        sums = {name: getattr(self.estimate, name) + added[name] for name in added}
        self.estimate = replace(self.estimate, **sums)

    def _report(self) -> None:
        if self.on_progress:
            self.on_progress(self.progress())
