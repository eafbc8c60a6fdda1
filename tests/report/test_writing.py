"""Pages and pictures appear whole or not at all, and never replace somebody's data."""

import contextlib
import errno
import os
import sqlite3
import threading
from itertools import product
from pathlib import Path

import pytest
from report import synthetic

from dwindle.errors import OutputExistsError, ReportWriteError
from dwindle.report import render
from dwindle.report.page import picture_of, render_page
from dwindle.report.writing import check_target, marked_picture, write_whole

STUDY = '[study]\nproblem = "digits-mlp"\n'


def test_our_own_pages_and_pictures_are_replaced(tmp_path: Path) -> None:
    """Each lands whole in a new folder, with a mark by which a later run knows it."""
    page, picture = tmp_path / "new" / "page.html", tmp_path / "new" / "main.png"
    drawn = render.png(picture_of(synthetic.findings(axes=("dataset_size",))))
    text = render_page(synthetic.unknown()).encode()
    for _ in range(2):
        write_whole(page, text)
        write_whole(picture, marked_picture(drawn))
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(page.parent.iterdir()) == [picture, page]


def test_a_marked_picture_is_a_png() -> None:
    """The text chunk stands behind the header, with its length and checksum."""
    drawn = b"\x89PNG\r\n\x1a\n" + b"H" * 25 + b"rest"
    marked = marked_picture(drawn)
    assert marked.startswith(drawn[:33])
    assert marked.endswith(b"rest")
    chunk = marked[33:-4]
    assert chunk[:8] == b"\x00\x00\x00\x10tEXt"
    assert chunk[8:24] == b"Software\0dwindle"


def test_stores_and_study_files_stay(tmp_path):
    """What a study is made of is never replaced: by no name, link or --force."""
    for name in ("study.db", "odd-name.html"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as db:
            db.execute("CREATE TABLE t (x)")
    texts = {"study.toml": STUDY, "broken.toml": "[study\n", "study.txt": STUDY}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7rest"
    (tmp_path / "study.db-journal").write_bytes(journal)
    kinds = {}
    for path in sorted(tmp_path.iterdir()):
        before, link = path.read_bytes(), tmp_path / "link.html"
        link.symlink_to(path)
        for target, force in product((path, link), (False, True)):
            with pytest.raises(OutputExistsError) as caught:
                write_whole(target, b"page", force=force)
            assert not caught.value.replaceable
            kinds.setdefault(caught.value.found, set()).add(path.name)
        assert path.read_bytes() == before
        link.unlink()
    database = {"study.db", "odd-name.html"}
    assert sorted(map(sorted, kinds.values())) == sorted(
        map(sorted, (database, texts, {"study.db-journal"}))
    )


@pytest.mark.parametrize("content", [b"", b"notes", b"<!DOCTYPE html><html></html>"])
def test_a_file_of_somebody_else_needs_force(tmp_path, content):
    """Any other file stays unless --force is given, which the error names."""
    path = tmp_path / "notes.html"
    path.write_bytes(content)
    with pytest.raises(OutputExistsError) as caught:
        write_whole(path, b"page")
    assert (caught.value.path, caught.value.replaceable) == (str(path), True)
    assert path.read_bytes() == content
    write_whole(path, b"page", force=True)
    assert path.read_bytes() == b"page"


def test_files_of_the_command_are_no_target(tmp_path):
    """A page cannot be written where the command reads or writes something else."""
    store = tmp_path / "not-yet.db"
    (tmp_path / "link.html").symlink_to(store)
    for target in (store, tmp_path / "link.html", tmp_path / "." / "not-yet.db"):
        with pytest.raises(OutputExistsError, match="this command itself"):
            check_target(target, force=True, inputs=[tmp_path / "s.toml", store])
    check_target(tmp_path / "page.html", inputs=[store])


def test_a_link_is_followed(tmp_path):
    """The link stays, and what it points at is the page; also where that is new."""
    target, link = tmp_path / "folder" / "page.html", tmp_path / "link.html"
    link.symlink_to(target)
    for content in (b"one", b"two"):
        write_whole(link, content, force=True)
        assert link.is_symlink()
        assert target.read_bytes() == content


def test_a_full_disk_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full, the error has that reason and the old page is intact."""
    target = tmp_path / "report.html"
    target.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportWriteError) as caught:
        write_whole(target, b"new", force=True)
    assert caught.value.path == str(target)
    assert caught.value.why == os.strerror(errno.ENOSPC)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_the_system_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    """A folder in the way, a path below a file, a link that points at itself."""
    (tmp_path / "page").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    whys = []
    for name in ("page", "file/page", "loop"):
        with pytest.raises(ReportWriteError) as caught:
            write_whole(tmp_path / name, b"new")
        whys.append(caught.value.why)
    below = whys.pop(1)
    assert whys == [os.strerror(each) for each in (errno.EISDIR, errno.ELOOP)]
    assert below in [os.strerror(each) for each in (errno.ENOTDIR, errno.EEXIST)]


def test_what_is_no_place_for_a_file_is_written_through(tmp_path):
    """A pipe's reader gets the page, an open file has it at its end, devices stay."""
    pipe, seen = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: seen.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"page")
    reader.join(timeout=30)
    assert seen == [b"page"]
    assert pipe.is_fifo()
    with (tmp_path / "out").open("wb") as file:
        write_whole(f"/dev/fd/{file.fileno()}", b"page")
    assert (tmp_path / "out").read_bytes() == b"page"
    link = tmp_path / "null.html"
    link.symlink_to("/dev/null")
    for target in (Path("/dev/null"), link):
        write_whole(target, b"page")
        assert target.is_char_device()


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_the_umask_decides_who_may_read(tmp_path, umask, mode):
    """A new page gets the permissions of the umask; one that is replaced keeps its."""
    page, before = tmp_path / "page.html", os.umask(umask)
    try:
        write_whole(page, b"page")
        assert page.stat().st_mode & 0o777 == mode
        page.chmod(0o640)
        write_whole(page, b"new", force=True)
    finally:
        os.umask(before)
    assert page.stat().st_mode & 0o777 == 0o640
