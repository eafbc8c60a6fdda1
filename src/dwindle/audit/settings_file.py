"""A file of settings, JSON, YAML or TOML: read safely, without surprises."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.errors import AuditTargetError, MissingLibraryError

if TYPE_CHECKING:
    from yaml import MappingNode, SafeLoader

# Settings of a training fit in a few kilobytes; more is some other file.
_MOST_BYTES = 256 * 1024
_MOST_NAMES = 10_000
_TOO_MANY = f"more than {_MOST_NAMES:,} names in one mapping"
_BE_TRAINING_ARGUMENTS = "be TrainingArguments as JSON or YAML"

# Tags of YAML keys that are no plain names: merges may repeat.
_NO_NAMES = (":merge", ":seq", ":map")

Settings = Mapping[str, Any]  # whatever a file may hold


class _RepeatedKeyError(ValueError):
    """A key stands twice in one mapping: one of the two would be dropped unseen."""


def is_settings_file(target: str) -> bool:
    """Tell whether a target names a file that :func:`read_settings` reads.

    Example:
        >>> is_settings_file("args.YAML"), is_settings_file("train:make")
        (True, False)

    """
    return Path(target).suffix.casefold() in _READERS


def read_settings(path: str) -> Settings:
    """Read a mapping from a JSON, YAML or TOML file; nothing in it is executed.

    Args:
        path: File that ends in .json, .yaml, .yml or .toml.

    Returns:
        The mapping at the top of the file.

    Raises:
        AuditTargetError: If the file cannot be read, is too large, is not what its
            name says, has a key twice, or holds no mapping.
        MissingLibraryError: If it is YAML and PyYAML is not installed.

    """
    text = _text_of(path)
    reader = _READERS[Path(path).suffix.casefold()]
    try:
        found = reader(text)
    except RecursionError:
        raise _broken(path, "values nested too deep to read") from None
    except ValueError as error:  # JSON's, a repeated key's, and numbers too long
        raise _broken(path, f"a mistake in it: {error}") from None
    if not isinstance(found, dict):
        raise _broken(path, f"{_kind(found)} instead of names and values")
    return {str(key): value for key, value in found.items()}


def _text_of(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        remedy = "Check the path; a target is a file or module:function."
        reason = error.strerror or str(error)
        raise AuditTargetError(path, "be a readable file", reason, remedy) from None
    except ValueError as error:  # a zero byte in the name
        raise AuditTargetError(
            repr(path), "be a readable file", str(error), "Check the path."
        ) from None
    if len(content) > _MOST_BYTES:
        raise _broken(path, f"more than {_MOST_BYTES:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _broken(path, "bytes that are no UTF-8 text") from None


def _broken(path: str, got: str) -> AuditTargetError:
    remedy = (
        "TrainingArguments(...).to_json_string() writes such a file; in YAML it is "
        "lines such as weight_decay: 0.1."
    )
    return AuditTargetError(path, _BE_TRAINING_ARGUMENTS, got, remedy)


def _kind(value: object) -> str:
    if value is None:
        return "nothing (the file is empty, or null)"
    return f"one thing of type {type(value).__name__}"


def _from_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    _refuse_repeats(name for name, _ in pairs)
    return dict(pairs)


def _refuse_repeats(names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            told = f"the key {name!r} stands twice, and only one of the two would count"
            raise _RepeatedKeyError(told)


def _from_yaml(text: str) -> object:
    try:
        import yaml
    except ImportError:
        needs = "An audit of a YAML file"
        raise MissingLibraryError("PyYAML", needs, "yaml") from None
    try:
        found: object = _strict_loader()(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return found


def _is_name(tag: str) -> bool:
    return tag.startswith("tag:yaml.org,2002:") and not tag.endswith(_NO_NAMES)


def _strict_loader() -> "type[SafeLoader]":
    """Return PyYAML's safe loader, which constructs plain values only, made strict."""
    import yaml

    flattened: set[int] = set()  # the nodes all live until the file is read

    class _Strict(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML ships no types
        def flatten_mapping(self, node: "MappingNode") -> None:
            # Called again for a mapping that is merged elsewhere, with its own merges
            # in it by then: only what was written may not repeat.
            if id(node) not in flattened:
                names = [key.value for key, _ in node.value if _is_name(key.tag)]
                _refuse_repeats(map(str, names))
                flattened.add(id(node))
            super().flatten_mapping(node)
            # Merged mappings of merged mappings multiply.
            if len(node.value) > _MOST_NAMES:
                raise ValueError(_TOO_MANY)

    return _Strict


_READERS: Mapping[str, Callable[[str], object]] = {
    ".json": _from_json,
    ".toml": tomllib.loads,
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
}
