"""One cell: what counts as a training, what as an optimum, and whether decay matters.

Why a cell says so little stands word by word in the snapshot of ``tests/texts``.
"""

import math
from dataclasses import replace

import pytest
from findings.simulated_study import (
    DEAD,
    DIVERGED,
    FAILED,
    cells,
    ended,
    measured,
    trainings,
    with_dead,
)

from dwindle.store.records import chance_loss

DECAYS = sorted(trainings())


def cell(name):
    return cells()[name].findings


def counts(name, place):
    """Seeds, diverged and untrained ones at one λ of a cell."""
    point = cell(name).curve[place]
    return point.n, point.diverged, point.untrained


def test_a_cell_finds_the_optimum_that_was_simulated():
    """The limits hold the true best λ, and decay matters."""
    whole = cell("whole")
    assert whole.low < 1e-3 < whole.high
    assert whole.matters == "yes"
    assert whole.loss_at_optimum < whole.loss_without_decay
    assert whole.gain_low < whole.gain < whole.gain_high
    assert cell("whole").shows_best_decay
    assert cells()["whole"].excluded_because == ""


def test_a_decay_where_a_seed_diverged_is_shown_and_never_chosen():
    """The point keeps its survivors and its count, the optimum looks elsewhere."""
    found = cell("one diverged")
    assert counts("one diverged", 7) == (4, 1, 0)
    assert found.curve[7].mean == pytest.approx(0.01)
    assert found.loss_at_optimum > 0.5
    assert found.why != cell("whole").why


def test_where_large_decays_diverge_the_optimum_at_the_last_sound_one_is_a_bound():
    """A best λ next to the cliff is at the high edge of what could be trained."""
    found = cell("a cliff")
    assert found.at_edge == "high"
    assert (found.optimum, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "at_each"),
    [
        ("all diverged", (0, 5, 0)),
        # Looked at while it runs: what is not there yet has no loss, nor diverged.
        ("not trained yet", (4, 0, 0)),
        ("at chance", (5, 0, 5)),
        ("empty", None),
    ],
)
def test_a_cell_without_a_curve_has_no_number_but_a_reason(name, at_each):
    """No curve, no optimum, no verdict; what became of its trainings is counted."""
    found, kinds = cells()[name], range(len(cell(name).curve))
    assert found.curve is None
    assert found.findings.optimum is None
    assert found.findings.matters == "cannot tell"
    assert found.excluded_because == found.findings.why != ""
    assert {counts(name, place) for place in kinds} == ({at_each} - {None})


def test_a_failed_training_leaves_its_seed_out():
    """An error is no loss and no divergence, and takes no other seed with it."""
    assert counts("one failed", 3) == (4, 0, 0)
    seeds = [cells()[name].curve.seeds for name in ("one failed", "a seed failed")]
    assert seeds == [(1, 2, 3, 4), (0, 1, 2)]
    # Nor is a row that says ok with an infinite loss.
    assert counts("no number", 2) == (4, 0, 0)
    # A seed that has just begun is not counted as missing at the rest.
    assert cell("a seed begun").optimum == cell("four seeds").optimum
    assert cell("a seed failed").shows_best_decay


def test_a_seed_that_diverged_at_most_decays_takes_none_from_the_others():
    """The cell is that of four seeds, and says that there was a fifth."""
    found, four = cell("a seed diverged"), cell("four seeds")
    assert found.why != four.why
    assert replace(found, why="") == replace(four, why="")
    assert cells()["a seed diverged"].curve.seeds == (0, 1, 2, 3)
    # At most λ it is the same, whichever they are: it made decay look useless.
    gone = {d: {4: DIVERGED} for d in DECAYS}
    found = measured({d: out | gone[d] for d, out in trainings().items()}).findings
    for kept in (DECAYS[-3:], DECAYS[:3], DECAYS[4:9], DECAYS[7:8]):
        most = gone | {d: {} for d in kept}
        at_most = {d: out | most[d] for d, out in trainings().items()}
        assert measured(at_most).findings == found
    # Two of five that diverge at the same λ, or one at half of them, are λ's doing.
    for seeds, lost in (((3, 4), 8), ((4,), 7)):
        bad = {d: dict.fromkeys(seeds, DIVERGED) for d in DECAYS[:lost]}
        some = {d: out | bad.get(d, {}) for d, out in trainings().items()}
        assert len(measured(some).curve.log_decay) == 14 - lost
    # One training alone that diverged may be its λ's doing.
    alone = trainings(seeds=4) | {0.1: {4: DIVERGED}}
    assert measured(alone).findings.curve[-1].diverged == 1


