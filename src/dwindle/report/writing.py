"""Files that appear whole or not at all, and errors that say why not."""

import contextlib
import os
import tempfile
from pathlib import Path

from dwindle.errors import ReportWriteError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then put it in place in one step.

    Raises:
        ReportWriteError: If the system refuses; what was at ``path`` is intact.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as refusal:
        why = refusal.strerror or str(refusal)
        raise ReportWriteError(path=str(path), why=why) from refusal


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide a page from a server
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
