"""The plan: which trainings a study asks for, in what packs, and when a grid grows."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some
from study.pretended import pretended_outcome
from study.tiny import BASE, SPEC, changed

from dwindle.errors import DwindleError
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


def scale_at(axis, value, base=BASE):
    return axis.scale_at(value, base)


def test_a_grid_is_zero_and_the_log_spaced_decays():
    """The grid is λ = 0, both ends exactly, and equal ratios between them."""
    zero, *rest = decays(grid())
    assert zero == 0
    assert (rest[0], rest[-1]) == (SPEC.low, SPEC.high)
    assert len(rest) == SPEC.points
    ratios = [high / low for low, high in pairwise(rest)]
    assert ratios == pytest.approx(
        [10 ** (1 / 3)] * 3, rel=1e-11
    )  # decays have 12 digits


@pytest.mark.parametrize(
    ("normalization", "mean_divisor"),
    [
        ("none", 1),
        # Two layers of 64 · 8 and 8 · 10 weights.
        ("layer-mean", (2 * 64 * 8 + 2 * 8 * 10) / 2),
        ("global-mean", 64 * 8 + 8 * 10),
        ("fan-in", (1 / 64 + 1 / 8) / 2),
    ],
)
def test_a_normalized_grid_covers_the_same_penalties(normalization, mean_divisor):
    """Another normalization multiplies the grid by the base's mean divisor."""
    _, *rest = decays(grid(changed(normalization=normalization)))
    assert rest[0] == pytest.approx(SPEC.low * mean_divisor, rel=1e-11)  # 12 digits
    assert rest[-1] == pytest.approx(SPEC.high * mean_divisor, rel=1e-11)


def test_cells_that_axes_share_train_once():
    """Each training of the plan is asked for once, for every cell, decay and seed."""
    trials = grid()
    assert len(set(trials)) == len(trials)
    widths, batches = (4, 8, 16), (16,)  # 32 is the base, which the widths have
    cells = len(widths) + len(batches)
    assert len(trials) == cells * (SPEC.points + 1) * SPEC.seeds


@pytest.mark.parametrize(
    ("policy", "factor"), [("fixed", 1), ("sqrt", 2**0.5), ("linear", 2)]
)
def test_the_lr_follows_the_batch_size(policy, factor):
    """At twice the batch size the lr is that of its policy; epochs are held."""
    axis = AxisSpec(axis="batch_size", values=(64,), lr=policy)
    scale = scale_at(axis, 64)
    assert scale.lr == pytest.approx(BASE.lr * factor, rel=1e-15)  # one rounding
    assert scale.epochs == BASE.epochs


@given(size=some.integers(1, 1200), quantity=some.sampled_from(["batch", "dataset"]))
def test_held_steps_are_the_steps_of_the_base(size, quantity):
    """With steps held a cell trains exactly as many as the base, at any size."""
    base = replace(BASE, dataset_size=600, epochs=7)
    axis = AxisSpec(axis=f"{quantity}_size", values=(size,), hold="steps")
    assert scale_at(axis, size, base).steps == base.steps


def test_the_base_is_the_base_on_every_axis():
    """A cell at the base's value is the base itself, also where 30 means 30.0."""
    for name in ("width", "batch_size", "dataset_size", "epochs", "lr"):
        axis = AxisSpec(axis=name, values=(1,), hold="steps")
        assert scale_at(axis, float(getattr(BASE, name))) == BASE


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


def test_decays_of_a_seed_stay_together():
    """Where all decays of a seed fit, no seed is spread over two packs."""
    decays_of_a_seed = SPEC.points + 1
    packs = packs_from_trials(grid(), DIGITS, lambda _: decays_of_a_seed + 1)
    for pack in packs:
        assert len({trial.seed for trial in pack.trials}) == 1
        assert len(pack.trials) == decays_of_a_seed


def test_a_plan_is_a_pure_function():
    """The same study gives the same packs, whatever is known of its trainings."""
    first = packs_from_trials(grid(), DIGITS, lambda _: 7)
    known = round_trials(SPEC, DIGITS, pretended_outcome, number=0)
    assert packs_from_trials(known, DIGITS, lambda _: 7) == first


def added(outcome_of, number):
    """Decays that a round adds to the cell of the base, as places of the grid."""
    spec = changed(axes=(AxisSpec(axis="width", values=(8,)),))
    trials = round_trials(spec, DIGITS, outcome_of, number=number)
    places = range(-10, 15)
    of_decay = {decay_at(spec, DIGITS, place): place for place in places}
    return sorted({of_decay[trial.weight_decay] for trial in trials})


