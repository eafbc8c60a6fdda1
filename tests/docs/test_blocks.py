"""Every block of the manual is run, in the order of its page, and prints what it shows.

``WRITE_DOCS=1`` writes what came into the pages, where something else is shown.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unicodedata import combining

import pytest
from architecture.source import ROOT
from docs.blocks import Block, blocks_of, exemptions, is_as_shown, is_exempt, pages

from dwindle.cli.main import COMMANDS, main
from dwindle.cli.options import AS_JSON, read_words

PAGES = [page for page in pages() if blocks_of(page)]
# No program reads these: an output alone, and what Sphinx puts there.
NOT_A_PROGRAM = {"text", "{toctree}", "{eval-rst}", "{include}"}
SHELL = {"console", "sh"}
RUN = {"python", *SHELL}
READERS = ROOT / "tests/docs/readers"
WIDTH = "90"  # columns of a terminal, as many as the manual is wide


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that one is in while reading a page; it has our examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", WIDTH)
    own = os.path.dirname(sys.executable)  # noqa: PTH120
    monkeypatch.setenv("PATH", os.pathsep.join((own, os.environ["PATH"])))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:  # a page's own train.py is not another's
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def run_line(words):
    """Run a line as a shell does, and return what a terminal shows of it."""
    shown = StringIO()
    program, *rest = shlex.split(words)
    if program == "dwindle" and not re.search(r"[|>]", words.partition(" -- ")[0]):
        with redirect_stdout(shown), redirect_stderr(shown):
            code = main(rest)
    else:
        done = subprocess.run(
            ["bash", "-c", words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        shown.write(done.stdout)
        code = done.returncode
    return code, shown.getvalue()


def fault_of(block, piece, shown, came):
    """Return what is wrong with an output, and write it where that is asked for."""
    is_trained = is_exempt("trained", block, piece)
    if not shown or is_as_shown(shown, came, is_trained=is_trained):
        return []
    if "WRITE_DOCS" in os.environ and "..." not in shown:
        path = ROOT / block.page
        text = "\n".join(each.rstrip() for each in came.rstrip().splitlines())
        page = path.read_text("utf-8").replace(f"{shown}\n", f"{text}\n", 1)
        path.write_text(page, "utf-8")
    return [f"{block} prints another thing:\n{came}"]


def faults_of(block, kinds, names):
    """Run a block but for what is exempt, and return what is wrong with it."""
    faults = []
    for line in block.lines:
        if not any(is_exempt(kind, block, line.words) for kind in kinds):
            code, came = run_line(line.words)
            # 1 is no failure: an audit found something.
            if code > 1:
                faults.append(f"{block}: exit code {code} of {line.words}\n{came}")
            faults += fault_of(block, line.words, line.shown, came)
    is_python = block.language == "python" and not block.file
    if is_python and not any(is_exempt(kind, block, block.text) for kind in kinds):
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(block.text, str(block), "exec"), names)  # noqa: S102
        faults += fault_of(block, block.text, block.shown, printed.getvalue())
    return faults


def run_page(page, folder, kinds):
    """Run a page from top to bottom, and return what is wrong.

    What a reader has of one's own, as a train.py, lies there first.
    """
    faults, names = [], {"__name__": "page"}
    own = READERS / Path(page).stem
    if own.is_dir():
        shutil.copytree(own, folder, dirs_exist_ok=True)
    for block in blocks_of(page):
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
        faults += faults_of(block, kinds, names)
    return faults


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, folder):
    """Every quick block runs, and prints what the page shows."""
    faults = run_page(page, folder, ("not_run", "full"))
    assert not faults, "\n".join(faults)


@pytest.mark.full
@pytest.mark.parametrize("page", sorted({each.page for each in exemptions()["full"]}))
def test_the_long_blocks_of_a_page_run(page, folder):
    """Those that train for longer, too."""
    faults = run_page(page, folder, ("not_run",))
    assert not faults, "\n".join(faults)


def all_blocks():
    return [block for page in PAGES for block in blocks_of(page)]


def test_every_block_is_of_a_kind_that_is_run():
    """No block escapes by its language: it is run, is a file, or is no program."""
    escaped = [
        str(block)
        for block in all_blocks()
        if block.language not in RUN | NOT_A_PROGRAM and not block.file
    ]
    assert escaped == []
    # A file is of use to a later line or import of its page.
    unused = [
        str(block)
        for block in all_blocks()
        if block.file
        and not any(
            block.file.partition(".")[0] in piece
            for other in blocks_of(block.page)
            for piece in other.pieces
            if other.number > block.number
        )
    ]
    assert unused == []


def test_blocks_are_as_wide_as_a_page():
    """What is typed and what it prints needs no scrolling on a wide screen."""
    wide = [
        f"{block}: {line}"
        for block in all_blocks()
        for line in (block.text + block.shown).splitlines()
        # A hat over a letter takes no column; a text of JSON is never folded.
        if sum(not combining(each) for each in line) > int(WIDTH)
        and not line.lstrip().startswith('"')
    ]
    assert wide == []


def test_every_exemption_is_needed_and_has_a_reason():
    """A line that is listed is on its page, and the reason is a sentence."""
    for kind, listed in exemptions().items():
        for each in listed:
            assert len(each.why.split()) >= 3, each
            assert any(
                each.covers(block, piece)
                for block in blocks_of(each.page)
                for piece in block.pieces
            ), (kind, each)


def test_what_is_not_run_is_read():
    """A dwindle line that is not run is one that is accepted; a make target exists."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = {each.name: each for each in COMMANDS}
    for block in all_blocks():
        for line in block.lines:
            program, *words = shlex.split(line.words)
            if not is_exempt("not_run", block, line.words):
                continue
            if program == "dwindle":
                name = words.pop(0)
                options = commands[name].load().OPTIONS
                assert read_words(f"dwindle {name}", (*options, AS_JSON), words)
            if program == "make":
                target = next(each for each in words if "=" not in each)
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), line


def test_every_command_is_in_the_readme():
    """The README names every command."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [c.name for c in COMMANDS if f"dwindle {c.name}" not in readme] == []


def test_a_difference_is_seen():
    """An output that differs in more than what varies is another one."""
    assert is_as_shown("16 trainings in 3 s\n", "16 trainings in 12.5 s  \n")
    assert is_as_shown("a\n...\nd", "a\nb\nc\nd")
    assert not is_as_shown("16 trainings in 3 s", "17 trainings in 3 s")
    assert not is_as_shown("0.1", "0.10")
    assert is_as_shown("0.8 of\n 1,000\n...", "0.91 of  1,010\n\n2", is_trained=True)
    assert not is_as_shown("0.8 of 1,000", "1.1 of 1,000", is_trained=True)
    assert not is_as_shown("0.8 of 1,000", "0.8 to 1,000", is_trained=True)


def test_lines_are_cut_out_of_their_block():
    """Folded lines are one, and each has the output below it."""
    text = "$ dwindle find \\\n    -- awk  # it trains\n0.1\n\n0.2\n$ ls\n"
    one, two = Block("p.md", 1, "console", text).lines
    assert (one.words, one.shown) == ("dwindle find -- awk", "0.1\n\n0.2")
    assert (two.words, two.shown) == ("ls", "")
