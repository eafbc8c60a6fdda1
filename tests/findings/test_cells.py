"""One cell: what counts as a training, what as an optimum, and whether decay matters.

The reasons for missing numbers stand word by word in the snapshot of ``tests/texts``.
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


# Cell and place of a λ -> seeds with a loss, diverged and untrained ones.
COUNTED = {
    ("one diverged", 7): (4, 1, 0),
    ("one failed", 3): (4, 0, 0),  # an error is no loss and no divergence
    ("no number", 2): (4, 0, 0),  # nor is a row of status ok with an infinite loss
    ("one at chance", 7): (4, 0, 1),
    ("a wall", 12): (5, 0, 5),  # where all collapse λ is bad, and has a loss
}


def test_what_became_of_every_training_is_counted():
    """A λ keeps those that have a loss, and how many diverged or learned nothing."""
    assert {at: counts(*at) for at in COUNTED} == COUNTED
    means = [cell(name).curve[at].mean for name, at in (*COUNTED,)[::4]]
    assert means == pytest.approx([0.01, 2.31])
    assert cell("one at chance").curve[7].mean < 1


def test_a_cell_finds_the_optimum_that_was_simulated():
    """The limits hold the true best λ, and decay matters."""
    whole = cell("whole")
    assert whole.low < 1e-3 < whole.high
    assert whole.shows_best_decay
    assert whole.gain_low < whole.gain < whole.gain_high
    # Where a seed diverged, a λ is never chosen: not even with 0.01 from the others.
    assert whole.loss_without_decay > cell("one diverged").loss_at_optimum > 0.5
    # A wall of dead networks is no edge; where large λ diverge, the optimum is a bound.
    assert (cell("a wall").at_edge, cell("a cliff").at_edge) == (None, "high")
    assert (cell("a cliff").optimum, cell("a cliff").high) == (None, None)


@pytest.mark.parametrize(
    ("name", "at_each"),
    [
        ("all diverged", (0, 5, 0)),
        # Read while it runs: what is not there yet has no loss, nor diverged.
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


def test_a_seed_that_is_lost_takes_none_from_the_others():
    """One that failed, diverged at most λ, or has just begun is left out as a seed."""
    seeds = {
        "one failed": (1, 2, 3, 4),
        "a seed failed": (0, 1, 2),
        "a seed diverged": (0, 1, 2, 3),
    }
    assert {name: cells()[name].curve.seeds for name in seeds} == seeds
    four = cell("four seeds")
    assert replace(cell("a seed diverged"), why=four.why) == four
    assert cell("a seed begun").optimum == four.optimum
    # At most λ it is the same, whichever they are: it made decay appear useless.
    gone = {d: {4: DIVERGED} for d in DECAYS}
    found = measured({d: out | gone[d] for d, out in trainings().items()}).findings
    for kept in (DECAYS[-3:], DECAYS[:3], DECAYS[4:9], DECAYS[7:8]):
        most = gone | {d: {} for d in kept}
        at_most = {d: out | most[d] for d, out in trainings().items()}
        assert measured(at_most).findings == found
    # Three of five that diverge at the same λ, or one at half of them, are λ's doing.
    for seeds, lost in (((2, 3, 4), 8), ((4,), 7)):
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


def test_networks_at_chance_are_left_out_until_they_are_many():
    """Two dead ones of five leave a mean of the others; three are what λ does."""
    one, whole = cell("one at chance"), cell("whole")
    assert one.optimum == pytest.approx(whole.optimum, rel=0.1)
    assert one.loss_at_optimum == pytest.approx(whole.loss_at_optimum, rel=0.05)
    for dead, at_chance in ((2, False), (3, True)):
        found = measured(with_dead(range(1), range(dead))).findings
        assert found.curve[0].at_chance == found.is_untrained == at_chance
        assert (found.undecayed is None) == at_chance
        assert found.curve[0].n == (5 if at_chance else 3)
    # Without decay the other seeds gain; the loss there is theirs.
    found = cell("one at chance without decay")
    assert found.shows_best_decay
    assert found.gain < found.loss_without_decay < 2
    # But where many stay at chance, each λ has the mean of other seeds.
    assert cell("survivors").matters == "cannot tell"


def test_where_all_failed_without_decay_no_grid_is_too_low():
    """Nobody knows whether the highest λ raised the loss."""
    failed = trainings() | {0.0: dict.fromkeys(range(5), FAILED)}
    assert measured(failed).findings.idle_up_to is None


def test_biases_alone_are_chance():
    """Class frequencies of few samples are uneven, and dead networks learn them."""
    assert chance_loss(10, 150) == pytest.approx(math.log(10) - 0.06)
    ends = (DEAD, ended(2.0), DIVERGED)
    assert [each.is_untrained(chance_loss(10, 600)) for each in ends] == [1, 0, 0]
