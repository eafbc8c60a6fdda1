"""The plan: the trainings of a study, in what packs, and when a grid grows."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some
from study.pretended import pretended_outcome
from study.tiny import BASE, SPEC, changed

from dwindle.errors import RangeError, UnknownNameError
from dwindle.store.records import Outcome
from dwindle.store.spec import AxisSpec
from dwindle.study.plan import (
    ROUNDS,
    decay_at,
    packs_from_trials,
    refuse_untrainable,
    round_trials,
)
from dwindle.study.problems import problem

DIGITS = problem(SPEC.problem)


def nothing(_):
    return None


def grid(spec=SPEC):
    return round_trials(spec, DIGITS, nothing, number=0)


def decays(trials):
    return sorted({trial.weight_decay for trial in trials})


def test_a_grid_is_zero_and_the_log_spaced_decays():
    """The grid is λ = 0, both ends exactly, and equal ratios between them."""
    zero, *rest = decays(grid())
    assert zero == 0
    assert (rest[0], rest[-1]) == (SPEC.low, SPEC.high)
    assert len(rest) == SPEC.points
    ratios = [high / low for low, high in pairwise(rest)]
    assert ratios == pytest.approx([10 ** (1 / 3)] * 3, rel=1e-11)  # of 12 digits
    # Each once, also of cells that axes share: 32 is the base, which the widths have.
    widths, batches = (4, 8, 16), (16,)
    cells = len(widths) + len(batches)
    assert len(grid()) == len(set(grid())) == cells * (SPEC.points + 1) * SPEC.seeds


def test_a_normalized_grid_covers_the_same_penalties():
    """Another normalization multiplies the grid by the base's mean divisor."""
    divisors = {
        "none": 1,
        # Two layers of 64 · 8 and 8 · 10 weights.
        "layer-mean": (2 * 64 * 8 + 2 * 8 * 10) / 2,
        "global-mean": 64 * 8 + 8 * 10,
        "fan-in": (1 / 64 + 1 / 8) / 2,
    }
    for normalization, divisor in divisors.items():
        _, *rest = decays(grid(changed(normalization=normalization)))
        ends = [SPEC.low * divisor, SPEC.high * divisor]
        assert [rest[0], rest[-1]] == pytest.approx(ends, rel=1e-11)  # 12 digits


def test_the_lr_follows_the_batch_size():
    """At twice the batch size the lr is that of its policy; epochs are held."""
    for policy, factor in {"fixed": 1, "sqrt": 2**0.5, "linear": 2}.items():
        scale = AxisSpec(axis="batch_size", values=(64,), lr=policy).scale_at(64, BASE)
        assert scale.lr == pytest.approx(BASE.lr * factor, rel=1e-15)  # one rounding
        assert scale.epochs == BASE.epochs


@given(size=some.integers(1, 1200), quantity=some.sampled_from(["batch", "dataset"]))
def test_held_steps_are_the_steps_of_the_base(size, quantity):
    """With steps held a cell trains exactly as many as the base, at any size."""
    base = replace(BASE, dataset_size=600, epochs=7)
    axis = AxisSpec(axis=f"{quantity}_size", values=(size,), hold="steps")
    assert axis.scale_at(size, base).steps == base.steps


def test_the_base_is_the_base_on_every_axis():
    """A cell at the base's value is the base itself, also where 30 means 30.0."""
    for name in ("width", "batch_size", "dataset_size", "epochs", "lr"):
        axis = AxisSpec(axis=name, values=(1,), hold="steps")
        assert axis.scale_at(float(getattr(BASE, name)), BASE) == BASE


@given(capacity=some.integers(1, 40), seeds=some.integers(1, 6))
def test_packs_are_a_partition_within_their_capacity(capacity, seeds):
    """Every training is in one pack; a pack has one scale and no more than fit."""
    trials = grid(changed(seeds=seeds))
    packs = packs_from_trials(trials, DIGITS, lambda _: capacity)
    packed = [trial for pack in packs for trial in pack.trials]
    assert sorted(map(hash, packed)) == sorted(map(hash, trials))
    for pack in packs:
        assert len({trial.scale for trial in pack.trials}) == 1
        assert len(pack.trials) <= capacity
    costs = [pack.cost for pack in packs]
    assert costs == sorted(costs, reverse=True)
    known = round_trials(changed(seeds=seeds), DIGITS, pretended_outcome, number=0)
    assert packs_from_trials(known, DIGITS, lambda _: capacity) == packs


