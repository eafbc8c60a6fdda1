"""Runs a search: trains what the design proposes, commits each, and resumes."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from dwindle.errors import (
    FirstTrainingError,
    NoEffectError,
    RangeError,
    StudyStoppedError,
    UsageError,
)
from dwindle.finding.on_ray import RayRecipe
from dwindle.finding.records import FindSpec, OwnConditions, OwnTrial, trainings_of
from dwindle.finding.rounds import (
    DIGITS,
    IGNORES_SEED,
    Name,
    ProposedTraining,
    Rounds,
    design_of,
    digits_of,
    outcomes_by_name,
    seed_shows,
)
from dwindle.finding.running import Running
from dwindle.finding.shared_files import FolderWatch
from dwindle.finding.training import Recipe, Request, Result
from dwindle.finding.unit import Unit
from dwindle.stats.two_point import read_out
from dwindle.store.records import Outcome
from dwindle.store.store import Store
from dwindle.study.cluster import Cluster
from dwindle.study.stopping import stopping_on_signals

# Tries of a training in one run: a death or a time-out may be the machine's fault.
_TRIES = 2
MOST_JOBS = 1024  # a thread waits for each
# Equal losses at this many decays are no coincidence; with few digits, as of an
# accuracy of 0.95, it takes the larger number.
_FEW, _MANY = 3, 7
_NEAR = 1e-3  # of ln decay: an end of the range is typed in six digits


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a search is, after every training."""

    trained: int
    most: int
    diverged: int
    errors: int
    seconds_each: float | None
    jobs: int

    @property
    def seconds_left(self) -> float | None:
        """The most wall time that is left; None before anything was measured."""
        if self.seconds_each is None:
            return None
        return max(0, self.most - self.trained) * self.seconds_each / self.jobs


OnProgress = Callable[[Progress], None]
OnWarning = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How trainings run; none of it changes their results.

    ``jobs`` at a time: one in each slot, or as many as the cluster has room for, where
    None. After ``seconds`` no further training begins. ``watched`` is the folder in
    which files that trainings share are detected. The ``cluster`` is left open.
    """

    jobs: int | None = None
    slots: tuple[str, ...] = ()
    seconds: float | None = None
    timeout_s: float | None = None
    watched: Path | None = None
    accept_change: bool = False
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and not 1 <= self.jobs <= MOST_JOBS:
            raise RangeError("jobs", self.jobs, f"from 1 to {MOST_JOBS}")
        if self.cluster is not None and self.slots:
            must = "Trainings on Ray must get their devices from Ray."
            raise UsageError(must, "--slots", "Write --gpus-per-training 1.")

    @property
    def at_once(self) -> int:
        """How many trainings run at a time."""
        room = self.cluster.at_once if self.cluster else len(self.slots)
        return self.jobs or min(max(room, 1), MOST_JOBS)


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """Everything that defines a search: range, training, conditions and unit."""

    spec: FindSpec
    conditions: OwnConditions
    unit: Unit
    recipe: Recipe

    def close(self) -> None:
        """End what was started to inspect the training: the worker of a function."""
        self.recipe.open().close()


def output_folder(store: Path) -> Path:
    """Return where the output of a study's trainings is kept: beside its store."""
    return store.with_name(f"{store.name}-output")


def first_round(search: SearchPlan) -> tuple[ProposedTraining, ...]:
    """Return the first trainings of a search, which a dry run shows."""
    design = design_of(search.spec, search.conditions, search.unit)
    return Rounds(unit=search.unit, design=design, known={}).next()


