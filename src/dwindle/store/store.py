"""The store: append the outcomes of a pack, find them again, resume; one writer."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Literal, Self

from dwindle.errors import (
    DwindleError,
    RangeError,
    StoreDamagedError,
    StoreFormatError,
    StoreUnlikeError,
)
from dwindle.plain import Plain, from_plain
from dwindle.store.connect import (
    WriterLock,
    connect,
    in_present_schema,
    refuse_irregular,
    sqlite_errors_translated,
)
from dwindle.store.records import (
    Comparable,
    Conditions,
    Outcome,
    ProblemFacts,
    Trial,
)
from dwindle.store.rows import (
    Columns,
    digest,
    hash_of_pack,
    hash_of_study,
    insert,
    outcome_from_row,
    read,
    row_from_training,
    sum_of_hashes,
    text_from_plain,
    trial_from_row,
    verified,
)
from dwindle.store.spec import StudySpec

Kind = Literal["built-in", "own"]
# What only the spec of a study of the user's own training has.
OWN: dict[str, Kind] = {"kind": "own"}
FORMER = "former"  # where such a study has its conditions of before
_OF_KIND = {
    "built-in": "a study of a built-in problem",
    "own": "a study of your own training, by dwindle find",
}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a store of either kind holds, verified; all as JSON and SQLite have it."""

    path: Path
    study: Columns
    rows: list[Columns]
    planned: frozenset[str]
    seconds: float

    @property
    def kind(self) -> Kind:
        """Whether it is of a built-in problem or of a training of one's own."""
        return _kind_of(self.study)

    def require(self, kind: Kind) -> None:
        """Refuse a store of the other kind."""
        if self.kind != kind:
            _refuse_kind(self.path, self.kind)


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
        spec: Plain,
        conditions: Comparable,
        problem: Plain | None = None,
        accept_change: bool = False,
    ) -> None:
        """Open the store of a study, or create it.

        A store whose study had other seeds, axes or decays is carried on: what fits the
        new plan is used, the rest is not read. ``problem`` is what the networks of a
        built-in study follow from. With ``accept_change`` it is carried on under other
        conditions, too: what was trained under those stays in the file and is not read.

        Raises:
            StoreLockedError: If another process writes to it.
            StoreUnlikeError: If it holds results of unlike conditions.
            StoreDamagedError: If its bytes are not what was written.
            StoreFormatError: If it is no store, or a newer one.
            StoreAccessError: If it cannot be written.
        """
        self.path = path
        self._conditions = conditions
        self._sum = 0  # of the hashes of all packs
        with sqlite_errors_translated(path):
            refuse_irregular(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(path)
        try:
            self._db, version = connect(path, writes=True)
            with sqlite_errors_translated(path):
                facts = {
                    "id": 1,
                    "spec": text_from_plain(spec.as_dict()),
                    "conditions": text_from_plain(conditions.as_dict()),
                    "problem": text_from_plain(problem.as_dict() if problem else {}),
                }
                self._begin(facts, version, accept_change=accept_change)
        except BaseException:
            self.close()
            raise
        self._commit_time = time.monotonic()

    def outcome(self, trial: Any) -> Outcome | None:  # of the kind of the study
        """Return what a training ended with, or None if it is not committed."""
        row = self._row(self._conditions.key_of(trial))
        return outcome_from_row(row) if row else None

    def rows(self) -> Iterator[Columns]:
        """Yield the rows of all trainings that are committed, of any conditions."""
        return read(self._db, "trial", "pack, key")

    def plan(self, trials: Iterable[Any]) -> None:
        """Set the trainings that the study consists of now."""
        # Writing the same plan again would cost a commit per round.
        keys = sorted({self._conditions.key_of(trial) for trial in trials})
        if digest(keys) == self._study()["planned"]:
            return
        with self._transaction():
            self._db.execute("DELETE FROM planned")
            insert(self._db, "planned", [{"key": key} for key in keys])
            self._update(planned=digest(keys), complete=0)

    def commit(
        self, trainings: Sequence[tuple[Any, Outcome]], *, seconds: float
    ) -> None:
        """Write the outcomes of a pack, all or none of them.

        A training that failed before may be committed again: its new outcome takes the
        place of the error. One that has a result is refused, as is a loss that does not
        fit its status. After a full disk earlier packs are intact. ``seconds`` is the
        time that a worker took.
        """
        # Once for all uses: three keys were a fifth of a commit.
        keyed = [
            (self._conditions.key_of(trial), trial, out) for trial, out in trainings
        ]
        keys = {key for key, _, _ in keyed}
        before = [row for row in map(self._row, sorted(keys)) if row]
        twice = [row for row in before if row["status"] != "error"]
        if twice:
            raise RangeError("trainings", f"{len(twice)} that are", "not committed yet")
        with self._transaction():
            added = self._drop(before) + self._append(keyed, seconds)
            self._update(added=added)
        self._sum, self._commit_time = self._sum + added, time.monotonic()

    def _drop(self, failed: Sequence[Columns]) -> int:
        """Delete failed rows, in the caller's transaction; return what that adds."""
        gone, added = [(row["key"],) for row in failed], 0
        self._db.executemany("DELETE FROM trial WHERE key = ?", gone)
        for number in {row["pack"] for row in failed}:
            query = "SELECT * FROM pack WHERE number = ?"
            pack = dict(self._db.execute(query, (number,)).fetchone())
            left = self._db.execute("SELECT * FROM trial WHERE pack = ?", (number,))
            now = hash_of_pack(pack, map(dict, left))
            change = "UPDATE pack SET hash = ? WHERE number = ?"
            self._db.execute(change, (now, number))
            added += sum_of_hashes([now]) - sum_of_hashes([pack["hash"]])
        return added

    def _append(self, keyed: Sequence[tuple[str, Any, Outcome]], seconds: float) -> int:
        """Insert a pack, in the caller's transaction; return what that adds."""
        last = self._db.execute("SELECT max(number) FROM pack").fetchone()[0]
        number = (last or 0) + 1
        rows = [
            row_from_training(key, number, trial, outcome)
            for key, trial, outcome in keyed
        ]
        elapsed = time.monotonic() - self._commit_time
        pack = {"number": number, "seconds": float(seconds), "elapsed": elapsed}
        hash_ = hash_of_pack(pack, rows)
        insert(self._db, "pack", [{**pack, "hash": hash_}])
        insert(self._db, "trial", rows)
        return sum_of_hashes([hash_])

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

    def _begin(self, facts: Columns, version: int, *, accept_change: bool) -> None:
        """Write the study's row, or check the one there, and bring it up to date."""
        changed = dict[str, Any]()
        with in_present_schema(self._db, self.path, version) as there:
            # Anything in any table: without its study it is no beginning but damage.
            used = (
                "SELECT 1 FROM study UNION SELECT 1 FROM pack UNION SELECT 1 FROM trial"
            )
            is_new = there.execute(used).fetchone() is None
            if not is_new:
                study, self._sum = verified(there, self.path)
                # A mistyped metric leaves errors only: there is nothing to be pooled.
                results = "SELECT count(*) FROM trial WHERE status != 'error'"
                accept_change |= not there.execute(results).fetchall()[0][0]
                changed = self._changed(study, facts, accept_change=accept_change)
            if there is not self._db:
                there.backup(self._db)
        if is_new:
            start = {"planned": digest([]), "complete": 0, "hash": ""}
            with self._transaction():
                insert(self._db, "study", [facts | start])
                self._update()
        elif changed:
            with self._transaction():
                self._update(**changed, complete=0)

    def _changed(
        self, there: Columns, now: Columns, *, accept_change: bool
    ) -> dict[str, str]:
        """Return what to change in the row of the study, which goes on."""
        if _kind_of(there) != _kind_of(now):
            _refuse_kind(self.path, _kind_of(there))
        before = json.loads(there["conditions"])
        differences = self._conditions.differences(before)
        may_change = _kind_of(now) == "own"
        if differences and not accept_change:
            raise StoreUnlikeError(str(self.path), differences, may_change)
        # Another machine is no difference: the facts of the first one stay.
        wanted = {"spec": now["spec"]}
        if differences:
            wanted["conditions"] = now["conditions"]
            if may_change:
                # Only studies of built-in problems have facts of a problem, and files
                # keep theirs: here are the conditions of before.
                current = json.loads(now["conditions"])
                known = json.loads(there["problem"]).get(FORMER, [])
                others = [each for each in known if each not in (before, current)]
                wanted["problem"] = text_from_plain({FORMER: [*others, before]})
        return {name: text for name, text in wanted.items() if there[name] != text}

    def _row(self, key: str) -> Columns | None:
        found = self._db.execute("SELECT * FROM trial WHERE key = ?", (key,)).fetchone()
        return dict(found) if found else None

    def _study(self) -> Columns:
        return dict(self._db.execute("SELECT * FROM study").fetchone())

    def _update(self, *, added: int = 0, **changes: object) -> None:
        """Change columns of the study's row, within the caller's transaction."""
        row = self._study() | changes
        row["hash"] = hash_of_study(row, self._sum + added)
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


def read_store(path: Path) -> Stored:
    """Read and verify everything in a store; also while a study writes to it.

    A store of an older schema is read as it is: nothing is written.
    """
    path = Path(path)
    db, version = connect(path, writes=False)
    with sqlite_errors_translated(path), closing(db):
        db.execute("BEGIN")  # one moment of the file, also beside a writer
        with in_present_schema(db, path, version) as at:
            study, _ = verified(at, path)
            rows = list(read(at, "trial", "pack, key"))
            planned = frozenset(key for (key,) in at.execute("SELECT key FROM planned"))
            seconds = at.execute("SELECT total(elapsed) FROM pack").fetchone()[0]
    return Stored(path=path, study=study, rows=rows, planned=planned, seconds=seconds)


def read_study(path: Path) -> StoredStudy:
    """Read a study of a built-in problem, as :func:`read_store` does."""
    stored = read_store(path)
    stored.require("built-in")
    return study_from_stored(stored)


def study_from_stored(stored: Stored) -> StoredStudy:
    """Return a study of a built-in problem from what its store holds."""
    spec, conditions = _facts_of(stored.study, stored.path)
    # A plan of before may still be there: what the study has not any more is left out.
    scales = {*spec.scales}
    found = [
        (trial, outcome_from_row(row))
        for row in stored.rows
        if row["key"] in stored.planned
        for trial in [from_plain(Trial, trial_from_row(row))]
        if trial == spec.trial(trial.scale, trial.weight_decay, trial.seed)
        and trial.scale in scales
        and trial.seed < spec.seeds
    ]
    # In one order, however they were trained.
    found.sort(
        key=lambda row: (
            sorted(asdict(row[0].scale).items()),
            row[0].weight_decay,
            row[0].seed,
        )
    )
    return StoredStudy(
        path=stored.path,
        spec=spec,
        conditions=conditions,
        problem=ProblemFacts(**json.loads(stored.study["problem"])),
        rows=tuple(found),
        planned=len(stored.planned),
        seconds=stored.seconds,
        complete=bool(stored.study["complete"]),
    )


def _kind_of(study: Columns) -> Kind:
    """Return the kind of a study; a spec that is none is left to its reader."""
    try:
        spec = json.loads(study["spec"])
    except ValueError:
        return "built-in"
    is_own = isinstance(spec, dict) and OWN.items() <= spec.items()
    return "own" if is_own else "built-in"


def _refuse_kind(path: Path, kind: Kind) -> None:
    shown = quote(str(path))
    remedy = f"dwindle report {shown} shows it; write to another file with --store."
    raise StoreFormatError(str(path), _OF_KIND[kind], remedy)


def _facts_of(study: Columns, path: Path) -> tuple[StudySpec, Conditions]:
    """Return spec and conditions, checked: lines to copy are made of them."""
    # The hashes show damage, not forgery: a program that writes a file can also hash
    # it.
    try:
        spec = from_plain(StudySpec, json.loads(study["spec"]))
        conditions = from_plain(Conditions, json.loads(study["conditions"]))
    except (DwindleError, KeyError, TypeError, ValueError) as error:
        found = f"the facts of the study ({error})"
        raise StoreDamagedError(str(path), found) from error
    of_spec = spec.problem, spec.optimizer, spec.normalization
    if of_spec != (conditions.problem, conditions.optimizer, conditions.normalization):
        raise StoreDamagedError(str(path), "conditions that are not the study's")
    return spec, conditions