@pytest.mark.parametrize("name", ["one seed", "two seeds"])
def test_fewer_than_three_seeds_give_a_place_and_no_verdict(name):
    """The point value stands without limits, and enters no slope."""
    found = cell(name)
    assert found.optimum == pytest.approx(1e-3, rel=0.5)  # a step is 2.15
    assert (found.low, found.high, found.matters) == (None, None, "cannot tell")
    assert not found.shows_best_decay


def test_the_interval_of_a_point_is_that_of_its_seeds():
    """Mean and 90 % t limits over the seeds, by hand."""
    losses = [1.0, 2.0, 3.0]
    found = {0.1: {seed: ended(loss) for seed, loss in enumerate(losses)}}
    point = measured(found).findings.curve[0]
    assert point.mean == 2
    assert point.high == pytest.approx(2 + 2.920 / math.sqrt(3), abs=1e-3)
    assert point.train_loss == pytest.approx(1.0)  # half of each loss
    assert point.penalty == 1


def test_one_network_at_chance_is_counted_and_left_out():
    """At the best λ of all: the point's mean, the optimum and its loss stay."""
    found, whole = cell("one at chance"), cell("whole")
    assert counts("one at chance", 7) == (4, 0, 1)
    assert found.curve[7].mean < 1
    assert found.optimum == pytest.approx(whole.optimum, rel=0.1)
    assert found.loss_at_optimum == pytest.approx(whole.loss_at_optimum, rel=0.05)


def test_half_of_the_networks_at_chance_ruin_a_decay_and_two_of_five_do_not():
    """Two dead ones of five leave a mean of the others; three are what λ does."""
    for dead, at_chance in ((2, False), (3, True)):
        found = measured(with_dead(range(1), range(dead))).findings
        assert found.curve[0].at_chance == found.is_untrained == at_chance
        assert (found.undecayed is None) == at_chance
        assert found.curve[0].n == (5 if at_chance else 3)


def test_a_network_at_chance_without_decay_leaves_the_cell_in_the_slope():
    """The other seeds gain; the loss without decay is theirs."""
    found = cell("one at chance without decay")
    assert found.shows_best_decay
    assert found.gain < found.loss_without_decay < 2
    # But where many stay at chance, each λ has the mean of other seeds.
    assert cell("survivors").matters == "cannot tell"
    assert not cell("survivors").shows_best_decay


def test_decays_that_ruin_every_network_are_the_wall_of_the_curve():
    """A λ at which all collapse is a bad λ with a loss, not a hole in the grid."""
    found = cell("a wall")
    assert counts("a wall", 12) == (5, 0, 5)
    assert found.curve[12].mean == pytest.approx(2.31)
    assert found.at_edge is None
    assert found.why == cell("whole").why


def test_an_optimum_without_an_interval_enters_no_slope():
    """A grid so narrow that both limits lie beyond it has not found anything."""
    whole = cells()["whole"]
    silent = replace(whole, findings=replace(whole.findings, low=None, high=None))
    assert not silent.findings.shows_best_decay
    assert silent.excluded_because != ""


def test_where_all_failed_without_decay_no_grid_is_too_low():
    """Nobody knows whether the highest λ raised the loss."""
    failed = trainings() | {0.0: dict.fromkeys(range(5), FAILED)}
    assert measured(failed).findings.idle_up_to is None


def test_biases_alone_are_chance():
    """Class frequencies of few samples are uneven, and dead networks learn them."""
    assert chance_loss(10, 150) == pytest.approx(math.log(10) - 0.06)
    assert DEAD.is_untrained(chance_loss(10, 600))
    assert not ended(2.0).is_untrained(chance_loss(10, 600))
    assert not DIVERGED.is_untrained(chance_loss(10, 600))
