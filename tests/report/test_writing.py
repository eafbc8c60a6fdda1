"""Pages and pictures appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest
from report import synthetic

from dwindle.errors import RefusedError, ReportWriteError
from dwindle.report.page import write_page
from dwindle.report.picture import write_picture
from dwindle.report.writing import write_whole


def test_a_page_lands_in_a_new_folder(tmp_path: Path) -> None:
    """The folder is made, the page is there, and no scrap beside it."""
    target = tmp_path / "new" / "report.html"
    write_page(synthetic.unknown(), target)
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(target.parent.iterdir()) == [target]


def test_a_picture_lands(tmp_path: Path) -> None:
    """The main figure is a PNG file; without an exponent there is none to draw."""
    write_picture(synthetic.findings(axes=("dataset_size",)), tmp_path / "main.png")
    assert (tmp_path / "main.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(RefusedError, match="No axis of these studies has an exponent"):
        write_picture(synthetic.unknown(), tmp_path / "none.png")


def test_a_full_disk_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full, the error says so and the earlier page is intact."""
    target = tmp_path / "report.html"
    target.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportWriteError, match="No space left on device") as caught:
        write_whole(target, b"new")
    assert caught.value.path == str(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    """A file cannot take the place of a folder, nor be put below a file."""
    (tmp_path / "page").mkdir()
    with pytest.raises(ReportWriteError, match="Is a directory"):
        write_whole(tmp_path / "page", b"new")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ReportWriteError, match=r"Not a directory|File exists"):
        write_whole(tmp_path / "file" / "page", b"new")
