"""Blocks of the manual: cut out of its pages, with what they print and exemptions.

A ``console`` block has lines to type behind ``$ `` and what they print, where ``...``
stands for any text; a ``sh`` block has lines alone. A ``text`` block right behind a
``python`` one is what that prints. A block of any language whose first line is a
comment with a file name (``# train.py``) is that file.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from architecture.source import ROOT

# What a shown output may differ in, by name: how long it took, and our own version.
VARIES = {
    "a time": re.compile(r"\b\d+(?:\.\d+)?(?:e-?\d+)? (?:ms|s|min|h)\b"),
    "our version": re.compile(r"(?<=dwindle )\d+\.\d+\.\d+"),
}
_FENCE = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = r"\d+(?:[.,]\d+)*(?:e-?\d+)?"
# Factor between the numbers that trainings give on one machine and on another.
TRAINED_ALIKE = 1.25
_FILE = re.compile(r"(?:#|//) ([\w-]+\.\w+)")


@dataclass(frozen=True)
class Line:
    """A line to type, and what it is shown to print: nothing, or a text."""

    typed: str  # as the page has it, which may be folded
    shown: str

    @property
    def words(self) -> str:
        """The line in one, without a remark behind it."""
        return re.sub(r"\\\n\s*", "", self.typed).partition("  #")[0].strip()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``number`` is the line that it begins at."""

    page: str
    number: int
    language: str
    text: str
    shown: str = ""  # of Python: what it prints

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"

    @property
    def file(self) -> str:
        """The file that the block is, or an empty text."""
        first = _FILE.fullmatch(self.text.partition("\n")[0])
        return first[1] if first else ""

    @property
    def lines(self) -> Iterator[Line]:
        """The lines to type of a block of the shell, each with its output."""
        if self.language == "sh":
            for typed in re.findall(r"(?:.*\\\n)*.+", self.text):
                yield Line(typed, "")
        elif self.language == "console":
            for each in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
                typed = re.match(r"(?:.*\\\n)*.*\n", each)[0]
                yield Line(typed.rstrip("\n"), each.removeprefix(typed).rstrip("\n"))

    @property
    def pieces(self) -> list[str]:
        """What is run one by one and may be excepted: its lines, or all of it."""
        return [line.words for line in self.lines] or [self.text]


@dataclass(frozen=True)
class Exemption:
    """Blocks that are not run, or only in full, by how they begin, and why."""

    page: str
    begins: str
    why: str

    def covers(self, block: Block, piece: str) -> bool:
        """Return whether a line of a block, or a block, is meant."""
        return block.page == self.page and piece.startswith(self.begins)


def pages() -> list[str]:
    """Return README, CONTRIBUTING, and every page of the manual."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return ["README.md", "CONTRIBUTING.md", *names]


def blocks_of(page: str) -> list[Block]:
    """Return all fenced blocks of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    found = list(_FENCE.finditer(text))
    blocks = []
    for at, each in enumerate(found):
        after = found[at + 1] if at + 1 < len(found) else None
        is_followed = after and after[1] == "text" and each[1] == "python"
        is_shown = is_followed and not text[each.end() : after.start()].strip()
        number = text.count("\n", 0, each.start()) + 1
        shown = after[2].rstrip("\n") if is_shown else ""
        blocks.append(Block(page, number, each[1], each[2], shown))
    return blocks


@cache
def exemptions() -> dict[str, list[Exemption]]:
    """Return the list of exemptions: ``not_run`` and ``full``."""
    table = tomllib.loads(Path(__file__).with_name("exemptions.toml").read_text())
    return {kind: [Exemption(**each) for each in table[kind]] for kind in table}


def is_exempt(kind: str, block: Block, piece: str) -> bool:
    """Return whether a line or a block is in the list of that kind."""
    return any(each.covers(block, piece) for each in exemptions()[kind])


def is_as_shown(shown: str, came: str, *, is_trained: bool = False) -> bool:
    """Return whether an output is what the page shows, but for what varies.

    Args:
        shown: What the page has; ``...`` is any text.
        came: What was printed.
        is_trained: Whether numbers come from trainings, which round differently on
            another machine: they may differ by a factor ``TRAINED_ALIKE``.

    """
    parts = re.split(rf"(\.\.\.|\s+|{_NUMBER})", _comparable(shown))
    pattern = "".join(_pattern(part, is_trained=is_trained) for part in parts)
    found = re.fullmatch(pattern, _comparable(came))
    wanted = [part for part in parts if re.fullmatch(_NUMBER, part)]
    return found is not None and all(
        1 / TRAINED_ALIKE
        <= (_value(one) + 1e-9) / (_value(other) + 1e-9)
        <= TRAINED_ALIKE
        for one, other in zip(wanted, found.groups(), strict=is_trained)
    )


def _pattern(part: str, *, is_trained: bool) -> str:
    if part == "...":
        return r"[\s\S]*?"
    if is_trained and part.isspace():  # columns are as wide as their numbers
        return r"\s+"
    if is_trained and re.fullmatch(_NUMBER, part):
        return f"({_NUMBER})"
    return re.escape(part)


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _comparable(text: str) -> str:
    plain = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    for name, pattern in VARIES.items():
        plain = pattern.sub(f"<{name}>", plain)
    return plain
