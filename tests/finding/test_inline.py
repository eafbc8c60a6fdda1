"""A search in the process of its caller, over numbers that have no record."""

import math
import threading

import pytest

import dwindle
from dwindle.errors import StoreUnlikeError, UnknownNameError, UsageError
from dwindle.finding.function import InlineRecipe
from dwindle.finding.unit import Unit

SEARCH = {"knob": "torch.optim.SGD", "low": 1e-3, "high": 1, "trainings": 9}


def valley(weight_decay, seed):
    return 1 + (math.log(weight_decay or 1e-9) + 3) ** 2 / 100 + seed / 10


def make_trainer(weight_decay):
    return weight_decay


def test_it_is_called_in_the_caller_s_thread():
    """Keras and JAX keep settings for each thread, so another one trains otherwise."""
    threads = []

    def train(weight_decay, seed):
        threads.append(threading.current_thread())
        return valley(weight_decay, seed)

    found = dwindle.find(InlineRecipe(function=train), **SEARCH)
    assert threads == [threading.current_thread()] * 9
    assert found.trainings == 9


def test_a_training_that_is_none_ends_the_search():
    """An error that no other decay would mend comes out as it is."""

    def train(weight_decay, seed):
        if seed or weight_decay:
            raise UsageError("must", "got", "")
        return 1.0

    with pytest.raises(UsageError) as raised:
        dwindle.find(InlineRecipe(function=train), **SEARCH)
    assert raised.value.got == "got"


def test_it_belongs_to_its_source(tmp_path):
    """The function that a user wrote says which training it is, or the hashes do."""
    recipes = [
        InlineRecipe(function=valley, source=make_trainer, name="a"),
        InlineRecipe(function=valley, hashes={"the data": "1"}, name="a"),
        InlineRecipe(function=valley, hashes={"the data": "2"}, name="a"),
    ]
    store = tmp_path / "kept.db"
    dwindle.find(recipes[1], **SEARCH, store=store)
    dwindle.find(recipes[1], **SEARCH, store=store)
    for other in (recipes[0], recipes[2]):
        with pytest.raises(StoreUnlikeError) as raised:
            dwindle.find(other, **SEARCH, store=store)
        names = {name for name, *_ in raised.value.differences}
        assert "contents of the data" in names


def test_no_decay_can_be_left_out():
    """Nothing is trained at 0, and whether decay matters stays open."""
    found = dwindle.find(InlineRecipe(function=valley), **SEARCH, zero=False)
    assert all(each.weight_decay > 0 for each in found.curve)
    assert found.matters == "cannot tell"


def test_a_number_without_record_is_searched_over(tmp_path):
    """In its own unit, backwards where that is said; a store of it can be read."""
    asked = {**SEARCH, "low": 1, "high": 1000, "trainings": 20}
    found = dwindle.find(
        InlineRecipe(
            function=lambda weight_decay, seed: valley(1 / weight_decay, seed)
        ),
        **{**asked, "knob": "own:svm.C:inverse"},
        store=tmp_path / "kept.db",
    )
    assert (found.symbol, found.e_folds) == ("C", None)
    assert found.value == pytest.approx(math.exp(3), rel=0.05)
    assert found.low < found.value < found.high
    assert any(math.isinf(each.weight_decay) for each in found.curve)


@pytest.mark.parametrize("name", ["own:", "own", "own::inverse"])
def test_a_number_without_name_is_refused(name):
    """What it is called stands in the answer."""
    with pytest.raises(UnknownNameError) as raised:
        Unit.from_names(name, None, dwindle.Run())
    assert raised.value.name == name
