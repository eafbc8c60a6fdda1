"""Trainers whose settings files are read: how to recognize a file, and its values."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dwindle.audit.findings import Finding, Paste
from dwindle.audit.settings_file import Settings, line_for, number_in
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import AuditTargetError, DwindleError, UnknownNameError
from dwindle.errors.nearest import mistyped
from dwindle.plain import table_beside

Flat = Mapping[str, Any]  # values of a file by dotted names
# Lightning's and jsonargparse's, Hydra's, torchtune's.
_CLASS_KEYS = ("class_path", "_target_", "_component_")


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """How the settings file of a trainer is recognized, and the keys of its facts."""

    name: str
    marks: tuple[tuple[str, ...], ...] = ()  # its file has all keys of one of them
    why_not: str = ""  # why it is not read
    # Names of its optimizers with the knob of each; None where dwindle knows none.
    knobs: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    unused: frozenset[str] = frozenset()  # those that never get the decay of the file
    # Dotted keys of each fact; the head of ``trainers.toml`` lists the facts.
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    # Values of facts that count where the file has none of the keys.
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)
    switches: Sequence[Mapping[str, Any]] = field(default=(), hash=False)
    own_decay: bool = False  # the optimizer's own default counts for a decay, too
    # A warm-up as long as the run rises on its line beyond it. It is not followed in
    # others: Composer refuses it, and Ultralytics has changed its mind.
    rises_on: bool = False

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
    # Most trainers take AdamW8bit and adamw_8bit for one name.
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


# The last two have no marks: trainer_of and arguments_in recognize their files.
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

    TrainingArguments of Hugging Face have no mark; see :func:`arguments_in`.
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


# No arguments of the Trainer, but in files of programs that use it.
DTYPE_KEYS = {*TRANSFORMERS.keys["dtype"], *TRANSFORMERS.keys["bfloat16"]}
# The names that bear on a decay.
READ = tuple(name for name in TRANSFORMERS.all_keys if name not in DTYPE_KEYS)
NAMES = frozenset(READ) | OTHER_ARGUMENTS


def meant_by(name: str) -> str | None:
    """Return the name that a key was meant to be, if it is one that bears on decay."""
    known = None if name in NAMES else mistyped(name, NAMES)
    return known if known in READ else None


def misspelt_keys(path: str, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each key that is nearly one that bears on decay."""
    for name, value in settings.items():
        meant = meant_by(name)
        if meant is None:
            continue
        yield Finding(
            code="DW028",
            case="file" if settings.get(meant) is None else "both",
            where=f"{path}: {name}",
            values={"key": name, "meant": meant},
            paste=Paste(text=line_for(path, meant, value)),
        )


# Parts of keys that change a decay, whole between separators: lr, and not the lr of
# "already"; lr0 is Ultralytics'.
_PARTS = "lr|learning_rate|optim|optimizer|epochs?|batch|sched|scheduler|warmup"
_MORE = "dtype|precision|bf16|fp16|decay|wd|momentum|betas|steps|iters"
# An unread key with one of them is named: it may have changed the decay.
_BEARING = re.compile(
    rf"(?:^|[_.-])(?:{_PARTS}|{_MORE})(?:$|[_.-])|lr\d$", re.IGNORECASE
)
# Keys of validation and logging have the same parts, and no effect on training.
_ELSEWHERE = re.compile(
    r"(?:^|[_.-])(?:eval|val|valid|test|log|logging|save|generation)"
)
# Options of optimizers that have no effect on the decay.
_NEUTRAL = {"eps", "epsilon", "fused", "foreach", "_partial_", "_convert_", "name"}


def bears_on_decay(name: str) -> bool:
    """Return whether a key is about lr, optimizer, length, batch, dtype or decay.

    Example:
        >>> bears_on_decay("adam_weight_decay"), bears_on_decay("eval_batch_size")
        (True, False)

    """
    if name.rpartition(".")[2] in _NEUTRAL or _ELSEWHERE.search(name):
        return False
    return bool(_BEARING.search(name))


def unread_keys(names: Iterable[str], read: Container[str]) -> list[str]:
    """Return a sentence on the keys that bear on a decay and were not read."""
    found = [name for name in names if name not in read and bears_on_decay(name)]
    if not found:
        return []
    it = "it" if len(found) == 1 else "they"
    return [f"Not read, though {it} may bear on the decay: {', '.join(found)}."]


def foreign_keys(settings: Settings) -> list[str]:
    """Return the keys that bear on a decay and that TrainingArguments do not have."""
    names = (name for name in settings if name not in NAMES and not meant_by(name))
    return list(filter(bears_on_decay, names))


def file_not_read(path: str, trainer: str, why: str) -> AuditTargetError:
    """Return the error for a file that does not hold the numbers of its trainer."""
    must = "hold one setting of a trainer whose files are read"
    remedy = (
        "Write the numbers: dwindle explain KNOB=VALUE --lr LR --batch-size EXAMPLES."
    )
    got = f"a settings file of {trainer}. {why.removesuffix('.')}"
    return AuditTargetError(path, must, got, remedy)


