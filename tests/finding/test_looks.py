"""What a search shows while it runs, and what a notebook has of its end."""

import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from finding.formula import Formula, search
from rich.console import Console

import dwindle
from dwindle.errors import FirstTrainingError, MissingLibraryError
from dwindle.finding.driver import Progress, run_search
from dwindle.finding.found import found_of
from dwindle.finding.function import InlineRecipe
from dwindle.finding.progress import progress_text, shown_on
from dwindle.finding.records import find_from_stored
from dwindle.report import render
from dwindle.store.store import read_store

AT = Progress(trained=1, most=1001, diverged=0, errors=2, seconds_each=10.0, jobs=1)


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, state by state, in a notebook as IPython has it."""
    states = []

    def display(html, display_id):
        assert display_id
        states.append(html)
        return SimpleNamespace(update=states.append)

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    on_display = SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", on_display)
    return states


def found_here(loss_of):
    def train(weight_decay, seed):
        return loss_of(weight_decay) + seed

    recipe = InlineRecipe(function=train)
    options = {"knob": "torch.optim.SGD", "low": 1e-3, "high": 1, "trainings": 9}
    return dwindle.find(recipe, **options)


def test_the_time_left_is_that_of_all_that_may_be_trained():
    """A thousand trainings of 10 s are 2:46:40; two at once take half as long."""
    times = {(10.0, 1): "2:46:40", (10.0, 2): "1:23:20", (0.05, 1): "0:50"}
    for (each, jobs), left in times.items():
        text = progress_text(replace(AT, seconds_each=each, jobs=jobs))
        assert f" {left} " in text
    unknown = replace(AT, seconds_each=None)
    assert unknown.seconds_left is None
    assert progress_text(unknown) == "1 of at most 1001 trainings, 2 failed"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_log_has_no_bar(is_terminal):
    """On a terminal a line is drawn and taken away; elsewhere nothing is written."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=90)
    with shown_on(console) as show:
        show(AT)
    assert ("1 of at most 1001" in screen.getvalue()) == is_terminal
    assert bool(screen.getvalue()) == is_terminal


def test_a_bar_moves_with_each_training_and_goes(shown, capsys):
    """One state before the first training, one after each, and nothing at the end."""
    found = found_here(lambda decay: 1 + (decay - 0.1) ** 2)
    assert (shown[0], shown[-1]) == ("", "")
    values = [each.partition('value="')[2].partition('"')[0] for each in shown[1:-1]]
    assert values == [str(number) for number in range(10)]
    assert "9 of at most 9 trainings" in shown[-2]
    assert capsys.readouterr() == ("", "")
    html = found._repr_html_()
    assert found.headline in html
    assert html.count("<tr>") >= 9


def test_a_bar_goes_with_an_error_too(shown):
    """The error is printed below; a bar left there would look alive."""
    with pytest.raises(FirstTrainingError) as failed:
        found_here(lambda _: None)
    assert failed.value.exit_code == 3
    assert shown[-1] == ""


def test_beside_a_log_nothing_is_shown(capsys):
    """No notebook and no terminal: neither a bar nor its states."""
    found_here(lambda decay: 1 + (decay - 0.1) ** 2)
    assert capsys.readouterr() == ("", "")


def test_what_a_notebook_has_of_a_search(tmp_path, monkeypatch):
    """The curve before the text, without its library the text; some whole seeds of all.

    JSON has every training, a figure and a table have the first seed and some others.
    """
    run_search(search(Formula()), tmp_path / "s.db")
    every = found_of(find_from_stored(read_store(tmp_path / "s.db")))
    assert (every.shown, every.left_out) == (every.curve, "")
    whole, figure = every._repr_html_(), every.figure.svg(every.figure_text)
    assert whole.startswith(figure)
    assert 'stroke="currentColor"' in figure  # it stands in dark ones, too

    def missing(*_, **__):
        raise MissingLibraryError("figures", "vl-convert-python", "report")

    monkeypatch.setattr(render, "svg", missing)
    assert every._repr_html_() == whole.removeprefix(figure)
    monkeypatch.setattr("dwindle.finding.found.MOST_SHOWN", 10)
    found = replace(every)  # what is shown is found out once
    shown = {each.seed for each in found.shown}
    assert shown == {0, 3, 6}
    assert [each for each in found.curve if each.seed in shown] == [*found.shown]
    assert len(found.table().rows) == len(found.figure.tried) == len(found.shown)
    assert len(found.as_dict()["curve"]) == len(found.curve) == 25
    assert found.left_out in str(found)
