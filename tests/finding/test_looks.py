"""What a search shows while it runs, and what a notebook has of its end."""

import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from finding.formula import Formula, search
from rich.console import Console

from dwindle.errors import MissingLibraryError
from dwindle.finding.driver import Progress, run_search
from dwindle.finding.found import found_of
from dwindle.finding.progress import progress_text, shown_here, shown_on
from dwindle.finding.records import find_from_stored
from dwindle.report import render
from dwindle.store.store import read_store

AT = Progress(
    name="train", trained=1, most=1001, diverged=0, errors=2, seconds_each=10.0, jobs=1
)


def test_the_time_left_is_that_of_all_that_may_be_trained():
    """A thousand trainings of 10 s are 2:46:40; two at once take half as long."""
    times = {
        (AT.seconds_each, 1): "2:46:40",
        (AT.seconds_each, 2): "1:23:20",
        (0.05, 1): "0:50",
    }
    for (each, jobs), left in times.items():
        text = progress_text(replace(AT, seconds_each=each, jobs=jobs))
        assert f" {left} " in text
    unknown = replace(AT, seconds_each=None)
    assert unknown.seconds_left is None
    assert progress_text(unknown) == "1 of at most 1001 trainings, 2 failed"


def test_a_search_of_thousands_is_shown_by_some_of_its_seeds(tmp_path, monkeypatch):
    """Whole seeds, the first among them; JSON has every training."""
    run_search(search(Formula()), tmp_path / "s.db")
    every = found_of(find_from_stored(read_store(tmp_path / "s.db")))
    assert (every.shown, every.left_out) == (every.curve, "")
    monkeypatch.setattr("dwindle.finding.found.MOST_SHOWN", 10)
    found = replace(every)  # what is shown is found out once
    shown = {each.seed for each in found.shown}
    assert shown == {0, 3, 6}
    assert [each for each in found.curve if each.seed in shown] == [*found.shown]
    assert len(found.table().rows) == len(found.figure.tried) == len(found.shown)
    assert len(found.as_dict()["curve"]) == len(found.curve) == 25
    assert found.left_out in str(found)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_log_has_no_bar(is_terminal):
    """On a terminal a line is drawn and taken away; elsewhere nothing is written."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=90)
    with shown_on(console) as show:
        show(AT)
    assert ("1 of at most 1001" in screen.getvalue()) == is_terminal
    assert bool(screen.getvalue()) == is_terminal


def test_a_notebook_has_a_bar_that_goes_away(monkeypatch):
    """One display is written anew with every training, and is empty at the end."""
    updates = []
    handle = SimpleNamespace(update=updates.append)
    shell = SimpleNamespace(kernel=None)
    fakes = {
        "IPython": SimpleNamespace(get_ipython=lambda: shell),
        "IPython.display": SimpleNamespace(
            HTML=str,
            display=lambda _, display_id: handle,  # noqa: ARG005
        ),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
    with shown_here() as show:
        show(AT)
    bar, last = updates
    assert 'value="1" max="1001"' in bar
    assert progress_text(AT) in bar
    assert last == ""


def test_without_a_notebook_it_is_the_terminal_s(capsys):
    """A script whose stderr is no terminal is not written to."""
    with shown_here() as show:
        show(AT)
    assert capsys.readouterr().err == ""


def test_a_notebook_has_the_figure_where_it_can_be_drawn(tmp_path, monkeypatch):
    """The curve before the text; without its library the text alone."""
    path = tmp_path / "my.db"
    run_search(search(Formula(), trainings=9), path)
    found = found_of(find_from_stored(read_store(path)))
    whole = found._repr_html_()
    figure = found.figure.svg(found.figure_text)
    assert whole.startswith(figure)
    assert 'stroke="currentColor"' in figure  # it stands in dark ones, too

    def missing(*_, **__):
        raise MissingLibraryError("figures", "vl-convert-python", "report")

    monkeypatch.setattr(render, "svg", missing)
    assert found._repr_html_() == whole.removeprefix(figure)
    assert found.headline in repr(found)