def arguments_in(path: str, settings: Settings) -> Settings:
    """Return the mapping that holds TrainingArguments: the file, or one thing in it."""
    inside = {
        name: value
        for name, value in settings.items()
        if isinstance(value, Mapping) and any(key in value for key in LIKELY)
    }
    found = settings if any(key in settings for key in LIKELY) else None
    if found is None and len(inside) == 1:
        ((name, table),) = inside.items()
        # Another trainer's table, as "optimizer", may share a name with them.
        named = any(part in name.casefold() for part in ("train", "arg", "hyper"))
        if named or any(key in table for key in ITS_OWN):
            found = {str(key): value for key, value in table.items()}
    if found is None:
        must = "hold TrainingArguments, at its top or under one name"
        names = ", ".join(sorted(inside or settings)[:5]) or "nothing"
        got = f"several that could be: {names}"
        if len(inside) <= 1:
            got = f"{names}, which is none of a trainer that is known here"
        if not inside:
            got = f"the names {names}"
        remedy = (
            "It needs learning_rate, weight_decay or other names of TrainingArguments."
        )
        raise AuditTargetError(path, must, got, remedy)
    foreign = foreign_keys(found)
    if foreign and not any(key in found for key in ITS_OWN):
        why = f"TrainingArguments have no {', '.join(foreign[:5])}."
        raise file_not_read(path, "a trainer that is not known here", why)
    return found


# Usual values, for the line that an error shows.
_EXAMPLES = {
    "weight_decay": 0.1,
    "learning_rate": 0.0003,
    "optim": "adamw_torch",
    "optim_args": "momentum=0.9",
    "lr_scheduler_type": "cosine",
}
_LONGEST = 60  # characters of a wrong value in an error


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The numbers of a settings file; what it lacks is ``None`` or an empty text."""

    optimizer: str
    knob: str | None
    lr: float | None  # at its peak
    lr_key: str
    decay: float | None
    decay_key: str  # it ends with ``=`` in a text
    options: Mapping[str, str] = field(default_factory=dict, hash=False)  # in a text
    decay_factor: float = 1.0  # what the trainer multiplies the decay of the file by
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)  # fields of Run
    # By unit: ``steps``, else ``epochs`` counts; of the warm-up also its ``share``.
    length: Mapping[str, float] = field(default_factory=dict, hash=False)
    schedule: str = ""
    warmup: Mapping[str, float] = field(default_factory=dict, hash=False)
    # What its schedule is in a run, where that takes more than its name: see Course.
    course: Callable[[Run], Schedule | str | None] | None = None
    unchecked: tuple[str, ...] = ()  # sentences on what the file does not have
    # Why the file's numbers are not those that the trainer uses.
    why_not: str = ""


class Values:
    """The values of a file by fact; owns the findings on texts that should be numbers.

    TrainingArguments have types: a value of another type is refused, and a number that
    is a text is a finding, for the Trainer fails on it later. Files of others may have
    texts, or "auto" for a number that is chosen: what is no number is unknown.

    Raises:
        AuditTargetError: From each method, if a typed file has anything else.
        UnknownNameError: From ``name``, if it is none of those known.

    """

    def __init__(self, path: str, trainer: Trainer, flat: Flat) -> None:
        self.path, self.trainer, self.flat = path, trainer, flat
        self.has_types = trainer is TRANSFORMERS
        self._texts: dict[str, Finding] = {}

    @property
    def texts(self) -> tuple[Finding, ...]:
        """Numbers that came as text, in the order in which they were read."""
        return tuple(self._texts.values())

    def number(self, fact: str) -> float | None:
        """Return a finite number, or the trainer's default."""
        key, value = self.trainer.found(fact, self.flat)
        if value is None:
            return number_in(self.trainer.defaults.get(fact))
        number = number_in(value)
        if self.has_types and number is None:
            raise self._wrong(key, "a finite number", value)
        if self.has_types and isinstance(value, str):
            self._texts[key] = Finding(
                code="DW020",
                case="file",
                where=f"{self.path}: {key}",
                values={"text": repr(value), "number": number},
                paste=Paste(text=line_for(self.path, key, number)),
            )
        return number

    def whole(self, fact: str) -> int | None:
        """Return a whole number; of an untyped file, None for what cannot count."""
        number, key = self.number(fact), self.trainer.found(fact, self.flat)[0]
        if self.has_types and number is not None and not number.is_integer():
            raise self._wrong(key, "a whole number", number)
        # In other files 0 and -1 mean: as many as fit, or no limit.
        is_count = number is not None and (number >= 1 or self.has_types)
        return int(number) if is_count else None  # type: ignore[arg-type]  # a number

    def text(self, fact: str) -> str:
        """Return a text, the trainer's default, or an empty one."""
        key, value = self.trainer.found(fact, self.flat)
        if value is None or (
            not self.has_types and (not value or isinstance(value, Mapping))
        ):
            return str(self.trainer.defaults.get(fact, ""))
        if self.has_types and not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return str(value)

    def name(self, fact: str, known: Mapping[str, object]) -> str:
        """Return a name; a typed file may have those of a table only."""
        name = self.text(fact)
        if self.has_types and name not in known:
            raise UnknownNameError.among(self.trainer.keys[fact][0], name, known)
        return name

    def marked(self, text: str, fact: str, *, is_given: bool) -> str:
        """Return a text, marked where neither file nor command line gave the fact."""
        is_typed = self.trainer.found(fact, self.flat)[1] is not None
        is_default = fact in self.trainer.defaults and not is_typed and not is_given
        return f"{text} (default)" if is_default else text

    def _wrong(self, key: str, must: str, value: object) -> AuditTargetError:
        shown = repr(value) if isinstance(value, str) else str(value)
        got = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
        line = line_for(self.path, key, _EXAMPLES.get(key, 1))
        remedy = f"Write {line}, for example."
        return AuditTargetError(self.path, f"have {must} as {key}", got, remedy)
