"""One SQLite file per study: every training, and under what conditions it ran."""

from pathlib import Path

# How every SQLite file begins: a store, or a study of Optuna.
SQLITE_HEAD = b"SQLite format 3\0"
# No study file has more bytes; a store or a log may.
LARGEST_STUDY_FILE = 1_000_000


def irregular(path: Path) -> str:
    """Return what is there and is no file, as errors have it; empty if nothing is."""
    if path.is_file() or not path.exists():
        return ""
    return "a folder" if path.is_dir() else "a device or a pipe"
