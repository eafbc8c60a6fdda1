"""ASGD's lambd: a loop by hand, the way back, and its limits."""

import pytest
from hypothesis import given
from oracle import decay_by_hand
from strategies import log_uniform, runs
from tolerance import digits

from dwindle.decay.lambd import LAMBD
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError


@given(runs(), log_uniform(1e-6, 0.5))
def test_a_run_against_a_loop(run, shrink):
    """What 0, 1, … steps leave is what a loop over the falling steps leaves."""
    lambd = LAMBD.knob_for_shrink(shrink, run)
    lrs = [run.lr * m for m in run.multipliers()]
    expected = [float(x) for x in _by_hand(lrs, lambd)]
    # 1e-11: two hundred steps, each rounding some five times.
    assert LAMBD.survival_path(lambd, run) == digits(expected, rel=1e-11)
    assert LAMBD.survival(lambd, run) == digits(expected[-1], rel=1e-11)


def _by_hand(lrs, lambd):
    return decay_by_hand.asgd_path(lrs, 0.0, lambd=lambd, alpha=0.75)


@given(runs(), log_uniform(1e-6, 0.5))
def test_the_way_back(run, shrink):
    """Shrink and e-folds lead back to lambd."""
    lambd = LAMBD.knob_for_shrink(shrink, run)
    assert LAMBD.shrink_per_step(lambd, run) == digits(
        shrink, rel=1e-15
    )  # two roundings
    e_folds = LAMBD.e_folds(lambd, run)
    # 1e-10: the solver stops at 4e-16 of lambd, e-folds are sums of 200 logarithms.
    there = LAMBD.e_folds(LAMBD.knob_for_e_folds(e_folds, run), run)
    assert there == digits(e_folds, rel=1e-10)


def test_no_lambd_is_no_decay():
    """Zero decays nothing, both ways."""
    run = Run(lr=0.1, steps=10)
    assert LAMBD.survival(0.0, run) == 1
    assert LAMBD.knob_for_e_folds(0.0, run) == 0


def test_a_negative_lambd_and_a_missing_lr_are_refused():
    """The range of lambd holds here too, and the lr is asked for."""
    with pytest.raises(RangeError, match="at least 0"):
        LAMBD.survival(-1.0, Run(lr=0.1, steps=10))
    with pytest.raises(MissingFactError, match=r"shrink of ASGD needs lr"):
        LAMBD.shrink_per_step(1.0, Run())
