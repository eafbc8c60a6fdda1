"""One cell: what counts as a training, what as an optimum, and what is said of it."""

import math
from dataclasses import replace

import pytest
from findings.simulated_study import BASE, ended, simulated_rows, study_spec

from dwindle.findings.cells import gather, measure_cell
from dwindle.store.records import Outcome, chance_loss
from dwindle.store.spec import AxisSpec

ONE = study_spec(axes=(AxisSpec(axis="width", values=(64,)),))
DIVERGED = Outcome(status="diverged", steps=9, seconds=0.1, diverged_at_step=9)
FAILED = Outcome(status="error", steps=0, seconds=0.1, error="no memory")


def trainings(noise=0.3, **changes):
    """λ -> seed -> outcome of the base cell; its optimum is at λ = 1e-3."""
    rows = simulated_rows(study_spec(axes=ONE.axes, **changes), {}, noise=noise)
    return gather(rows)[BASE]


def measured(found):
    return measure_cell(
        found,
        value=64,
        scale={"width": 64.0, "dataset_size": 600.0},
        coefficient=1.0,
        classes=10,
    )


def test_a_cell_finds_the_optimum_that_was_simulated():
    """The limits hold the true best λ, and decay matters."""
    cell = measured(trainings()).findings
    assert cell.low < 1e-3 < cell.high
    assert cell.matters == "yes"
    assert cell.loss_at_optimum < cell.loss_without_decay
    assert cell.gain_low < cell.gain < cell.gain_high
    assert measured(trainings()).shows_best_decay


def test_a_decay_where_a_seed_diverged_is_shown_and_never_chosen():
    """The point keeps its survivors and its count, the optimum looks elsewhere."""
    found = trainings()
    best = sorted(found)[7]
    # Four seeds look splendid, the fifth is gone.
    found[best] = {seed: ended(0.01) for seed in range(4)} | {4: DIVERGED}
    cell = measured(found).findings
    point = next(p for p in cell.curve if p.weight_decay == best)
    assert (point.n, point.diverged, point.mean) == (4, 1, pytest.approx(0.01))
    assert cell.loss_at_optimum > 0.5
    assert "1 λ without a finite loss from every seed left out" in cell.why


def test_where_large_decays_diverge_the_optimum_at_the_last_sound_one_is_a_bound():
    """A best λ next to the cliff is at the high edge of what could be trained."""
    found = trainings()
    for decay in sorted(found)[6:]:
        found[decay] = dict.fromkeys(range(5), DIVERGED)
    cell = measured(found).findings
    assert cell.at_edge == "high"
    assert cell.optimum is None
    assert (cell.low, cell.high) == (None, None)
    assert "at the high edge" in cell.why


def test_a_cell_where_everything_diverged_says_so():
    """No curve, no optimum, no verdict, and the reason."""
    found = {decay: dict.fromkeys(range(5), DIVERGED) for decay in trainings()}
    cell = measured(found)
    assert cell.curve is None
    assert cell.findings.matters == "cannot tell"
    assert cell.excluded_because == "no λ has a finite loss from every seed"
    assert all(p.mean is None and p.diverged == 5 for p in cell.findings.curve)


def test_a_cell_whose_seeds_are_not_trained_yet_does_not_call_them_diverged():
    """A study looked at while it runs: what is not there yet has no loss at all."""
    found = trainings()
    for number, seeds in enumerate(found.values()):
        del seeds[number % 5]
    cell = measured(found)
    assert cell.curve is None
    assert cell.excluded_because == "no λ has a loss from every seed"


def test_a_cell_without_trainings_is_empty_and_says_so():
    """A study that has not come to a cell yet knows nothing of it."""
    cell = measured({}).findings
    assert cell.curve == ()
    assert cell.optimum is None


def test_a_failed_training_is_neither_a_loss_nor_diverged():
    """An error leaves its seed out, and is not told as a divergence."""
    found = trainings()
    decay = sorted(found)[3]
    found[decay][0] = FAILED
    cell = measured(found)
    point = cell.findings.curve[3]
    assert (point.n, point.diverged) == (4, 0)
    assert cell.curve.seeds == (1, 2, 3, 4)
    assert "1 seed with failed trainings left out" in cell.findings.why


def test_a_seed_whose_pack_failed_does_not_take_the_cell_with_it():
    """Three of four seeds are complete: the cell has its optimum from them."""
    found = trainings(seeds=4)
    for seeds in found.values():
        seeds[3] = FAILED
    cell = measured(found)
    assert cell.shows_best_decay
    assert cell.curve.seeds == (0, 1, 2)


