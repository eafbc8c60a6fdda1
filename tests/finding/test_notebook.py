"""In a notebook: a bar that moves and goes, and the answer with its curve in HTML."""

import sys
import types

import pytest

import dwindle
from dwindle.errors import FirstTrainingError
from dwindle.finding.function import InlineRecipe

SEARCH = {"knob": "torch.optim.SGD", "low": 1e-3, "high": 1, "trainings": 9}


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, state by state, in a notebook as IPython has it."""
    states = []

    def display(html, display_id):
        assert display_id
        states.append(html)
        return types.SimpleNamespace(update=states.append)

    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    on_display = types.SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", on_display)
    return states


def search(loss_of):
    def train(weight_decay, seed):
        return loss_of(weight_decay) + seed

    return dwindle.find(InlineRecipe(function=train), **SEARCH)


def test_a_bar_moves_with_each_training_and_goes(shown, capsys):
    """One state before the first training, one after each, and nothing at the end."""
    found = search(lambda decay: 1 + (decay - 0.1) ** 2)
    assert (shown[0], shown[-1]) == ("", "")
    values = [each.partition('value="')[2].partition('"')[0] for each in shown[1:-1]]
    assert values == [str(number) for number in range(10)]
    assert "9 of at most 9 trainings" in shown[-2]
    assert capsys.readouterr() == ("", "")
    html = found._repr_html_()
    assert html.startswith("<svg")
    assert found.headline in html
    assert html.count("<tr>") >= 9


def test_a_bar_goes_with_an_error_too(shown):
    """The error stands below; a bar that stands still would look as if all went on."""
    with pytest.raises(FirstTrainingError) as failed:
        search(lambda _: None)
    assert failed.value.exit_code == 3
    assert shown[-1] == ""


def test_beside_a_log_nothing_is_shown(capsys):
    """No notebook and no terminal: neither a bar nor its states."""
    search(lambda decay: 1 + (decay - 0.1) ** 2)
    assert capsys.readouterr() == ("", "")