def run_search(
    search: SearchPlan,
    store_path: Path,
    settings: Settings = Settings(),
    on_progress: OnProgress = lambda _: None,
    on_warning: OnWarning = lambda _: None,
) -> str:
    """Train what the design proposes and the store does not have yet.

    Each training is committed as it ends, so that after any stop the same call goes on.
    Returns why it stopped, as :class:`~dwindle.stats.points.Proposal` has it, or
    ``time``. A FirstTrainingError where the first training gives no loss, a
    NoEffectError where the loss is the same for every decay.
    """
    with stopping_on_signals(), ExitStack() as stack:
        store = stack.enter_context(
            Store(
                store_path,
                spec=search.spec,
                conditions=search.conditions,
                accept_change=settings.accept_change,
            )
        )
        recipe = search.recipe
        if settings.cluster is not None:
            recipe = RayRecipe(recipe=recipe, cluster=settings.cluster)
        running = Running(recipe, jobs=settings.at_once, slots=settings.slots)
        stack.callback(running.close)
        driver = _Driver(search, store, settings, running, on_progress, on_warning)
        try:
            return driver.run()
        except KeyboardInterrupt:
            trained = driver.progress().trained
            raise StudyStoppedError(
                str(store_path), trained, search.spec.trainings
            ) from None