def decays_of_rounds(spec, outcome_of):
    """Decays that each round adds to the cell of the base."""
    spec = replace(spec, axes=(AxisSpec(axis="width", values=(8,)),))
    return [
        sorted(
            {t.weight_decay for t in round_trials(spec, DIGITS, outcome_of, number=n)}
        )
        for n in range(ROUNDS)
    ]


def valley(best):
    return lambda trial: pretended_outcome(trial, best)


@pytest.mark.parametrize("points", [3, 4, 5, 7])
@pytest.mark.parametrize("best", [4.5e-3, 1e-2, 3.3e-2])
def test_a_coarse_grid_is_filled_around_its_best_decay(points, best):
    """Whatever the grid, five decays a third of a decade apart end up around the best.

    An optimum read from wider gaps is wrong, with an interval that does not know it.
    """
    rounds = decays_of_rounds(changed(low=1e-5, high=1e-1, points=points), valley(best))
    tried = sorted(decay for added in rounds for decay in added if decay)
    losses = [valley(best)(at_base(decay)).loss for decay in tried]
    center = losses.index(min(losses))
    ratios = [high / low for low, high in pairwise(tried[center - 2 : center + 3])]
    assert len(ratios) >= 3  # four, but one where the grid ends beside them
    assert max(ratios) <= 10 ** (1 / 3) * 1.01
    assert len(tried) == len(set(tried))


def at_base(decay):
    (trial, *_) = grid(changed(axes=(AxisSpec(axis="width", values=(8,)),)))
    return replace(trial, weight_decay=decay)


def test_a_grid_of_a_third_of_a_decade_is_never_filled():
    """The usual grid gets no decay between its own, wherever the best one lies."""
    spec = changed(low=1e-5, high=1e-1, points=13)
    for best in (1e-4, 4.5e-3, 3e-2):
        assert decays_of_rounds(spec, valley(best))[1:] == [[]] * (ROUNDS - 1)


@pytest.mark.parametrize("points", [3, 4, 7, 13, 25, 49])
def test_an_extension_is_about_a_decade_in_fine_steps(points):
    """An edge moves by a factor of 10, never by three steps of a coarse grid."""
    spec = changed(low=1e-5, high=1e-1, points=points)
    first = decays_of_rounds(spec, valley(1e9))[1]
    assert 8 <= max(first) / 1e-1 <= 22  # whole steps of at most a third of a decade
    ratios = [high / low for low, high in pairwise([1e-1, *first])]
    assert max(ratios) <= min(10 ** (1 / 3), 10 ** (4 / (points - 1))) * 1.01


def test_a_grid_is_extended_twice_at_most():
    """An optimum that runs away is reported as a bound after two decades more."""
    spec = changed(low=1e-5, high=1e-1, points=13)
    tried = [decay for added in decays_of_rounds(spec, valley(1e9)) for decay in added]
    assert max(tried) == pytest.approx(10)


def test_one_network_at_chance_moves_no_edge():
    """A dead network at the best decay neither hides it nor makes an edge the best."""

    def outcome_of(trial):
        outcome = pretended_outcome(trial)
        dead = trial.seed == 1 and 0.005 < trial.weight_decay < 0.01
        return replace(outcome, loss=2.31, train_loss=2.3026) if dead else outcome

    spec = changed(low=1e-5, high=1e-1, points=13, seeds=5)
    assert decays_of_rounds(spec, outcome_of)[1:] == [[]] * (ROUNDS - 1)


def test_an_optimum_inside_adds_nothing():
    """A best decay with worse ones on both sides leaves the grid as it is."""
    assert added(pretended_outcome, 1) == []
    assert added(pretended_outcome, 2) == []


@pytest.mark.parametrize(
    ("best", "first", "second"),
    [
        (1e9, [4, 5, 6], [7, 8, 9]),
        (0.15, [4, 5, 6], []),
        (1e-9, [-3, -2, -1], [-6, -5, -4]),
    ],
)
def test_an_optimum_at_an_edge_extends_the_grid(best, first, second):
    """The side where the best decay lies grows, and grows again if it still does."""

    def outcome_of(trial):
        position = math.log(trial.weight_decay / best) if trial.weight_decay else 99
        loss = 0.01 * position**2 + 0.003 * trial.seed
        return replace(pretended_outcome(trial), loss=loss)

    assert added(outcome_of, 1) == first
    assert added(outcome_of, 2) == second


