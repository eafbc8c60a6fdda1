"""A settings file, JSON, YAML or TOML: read safely, and quoted line by line."""

import json
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

from dwindle.errors import AuditTargetError, MissingLibraryError

# Settings of a training fit in a few kilobytes; more is a tokenizer or a log.
_MOST_BYTES = 256 * 1024
# Aliases of aliases multiply: a dozen lines of YAML can hold more names than memory.
_MOST_NAMES = 10_000

Settings = Mapping[str, Any]  # a file may hold anything


def is_settings_file(target: str) -> bool:
    """Return whether a target names a file that :func:`read_settings` reads."""
    return Path(target).suffix.casefold() in _READERS


def read_settings(path: str) -> Settings:
    """Read a mapping from a JSON, YAML or TOML file; nothing in it is executed."""
    text = _text_of(path)
    try:
        found = _READERS[Path(path).suffix.casefold()](text)
        flattened({"": found})  # endless where an alias puts a mapping into itself
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"a mistake in it: {error}") from None
    if found is None:
        got = "nothing (the file is empty, or null) instead of names and values"
        raise _broken(path, got)
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise _broken(path, f"one thing of type {kind} instead of names and values")
    # W&B wraps each value as {desc, value}, beside notes for itself.
    if "wandb_version" in found or "_wandb" in found:
        found = {
            name: entry["value"]
            for name, entry in found.items()
            if isinstance(entry, dict)
            and "value" in entry
            and not str(name).startswith("_")
        }
    return {str(key): value for key, value in found.items()}


def _text_of(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        remedy = "Check the path; a target is a file or module:function."
        reason = getattr(error, "strerror", None) or str(error)
        # A control character in a name would act on the terminal that shows it.
        shown = path if path.isprintable() else repr(path)
        raise AuditTargetError(shown, "be a readable file", reason, remedy) from None
    if len(content) > _MOST_BYTES:
        raise _broken(path, f"more than {_MOST_BYTES:,} bytes")
    try:
        # Editors of Windows begin a file with a byte order mark, which JSON refuses.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _broken(path, "bytes that are no UTF-8 text") from None


def _broken(path: str, got: str) -> AuditTargetError:
    remedy = (
        "TrainingArguments(...).to_json_string() writes such a file; in YAML it is "
        "lines such as weight_decay: 0.1."
    )
    return AuditTargetError(path, "be settings as JSON, YAML or TOML", got, remedy)


def _refuse_repeats(names: Iterable[str]) -> None:
    # JSON and PyYAML silently drop the first of two; which one the trainer reads
    # depends on its library.
    for name, count in Counter(names).items():
        if count > 1:
            got = f"the key {name!r} stands twice, and only one of the two would count"
            raise ValueError(got)


def _refuse_many(names: Sized) -> None:
    if len(names) > _MOST_NAMES:
        got = f"more than {_MOST_NAMES:,} names in one mapping"
        raise ValueError(got)


def _from_json(text: str) -> object:
    def without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
        _refuse_repeats(name for name, _ in pairs)
        return dict(pairs)

    return json.loads(text, object_pairs_hook=without_repeats)


def _from_yaml(text: str) -> object:
    try:
        import yaml
    except ImportError:
        needs = "An audit of a YAML file"
        raise MissingLibraryError("PyYAML", needs, "yaml") from None

    class Strict(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML ships no types
        def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
            """Compose a mapping as it is written, before merges (<<) are filled in.

            A merged key may be written again, and then the written one counts.
            """
            node = super().compose_mapping_node(anchor)
            _refuse_repeats(str(key.value) for key, _ in node.value)
            return node

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            """Fill in the merges of a mapping, which multiply along a chain."""
            super().flatten_mapping(node)
            _refuse_many(node.value)

    try:
        found: object = Strict(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return found


_READERS: Mapping[str, Callable[[str], object]] = {
    ".json": _from_json,
    ".toml": tomllib.loads,  # which refuses a key that stands twice
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
}


def flattened(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted names, and the mappings, too."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat[f"{prefix}{name}"] = value
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
            _refuse_many(flat)
    return flat


def number_in(value: object) -> float | None:
    """Return a finite number, also of a text such as YAML's 1e-3; else None.

    Trainers read such a text with ``float``, which knows no ``20k`` or ``1/3``.
    """
    # True is an int to Python, and a switch to the author of the file.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def is_json(path: str) -> bool:
    """Return whether a file is JSON, by its name."""
    return Path(path).suffix.casefold() == ".json"


def line_for(path: str, key: str, value: object) -> str:
    """Return the line that sets a key to a value in the format of the file.

    A key that ends with ``=`` is a part of a text.
    """
    is_toml = Path(path).suffix.casefold() == ".toml"
    is_plain = isinstance(value, str) and not (is_json(path) or is_toml)
    text = str(value) if is_plain else json.dumps(value, default=str)
    if isinstance(value, float) and math.isfinite(value):
        text = repr(int(value)) if value.is_integer() and value else repr(value)
        digits, e, power = text.partition("e")
        # 1e-05 would be a text to a YAML reader; 1.0e-05 is a number to each.
        if e and "." not in digits and not is_json(path) and not key.endswith("="):
            text = f"{digits}.0e{power}"
    if key.endswith("="):
        return f"{key}{text}"
    if is_toml:
        return f"{key} = {text}"
    return f'"{key}": {text}' if is_json(path) else f"{key}: {text}"
