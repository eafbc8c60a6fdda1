"""The output of a training: kept in part, and shown so that nothing in it acts."""

import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from dwindle.wording import visible

# Bytes of an output: how it began (what was typed, a version) and how it ended (why).
KEPT_FIRST, KEPT_LAST = 1_000_000, 4_000_000
# What is shown of a failure, and what is searched for names that might be meant.
_LAST_LINES, _LAST_OF_STDOUT, _SEARCHED = 12, 4, 64_000
# Control sequences of an output must not act in the terminal that shows it later.
ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)|[@-Z\\^_])"
)
_LONGEST_SHOWN = 500  # letters: a line of a log has fewer, a dump of numbers more
_JOINED = 1 << 16  # bytes of a piece: below it the price of an object counts
# A line that never ends (a bar without line breaks) is cut: it costs no memory.
_LONGEST_LINE = 1 << 16


class Kept:
    """The first megabyte and the last four of an output; owns the file that they go to.

    The file is for its owner alone, and written as the output comes until the first
    megabyte is full. A disk without room costs the file, not the training.
    """

    def __init__(
        self, path: Path | None, readers: Sequence[Callable[[bytes], None]] = ()
    ) -> None:
        """Open the file, if any; readers get whole lines of stdout and of stderr."""
        self.path = path
        self._readers = readers
        self._pending = [b"", b""]
        self._ends = [b"", b""]
        self._file = -1
        self._first = 0
        self._last: deque[bytes] = deque()
        self._size = self._cut = 0
        if path is not None:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # What lies there is of an earlier try, or no file of ours: a link would
                # be followed to where it points.
                path.unlink(missing_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                self._file = os.open(path, flags, 0o600)
            except OSError:
                self.path = None

    def take(self, stream: int, piece: bytes) -> None:
        """Take in the next piece of a stream: 0 is stdout, 1 stderr."""
        # Whole lines only: the streams do not break into each other's.
        block = self._pending[stream] + piece
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if not end and len(block) > _LONGEST_LINE:
            # Between words, so that no number is cut in two.
            end = block.rfind(b" ", _LONGEST_LINE // 2) + 1 or len(block)
        self._pending[stream] = block[end:]
        self._add(stream, block[:end])

    def _add(self, stream: int, piece: bytes) -> None:
        if not piece:
            return
        if self._readers:
            self._readers[stream](piece)
        self._ends[stream] = (self._ends[stream] + piece)[-_SEARCHED:]
        if self._first < KEPT_FIRST:
            head = piece[: KEPT_FIRST - self._first]
            self._write(head)
            self._first += len(head)
        # Small pieces become one: each object has its price.
        if self._last and len(self._last[-1]) + len(piece) <= _JOINED:
            self._last[-1] += piece
        else:
            self._last.append(piece)
        self._size += len(piece)
        while self._size - len(self._last[0]) >= KEPT_LAST:
            gone = len(self._last.popleft())
            self._size -= gone
            self._cut += gone

    def close(self) -> Path | None:
        """Write the end, and return the file; None if there was nothing to keep."""
        for stream, rest in enumerate(self._pending):
            self._add(stream, rest)
        self._pending = [b"", b""]
        tail, total = b"".join(self._last), self._cut + self._size
        rest = tail[max(0, self._first - self._cut) :][-KEPT_LAST:]
        left_out = total - self._first - len(rest)
        if left_out:
            self._write(b"\n\n[... %d bytes are left out here ...]\n\n" % left_out)
        self._write(rest)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self.path is not None and not total:
            self.path.unlink(missing_ok=True)
            self.path = None
        return self.path

    def _write(self, piece: bytes) -> None:
        try:
            while piece and self._file >= 0:
                piece = piece[os.write(self._file, piece) :]
        except OSError:
            os.close(self._file)
            self._file, self.path = -1, None

    def ends(self) -> str:
        """Return the last of each stream, as text, to be searched for names."""
        return b"\n".join(self._ends).decode("utf-8", "replace")

    def last_lines(self) -> tuple[str, ...]:
        """Return the last lines, made printable: those of stderr last.

        Python writes what it still holds of stdout after the traceback.
        """
        out, err = map(last_lines, self._ends)
        return (*out[-max(_LAST_LINES - len(err), _LAST_OF_STDOUT) :], *err)


def last_lines(raw: bytes | str, most: int = _LAST_LINES) -> tuple[str, ...]:
    """Return the last lines that are not empty, each one printable."""
    lines = [line.rstrip() for line in readable(raw).split("\n")]
    return tuple(line[:_LONGEST_SHOWN] for line in lines if line)[-most:]


def readable(raw: bytes | str) -> str:
    r"""Return an output as text for a terminal: nothing in it acts.

    Colors are left out; other control characters, marks that turn the direction of
    text, and bytes that are no UTF-8 stand as escapes. A progress bar that goes back to
    the start of its line gets a line for each of its states.

    Example:
        >>> readable(b"a\x00\x1b[2J\xe9 b\r\n")
        'a\\x00\\xe9 b\n'

    """
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")
    text = re.sub(r"\r+\n?", "\n", ANSI.sub("", text))
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    # Python's escapes, but for the first 128, which have names such as \\a.
    return "".join(
        c
        if c in "\n\t" or visible(c)
        else f"\\x{ord(c):02x}"
        if c.isascii()
        else c.encode("ascii", "backslashreplace").decode()
        for c in text
    )
