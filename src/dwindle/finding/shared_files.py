"""Files that trainings write at one and the same path: what one of them may resume."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dwindle.wording import listed

# A folder of data is not searched to its end: this is a warning, and no proof.
_MOST_FILES = 5000
_SHOWN = 3  # names of files: enough to know the folder by
# Folders that fill while a script runs, and resume nothing.
_NO_OUTPUT = ("__pycache__", "node_modules", "venv", "site-packages")
_FIRST = 2  # trainings: what both wrote at one path, all of them will

Files = dict[str, tuple[int, int]]  # path: size and time of the last change


@dataclass
class FolderWatch:
    """Compares a folder after the first two trainings; owns what it saw before.

    The store's own files are left out.
    """

    folder: Path
    store: Path
    seen: list[Files] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen.append(self._files())

    def warnings(self) -> Iterator[str]:
        """Yield what to print after a training: nothing but after the second."""
        if len(self.seen) > _FIRST:
            return
        self.seen.append(self._files())
        if len(self.seen) <= _FIRST:
            return
        start, once, twice = self.seen
        by_both = [
            path
            for path, facts in twice.items()
            if once.get(path) not in (None, start.get(path), facts)
        ]
        if by_both:
            names = listed(sorted(by_both), most=_SHOWN)
            yield (
                f"The first two trainings both wrote {names}. If a training resumes "
                "from there, it continues that of another weight decay: use {out} in "
                "the command, a new folder for each training."
            )

    def _files(self) -> Files:
        found: Files = {}
        ours = self.store.resolve().name
        for root, folders, names in os.walk(self.folder):
            folders[:] = sorted(
                each
                for each in folders
                if each[0] != "."
                and each not in _NO_OUTPUT
                and not each.startswith(ours)
            )
            for name in sorted(names):
                path = Path(root) / name
                if name[0] == "." or name.startswith(ours):
                    continue
                try:
                    facts = path.lstat()
                except OSError:
                    continue  # gone meanwhile
                shown = str(path.relative_to(self.folder))
                found[shown] = (facts.st_size, facts.st_mtime_ns)
                if len(found) >= _MOST_FILES:
                    return found
        return found
