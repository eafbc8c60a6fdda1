"""dwindle study and dwindle report: plan, train, report, refuse; and their streams."""

import errno
import json
import os
from itertools import product

import pytest
from cli.lines import as_json, error_of, run
from study import pretended

from dwindle.cli import study as study_command
from dwindle.store.store import Store, read_study
from dwindle.study.backends import Inline
from dwindle.study.cost import Estimate
from dwindle.study.driver import StudyProgress
from dwindle.study.progress import progress_text, shown_on, time_left
from dwindle.study.study_file import read_study_file

FILE = """\
[study]
problem = "digits-mlp"
seeds = 3
[optimizer]
name = "sgd"
lr = 0.1
momentum = 0.9
[base]
width = 8
depth = 1
batch_size = 32
dataset_size = 64
epochs = 2
[weight_decay]
low = 1e-3
high = 1e-1
points = 7
[axes]
width = [4, 8, 16]
"""
TRAININGS = 3 * 3 * 8


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A study file; what trains is pretended, since others show real training."""
    backend = Inline(pretended.PRETENDED)
    monkeypatch.setattr(study_command, "_backend", lambda *_: backend)
    path = tmp_path / "my-study.toml"
    path.write_text(FILE)
    return path


ALL_ENDED = {"ok": TRAININGS, "untrained": 0, "diverged": 0, "error": 0}


def test_a_study_and_its_report_show_what_was_found(file, capsys):
    """JSON in the documented schema, a store beside the file, and the page's origin.

    The store alone gives the same findings, table or JSON, and the page.
    """
    page, path = file.with_name("page.html"), file.with_suffix(".db")
    code, out, err = run(f"study {file} --html {page} --json", capsys)
    assert code == 0
    found = json.loads(out)
    assert (found["study"], found["trials"]) == ("my-study", ALL_ENDED)
    assert [axis["axis"] for axis in found["axes"]] == ["width"]
    assert f"dwindle report {path}" in err
    assert err.count("\n") == 2
    assert read_study(path).complete
    text = page.read_text()
    assert f"<code>{file}</code>" in text
    assert f"<code>dwindle report {path} --html {page}</code>" in text
    code, again, err = run(f"report {path} --json --html {page}", capsys)
    assert (code, again) == (0, out)
    assert f"Wrote {page}" in err
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "width" in run(f"report {path}", capsys)[1]


def test_the_help_holds_a_study_file_that_works(tmp_path, capsys):
    """What --help shows can be copied into a file, and is a study."""
    shown = run("study --help", capsys)[1]
    text = shown[shown.index("[study]") : shown.index("Further keys")]
    file = tmp_path / "copied.toml"
    file.write_text(text)
    assert [axis.axis for axis in read_study_file(file).axes] == ["width", "batch_size"]


def test_a_page_that_finds_no_room_does_not_hide_the_table(file, capsys, monkeypatch):
    """What was found is printed before files are written that may fail."""

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    page = file.with_name("page.html")
    code, out, err = run(f"study {file} --html {page}", capsys)
    assert code == 3
    assert "width" in out
    assert str(page) in err


def test_a_page_that_has_no_place_is_refused_before_training(file, capsys):
    """A page below a file cannot be made: nothing is trained for it."""
    code, _, err = run(f"study {file} --html {file / 'page.html'}", capsys)
    assert code == 3
    assert "Not a directory" in err
    assert list(file.parent.iterdir()) == [file]


def test_a_dry_run_trains_nothing(file, capsys):
    """The plan, its trainings and its cost are shown; no store is made."""
    plan = as_json(f"study {file} --dry-run --workers 3", capsys)
    assert (plan["trainings"], plan["workers"]) == (TRAININGS, 3)
    assert plan["packs"] >= 3
    assert plan["seconds"] > 0
    shown = run(f"study {file} --dry-run", capsys)[1]
    assert f"{TRAININGS} trainings in" in shown
    assert list(file.parent.iterdir()) == [file]


def test_failed_trainings_are_reported_and_tried_again(file, capsys, monkeypatch):
    """What failed is code 3 with its text on stderr; the next run trains it again."""
    works, store = study_command._backend(), file.with_suffix(".db")
    failing = Inline(pretended.engine_of(pretended.fail_on_seed_1))
    monkeypatch.setattr(study_command, "_backend", lambda *_: failing)
    code, out, err = run(f"study {file} --json", capsys)
    failed = json.loads(out)["trials"]["error"]
    assert code == 3
    assert failed > 0
    assert f"{failed} trainings failed: ZeroDivisionError" in err
    assert "line again" in err
    assert not read_study(store).complete
    assert f"{failed} trainings failed" in run(f"report {store}", capsys)[2]
    monkeypatch.setattr(study_command, "_backend", lambda *_: works)
    code, out, err = run(f"study {file} --json", capsys)
    assert (code, json.loads(out)["trials"]) == (0, ALL_ENDED)
    assert "trainings failed" not in err
    assert read_study(store).complete


@pytest.mark.parametrize("option", ["--html", "--png"])
def test_a_study_never_writes_over_its_own_files(file, capsys, option):
    """A page or picture in the place of study file or store is refused at once."""
    before = file.read_bytes()
    for end in (".toml", ".db", ".db-journal", ".db.lock"):
        target = f"{file.with_suffix('')}{end}"
        refused_at(target, f"study {file} {option} {target} --force", capsys)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_report_never_writes_over_a_store(file, tmp_path, capsys):
    """The store that is read, another one, and a study file stay as they are."""
    store, other = file.with_suffix(".db"), file.with_name("other.db")
    for path in (store, other):
        assert run(f"study {file} --store {path} --json", capsys)[0] == 0
    for target, option in product((store, other, file), ("--html", "--png")):
        before = target.read_bytes()
        for force in ("", "--force"):
            refused_at(target, f"report {store} {option} {target} {force}", capsys)
        assert target.read_bytes() == before
    assert read_study(store).complete
    # One path cannot hold both the page and the picture.
    both = tmp_path / "both.html"
    refused_at(both, f"report {store} --html {both} --png {both}", capsys)


def refused_at(path, line, capsys):
    """The line is refused, for a file that must stay, even with ``--force``."""
    error = error_of(line, capsys)
    assert error["kind"] == "OutputExistsError"
    assert error["facts"]["replaceable"] is False
    assert error["facts"]["path"] == str(path)


@pytest.mark.parametrize(
    ("is_full", "code", "kind", "message"),
    [
        (False, 130, "StudyStoppedError", str(TRAININGS)),
        (True, 3, "StoreAccessError", "disk is full"),
    ],
)
def test_a_study_that_ends_early_prints_how_to_go_on(  # noqa: PLR0913, PLR0917
    is_full, code, kind, message, file, capsys, monkeypatch
):
    """Ctrl-C is code 130, no room on the disk a failure of the run: 3."""
    commit = Store.commit

    def committed(self, trainings, *, seconds):
        if is_full:
            # SQLite's own limit fails exactly as a full disk does: SQLITE_FULL.
            self._db.execute("PRAGMA max_page_count = 1")
        commit(self, trainings, seconds=seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "commit", committed)
    error = error_of(f"study {file}", capsys, code)
    assert error["kind"] == kind
    assert message in error["message"]
    assert "my-study.db" in error["message"]


def progress(trained, **facts):
    estimate = Estimate(planned=2.0, workers=2, done=1.0, worked=10.0, began=0.0)
    facts = {"diverged": 0, "errors": 0, **facts}
    return StudyProgress(
        study="SGD", trained=trained, planned=140, estimate=estimate, **facts
    )


def test_progress_is_a_line_on_a_terminal_only(capsys):
    """A terminal gets counts and the time left; a file gets nothing at all."""
    from rich.console import Console

    for is_terminal in (True, False):
        console = Console(stderr=True, force_terminal=is_terminal, width=120)
        with shown_on(console) as show:
            show(progress(0))
            show(progress(70, diverged=2))
        out, err = capsys.readouterr()
        assert out == ""
        assert (progress_text(progress(70, diverged=2)) in err) == is_terminal
    assert err == ""


def test_progress_in_words():
    """Failures are printed beside the count, and no time once all is done."""
    assert progress_text(progress(3, errors=1)) == "3 of 140 trainings, 1 failed"
    assert time_left(progress(140)) == ""
    assert time_left(progress(70)) == "0:00 left"
