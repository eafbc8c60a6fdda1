"""Files that appear whole or not at all, and never in the place of somebody's data."""

import contextlib
import os
import secrets
import stat
import struct
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from dwindle.errors import OutputExistsError, ReportWriteError
from dwindle.store import LARGEST_STUDY_FILE, SQLITE_HEAD

# What our pages and pictures carry, so that a later run knows them as its own.
PAGE_MARK = '<meta name="generator" content="dwindle">'
PICTURE_MARK = b"Software\0dwindle"
# Both stand near the start; a page that quotes one of ours further down is not ours.
_HEAD_BYTES = 2048
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_PNG_HEADER = len(_PNG_SIGNATURE) + 25  # signature, and IHDR of 4 + 4 + 13 + 4

# The first bytes of a database's journal, which is never replaced.
_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_NO_NAME = "no name of a file"
# Links of the system to what this process has open: no path to put a file at.
_OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd", "/proc")


def check_target(
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    inputs: Sequence[str | os.PathLike[str]] = (),
) -> None:
    """Refuse to write where something stands that is not ours to replace.

    Nothing, one of our own pages or pictures, and anything that is no regular file (a
    device, a pipe) may be written to. Stores, study files and ``inputs`` may never be.
    """
    with _refusals_of_the_system(path):
        if not os.fspath(path):
            raise OSError(_NO_NAME)
        there = Path(path)
        # In this order: only the first refuses what lies below a file.
        if not _is_written_through(there) and there.is_file():
            with there.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            if kept := _kind_that_is_kept(there, head):
                raise OutputExistsError(str(path), kept, replaceable=False)
            is_page = PAGE_MARK.encode() in head
            is_picture = head.startswith(_PNG_SIGNATURE) and PICTURE_MARK in head
            if not (force or is_page or is_picture):
                what = "a file that is no page or picture of dwindle"
                raise OutputExistsError(str(path), what, replaceable=True)
        for each in inputs:  # also those that do not exist yet
            if os.path.realpath(path) == os.path.realpath(each):
                what = "a file that this command itself reads or writes"
                raise OutputExistsError(str(path), what, replaceable=False)


def write_whole(
    path: str | os.PathLike[str], content: bytes, *, force: bool = False
) -> None:
    """Write a file under another name, then put it in place in one step.

    A symbolic link is followed; devices and pipes are written through. A new file gets
    the permissions of the umask, a replaced one keeps those that it had.
    """
    check_target(path, force=force)
    with _refusals_of_the_system(path):
        if _is_written_through(Path(path)):
            with Path(path).open("ab") as file:
                file.write(content)
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)


def marked_picture(png: bytes) -> bytes:
    """Return a PNG picture with a text chunk that marks it as dwindle's.

    Reference:
        PNG specification, third edition, 5.3 (chunk layout) and 11.3.3.2 (tEXt).

    """
    kind_and_text = b"tEXt" + PICTURE_MARK
    chunk = struct.pack(">I", len(PICTURE_MARK)) + kind_and_text
    chunk += struct.pack(">I", zlib.crc32(kind_and_text))
    return png[:_AFTER_PNG_HEADER] + chunk + png[_AFTER_PNG_HEADER:]


@contextlib.contextmanager
def _refusals_of_the_system(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OutputExistsError:
        raise
    except OSError as refusal:
        why = refusal.strerror or str(refusal)
        raise ReportWriteError(path=str(path), why=why) from refusal


def _kind_that_is_kept(path: Path, head: bytes) -> str:
    """Return what a file is that is never replaced, or an empty text."""
    if head.startswith(SQLITE_HEAD):
        return "a database, such as a study's store"
    if head.startswith(_JOURNAL):
        return "the journal of a database"
    # A study file that is being written may be no TOML yet.
    if os.path.realpath(path).endswith(".toml"):
        return "a study file"
    if path.stat().st_size > LARGEST_STUDY_FILE:
        return ""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return ""
    return "a study file" if {"study", "weight_decay", "axes"} & {*tables} else ""


def _is_written_through(path: Path) -> bool:
    """Return whether a path is a device, a pipe or an open file of this process."""
    if any(path.is_relative_to(place) for place in _OPEN_FILES):
        return True
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _replace(path: Path, content: bytes) -> None:
    # File systems take 255 bytes of a name, and the ending needs some.
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
    # With 0666 the umask decides who may read a new page.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            if path.exists():
                # Who could read the old page can read the new one.
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            # On the disk first: after a crash the old page or the new one is whole.
            os.fsync(file.fileno())
        temporary.replace(path)
    # Ctrl-C, too, leaves no half of a page behind.
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
