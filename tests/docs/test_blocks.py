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
from importlib import import_module
from io import StringIO

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
WIDTH = "88"  # columns of a terminal, as many as the manual is wide


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


def faults_of_lines(block, *, in_full):
    """Run the lines of a block, and return what is wrong with them."""
    faults = []
    for line in block.lines:
        if is_exempt("not_run", block, line.words):
            continue
        if not in_full and is_exempt("full", block, line.words):
            continue
        code, came = run_line(line.words)
        # 1 is no failure: an audit found something.
        if code > 1:
            faults.append(f"{block}: exit code {code} of {line.words}\n{came}")
        elif line.shown and not is_as_shown(line.shown, came):
            if "WRITE_DOCS" in os.environ and "..." not in line.shown:
                write(block, line, came)
            faults.append(f"{block}: {line.words} prints another thing:\n{came}")
    return faults


def write(block, line, came):
    """Put what a line printed into its page."""
    path = ROOT / block.page
    shown = f"$ {line.typed}\n{line.shown}\n"
    text = "\n".join(each.rstrip() for each in came.strip("\n").splitlines())
    path.write_text(
        path.read_text("utf-8").replace(shown, f"$ {line.typed}\n{text}\n", 1), "utf-8"
    )


def run_page(page, folder, *, in_full):
    """Run a page from top to bottom, and return what is wrong."""
    faults = []
    names = {"__name__": "page"}
    for block in blocks_of(page):
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
        if block.language in SHELL:
            faults += faults_of_lines(block, in_full=in_full)
        elif block.language == "python" and not any(
            is_exempt(kind, block, block.text)
            for kind in (["not_run"] if in_full else ["not_run", "full"])
        ):
            try:
                exec(compile(block.text, str(block), "exec"), names)  # noqa: S102
            except Exception as error:  # noqa: BLE001 whatever a reader would meet
                faults.append(f"{block}: {type(error).__name__}: {error}")
    return faults


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page, folder):
    """Every quick block runs, and prints what the page shows."""
    assert run_page(page, folder, in_full=False) == []


@pytest.mark.full
@pytest.mark.parametrize("page", sorted({each.page for each in exemptions()["full"]}))
def test_the_long_blocks_of_a_page_run(page, folder):
    """Those that train for longer, too."""
    assert run_page(page, folder, in_full=True) == []


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
    for block in all_blocks():
        for line in block.lines:
            program, *words = shlex.split(line.words)
            if not is_exempt("not_run", block, line.words):
                continue
            if program == "dwindle":
                name = words.pop(0)
                options = import_module(f"dwindle.cli.{name}").OPTIONS
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


def test_lines_are_cut_out_of_their_block():
    """Folded lines are one, and each has the output below it."""
    text = "$ dwindle find \\\n    -- awk  # it trains\n0.1\n\n0.2\n$ ls\n"
    one, two = Block("p.md", 1, "console", text).lines
    assert (one.words, one.shown) == ("dwindle find -- awk", "0.1\n\n0.2")
    assert (two.words, two.shown) == ("ls", "")
