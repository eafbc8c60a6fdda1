"""The numbers of a trainer's settings file, fact by fact, as the file has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dwindle.audit.findings import Finding, Line
from dwindle.audit.settings_file import line_for, number_in
from dwindle.audit.trainers import TRANSFORMERS, Flat, Trainer
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import AuditTargetError, UnknownNameError

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
    """The numbers of a settings file; ``None`` and an empty text mean: not there."""

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
    # What its schedule is in a run, where that takes more than its name.
    course: Callable[[Run], Schedule | None] | None = None
    unchecked: tuple[str, ...] = ()  # sentences on what the file does not have
    # Why the file's numbers are not those that the trainer ends up with.
    why_not: str = ""


class Values:
    """The values of a file by fact; owns the findings on texts that should be numbers.

    TrainingArguments have types: what is of another is refused, and a number that is a
    text is a finding, for the Trainer fails on it later. Other trainers write "auto"
    for numbers that they choose, and read texts: what is no number is not known.

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
                paste=Line(text=line_for(self.path, key, number)),
            )
        return number

    def whole(self, fact: str) -> int | None:
        """Return a whole number; of an untyped file, None for what cannot count."""
        number, key = self.number(fact), self.trainer.found(fact, self.flat)[0]
        if self.has_types and number is not None and not number.is_integer():
            raise self._wrong(key, "a whole number", number)
        # 0 and -1 mean elsewhere: as many as fit, or no limit.
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
