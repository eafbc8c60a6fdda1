"""The store: append the outcomes of a pack, find them again, resume; one writer."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from dwindle.errors import (
    DwindleError,
    RangeError,
    StoreDamagedError,
    StoreUnlikeError,
)
from dwindle.store.connect import connect, refuse_irregular, sqlite_errors_translated
from dwindle.store.lock import WriterLock
from dwindle.store.records import Conditions, Outcome, ProblemFacts, Trial, trial_key
from dwindle.store.rows import (
    Columns,
    by_pack,
    digest,
    hash_of_pack,
    hash_of_study,
    insert,
    row_from_training,
    text_from_plain,
    training_from_row,
    verified_rows,
)
from dwindle.store.spec import StudySpec
from dwindle.store.upgrade import upgraded_copy


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """Everything that a store holds of its study.

    ``rows`` are the trainings of the present plan that are committed, in one order
    however they were trained. ``problem`` gives the layers of a cell. ``seconds`` is
    wall time.
    """

    path: Path
    spec: StudySpec
    conditions: Conditions
    problem: ProblemFacts
    rows: tuple[tuple[Trial, Outcome], ...]
    planned: int
    seconds: float
    complete: bool


class Store:
    """A study's file, open for writing; owns the connection and the writer's lock.

    Use it as a context manager. What :meth:`commit` has returned from survives kill,
    power loss and a full disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        spec: StudySpec,
        conditions: Conditions,
        problem: ProblemFacts,
    ) -> None:
        """Open the store of a study, or create it.

        Args:
            path: The file; its folder is made if there is none.
            spec: The study. A store whose study had other seeds, axes or decays is
                carried on: what fits the new plan is used, the rest is not read.
            conditions: Under what conditions trainings run now.
            problem: What the networks of the study follow from.

        Raises:
            StoreLockedError: If another process writes to it.
            StoreUnlikeError: If it holds results of unlike conditions.
            StoreDamagedError: If its bytes are not what was written.
            StoreFormatError: If it is no store, or a newer one.
            StoreAccessError: If it cannot be written.

        """
        self.path = path
        self._conditions = conditions
        with sqlite_errors_translated(path):
            refuse_irregular(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(path)
        try:
            self._db, version = connect(path, writes=True)
            with sqlite_errors_translated(path):
                self._rows = self._begin(spec, problem, version)
        except BaseException:
            self.close()
            raise
        self._commit_time = time.monotonic()

    def outcome(self, trial: Trial) -> Outcome | None:
        """Return what a training ended with, or None if it is not committed."""
        row = self._rows.get(trial_key(trial, self._conditions))
        return training_from_row(row)[1] if row else None

    def plan(self, trials: Iterable[Trial]) -> None:
        """Set the trainings that the study consists of now."""
        # Writing the same plan again would cost a commit per round.
        keys = sorted({trial_key(trial, self._conditions) for trial in trials})
        if digest(keys) == self._study()["planned"]:
            return
        with self._transaction():
            self._db.execute("DELETE FROM planned")
            insert(self._db, "planned", [{"key": key} for key in keys])
            self._update(planned=digest(keys), complete=0)

    def commit(
        self, trainings: Sequence[tuple[Trial, Outcome]], *, seconds: float
    ) -> None:
        """Write the outcomes of a pack, all or none of them.

        A training that failed before may be committed again: its new outcome takes the
        place of the error.

        Args:
            trainings: Each trial of the pack with its outcome.
            seconds: Time that a worker took for the pack.

        Raises:
            StoreAccessError: If the disk is full; earlier packs are intact.
            RangeError: If a training is committed already, or has a loss that
                does not fit its status.

        """
        keys = {trial_key(trial, self._conditions) for trial, _ in trainings}
        before = [self._rows[key] for key in keys & self._rows.keys()]
        twice = [row for row in before if row["status"] != "error"]
        if twice:
            raise RangeError("trainings", f"{len(twice)} that are", "not committed yet")
        with self._transaction():
            self._drop(before)
            rows = self._append(trainings, seconds)
            self._update()
        self._commit_time = time.monotonic()
        self._rows |= {row["key"]: row for row in rows}

    def _drop(self, failed: Sequence[Columns]) -> None:
        """Delete the rows of failed trainings, within the caller's transaction."""
        gone = {row["key"] for row in failed}
        self._db.executemany(
            "DELETE FROM trial WHERE key = ?", [(key,) for key in gone]
        )
        left = by_pack(row for key, row in self._rows.items() if key not in gone)
        for number in {row["pack"] for row in failed}:
            query = "SELECT * FROM pack WHERE number = ?"
            pack = dict(self._db.execute(query, (number,)).fetchone())
            now = hash_of_pack(pack, left.get(number, []))
            change = "UPDATE pack SET hash = ? WHERE number = ?"
            self._db.execute(change, (now, number))

    def _append(
        self, trainings: Sequence[tuple[Trial, Outcome]], seconds: float
    ) -> list[Columns]:
        """Insert a pack and its rows, within the caller's transaction."""
        number = 1 + self._db.execute("SELECT count(*) FROM pack").fetchone()[0]
        rows = [
            row_from_training(
                trial_key(trial, self._conditions), number, trial, outcome
            )
            for trial, outcome in trainings
        ]
        elapsed = time.monotonic() - self._commit_time
        pack = {"number": number, "seconds": float(seconds), "elapsed": elapsed}
        insert(self._db, "pack", [{**pack, "hash": hash_of_pack(pack, rows)}])
        insert(self._db, "trial", rows)
        return rows

    def finish(self) -> None:
        """Mark the study as complete: all rounds of its plan are committed."""
        if not self._study()["complete"]:
            with self._transaction():
                self._update(complete=1)

    def close(self) -> None:
        """Close the file and let another writer in."""
        if hasattr(self, "_db"):
            self._db.close()
        if hasattr(self, "_lock"):
            # Last: the next writer must find the file closed.
            self._lock.release()
            del self._lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(
        self, spec: StudySpec, problem: ProblemFacts, version: int
    ) -> dict[str, Columns]:
        """Write the study's row, or check the one there; return the rows by key."""
        facts = {
            "id": 1,
            "spec": text_from_plain(spec.as_dict()),
            "conditions": text_from_plain(asdict(self._conditions)),
            "problem": text_from_plain(asdict(problem)),
        }
        old = upgraded_copy(self._db, self.path) if version == 1 else None
        there, known = old or self._db, dict[str, Columns]()
        # Anything in any table: without its study it is no beginning but damage.
        used = "SELECT 1 FROM study UNION SELECT 1 FROM pack UNION SELECT 1 FROM trial"
        is_new = there.execute(used).fetchone() is None
        if not is_new:
            study, rows = verified_rows(there, self.path)
            _refuse_unlike(self.path, study, self._conditions)
            known = {row["key"]: row for row in rows}
        if old:
            old.backup(self._db)
            old.close()
        if is_new:
            start = {"planned": digest([]), "complete": 0, "hash": ""}
            with self._transaction():
                insert(self._db, "study", [facts | start])
                self._update()
        elif study["spec"] != facts["spec"]:
            with self._transaction():
                self._update(spec=facts["spec"], complete=0)
        return known

    def _study(self) -> Columns:
        return dict(self._db.execute("SELECT * FROM study").fetchone())

    def _update(self, **changes: object) -> None:
        """Change columns of the study's row, within the caller's transaction."""
        row = self._study() | changes
        packs = self._db.execute("SELECT hash FROM pack ORDER BY number")
        row["hash"] = hash_of_study(row, [hash_ for (hash_,) in packs])
        self._db.execute("DELETE FROM study")
        insert(self._db, "study", [row])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with sqlite_errors_translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already, and a second time is an error.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def read_study(path: Path) -> StoredStudy:
    """Read and verify everything in a store; also while a study writes to it.

    A store of an older schema is read as it is: nothing is written.

    Raises:
        StoreDamagedError: If any byte that counts is not as it was written, or a fact
            of the study is none that a study can have.
        StoreFormatError: If the file is no store, or a newer one.
        StoreAccessError: If there is no file, or it cannot be read.

    """
    path = Path(path)
    db, version = connect(path, writes=False)
    with sqlite_errors_translated(path), closing(db):
        db.execute("BEGIN")  # one moment of the file, also beside a writer
        with (
            closing(upgraded_copy(db, path)) if version == 1 else nullcontext(db) as at
        ):
            study, rows = verified_rows(at, path)
            planned = {key for (key,) in at.execute("SELECT key FROM planned")}
            seconds = at.execute("SELECT total(elapsed) FROM pack").fetchone()[0]
    spec, conditions = _facts_of(study, path)
    trainings = [training_from_row(row) for row in rows if row["key"] in planned]
    # A plan of before may still be there: what the study has not any more is left out.
    of_spec, scales = (spec.problem, spec.optimizer, spec.normalization), {*spec.scales}
    found = [
        (trial, outcome)
        for trial, outcome in trainings
        if (trial.problem, trial.optimizer, trial.normalization) == of_spec
        and trial.scale in scales
        and trial.seed < spec.seeds
    ]
    return StoredStudy(
        path=path,
        spec=spec,
        conditions=conditions,
        problem=ProblemFacts(**json.loads(study["problem"])),
        rows=tuple(sorted(found, key=lambda training: _order(training[0]))),
        planned=len(planned),
        seconds=seconds,
        complete=bool(study["complete"]),
    )


def _facts_of(study: Columns, path: Path) -> tuple[StudySpec, Conditions]:
    """Return spec and conditions, checked: lines to copy are made of them.

    The hashes show damage, not forgery: a program that writes a file can also hash it.
    """
    try:
        spec = StudySpec.from_dict(json.loads(study["spec"]))
        conditions = Conditions.from_dict(json.loads(study["conditions"]))
    except (DwindleError, KeyError, TypeError, ValueError) as error:
        found = f"the facts of the study ({error})"
        raise StoreDamagedError(str(path), found) from error
    of_spec = spec.problem, spec.optimizer, spec.normalization
    if of_spec != (conditions.problem, conditions.optimizer, conditions.normalization):
        raise StoreDamagedError(str(path), "conditions that are not the study's")
    return spec, conditions


def _order(trial: Trial) -> tuple[object, ...]:
    """Return what sorts trainings in one order, however they were trained."""
    return tuple(sorted(asdict(trial.scale).items())), trial.weight_decay, trial.seed


def _refuse_unlike(path: Path, study: Columns, now: Conditions) -> None:
    there = _flat(Conditions.from_dict(json.loads(study["conditions"])))
    here = _flat(now)
    differences = tuple(
        (name.replace("_", " "), str(there[name]), str(here[name]))
        for name in here
        if name != "machine" and there[name] != here[name]
    )
    if differences:
        raise StoreUnlikeError(str(path), differences)


def _flat(conditions: Conditions) -> dict[str, object]:
    """Return conditions with each fact of the optimizer beside the others."""
    plain = asdict(conditions)
    optimizer = plain.pop("optimizer")
    name = optimizer.pop("name")
    return {**plain, "optimizer": name, **optimizer}
