"""What studies and stores say when something is wrong, word by word.

``--snapshot-update`` writes the texts anew; read them before they are kept.
"""

import pytest
from study.mistakes import CHANGES, changed
from syrupy.assertion import SnapshotAssertion

from dwindle import errors
from dwindle.study.study_file import read_study_file


def test_every_mistake_of_a_study_file(snapshot: SnapshotAssertion, tmp_path):
    """Each says the key, its range, what it is, and what to write."""
    texts = {}
    for number, change in enumerate(CHANGES):
        path = tmp_path / "study.toml"
        path.write_text(changed(*change))
        with pytest.raises(errors.StudyFileError) as refused:
            read_study_file(path)
        new = "nothing" if not change[1] else change[1][:60]
        texts[f"{number:02}: {new}"] = [text for _, text in refused.value.mistakes]
    assert texts == snapshot


def test_every_error_of_a_store(snapshot: SnapshotAssertion):
    """Each says what must hold, what was found, and the way out."""
    path = "my-study.db"
    shown = [
        errors.StoreLockedError(path, "process 17"),
        errors.StoreDamagedError(path, "the rows of trainings"),
        errors.StoreUnlikeError(path, (("dtype", "float32", "float64"),)),
        errors.StoreFormatError(path, "a folder", "Give the path of a store."),
        errors.StoreAccessError(path, "database or disk is full", 28672),
        errors.StoreAccessError(path, "Permission denied"),
        errors.StudyStoppedError(path, 42, 336),
        errors.WorkerError(3),
        errors.StudyFileError("s.toml", ((1, "One."), (2, "Two."))),
    ]
    assert [str(error) for error in shown] == snapshot