def test_decays_of_a_seed_stay_together():
    """Where all decays of a seed fit, no seed is spread over two packs."""
    decays_of_a_seed = SPEC.points + 1
    packs = packs_from_trials(grid(), DIGITS, lambda _: decays_of_a_seed + 1)
    for pack in packs:
        assert len({trial.seed for trial in pack.trials}) == 1
        assert len(pack.trials) == decays_of_a_seed


ONE_CELL = (AxisSpec(axis="width", values=(8,)),)


def decays_of_rounds(spec, outcome_of):
    """Decays that each round adds to the cell of the base."""
    spec = replace(spec, axes=ONE_CELL)
    return [
        decays(round_trials(spec, DIGITS, outcome_of, number=number))
        for number in range(ROUNDS)
    ]


def valley(best):
    return lambda trial: pretended_outcome(trial, best)


@pytest.mark.parametrize("points", [3, 4, 5, 7])
@pytest.mark.parametrize("best", [4.5e-3, 1e-2, 3.3e-2])
def test_a_coarse_grid_is_filled_around_its_best_decay(points, best):
    """From any grid, five decays a third of a decade apart end up around the best.

    An optimum read from wider gaps is wrong, with an interval that is too narrow.
    """
    rounds = decays_of_rounds(changed(low=1e-5, high=1e-1, points=points), valley(best))
    tried = sorted(decay for added in rounds for decay in added if decay)
    some_trial = grid(changed(axes=ONE_CELL))[0]
    losses = [
        valley(best)(replace(some_trial, weight_decay=decay)).loss for decay in tried
    ]
    center = losses.index(min(losses))
    ratios = [high / low for low, high in pairwise(tried[center - 2 : center + 3])]
    assert len(ratios) >= 3  # four, but one where the grid ends beside them
    assert max(ratios) <= 10 ** (1 / 3) * 1.01
    assert len(tried) == len(set(tried))


@pytest.mark.parametrize("points", [3, 4, 7, 13, 25, 49])
def test_an_extension_is_about_a_decade_in_fine_steps(points):
    """An edge moves by a factor of 10, never by three steps of a coarse grid."""
    spec = changed(low=1e-5, high=1e-1, points=points)
    first = decays_of_rounds(spec, valley(1e9))[1]
    assert 8 <= max(first) / 1e-1 <= 22  # whole steps of at most a third of a decade
    ratios = [high / low for low, high in pairwise([1e-1, *first])]
    assert max(ratios) <= min(10 ** (1 / 3), 10 ** (4 / (points - 1))) * 1.01


def test_a_grid_of_a_third_of_a_decade_gets_nothing_around_a_best_inside():
    """Wherever that lies, and though a network at chance hides or makes it."""

    def with_a_dead_one(trial):
        outcome = pretended_outcome(trial)
        dead = trial.seed == 1 and 0.005 < trial.weight_decay < 0.01
        return replace(outcome, loss=2.31, train_loss=2.3026) if dead else outcome

    spec = changed(low=1e-5, high=1e-1, points=13, seeds=5)
    for outcome_of in (valley(1e-4), valley(4.5e-3), valley(3e-2), with_a_dead_one):
        assert decays_of_rounds(spec, outcome_of)[1:] == [[]] * (ROUNDS - 1)


GONE = Outcome(status="diverged", steps=4, seconds=0.1)


def best_at(best):
    """A valley in ln λ, which λ = 0 is far away from."""

    def outcome_of(trial):
        position = math.log(trial.weight_decay / best) if trial.weight_decay else 99
        loss = 0.01 * position**2 + 0.003 * trial.seed
        return replace(pretended_outcome(trial), loss=loss)

    return outcome_of


