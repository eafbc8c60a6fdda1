"""The values of a settings file, read by type: a text that is a number is told."""

import math
from collections.abc import Mapping
from pathlib import Path

from dwindle.audit.findings import Finding
from dwindle.audit.settings_file import Settings
from dwindle.errors import AuditTargetError


def line_for(path: str, key: str, value: float) -> str:
    """Return the line that says a number in a file, so that its reader sees a number.

    Example:
        >>> line_for("args.yaml", "learning_rate", 1e-5)
        'learning_rate: 1.0e-05'
        >>> line_for("args.json", "learning_rate", 1e-5)
        '"learning_rate": 1e-05'

    """
    text = repr(int(value)) if float(value).is_integer() and value else repr(value)
    if key.endswith("="):  # a word of a text
        return f"{key}{text}"
    if is_json(path):
        return f'"{key}": {text}'
    digits, e, power = text.partition("e")
    if e and "." not in digits:  # 1e-05 would be a text to a YAML reader
        digits += ".0"
    return f"{key}: {digits}{e}{power}"


def text_line_for(path: str, key: str, text: str) -> str:
    """Return the line that says a text in a file."""
    return f'"{key}": "{text}"' if is_json(path) else f"{key}: {text}"


def is_json(path: str) -> bool:
    """Tell whether a file is JSON, by its name."""
    return Path(path).suffix.casefold() == ".json"


class FileValues:
    """Reads values of one file; owns the findings on texts that should be numbers."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._path, self._settings = path, settings
        self._texts: dict[str, Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Numbers that came as text, in the order in which they were read."""
        return tuple(self._texts.values())

    def has(self, key: str) -> bool:
        """Tell whether the file says anything about a key; null says nothing."""
        return self._settings.get(key) is not None

    def number(self, key: str, default: float) -> float:
        """Return a finite number; one that is a text is read and remembered.

        Raises:
            AuditTargetError: If it is anything else.

        """
        value = self._settings.get(key)
        if value is None:
            return float(default)
        if isinstance(value, str):
            return self._read(key, value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number", value)
        try:
            number = float(value)
        except OverflowError:
            raise self._wrong(key, "a finite number", "one far too large") from None
        if not math.isfinite(number):
            raise self._wrong(key, "a finite number", value)
        return number

    def whole(self, key: str, default: int) -> int:
        """Return a whole number.

        Raises:
            AuditTargetError: If it is anything else.

        """
        number = self.number(key, default)
        if not number.is_integer():
            raise self._wrong(key, "a whole number", number)
        return int(number)

    def text(self, key: str, default: str) -> str:
        """Return a text.

        Raises:
            AuditTargetError: If it is anything else.

        """
        value = self._settings.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return value

    def flag(self, key: str) -> bool:
        """Tell whether a switch is on."""
        return self._settings.get(key) in (True, "true", "True")

    def mapping(self, key: str) -> Mapping[str, object]:
        """Return a mapping; anything else is none."""
        value = self._settings.get(key)
        return value if isinstance(value, Mapping) else {}

    def _read(self, key: str, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise self._wrong(key, "a number", repr(text)) from None
        if not math.isfinite(number):
            raise self._wrong(key, "a finite number", repr(text))
        self._texts[key] = Finding(
            code="DW020",
            where=f"{self._path}: {key}",
            evidence=f"{text!r} is a text there; {number:g} is taken to be meant.",
            remedy="Write a number:",
            line=line_for(self._path, key, number),
        )
        return number

    def _wrong(self, key: str, must: str, value: object) -> AuditTargetError:
        shown = str(value)
        got = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
        line = _TEXTS.get(key) or line_for(self._path, key, _NUMBERS.get(key, 1))
        remedy = f"Write {line}, for example."
        return AuditTargetError(self._path, f"have {must} as {key}", got, remedy)


_LONGEST = 60
_NUMBERS: Mapping[str, float] = {"weight_decay": 0.1, "learning_rate": 0.0003}
_TEXTS: Mapping[str, str] = {
    "optim": "adamw_torch",
    "optim_args": "momentum=0.9",
    "lr_scheduler_type": "cosine",
}
