"""A study of a user's own training as plain data: what its store holds."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import StoreDamagedError
from dwindle.plain import Plain, to_plain
from dwindle.store.records import Difference, Outcome, key_of
from dwindle.store.rows import Columns, outcome_from_row, trial_from_row
from dwindle.store.store import FORMER, OWN, Stored
from dwindle.wording import clean, counted, quantity


@dataclass(frozen=True, kw_only=True)
class OwnTrial:
    """One training of a user's own.

    Reports name it by its ``number``, its place in the order of requests, from 1.
    ``typed`` is the text that stands for its decay, exactly; ``"inf"`` is one. Where it
    takes no seed, ``seed`` is its replicate.
    """

    number: int
    typed: str
    seed: int
    scale: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def weight_decay(self) -> float:
        """The number that the training gets."""
        return float(self.typed)

    @classmethod
    def from_row(cls, row: Columns) -> Self:
        """Rebuild a training from a row of the store."""
        return cls(**trial_from_row(row))


@dataclass(frozen=True, kw_only=True)
class FindSpec(Plain):
    """What is searched, and when it ends: it may differ when a study goes on.

    ``low``, ``high`` and ``guess`` are in the unit of the knob; ``guess_spread`` is how
    far off the guess may be, as a standard deviation in ln λ. A store may hold
    trainings of several scales; those of another ``scale`` are another search.
    ``cells`` are all scales of a tune, of which this search is one, and ``target`` is
    its own.
    """

    name: str
    low: float
    high: float
    trainings: int = 25
    within: float = 1.25
    guess: float | None = None
    zero: bool = True
    scale: Mapping[str, float] = field(default_factory=dict, hash=False)
    guess_spread: float = 0.8
    cells: Sequence[Mapping[str, float]] = field(default=(), hash=False)
    target: Mapping[str, float] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the spec as a store has it, marked as that of a user's training."""
        return {**OWN, **super().as_dict()}


@dataclass(frozen=True, kw_only=True)
class OwnConditions(Plain):
    """Which trainings are the same: those with other conditions are never pooled.

    ``training`` has the words of the command, or ``module:function``. The answer is
    typed at ``knob``, what the training gets at ``typed``. ``facts`` have the names of
    :class:`~dwindle.decay.run.Run`; ``files`` are the SHA-256 of each script that the
    command names, or of the module.
    """

    training: tuple[str, ...]
    knob: str
    typed: str
    metric: str
    maximize: bool = False
    has_seed: bool = True
    folder: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:  # JSON-like
        """Rebuild conditions from :meth:`as_dict`, also after a trip through JSON."""
        return cls(**{**plain, "training": tuple(plain["training"])})

    def key_of(self, trial: OwnTrial) -> str:
        """Return the hash under which a training is stored; its number is no part."""
        what = {"typed": trial.typed, "seed": trial.seed, "scale": dict(trial.scale)}
        return key_of({"trial": what, "conditions": self._as_stored})

    @cached_property  # thousands of trainings share it
    def _as_stored(self) -> Mapping[str, Any]:  # JSON-like
        return json.loads(json.dumps(self.as_dict()))  # type: ignore[no-any-return]

    def differences(self, there: Mapping[str, Any]) -> tuple[Difference, ...]:
        """Return the conditions that differ from those of a store (as a dict)."""
        before, now = _flat(OwnConditions.from_dict(there)), _flat(self)
        absent = "none"
        return tuple(
            (name, before.get(name, absent), now.get(name, absent))
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        )


def _flat(conditions: OwnConditions) -> dict[str, str]:
    """Return each condition as a text, by its name in reports."""
    plain = conditions.as_dict()
    facts = {}
    for name, value in plain["facts"].items():
        # A store has keys in another order than those who write them.
        parts = value if isinstance(value, Mapping) else {"": value}
        for part, fact in parts.items():
            facts[f"{quantity(name)} {part}".rstrip()] = str(fact)
    # The first digits are enough to show that a file has changed.
    files = {f"contents of {name}": text[:8] for name, text in plain["files"].items()}
    return {
        "training": " ".join(plain["training"]),
        "knob": plain["knob"],
        "typed at": plain["typed"],
        "metric": plain["metric"],
        "better": "larger" if plain["maximize"] else "smaller",
        "seed": "given" if plain["has_seed"] else "not given",
        "working folder": plain["folder"],
        **facts,
        **files,
    }


def facts_from_run(run: Run) -> dict[str, Any]:  # JSON-like
    """Return the facts of a run that are given, as JSON has them."""
    usual = Run()
    named = [each.name for each in fields(Run) if each.init and run.is_given(each.name)]
    facts = {name: getattr(run, name) for name in named}
    return {
        name: to_plain(value, *_named(value))
        for name, value in facts.items()
        if value != getattr(usual, name)
    }