def flat_low_end(trial):
    noise = 0.001 * (-1) ** trial.seed if trial.weight_decay else 0
    loss = 0.5 + trial.weight_decay**2 + noise
    return replace(pretended_outcome(trial), loss=loss)


def falls_to_a_cliff(trial):
    """The higher the decay the better, until trainings have no loss."""
    falling = replace(pretended_outcome(trial), loss=1 - trial.weight_decay)
    return GONE if trial.weight_decay > 0.03 else falling


@pytest.mark.parametrize(
    ("outcome_of", "first", "second"),
    [
        (pretended_outcome, [], []),  # worse ones on both sides of the best
        (best_at(1e9), [4, 5, 6], [7, 8, 9]),
        (best_at(0.15), [4, 5, 6], []),
        (best_at(1e-9), [-3, -2, -1], [-6, -5, -4]),
        (flat_low_end, [], []),  # the smallest decay is no better than none
        (falls_to_a_cliff, [], []),
        (lambda _: GONE, [], []),
    ],
)
def test_the_side_where_the_best_decay_lies_grows(outcome_of, first, second):
    """And grows again if it still does; what diverged is never the best."""
    spec = changed(axes=ONE_CELL)
    place = {decay_at(spec, DIGITS, at): at for at in range(-10, 15)}
    rounds = decays_of_rounds(spec, outcome_of)
    added = [[place[decay] for decay in each] for each in rounds[1:3]]
    assert added == [first, second]
    # What runs away is reported as a bound after two decades more.
    assert rounds[3:] == [[]] * (ROUNDS - 3)


@pytest.mark.parametrize("best", [1e-2, 1.05e-3, 3e-4])
def test_a_narrow_grid_is_extended_wherever_its_noise_puts_the_best(best):
    """Three decays within a tenth: the best one seems inside, and is found outside."""
    spec = changed(low=0.001, high=0.0011, points=3)

    def outcome_of(trial):
        middle = math.sqrt(spec.low * spec.high)
        noise = 0.01 if 0.99 < trial.weight_decay / middle < 1.01 else 0.0
        found = pretended_outcome(trial, best)
        return replace(found, loss=found.loss - noise)

    tried = {at for added in decays_of_rounds(spec, outcome_of) for at in added if at}
    assert min(tried) < 0.7 * best
    assert max(tried) > 1.4 * best


def test_near_an_edge_is_less_than_a_sixth_of_a_decade():
    """In a grid of twelfths the best decay is at an edge up to one place from it."""
    spec = changed(low=1e-3, high=1e-1, points=25)
    for place, extended in {1: True, 3: False, 21: False, 23: True}.items():
        best = decay_at(spec, DIGITS, place)
        new = decays_of_rounds(spec, valley(best))[1]
        assert bool(new) == extended, place


def test_what_would_be_trained_in_vain_is_refused():
    """Axes and sizes that a problem has not, a last lr that nothing leads to.

    Cells that are one training, too. A store that has them stays readable: the faults
    are those of a study to be run.
    """
    flat, widths = replace(BASE, depth=0), AxisSpec(axis="width", values=(8, 16))
    large = AxisSpec(axis="dataset_size", values=(64, 2000))
    deep = AxisSpec(axis="depth", values=(0, 1))
    epochs = AxisSpec(axis="epochs", values=(1, 1.2, 1.4, 2))
    constant = replace(SPEC.optimizer, final_lr=0.1)
    falling = replace(constant, schedule="cosine")
    for spec, name in [
        (changed(axes=(large,)), "dataset_size"),
        (changed(problem="digit-mlp"), "digit-mlp"),
        (changed(problem="digits-logistic", axes=(widths,)), "width"),
        (changed(optimizer=constant), "final_lr"),
        (changed(base=flat, axes=(widths,)), "values of width"),
        (
            changed(base=replace(BASE, batch_size=64), axes=(epochs,)),
            "values of epochs",
        ),
    ]:
        with pytest.raises((RangeError, UnknownNameError)) as refused:
            refuse_untrainable(spec)
        assert refused.value.name == name
    for spec in (SPEC, changed(optimizer=falling), changed(axes=(deep,))):
        refuse_untrainable(spec)
