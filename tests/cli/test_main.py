"""The entry point: help, version, errors in words, exit codes, pipes."""

import io
import json
import math
import os
import shlex
import subprocess
import sys
import types

import pytest

from dwindle.cli import main as entry
from dwindle.cli.main import COMMANDS, main
from dwindle.cli.options import AS_JSON, read_words
from dwindle.errors import RangeError, StudyStoppedError, UnexpectedError


def _command_that(raises, monkeypatch):
    """Put a module in place of every command; it raises the given error."""

    def command(**_):
        raise raises

    module = types.SimpleNamespace(OPTIONS=(), command=command)
    for each in COMMANDS:  # some are objects of a module
        vars(module).update(dict.fromkeys(each.home[1:], module))
    monkeypatch.setattr(entry, "import_module", lambda _: module)


def test_help_names_every_command(capsys):
    """Without a command, dwindle lists them all; each has a page with its options."""
    pages = []
    for words in ([], ["--help"], ["-h"], ["help"]):
        assert main(words) == 0
        pages.append(capsys.readouterr().out)
    assert len(set(pages)) == 1
    for command in COMMANDS:
        assert command.name in pages[0]
        assert command.help in pages[0]
        assert main([command.name, "-h"]) == 0
        page = capsys.readouterr().out
        assert f"dwindle {command.name}" in page
        assert "--json" in page


def test_the_examples_of_help_are_lines_that_run(capsys):
    """Each command has two or more; what only calculates is run."""
    runs = {"rescale", "explain", "convert", "suggest", "rules", "knobs", "completion"}
    for command in COMMANDS:
        assert len(command.examples) >= 2
        options = (*command.load().OPTIONS, AS_JSON)
        for example in command.examples:
            line = example.replace("\\\n", " ").partition(">")[0]
            words = shlex.split(line)
            assert read_words(command.name, options, words), line
            if command.name in runs:
                assert main([command.name, *words]) == 0, line
    capsys.readouterr()


def test_help_fits_into_eighty_columns(monkeypatch, capsys):
    """No line of any help page runs over the edge of a terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    for words in (["--help"], *([command.name, "--help"] for command in COMMANDS)):
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if len(line) > 80] == [], words


def test_version_is_the_installed_one(capsys):
    """--version prints the name and a version."""
    assert main(["--version"]) == 0
    name, version = capsys.readouterr().out.split()
    assert name == "dwindle"
    assert version[0].isdigit()


LR = {"name": "lr", "value": math.inf, "must": "finite", "remedy": "Lower it."}
BY_ZERO = {"kind": "ZeroDivisionError", "text": "by zero"}


@pytest.mark.parametrize(
    ("raised", "code", "error"),
    [
        (RangeError(**LR), 2, RangeError(**LR)),
        (ZeroDivisionError("by zero"), 3, UnexpectedError(**BY_ZERO)),
    ],
)
def test_an_error_is_words_and_with_json_an_object(
    raised, code, error, monkeypatch, capsys
):
    """One line without traceback and an exit code; --debug lets the error through."""
    _command_that(raised, monkeypatch)
    assert main(["rules"]) == code
    assert capsys.readouterr() == ("", f"error: {error}\n")
    assert main(["rules", "--json"]) == code
    found = json.loads(capsys.readouterr().out)["error"]
    assert (found["kind"], found["message"]) == (type(error).__name__, str(error))
    # JSON has no infinity; the message keeps it.
    facts = {name: None if it == math.inf else it for name, it in vars(error).items()}
    assert found["facts"] == facts
    with pytest.raises(type(raised)) as let_through:
        main(["rules", "--debug"])
    assert let_through.value is raised


def test_an_interrupt_is_130_and_no_error(monkeypatch, capsys):
    """Ctrl-C exits with 130; only a command that saves has something to go on with."""
    _command_that(StudyStoppedError("a.db", 3, 9), monkeypatch)
    assert main(["rules"]) == 130
    assert capsys.readouterr().err.startswith("Interrupted")
    printed = {}
    _command_that(KeyboardInterrupt(), monkeypatch)
    for word in (each.name for each in COMMANDS):
        assert main([word]) == 130
        printed[word] = capsys.readouterr().err.strip()
    short = {word for word, text in printed.items() if text == "Interrupted."}
    assert printed.keys() - short == {"find", "tune", "study", "answer"}


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
    ("words", "code", "message"),
    [
        ("knobs", 3, "The report must be written to stdout. Got: File too large."),
        ("rules --json", 3, "must be written to stdout. Got: File too large."),
        ("explain AdmW=1 --json", 2, "Got 'AdmW'"),  # the first error is the one
    ],
)
def test_a_full_disk_behind_stdout_is_reported(words, code, message, tmp_path):
    """``dwindle rules --json > full-disk/rules.json`` fails with a text and a code."""
    # A file that may not grow fails as a full disk does, at the write or the flush.
    program = (
        "import resource, sys; from dwindle.cli.main import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); sys.exit(main())"
    )
    with (tmp_path / "stdout").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_crash(closed):
    """What nobody can read goes nowhere; the exit code is that of the command."""
    program = "import sys; from dwindle.cli.main import main; sys.exit(main())"
    line = f'"$0" -c "$1" explain torch.SGD=1e-4 --lr 0.1 {closed}'
    words = ["sh", "-c", line, sys.executable, program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


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