def test_a_seed_that_has_just_begun_does_not_spoil_the_others():
    """While a study runs, a seed with a few λ is not counted as missing at the rest."""
    whole = measured(trainings(seeds=4)).findings
    begun = trainings(seeds=4)
    begun[0.0][4] = ended(1.0)
    assert measured(begun).findings.optimum == whole.optimum


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_a_place_and_no_verdict(seeds):
    """The point value stands without limits, and enters no slope."""
    cell = measured(trainings(seeds=seeds))
    assert cell.findings.optimum == pytest.approx(1e-3, rel=0.5)  # a step is 2.15
    assert (cell.findings.low, cell.findings.high) == (None, None)
    assert cell.findings.matters == "cannot tell"
    assert not cell.shows_best_decay


def test_the_interval_of_a_point_is_that_of_its_seeds():
    """Mean and 90 % t limits over the seeds, by hand."""
    losses = [1.0, 2.0, 3.0]
    found = {0.1: {seed: ended(loss) for seed, loss in enumerate(losses)}}
    point = measured(found).findings.curve[0]
    assert point.mean == 2
    assert point.high == pytest.approx(2 + 2.920 / math.sqrt(3), abs=1e-3)
    assert point.train_loss == pytest.approx(1.0)  # half of each loss
    assert point.penalty == 1


def test_a_loss_that_is_no_number_is_no_loss():
    """A row that says ok with an infinite loss counts as none."""
    found = trainings()
    found[sorted(found)[2]][1] = Outcome(
        status="ok", steps=1, seconds=0.1, loss=math.inf
    )
    assert measured(found).findings.curve[2].n == 4


DEAD = replace(ended(2.31), train_loss=math.log(10))


def with_dead(places, seeds):
    """The simulated cell with networks at chance: some seeds at some λ."""
    found = trainings()
    for place in places:
        for seed in seeds:
            found[sorted(found)[place]][seed] = DEAD
    return found


def test_one_network_at_chance_is_counted_and_left_out():
    """At the best λ of all: the point's mean, the optimum and its loss stay."""
    alive, cell = measured(trainings()).findings, measured(with_dead([7], [2])).findings
    point = next(p for p in cell.curve if p.untrained)
    assert (point.n, point.untrained, point.diverged) == (4, 1, 0)
    assert point.mean < 1
    assert cell.optimum == pytest.approx(alive.optimum, rel=0.1)
    assert cell.loss_at_optimum == pytest.approx(alive.loss_at_optimum, rel=0.05)
    assert "1 of 65 networks stayed at chance and are left out" in cell.why


def test_a_network_at_chance_without_decay_leaves_the_cell_in_the_slope():
    """The other seeds gain, and it is said that one does not train without decay."""
    cell = measured(with_dead([0], [2]))
    assert cell.shows_best_decay
    assert "1 seed that trains with decay does not without it" in cell.findings.why
    assert cell.findings.loss_without_decay < 2
    assert cell.findings.gain < cell.findings.loss_without_decay


def test_a_cell_of_survivors_cannot_tell():
    """Where many networks stay at chance, each λ has the mean of other seeds."""
    found = trainings()
    for position, decay in enumerate(sorted(found)):
        found[decay][position % 5] = DEAD
    cell = measured(found)
    assert cell.findings.matters == "cannot tell"
    assert cell.findings.why.startswith("too many networks are at chance")
    assert not cell.shows_best_decay


def test_an_optimum_without_an_interval_enters_no_slope():
    """A grid so narrow that both limits lie beyond it has not found anything."""
    found = trainings()
    kept = {at: found[at] for at in (0.0, *sorted(found)[6:9])}
    cell = measured(kept)
    bare = replace(cell.findings, optimum=1e-3, at_edge=None, low=None, high=None)
    silent = replace(cell, findings=replace(bare, matters="yes"))
    assert not silent.shows_best_decay
    assert "beyond both ends of the grid" in silent.excluded_because


def test_decays_that_ruin_every_network_are_the_wall_of_the_curve():
    """A λ at which all collapse is a bad λ with a loss, not a hole in the grid."""
    cell = measured(with_dead([11, 12, 13], range(5))).findings
    wall = cell.curve[12]
    assert (wall.n, wall.untrained, wall.mean) == (5, 5, pytest.approx(2.31))
    assert cell.at_edge is None
    assert "chance" not in cell.why


def test_a_cell_at_chance_throughout_says_so():
    """Too short a training, or too large an lr: no optimum among dead networks."""
    cell = measured(with_dead(range(14), range(5)))
    assert cell.curve is None
    assert (
        cell.excluded_because
        == "at every λ half of the networks or more stay at chance"
    )


def test_biases_alone_are_chance():
    """Class frequencies of few samples are uneven, and dead networks learn them."""
    assert chance_loss(10, 150) == pytest.approx(math.log(10) - 0.06)
    assert DEAD.is_untrained(chance_loss(10, 600))
    assert not ended(2.0).is_untrained(chance_loss(10, 600))
    assert not DIVERGED.is_untrained(chance_loss(10, 600))
