"""On which line of a TOML file each key stands, for errors that point at it."""

import re
from collections.abc import Mapping

_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"""\s*([A-Za-z0-9_.\-"' ]+?)\s*=""")


def key_lines(text: str) -> dict[str, int]:
    r"""Return the line, from 1, of every table and key, by its dotted name.

    It reads one line at a time, which is all that a study file needs; what stands
    within an inline table or a multi-line array is found at the line of its key.

    Example:
        >>> key_lines("[base]\nwidth = 64\ndepth = 2")
        {'base': 1, 'base.width': 2, 'base.depth': 3}

    """
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _TABLE.match(line), _KEY.match(line)
        if header:
            table = _plain(header[1])
            lines.setdefault(table, number)
        elif key:
            name = _plain(key[1])
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def line_of(key: str, lines: Mapping[str, int]) -> int:
    """Return the line of a key, or of the table that it should be in, or 1."""
    while key not in lines and "." in key:
        key = key.rpartition(".")[0]
    return lines.get(key, 1)


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
