"""Curves from raw losses: what may be a candidate, and what may not."""

import numpy as np

from dwindle.stats.curve import curve_from_losses

DECAY = np.array([0.0, 0.01, 0.1, 1.0])
LOSSES = np.array([[4.0, 3.0, 2.0, 5.0], [4.5, 3.5, 2.5, 5.5]])


def test_the_curve_keeps_positive_decays_apart_from_none():
    """λ = 0 is the reference, never a point of the curve over ln λ."""
    curve = curve_from_losses(DECAY, LOSSES)
    assert np.exp(curve.log_decay).tolist() == np.exp(np.log(DECAY[1:])).tolist()
    assert curve.losses.tolist() == LOSSES[:, 1:].tolist()
    assert curve.without_decay.tolist() == [4.0, 4.5]


def test_a_decay_where_one_seed_diverged_is_no_candidate():
    """The survivors' mean is a mean of lucky seeds, so that λ is left out and named."""
    losses = LOSSES.copy()
    losses[0, 2] = np.nan
    curve = curve_from_losses(DECAY, losses)
    assert curve.dropped == (0.1,)
    assert curve.losses.shape == (2, 2)


def test_an_infinite_loss_is_no_loss():
    """Infinity counts like NaN."""
    losses = LOSSES.copy()
    losses[1, 3] = np.inf
    assert curve_from_losses(DECAY, losses).dropped == (1.0,)


def test_without_a_reference_for_every_seed_there_is_none():
    """A seed that diverged at λ = 0 leaves nothing to compare with."""
    losses = LOSSES.copy()
    losses[0, 0] = np.nan
    curve = curve_from_losses(DECAY, losses)
    assert curve.without_decay is None
    assert curve.losses.shape == (2, 3)


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
