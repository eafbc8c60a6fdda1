"""From a store to findings: what ``dwindle report`` does, without torch."""

from pathlib import Path

from dwindle.findings.build import build_findings
from dwindle.findings.model import Findings
from dwindle.store.store import StoredStudy, read_study


def read_findings(path: Path) -> Findings:
    """Read a store, also one that a study still writes to, and say what it says.

    Args:
        path: The store of a study.

    Returns:
        Findings of the trainings that are committed.

    Raises:
        StoreDamagedError: If the bytes are not what was written.
        StoreFormatError: If the file is no store, or a newer one.
        StoreAccessError: If there is no file, or it cannot be read.

    """
    return findings_of(read_study(path))


def findings_of(stored: StoredStudy) -> Findings:
    """Say what a study that has been read says."""
    return build_findings(
        stored.spec,
        stored.rows,
        problem=stored.problem,
        conditions=stored.conditions.as_dict(),
        seconds=stored.seconds,
        complete=stored.complete,
    )
