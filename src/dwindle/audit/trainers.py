"""Trainers whose settings files are known, as a table, and whose file a file is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.errors import DwindleError
from dwindle.plain import table_beside

Flat = Mapping[str, Any]  # values of a file by dotted names
# Lightning's and jsonargparse's, Hydra's, torchtune's.
_CLASS_KEYS = ("class_path", "_target_", "_component_")


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """How the settings file of a trainer is recognized, and where it has which fact.

    Args:
        name: Name for people.
        marks: Keys by which the file is known: it has all keys of one of the tuples.
        why_not: Why it is not read; empty where it is.
        knobs: Names of its optimizers and the knob that each is; None where dwindle
            knows none.
        unused: Names of its optimizers that never get the weight decay of the file.
        keys: Dotted keys of each fact; the head of ``trainers.toml`` lists the facts.
        defaults: Values of facts that count where the file has none of the keys.
        own_decay: Whether the optimizer's own default counts where the file has no
            decay; else nobody knows what counts.

    """

    name: str
    marks: tuple[tuple[str, ...], ...] = ()
    why_not: str = ""
    knobs: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    unused: frozenset[str] = frozenset()
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    own_decay: bool = False

    @property
    def all_keys(self) -> tuple[str, ...]:
        """Every key of its file that is read."""
        return tuple(key for keys in self.keys.values() for key in keys)

    def found(self, fact: str, flat: Flat) -> tuple[str, Any]:
        """Return the key at which a file has a fact, and the value; null is none."""
        keys = self.keys.get(fact, ())
        given = next((key for key in keys if flat.get(key) is not None), None)
        if given is not None:
            return given, flat[given]
        return next((key for key in keys if key in flat), (*keys, fact)[0]), None

    def knob_of(self, optimizer: str) -> str | None:
        """Return the knob that an optimizer's name or import path stands for."""
        known = {_folded(name): knob for name, knob in self.knobs.items()}
        return knob_named(optimizer) or known.get(_folded(optimizer))


def _folded(name: str) -> str:
    # AdamW8bit and adamw_8bit are one name to people, and to most trainers.
    return name.casefold().replace("_", "").replace("-", "")


def knob_named(value: object) -> str | None:
    """Return the knob that an import path names, also by another path of its class."""
    if not isinstance(value, str) or "." not in value:
        return None
    try:
        return resolve_knob(value).name
    except DwindleError:
        # timm's classes are its names in another case: timm.optim.Lamb is timm.lamb.
        library, last = value.partition(".")[0], value.rpartition(".")[2]
        name = f"timm.{last.casefold()}"
        return name if library == "timm" and name in KNOBS else None


_TABLES = table_beside(__file__)


def _names_of(table: str) -> dict[str, str | None]:
    """Return the names of optimizers in a table of the file, or in a library."""
    if table.endswith("."):
        return {
            name.rpartition(".")[2].casefold(): name
            for name in KNOBS
            if name.startswith(table)
        }
    lists: Mapping[str, list[str]] = _TABLES["knobs"][table]
    return {
        name: None if knob in {"", "unused"} else knob
        for knob, names in lists.items()
        for name in names
    }


def _trainer(table: dict[str, Any]) -> Trainer:
    tables = table.pop("knobs", [])
    knobs = {name: knob for each in tables for name, knob in _names_of(each).items()}
    keys = {fact: tuple(keys) for fact, keys in table.pop("keys", {}).items()}
    marks = tuple(map(tuple, table.pop("marks", ())))
    return Trainer(**table, knobs=knobs, keys=keys, marks=marks)


# The last two have no marks: what they are known by is in the functions that find them.
*_KNOWN, BY_PATH, _TRANSFORMERS = map(_trainer, _TABLES["trainer"])
TRANSFORMERS = replace(
    _TRANSFORMERS, unused=frozenset(_TABLES["knobs"]["transformers"]["unused"])
)
TRAINERS: tuple[Trainer, ...] = (*_KNOWN, BY_PATH, TRANSFORMERS)
# Names of TrainingArguments that do not bear on a decay, that make a file likely one of
# them, and that no other trainer has.
OTHER_ARGUMENTS, LIKELY, ITS_OWN = (
    frozenset(_TABLES["transformers"][names].split())
    for names in ("other_names", "likely", "its_own")
)


def trainer_of(flat: Flat) -> Trainer | None:
    """Return the trainer whose file this is; None where it is none of the table.

    TrainingArguments of Hugging Face have no mark of their own: whether the rest is
    such a file is another question.
    """
    for trainer in _KNOWN:
        if any(all(key in flat for key in mark) for mark in trainer.marks):
            return trainer
    for name, value in flat.items():
        at, dot, last = name.rpartition(".")
        if last in _CLASS_KEYS and knob_named(value):
            return replace(
                BY_PATH,
                keys={
                    fact: tuple(key.format(at=at + dot) for key in keys)
                    for fact, keys in BY_PATH.keys.items()
                },
            )
    return None