@pytest.mark.parametrize("best", [1e-2, 1.05e-3, 3e-4])
def test_a_narrow_grid_is_extended_wherever_its_noise_puts_the_best(best):
    """Three decays within a tenth: the best one seems inside, and is found outside."""
    spec = changed(low=0.001, high=0.0011, points=3)

    def outcome_of(trial):
        middle = math.sqrt(spec.low * spec.high)
        noise = 0.01 if 0.99 < trial.weight_decay / middle < 1.01 else 0.0
        found = pretended_outcome(trial, best)
        return replace(found, loss=found.loss - noise)

    tried = {
        trial.weight_decay
        for number in range(ROUNDS)
        for trial in round_trials(spec, DIGITS, outcome_of, number=number)
    } - {0.0}
    assert min(tried) < 0.7 * best
    assert max(tried) > 1.4 * best


def test_near_an_edge_is_less_than_a_sixth_of_a_decade():
    """In a grid of twelfths the best decay is at an edge up to one place from it."""
    spec = changed(low=1e-3, high=1e-1, points=25)
    for place, extended in {1: True, 3: False, 21: False, 23: True}.items():
        best = decay_at(spec, DIGITS, place)
        new = decays_of_rounds(spec, valley(best))[1]
        assert bool(new) == extended, place


def test_a_flat_low_end_does_not_extend_the_grid():
    """Where the smallest decay is no better than none, smaller ones are not tried."""

    def outcome_of(trial):
        noise = 0.001 * (-1) ** trial.seed
        loss = 0.5 + trial.weight_decay**2 + (noise if trial.weight_decay else 0)
        return replace(pretended_outcome(trial), loss=loss)

    assert added(outcome_of, 1) == []


def test_a_diverged_decay_is_never_the_best():
    """Trainings without a loss count as worst, and all of them as no optimum."""
    gone = Outcome(status="diverged", steps=4, seconds=0.1)

    def outcome_of(trial):
        lower_is_worse = replace(pretended_outcome(trial), loss=1 - trial.weight_decay)
        return gone if trial.weight_decay > 0.03 else lower_is_worse

    assert added(outcome_of, 1) == []
    assert added(lambda _: gone, 1) == []


def refused(spec):
    """What the fault is that keeps a study from being trained, None without one."""
    try:
        refuse_untrainable(spec)
    except DwindleError as fault:
        return fault
    return None


def test_what_a_problem_has_not_is_refused():
    """Axes that mean nothing for a problem, sizes that it has not, unknown ones."""
    large = AxisSpec(axis="dataset_size", values=(64, 2000))
    assert refused(changed(axes=(large,))).value == 2000
    assert refused(changed(problem="digit-mlp")).nearest[0] == "digits-mlp"
    logistic = changed(problem="digits-logistic", axes=SPEC.axes[:1])
    assert "depth" not in refused(logistic).nearest
    assert refused(logistic).name == "width"
    assert refused(changed()) is None


def test_what_would_change_nothing_is_refused():
    """A last lr that nothing leads to, and cells that are one training.

    A store that has them stays readable: the faults are those of a study to be run.
    """
    flat, widths = replace(BASE, depth=0), AxisSpec(axis="width", values=(8, 16))
    constant = replace(SPEC.optimizer, final_lr=0.1)
    full_batch = replace(BASE, batch_size=64)
    epochs = AxisSpec(axis="epochs", values=(1, 1.2, 1.4, 2))
    wrong = {
        "final_lr": changed(optimizer=constant),
        "values of width": changed(base=flat, axes=(widths,)),
        "values of epochs": changed(base=full_batch, axes=(epochs,)),
    }
    assert [refused(spec).name for spec in wrong.values()] == list(wrong)
    falling = replace(constant, schedule="cosine")
    deep = AxisSpec(axis="depth", values=(0, 1))
    for spec in (changed(optimizer=falling), changed(axes=(deep,))):
        assert refused(spec) is None


def test_the_packs_know_their_layers():
    """A wider cell costs more than a narrow one of as many steps."""
    packs = packs_from_trials(grid(), DIGITS, lambda _: 100)
    cost = {pack.scale: pack.cost for pack in packs}
    wide, narrow = replace(BASE, width=16), replace(BASE, width=4)
    assert DIGITS.facts.layer_shapes(wide) != DIGITS.facts.layer_shapes(narrow)
    assert cost[wide] > cost[narrow]
