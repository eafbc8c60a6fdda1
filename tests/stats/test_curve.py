"""Curves from raw losses: what may be a candidate, and what may not."""

import numpy as np
import pytest

from dwindle.stats.curve import Curve, curve_from_losses, read_log_losses

DECAY = np.array([0.0, 0.01, 0.1, 1.0])
LOSSES = np.array([[4.0, 3.0, 2.0, 5.0], [4.5, 3.5, 2.5, 5.5]])


def test_the_curve_keeps_positive_decays_apart_from_none():
    """λ = 0 is the reference, never a point of the curve over ln λ."""
    curve = curve_from_losses(DECAY, LOSSES)
    assert np.exp(curve.log_decay).tolist() == np.exp(np.log(DECAY[1:])).tolist()
    assert curve.losses.tolist() == LOSSES[:, 1:].tolist()
    assert curve.without_decay.tolist() == [4.0, 4.5]


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_decay_where_one_seed_has_no_loss_is_no_candidate(lost):
    """The survivors' mean is a mean of lucky seeds, so that λ is left out and named."""
    losses = LOSSES.copy()
    losses[0, 2] = lost
    curve = curve_from_losses(DECAY, losses)
    assert curve.dropped == (0.1,)
    assert curve.losses.shape == (2, 2)


def test_seeds_with_a_loss_without_decay_are_compared():
    """A seed missing or diverged at λ = 0 keeps its curve and is not compared."""
    losses = LOSSES.copy()
    losses[0, 0] = np.nan
    curve = curve_from_losses(DECAY, losses)
    assert curve.compared == (1,)
    assert curve.losses.shape == (2, 3)
    losses[:, 0] = np.inf
    assert np.isinf(curve_from_losses(DECAY, losses).without_decay).all()
    losses[:, 0] = np.nan
    assert curve_from_losses(DECAY, losses).without_decay is None


def curve_with_one_at_chance(losses, seed, point):
    untrained = np.zeros(losses.shape, dtype=bool)
    untrained[seed, point] = True
    dead = losses.copy()
    dead[seed, point] = 2.31
    return curve_from_losses(DECAY, dead, untrained=untrained)


def test_one_network_at_chance_is_replaced_by_what_its_seed_and_decay_predict():
    """Where seeds differ by a factor, the loss that the dead one would have had."""
    losses = np.outer([1.0, 1.3, 0.8], [0.5, 0.4, 0.2, 0.9])
    curve = curve_with_one_at_chance(losses, 1, 2)
    np.testing.assert_allclose(curve.losses, losses[:, 1:], rtol=1e-12)
    assert curve.left_out == 1
    assert curve.dropped == ()


def test_a_network_at_chance_without_decay_is_not_compared():
    """It is no loss to gain from, and its seed keeps its curve."""
    curve = curve_with_one_at_chance(np.tile(LOSSES[:1], (3, 1)), 2, 0)
    assert curve.compared == (0, 1)
    assert curve.without_decay[2] == np.inf
    assert curve.left_out == 0


def test_a_decay_that_ruins_half_of_the_networks_keeps_its_losses():
    """Chance for most seeds is what this λ does, not an accident of a seed."""
    losses = np.tile(LOSSES[:1], (4, 1))
    losses[:2, 3] = 2.31
    untrained = losses == 2.31
    curve = curve_from_losses(DECAY, losses, untrained=untrained)
    assert curve.losses[:, 2].tolist() == [2.31, 2.31, 5.0, 5.0]
    assert curve.left_out == 0
    assert curve_from_losses(DECAY, losses, untrained=np.ones((4, 4), bool)) is None


def test_no_sound_decay_gives_no_curve():
    """Where every λ lost a seed, and where there is no seed, there is no curve."""
    nothing = np.full((2, 4), np.nan)
    assert curve_from_losses(DECAY, nothing) is None
    assert curve_from_losses(DECAY, np.empty((0, 4))) is None


def test_only_picks_seeds_by_name():
    """The rows of a part are those of its seeds, in their order."""
    curve = curve_from_losses(DECAY, LOSSES, seeds=(7, 3)).only((3,))
    assert curve.seeds == (3,)
    assert curve.losses.tolist() == [[3.5, 2.5, 5.5]]
    assert curve.without_decay.tolist() == [4.5]
    assert not curve.has_spread


def test_a_reading_dips_no_deeper_than_a_parabola_between_two_points():
    """Where the spline swings far below both λ, curvature · gap² / 8 is the most."""
    log_decay = np.array([0.0, 1.0, 3.0, 4.0, 5.0])
    logs = np.array([[10.0, 0.0, 0.0, 0.3, 10.0]])
    # At 3 the slope rises by 0.3 over 1.5: a curvature of 0.2, over a gap of 2.
    curve = Curve(
        seeds=(0,), log_decay=log_decay, losses=np.exp(logs), without_decay=None
    )
    read = [read_log_losses(curve, np.array([at]))[0] for at in np.linspace(1, 3, 50)]
    assert min(read) == pytest.approx(-0.2 * 2**2 / 8)
    assert max(read) == 0