@dataclass
class _Driver:
    """A search in progress; owns what is known and what was given up.

    Its work per training does not grow with the number of known ones.
    """

    search: SearchPlan
    store: Store
    settings: Settings
    running: Running
    on_progress: OnProgress
    on_warning: OnWarning
    known: dict[Name, Outcome] = field(init=False)
    tries: dict[Name, int] = field(default_factory=dict)
    numbers: dict[Name, int] = field(init=False)
    last: int = field(init=False)
    rounds: Rounds = field(init=False)
    ended: Counter[str] = field(init=False)  # how many are known, by status
    timed: int = 0  # trainings of this run that gave a result, and their seconds
    seconds: float = 0.0
    watch: FolderWatch | None = None
    began: float = field(default_factory=time.monotonic)
    seed_shows: bool | None = None

    def __post_init__(self) -> None:
        search, all_rows = self.search, list(self.store.rows())
        scale = search.spec.scale
        rows = trainings_of(all_rows, search.conditions, scale=scale)
        self.known = outcomes_by_name(rows)
        self.ended = Counter(outcome.status for outcome in self.known.values())
        self.numbers = {(trial.typed, trial.seed): trial.number for trial, _ in rows}
        # Over all conditions: a number stands for one training of the file.
        self.last = max((OwnTrial.from_row(row).number for row in all_rows), default=0)
        self.rounds = Rounds(
            unit=search.unit,
            design=design_of(
                search.spec, search.conditions, search.unit, jobs=self.settings.at_once
            ),
            known=self.known,
            larger_is_better=search.conditions.maximize,
        )
        if self.settings.watched is not None:
            self.watch = FolderWatch(self.settings.watched, self.store.path)

    def run(self) -> str:
        self.on_progress(self.progress())
        while True:
            proposed = self.rounds.next()
            if self.rounds.stopped_because is not None:
                self.store.finish()
                self._repeat_one()
                return self.rounds.stopped_because
            # A fault of the command or of its metric costs one training, not a round.
            alone = 0 if self.progress().trained else 1
            for part in (proposed[:alone], proposed[alone:]):
                self._train(part)
                if self._is_over():
                    return "time"

    def progress(self) -> Progress:
        return Progress(
            trained=self.ended["ok"] + self.ended["diverged"],
            most=self.search.spec.trainings,
            diverged=self.ended["diverged"],
            errors=self.ended["error"],
            seconds_each=self.seconds / self.timed if self.timed else None,
            jobs=self.settings.at_once,
        )

    def _is_over(self) -> bool:
        limit = self.settings.seconds
        return limit is not None and time.monotonic() - self.began >= limit

    def _train(self, proposed: tuple[ProposedTraining, ...]) -> None:
        # The strongest first: if it has the loss of the weakest, no decay matters.
        order = sorted(proposed, key=lambda each: each.x < self._strong)
        by_number = {self._number(each): each for each in order}
        is_first = not self.progress().trained
        for request, result in self.running.run(self._requests(by_number)):
            self._commit(by_number[request.number], request.number, result)
            if is_first and result.status == "error":
                name, why = self.search.spec.name, result.error or ""
                raise FirstTrainingError(name, why, result.last_lines)
            for warning in self.watch.warnings() if self.watch else ():
                self.on_warning(warning)
            if by_number[request.number].seed == 0:
                self._refuse_no_effect()
            # One warning, as soon as it shows.
            if self.search.recipe.has_seed and self.seed_shows is None:
                self.seed_shows = seed_shows(self.known)
                if self.seed_shows is False:
                    self.on_warning(IGNORES_SEED)

    @property
    def _strong(self) -> float:
        """The x of the strong end of the range, less a margin for rounding."""
        spec, unit = self.search.spec, self.search.unit
        return max(unit.x_from_number(end) for end in (spec.low, spec.high)) - _NEAR

    def _number(self, proposed: ProposedTraining) -> int:
        """Return the number of a training; one that failed keeps its own."""
        if proposed.name not in self.numbers:
            self.last += 1
            self.numbers[proposed.name] = self.last
        return self.numbers[proposed.name]

    def _requests(self, by_number: dict[int, ProposedTraining]) -> Iterator[Request]:
        """Yield requests one by one, as slots for them become free."""
        for number, each in by_number.items():
            if self._is_over():
                return
            yield Request(
                weight_decay=float(each.typed),
                seed=each.seed if self.search.recipe.has_seed else None,
                scale=self.search.spec.scale,
                number=number,
                timeout_s=self.settings.timeout_s,
                folder=output_folder(self.store.path),
            )

    def _repeat_one(self) -> None:
        """Where seeds do not pair, repeat one training: warn if its loss differs."""
        # The repeated training is not stored: it is no result of the search.
        known = [name for name, each in self.known.items() if each.status == "ok"]
        if not (self.search.recipe.has_seed and self.timed and known):
            return
        if read_out(self.rounds.points, self.rounds.design).paired is not False:
            return
        typed, seed = known[0]
        number, before = self.numbers[typed, seed], self.known[typed, seed].loss
        proposed = ProposedTraining(
            x=self.search.unit.x_from_typed(float(typed)), typed=typed, seed=seed
        )
        (request,) = self._requests({number: proposed})
        for _, result in self.running.run([replace(request, folder=None)]):
            if result.loss is not None and result.loss != before:
                self.on_warning(
                    f"Training {number} gave {result.loss:.6g} when it was repeated, "
                    f"{before:.6g} before: its seed does not fix all that is random."
                )

    def _commit(self, proposed: ProposedTraining, number: int, result: Result) -> None:
        lines = (
            (result.error, *result.last_lines) if result.error else result.last_lines
        )
        outcome = Outcome(
            status=result.status,
            steps=0,  # only the training counts them
            seconds=result.seconds,
            loss=result.loss,
            error="\n".join(lines) if result.status != "ok" else None,
        )
        scale = self.search.spec.scale
        trial = OwnTrial(
            number=number, typed=proposed.typed, seed=proposed.seed, scale=scale
        )
        self.store.commit([(trial, outcome)], seconds=result.seconds)
        if proposed.name in self.known:
            self.ended[self.known[proposed.name].status] -= 1
        self.known[proposed.name] = outcome
        self.ended[outcome.status] += 1
        if result.status == "error":
            tries = self.tries[proposed.name] = self.tries.get(proposed.name, 0) + 1
            if tries >= _TRIES or not result.is_worth_another_try:
                self.rounds.given_up.add(proposed.name)
        else:
            self.timed += 1
            self.seconds += result.seconds
        self.on_progress(self.progress())

    def _refuse_no_effect(self) -> None:
        """Stop where different decays of the first seed give one and the same loss."""
        losses = {
            float(typed): outcome.loss
            for (typed, seed), outcome in self.known.items()
            if seed == 0 and outcome.loss is not None
        }
        if len(losses) < _FEW or len(set(losses.values())) > 1:
            return
        x_from_typed = self.search.unit.x_from_typed
        has_strongest = any(x_from_typed(each) >= self._strong for each in losses)
        loss = next(iter(losses.values()))
        # Decays that are all far too weak may have one loss in a useful range.
        if (digits_of(loss) >= DIGITS and has_strongest) or len(losses) >= _MANY:
            raise NoEffectError(repr(loss), len(losses), min(losses), max(losses))
