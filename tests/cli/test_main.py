"""The entry point: help, version, errors in words, exit codes, pipes."""

import io
import json
import os
import subprocess
import sys
import types

import pytest

from dwindle.cli import main as entry
from dwindle.cli.main import COMMANDS, main
from dwindle.errors import RangeError, StudyStoppedError
from dwindle.wording import handler_of_missing_letters


def _command_that(raises, monkeypatch):
    """Put a command named ``rules`` in place that raises what it is told to."""

    def command(**_):
        raise raises

    module = types.SimpleNamespace(OPTIONS=(), command=command)
    monkeypatch.setattr(entry, "import_module", lambda _: module)


def _dwindle(*words, **settings):
    code = "import sys; from dwindle.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words, capsys):
    """Without a command, dwindle lists them all, each with one line."""
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert [
        c.name for c in COMMANDS if c.name not in shown or c.help not in shown
    ] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(command, capsys):
    """Every command shows its options, --json and --debug among them."""
    assert main([command.name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"dwindle {command.name}" in shown
    assert "--json" in shown
    assert "--debug" in shown


def test_version_is_the_installed_one(capsys):
    """--version prints the name and a version."""
    assert main(["--version"]) == 0
    name, version = capsys.readouterr().out.split()
    assert name == "dwindle"
    assert version[0].isdigit()


def test_an_unknown_command_gets_the_nearest(capsys):
    """A misspelled command is told its nearest names and exits with 2."""
    assert main(["rescle"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Got 'rescle'. Nearest: rescale" in said.err


def test_an_option_before_the_command_is_told(capsys):
    """An option in the command's place says that options follow the command."""
    assert main(["--lr", "0.1"]) == 2
    assert "Options follow the command." in capsys.readouterr().err


def test_an_error_is_words_on_stderr(monkeypatch, capsys):
    """A mistake that a person can mend exits with 2, in words, without traceback."""
    _command_that(RangeError("lr", -1, "above 0"), monkeypatch)
    assert main(["rules"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "error: lr must be above 0. Got -1.\n"


def test_an_error_is_an_object_with_json(monkeypatch, capsys):
    """With --json an error is also one JSON object on stdout, with its facts."""
    _command_that(RangeError("lr", float("inf"), "finite", "Lower it."), monkeypatch)
    assert main(["rules", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "RangeError"
    assert error["message"] == "lr must be finite. Got inf. Lower it."
    assert error["facts"] == {
        "name": "lr",
        "value": None,  # JSON has no infinity; the message keeps it
        "must": "finite",
        "remedy": "Lower it.",
    }


def test_an_unexpected_failure_shows_no_traceback(monkeypatch, capsys):
    """A failure that nobody foresaw is one line that names --debug, and exit code 3."""
    _command_that(ZeroDivisionError("by zero"), monkeypatch)
    assert main(["rules"]) == 3
    said = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in said
    assert "--debug" in said
    assert "Traceback" not in said


def test_an_unexpected_failure_is_an_object_with_json(monkeypatch, capsys):
    """With --json even a failure that nobody foresaw is one JSON object."""
    _command_that(ZeroDivisionError("by zero"), monkeypatch)
    assert main(["rules", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "UnexpectedError"


@pytest.mark.parametrize("error", [ZeroDivisionError("zero"), RangeError("lr", 0, "1")])
def test_debug_shows_the_traceback(error, monkeypatch):
    """--debug lets an error through, whether it was foreseen or not."""
    _command_that(error, monkeypatch)
    with pytest.raises(type(error), match=str(error)):
        main(["rules", "--debug"])


def test_an_interrupt_is_130(monkeypatch, capsys):
    """Ctrl-C exits with 130 and one word."""
    _command_that(KeyboardInterrupt(), monkeypatch)
    assert main(["rules"]) == 130
    assert capsys.readouterr().err.startswith("Interrupted. What was saved is")


def test_a_stopped_study_is_no_error(monkeypatch, capsys):
    """A study that was interrupted says how to go on, exits with 130, blames nobody."""
    _command_that(StudyStoppedError("a.db", 3, 9), monkeypatch)
    assert main(["rules"]) == 130
    assert capsys.readouterr().err.startswith("Interrupted with 3 of 9 trainings saved")


@pytest.mark.parametrize("words", [["knobs"], ["knobs", "--json"], ["--version"]])
def test_a_reader_who_leaves_is_no_error(words):
    """``dwindle knobs | head -1`` ends quietly when head has what it wants."""
    code = f"import sys; from dwindle.cli.main import main; sys.exit(main({words}))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("knobs", 3, "The report must be written to stdout. Got: File too large."),
        ("rules --json", 3, "must be written to stdout. Got: File too large."),
        ("explain AdmW=1 --json", 2, "Got 'AdmW'"),  # the first error is the one
    ],
)
def test_a_full_disk_behind_stdout_is_told(words, code, said, tmp_path):
    """``dwindle rules --json > full-disk/rules.json`` is told in words, by code."""
    # A file that may not grow fails as a full disk does, at the write or the flush.
    program = (
        "import resource, sys; from dwindle.cli.main import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); sys.exit(main())"
    )
    with (tmp_path / "told").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_greek_still_gets_its_table():
    """Where stdout cannot write λ, the table comes with its name instead."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = _dwindle("rules", env=environment)
    assert done.returncode == 0
    assert "lambda stays" in done.stdout or "lambda x " in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_no_sign_is_lost_in_another_encoding(encoding):
    """A minus stays a minus wherever it is written: a lost one is another number."""
    stream = io.TextIOWrapper(
        io.BytesIO(), encoding, errors=handler_of_missing_letters()
    )
    stream.write("width^−0.36 (−0.56 to −0.16) 5 × λ ≤ 3 → 名")
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)
    assert written.startswith("width^-0.36 (-0.56 to -0.16) 5 ")
    assert written.endswith(" 3 -> ?")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_crash(closed):
    """What nobody can read goes nowhere; the exit code is that of the command."""
    program = "import sys; from dwindle.cli.main import main; sys.exit(main())"
    line = f'"$0" -c "$1" explain torch.SGD=1e-4 --lr 0.1 {closed}'
    words = ["sh", "-c", line, sys.executable, program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_colors_are_only_for_terminals():
    """Neither a file nor NO_COLOR gets escape codes."""
    done = _dwindle("rules", env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


def test_errors_are_red_on_a_terminal(monkeypatch):
    """On a terminal the word error is red, and with NO_COLOR it is not."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for setting, expected in (("", True), ("1", False)):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("NO_COLOR", setting)
        assert main(["nonsense"]) == 2
        assert ("\x1b[1;31m" in screen.getvalue()) is expected
