"""A search: trains what the design proposes, keeps each training, and goes on."""

import math
import random
import shutil
from dataclasses import replace

import pytest
from finding.formula import BEST, Formula, error, loss_of, search

from dwindle.errors import (
    FirstTrainingError,
    NoEffectError,
    StoreFormatError,
    StoreUnlikeError,
    StudyStoppedError,
)
from dwindle.finding import rounds
from dwindle.finding.driver import Settings, run_search
from dwindle.finding.found import found_of
from dwindle.finding.records import OwnTrial, find_from_stored
from dwindle.store.store import read_store, read_study

USUAL = Settings()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "my.db"


def found_in(path, stopped=None):
    return found_of(find_from_stored(read_store(path)), stopped)


def found_by(path, settings=USUAL, *, recipe=None, **changes):
    """What a search finds in a store, which goes on where it is there."""
    stopped = run_search(search(recipe or Formula(), **changes), path, settings)
    return found_in(path, stopped)


def is_best(found):
    return abs(math.log(found.value / BEST)) < math.log(1.5)


def test_a_search_finds_the_best_and_says_so(path):
    """The value lies where the formula is lowest; every training is in the store."""
    recipe = Formula()
    found = found_by(path, recipe=recipe)
    assert is_best(found)
    assert found.low < found.value < found.high
    assert found == found_in(path)  # a reader sees why it stopped, too
    assert found.trainings == len(found.curve) == len(recipe.requests)
    assert recipe.closed == 1
    assert [each.number for each in found.curve] == [*range(1, len(found.curve) + 1)]
    for each in found.curve:
        assert each.loss == loss_of(each.weight_decay, each.seed)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The store of a search that has ended, searched once for all who only read it."""
    path = tmp_path_factory.mktemp("ended") / "whole.db"
    run_search(search(Formula()), path)
    return path


@pytest.mark.parametrize("at", [1, 2, 5, 8, 9, 10, 12, None])
def test_after_a_stop_the_end_is_the_same(path, ended, at):
    """Stopped at any training and called again, a search ends as if it had not been.

    The same call after its end trains nothing.
    """
    whole = found_in(ended)
    if at is None:
        shutil.copy(ended, path)
        at = whole.trainings + 1
    else:
        with pytest.raises(StudyStoppedError) as stopped:
            found_by(path, recipe=Formula(fails={at: KeyboardInterrupt()}))
        assert (stopped.value.trained, stopped.value.store) == (at - 1, str(path))
        assert stopped.value.exit_code == 130
        so_far = found_in(path)
        assert (so_far.stopped_because, so_far.trainings) == (None, at - 1)
    recipe = Formula()
    plain = found_by(path, recipe=recipe).as_dict()
    assert plain == whole.as_dict()
    assert plain["gain_low"] < plain["gain"] < plain["gain_high"]
    assert len(recipe.requests) == whole.trainings - at + 1


def test_jobs_train_side_by_side_and_find_the_same_place(path):
    """Four at a time: the same store can be carried on with one at a time."""
    found_by(path, Settings(jobs=4), trainings=12)
    found = found_by(path)
    assert is_best(found)
    assert len({each.number for each in found.curve}) == len(found.curve)


def test_a_failure_is_tried_once_more_then_left(path):
    """What fails twice is given up in this run; the rest finishes; a note names it.

    A training without a loss at its end has none the next time, either.
    """
    recipe = Formula(fails={3: error(), 4: error("no val_loss", again=False)})
    found = found_by(path, recipe=recipe)
    tried = [request.number for request in recipe.requests]
    assert (tried.count(3), tried.count(4)) == (2, 1)
    assert [each.number for each in found.curve if each.status == "error"] == [3, 4]
    # It counts as run, also for who reads the store.
    assert found == found_in(path)
    assert found.value is not None
    later = Formula()
    assert {each.status for each in found_by(path, recipe=later).curve} == {"ok"}
    assert {3, 4} <= {request.number for request in later.requests}


def test_the_first_failure_stops_everything(path):
    """One training is lost on a wrong command, with its last lines; then it goes on."""
    recipe = Formula(fails={1: error()})
    with pytest.raises(FirstTrainingError) as failed:
        run_search(search(recipe), path, Settings(jobs=4))
    assert failed.value.reason == "exit code 1"
    assert failed.value.last_lines == ("Traceback", "ValueError: no")
    assert failed.value.exit_code == 3
    assert len(recipe.requests) == 1
    assert found_by(path).value is not None


def test_a_diverged_training_is_a_result(path):
    """Beyond some decay all diverge: no failure, and no loss."""

    def loss(weight_decay, seed):
        return math.nan if weight_decay > 0.5 else loss_of(weight_decay, seed)

    found = found_by(path, recipe=Formula(loss=loss))
    status = {each.weight_decay: each.status for each in found.curve}
    assert status[1.0] == "diverged"
    assert is_best(found)


def test_a_decay_that_reaches_nothing_is_found_out(path):
    """Equal losses in all digits stop after three trainings; rounded ones later."""
    for round_, at_most in ((lambda loss: loss, 3), (lambda loss: round(loss, 2), 8)):
        recipe = Formula(loss=lambda _, seed, r=round_: r(loss_of(BEST, seed)))
        with pytest.raises(NoEffectError) as refused:
            run_search(search(recipe), path.with_name(f"{at_most}.db"))
        assert len(recipe.requests) == refused.value.count <= at_most
        assert refused.value.exit_code == 3


def test_a_seed_that_reaches_nothing_is_found_out(path):
    """One loss of several seeds is warned of at once; of few digits, some seeds later.

    Seeds that differ, or a loss that is one by chance, are no reason.
    """
    cases = (
        (lambda decay, _: loss_of(decay, 1), 13),
        (lambda decay, _: round(loss_of(decay, 1), 2), 19),
        (lambda decay, seed: round(loss_of(decay, seed), 1), None),
        (loss_of, None),
    )
    for number, (loss, at_most) in enumerate(cases):
        store, recipe, warned = path.with_name(f"{number}.db"), Formula(loss=loss), []
        run_search(
            search(recipe),
            store,
            on_warning=lambda _, r=recipe, w=warned: w.append(len(r.requests)),
        )
        assert len(warned) == (at_most is not None)
        assert all(count <= at_most for count in warned)
        assert (rounds.IGNORES_SEED in found_in(store).notes) == bool(warned)


def test_a_seed_that_does_not_fix_the_loss_is_found_out(path):
    """Where seeds do not pair one training is repeated and not stored; else none."""
    draw = random.Random(1)  # noqa: S311 luck

    def fresh(decay, _):
        return loss_of(decay, 0) * math.exp(draw.gauss(0, 0.05))

    def by_seed(decay, seed):  # the luck of a seed is another one at each decay
        return fixed(loss_of(decay, 0), f"{decay} {seed}")

    def fixed(loss, name):
        return loss * math.exp(random.Random(name).gauss(0, 0.05))  # noqa: S311

    def narrow(recipe):
        whole = search(recipe, trainings=40)
        return replace(whole, spec=replace(whole.spec, within=1.15))

    for number, (loss, repeats, warnings) in enumerate(
        ((fresh, 1, 1), (by_seed, 1, 0), (loss_of, 0, 0))
    ):
        store, recipe, warned = path.with_name(f"{number}.db"), Formula(loss=loss), []
        run_search(narrow(recipe), store, on_warning=warned.append)
        found = found_in(store)
        assert found.paired is (loss is loss_of)
        assert len(recipe.requests) - len(found.curve) == repeats
        assert len(warned) == warnings
        again = Formula(loss=loss)
        run_search(narrow(again), store)
        assert again.requests == []


def test_what_cannot_train_without_decay_is_tried_once(path):
    """A failure of the first seed at no decay: no other seed is trained there."""
    fails = dict.fromkeys((8, 9), error("C must be finite", again=False))
    recipe = Formula(fails=fails)
    assert found_by(path, recipe=recipe).value is not None
    assert [
        request.seed for request in recipe.requests if request.weight_decay == 0
    ] == [0]


def test_a_range_that_begins_far_too_low_goes_on(path):
    """Decays without effect are no reason to stop while stronger ones are untried."""
    recipe = Formula(loss=lambda decay, seed: loss_of(max(decay, 0.05), seed))
    assert found_by(path, recipe=recipe, low=1e-6, trainings=12).trainings == 12


def test_time_ends_a_search_between_trainings(path):
    """After its time no training begins, and the answer has the reason."""
    assert found_by(path, Settings(seconds=0.0)).stopped_because == "time"
    assert found_by(path).value is not None


def test_more_trainings_and_another_range_go_on(path):
    """What was trained in another range is evidence, and is not trained again."""
    found_by(path, trainings=8)
    recipe = Formula()
    found = found_by(path, recipe=recipe, low=1e-2, high=10.0)
    assert len(found.curve) == 8 + len(recipe.requests) == found.trainings
    assert is_best(found)


CHANGES = {
    ("metric", "val_loss", "loss"): {"metric": "loss"},
    ("working folder", "/somewhere", "/else"): {"folder": "/else"},
    ("learning rate", "none", "0.1"): {"facts": {"lr": 0.1}},
    ("schedule shape", "none", "cosine"): {"facts": {"schedule": {"shape": "cosine"}}},
    ("contents of train.py", "01234567", "f" * 8): {"files": {"train.py": "f" * 64}},
    ("better", "smaller", "larger"): {"maximize": True},
}


def test_the_difference_to_another_training_is_shown(path, ended):
    """Each changed condition is named, with both of its values."""
    shutil.copy(ended, path)
    for difference, changes in CHANGES.items():
        recipe = Formula()
        with pytest.raises(StoreUnlikeError) as refused:
            found_by(path, recipe=recipe, **changes)
        assert refused.value.differences == (difference,)
        assert recipe.requests == []


def test_another_training_is_kept_apart(path, ended):
    """Where the change is accepted, earlier trainings are kept but not read."""
    shutil.copy(ended, path)
    before = find_from_stored(read_store(path))
    difference, changes = next(iter(CHANGES.items()))
    recipe = Formula()
    found = found_by(path, Settings(accept_change=True), recipe=recipe, **changes)
    now = find_from_stored(read_store(path))
    assert len(now.rows) == len(recipe.requests)
    assert sum(str(len(before.rows)) in note for note in found.notes) == 1
    (former,) = found.former
    (change,) = former.changes
    assert former.trainings == len(before.rows)
    assert (change.condition, change.then, change.now) == difference
    # Numbers go on: one number is one training of the file.
    assert now.rows[0][0].number == len(before.rows) + 1
    back = Formula()
    found_by(path, Settings(accept_change=True), recipe=back)
    assert back.requests == []
    again = find_from_stored(read_store(path))
    assert again.rows == before.rows
    assert [each.trainings for each in again.former] == [len(recipe.requests)]


def test_a_store_without_a_result_has_no_conditions_to_protect(path):
    """After a mistyped metric the right one is trained, in the same file."""
    failing = Formula(fails={1: error("no number of valloss came", again=False)})
    with pytest.raises(FirstTrainingError) as failed:
        found_by(path, recipe=failing, metric="valloss")
    assert "valloss" in str(failed.value)
    assert found_by(path, trainings=5).trainings == 5
    # A find store is no study to the readers of studies.
    with pytest.raises(StoreFormatError) as refused:
        read_study(path)
    assert str(path) in refused.value.remedy


def test_replicates_without_a_seed(path):
    """A training without a seed gets none, and the answer has the cost of that."""
    recipe = Formula(has_seed=False)
    found = found_by(path, recipe=recipe)
    assert {request.seed for request in recipe.requests} == {None}
    assert found.paired is False
    assert found.notes


def test_a_larger_metric_is_better_where_that_is_said(path):
    """An accuracy is searched for its highest value, and shown as it is."""
    recipe = Formula(loss=lambda decay, seed: 1 - loss_of(decay, seed) / 2)
    found = found_by(path, recipe=recipe, maximize=True)
    assert is_best(found)
    assert all(0 < loss < 1 for _, loss in found.mean_curve)


def test_settings_are_no_conditions():
    """The limits of a search may change; what is trained may not."""
    one = search(Formula())
    trial = {"number": 1, "typed": "0.1", "seed": 0}
    key = one.conditions.key_of(OwnTrial(**trial))
    assert key == one.conditions.key_of(OwnTrial(**{**trial, "number": 9}))
    assert key != one.conditions.key_of(OwnTrial(**{**trial, "seed": 1}))
    assert key != replace(one.conditions, metric="x").key_of(OwnTrial(**trial))


def test_scales_in_one_store_are_searches_of_their_own(path):
    """Each gets its own scale, reads its own trainings, and numbers go on."""
    trained = {}
    for width in (64.0, 128.0):
        recipe = Formula()
        whole = search(recipe, trainings=9)
        spec = replace(whole.spec, scale={"width": width})
        run_search(replace(whole, spec=spec), path)
        assert all(request.scale == {"width": width} for request in recipe.requests)
        trained[width] = [request.number for request in recipe.requests]
    assert trained == {64.0: [*range(1, 10)], 128.0: [*range(10, 19)]}
    stored = find_from_stored(read_store(path))
    assert len(stored.rows) == 18
    found = found_of(stored)
    assert found.conditions["scale"] == {"width": 128.0}
    assert [each.number for each in found.curve] == trained[128.0]
    assert len(found_of(stored.at({"width": 64.0})).curve) == 9