def _named(value: object) -> tuple[str, ...]:
    """Return the fields kept of a schedule: four in every store, and those given."""
    if not isinstance(value, Schedule):
        return ()
    return tuple(
        dict.fromkeys(("shape", "warmup", "final", "decay_share", *value.given))
    )


def run_from_facts(facts: Mapping[str, Any]) -> Run:  # JSON-like
    """Return the run of :func:`facts_from_run`."""
    given = dict(facts)
    for name in ("schedule", "decay_schedule"):
        if name in given:
            # With its unit a period may be longer than the run; a plain share may not.
            parts = {**given[name]}
            if "period" in parts:
                parts["period"] = f"{parts['period']!r} run"
            given[name] = Schedule(**parts)
    return Run(**given)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A condition that has changed."""

    condition: str
    then: str
    now: str


@dataclass(frozen=True, kw_only=True)
class Former:
    """Trainings of a file under earlier conditions, which are never pooled.

    Without ``changes``: an older dwindle wrote them and did not keep their conditions.
    """

    trainings: int
    changes: tuple[Change, ...]

    @property
    def text(self) -> str:
        """A note about them, as a sentence."""
        several = counted(self.trainings, "training")
        what = [f"{c.condition} was {c.then}, is {c.now}" for c in self.changes]
        why = f": {clean('; '.join(what))}" if what else ""
        are = "is" if self.trainings == 1 else "are"
        return f"{several} in the file, under other conditions, {are} not counted{why}."


@dataclass(frozen=True, kw_only=True)
class StoredFind:
    """The contents of the store of a search, under its present conditions."""

    path: Path
    spec: FindSpec
    conditions: OwnConditions
    rows: tuple[tuple[OwnTrial, Outcome], ...]
    seconds: float
    former: tuple[Former, ...] = ()

    @property
    def scales(self) -> tuple[Mapping[str, float], ...]:
        """The scales that were trained, in their order."""
        known: list[Mapping[str, float]] = []
        for trial, _ in self.rows:
            if trial.scale not in known:
                known.append(trial.scale)
        return tuple(known)

    @property
    def failed(self) -> int:
        """How many trainings have no result."""
        return sum(outcome.status == "error" for _, outcome in self.rows)

    def at(self, scale: Mapping[str, float]) -> Self:
        """Return only what was trained at a scale."""
        rows = tuple(row for row in self.rows if row[0].scale == scale)
        return replace(self, rows=rows, spec=replace(self.spec, scale=scale))


def find_from_stored(stored: Stored) -> StoredFind:
    """Return the study that a store holds, if its facts are possible ones."""
    stored.require("own")
    try:
        plain = json.loads(stored.study["spec"])
        spec = FindSpec(**{name: plain[name] for name in plain if name not in OWN})
        conditions = OwnConditions.from_dict(json.loads(stored.study["conditions"]))
        rows = trainings_of(stored.rows, conditions)
        former = tuple(_former(stored, conditions, len(rows)))
    except (KeyError, TypeError, ValueError) as error:
        found = f"the facts of the study ({error})"
        raise StoreDamagedError(str(stored.path), found) from error
    return StoredFind(
        path=stored.path,
        spec=spec,
        conditions=conditions,
        rows=rows,
        seconds=stored.seconds,
        former=former,
    )


def _former(stored: Stored, now: OwnConditions, current: int) -> Iterator[Former]:
    """Yield the trainings of all earlier conditions, the latest first."""
    rest = len(stored.rows) - current
    known = json.loads(stored.study["problem"]).get(FORMER, ()) if rest else ()
    for plain in reversed(known):
        count = len(trainings_of(stored.rows, OwnConditions.from_dict(plain)))
        changes = tuple(
            Change(condition=name, then=then, now=is_now)
            for name, then, is_now in now.differences(plain)
        )
        rest -= count
        if count:
            yield Former(trainings=count, changes=changes)
    if rest:
        yield Former(trainings=rest, changes=())


def trainings_of(
    rows: Iterable[Columns],
    conditions: OwnConditions,
    *,
    scale: Mapping[str, float] | None = None,
) -> tuple[tuple[OwnTrial, Outcome], ...]:
    """Return the trainings of these conditions by number; others are not read.

    With ``scale`` only those at it: hashes of all others cost a large tune its time.
    """
    trainings = [(OwnTrial.from_row(row), row) for row in rows]
    return tuple(
        (trial, outcome_from_row(row))
        for trial, row in sorted(trainings, key=lambda training: training[0].number)
        if scale is None or trial.scale == scale
        if row["key"] == conditions.key_of(trial)
    )
