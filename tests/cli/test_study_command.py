"""dwindle study and dwindle report: plan, train, look, refuse; and where words go."""

import errno
import json
import os

import pytest
from study import pretended, tiny

from dwindle.cli import study as study_command
from dwindle.cli.main import main
from dwindle.cli.study import read_bytes
from dwindle.errors import RangeError, StoreLockedError
from dwindle.store.store import Store, read_study
from dwindle.study.backends import Inline
from dwindle.study.cost import Estimate
from dwindle.study.driver import Progress
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


def test_a_study_says_what_it_found(file, capsys):
    """JSON on stdout in the documented schema, and a store beside the file."""
    assert main(["study", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["study"] == "my-study"
    ended = {"untrained": 0, "diverged": 0, "error": 0}
    assert found["trials"] == {"ok": TRAININGS, **ended}
    assert [axis["axis"] for axis in found["axes"]] == ["width"]
    path = file.with_suffix(".db")
    assert f"dwindle report {path}" in err
    assert err.count("\n") == 1
    assert read_study(path).complete


def test_a_report_says_what_the_study_said(file, tmp_path, capsys):
    """The store alone gives the same findings, table or JSON, and the page."""
    store, page = tmp_path / "elsewhere" / "s.db", tmp_path / "page.html"
    assert main(["study", str(file), "--store", str(store), "--json"]) == 0
    said_by_study = capsys.readouterr().out
    words = ["report", str(store), "--json", "--html", str(page)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out == said_by_study
    assert f"Wrote {page}" in err
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert main(["report", str(store)]) == 0
    assert "width" in capsys.readouterr().out


def test_the_help_holds_a_study_file_that_works(tmp_path, capsys):
    """What --help shows can be copied into a file, and is a study."""
    assert main(["study", "--help"]) == 0
    shown = capsys.readouterr().out
    text = shown[shown.index("[study]") : shown.index("Further keys")]
    file = tmp_path / "copied.toml"
    file.write_text(text)
    assert [axis.axis for axis in read_study_file(file).axes] == ["width", "batch_size"]


def test_a_page_that_finds_no_room_does_not_hide_the_table(file, capsys, monkeypatch):
    """What was found is said before files are written that may fail."""

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    page = file.with_name("page.html")
    assert main(["study", str(file), "--html", str(page)]) == 3
    out, err = capsys.readouterr()
    assert "width" in out
    assert str(page) in err


def test_the_page_names_the_study_file_and_how_to_make_it_again(file):
    """A page that is found later says which file it answers."""
    page, store = file.with_name("page.html"), file.with_suffix(".db")
    assert main(["study", str(file), "--html", str(page)]) == 0
    told = page.read_text()
    assert f"<code>{file}</code>" in told
    assert f"<code>dwindle report {store} --html {page}</code>" in told


def test_a_page_that_has_no_place_is_refused_before_training(file, capsys):
    """A page below a file cannot be made: nothing is trained for it."""
    page = file / "page.html"
    assert main(["study", str(file), "--html", str(page)]) == 3
    assert "Not a directory" in capsys.readouterr().err
    assert list(file.parent.iterdir()) == [file]


def test_a_dry_run_trains_nothing(file, capsys):
    """The plan, its trainings and its cost are shown; no store is made."""
    assert main(["study", str(file), "--dry-run", "--workers", "3", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["trainings"] == TRAININGS
    assert plan["workers"] == 3
    assert plan["packs"] >= 3
    assert plan["seconds"] > 0
    assert main(["study", str(file), "--dry-run"]) == 0
    assert f"{TRAININGS} trainings in" in capsys.readouterr().out
    assert list(file.parent.iterdir()) == [file]


def test_failed_trainings_are_told_and_tried_again(file, capsys, monkeypatch):
    """What failed is code 3 with its text on stderr; the next run trains it again."""
    works = study_command._backend()
    failing = Inline(pretended.engine_of(pretended.fail_on_seed_1))
    monkeypatch.setattr(study_command, "_backend", lambda *_: failing)
    assert main(["study", str(file), "--json"]) == 3
    out, err = capsys.readouterr()
    failed = json.loads(out)["trials"]["error"]
    assert failed > 0
    assert f"{failed} trainings failed: ZeroDivisionError" in err
    assert "line again" in err
    assert not read_study(file.with_suffix(".db")).complete
    assert main(["report", str(file.with_suffix(".db"))]) == 0
    assert f"{failed} trainings failed" in capsys.readouterr().err
    monkeypatch.setattr(study_command, "_backend", lambda *_: works)
    assert main(["study", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    ended = {"untrained": 0, "diverged": 0, "error": 0}
    assert json.loads(out)["trials"] == {"ok": TRAININGS, **ended}
    assert "trainings failed" not in err
    assert read_study(file.with_suffix(".db")).complete


@pytest.mark.parametrize("option", ["--html", "--png"])
@pytest.mark.parametrize("end", [".toml", ".db", ".db-journal", ".db.lock"])
def test_a_study_never_writes_over_its_own_files(file, capsys, option, end):
    """A page or picture in the place of study file or store is refused at once."""
    before, target = file.read_bytes(), f"{file.with_suffix('')}{end}"
    assert main(["study", str(file), option, target, "--force", "--json"]) == 2
    assert refused_path(capsys) == target
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("option", ["--html", "--png"])
def test_a_report_never_writes_over_a_store(file, capsys, option):
    """The store that is read, another one, and a study file stay as they are."""
    store, other = file.with_suffix(".db"), file.with_name("other.db")
    for path in (store, other):
        assert main(["study", str(file), "--store", str(path), "--json"]) == 0
    capsys.readouterr()
    for target in (store, other, file):
        before = target.read_bytes()
        for force in ([], ["--force"]):
            words = ["report", str(store), option, str(target), *force, "--json"]
            assert main(words) == 2
            assert refused_path(capsys) == str(target)
            assert target.read_bytes() == before
    assert read_study(store).complete


def test_a_page_and_a_picture_are_two_files(file, tmp_path, capsys):
    """One path cannot hold both the page and the picture."""
    assert main(["study", str(file), "--json"]) == 0
    both = str(tmp_path / "both.html")
    words = ["report", str(file.with_suffix(".db")), "--html", both, "--png", both]
    capsys.readouterr()
    assert main([*words, "--json"]) == 2
    assert refused_path(capsys) == both


def refused_path(capsys):
    """Return which file must stay, even with ``--force``, by the JSON of the error."""
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "OutputExistsError"
    assert error["facts"]["replaceable"] is False
    return error["facts"]["path"]


def test_ctrl_c_is_code_130(file, capsys, monkeypatch):
    """An interrupted study says where its results are and how to go on."""
    commit = Store.commit

    def interrupted(self, trainings, *, seconds):
        commit(self, trainings, seconds=seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "commit", interrupted)
    assert main(["study", str(file)]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "my-study.db" in err
    assert str(TRAININGS) in err


def test_a_full_disk_is_code_3(file, capsys, monkeypatch):
    """No room is a failure of the run, told with what is free, and not a crash."""
    commit = Store.commit

    def without_room(self, trainings, *, seconds):
        # SQLite's own limit fails exactly as a full disk does: SQLITE_FULL.
        self._db.execute("PRAGMA max_page_count = 1")
        commit(self, trainings, seconds=seconds)

    monkeypatch.setattr(Store, "commit", without_room)
    assert main(["study", str(file), "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["kind"] == "StoreAccessError"
    assert "disk is full" in err
    assert "Traceback" not in err


def test_a_store_in_use_is_code_3(file, capsys):
    """A second study on the same store is told who writes to it."""
    path = file.with_suffix(".db")
    facts = {"spec": tiny.SPEC, "conditions": tiny.CONDITIONS, "problem": tiny.FACTS}
    with Store(path, **facts):
        assert main(["study", str(file), "--json"]) == StoreLockedError.exit_code == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "StoreLockedError"
    assert str(os.getpid()) in error["message"]


def test_all_mistakes_of_a_file_are_code_2(file, capsys):
    """A bad file is answered with every line that is wrong; nothing is trained."""
    file.write_text(FILE.replace("seeds = 3", "seeds = 0").replace("width", "widht"))
    assert main(["study", str(file)]) == 2
    err = capsys.readouterr().err
    assert "my-study.toml:3: seeds" in err
    assert "my-study.toml:9: " in err
    assert not file.with_suffix(".db").exists()


def test_memory_may_have_a_unit():
    """Bytes, or the units that people write."""
    assert read_bytes("--memory", "1000") == 1000
    assert read_bytes("--memory", "512M") == read_bytes("--memory", "512MiB") == 2**29
    assert read_bytes("--memory", "4g") == 2**32
    with pytest.raises(RangeError) as raised:
        read_bytes("--memory", "0.5")
    assert (raised.value.name, raised.value.value) == ("--memory", "'0.5'")


def progress(trained, **facts):
    estimate = Estimate(planned=2.0, workers=2, done=1.0, worked=10.0, began=0.0)
    facts = {"diverged": 0, "errors": 0, **facts}
    return Progress(
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
    """What went wrong is told beside the count, and no time once all is done."""
    assert progress_text(progress(3, errors=1)) == "3 of 140 trainings, 1 failed"
    assert time_left(progress(140)) == ""
    assert time_left(progress(70)) == "0:00 left"
