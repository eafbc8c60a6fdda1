"""Ask and Came: plain data that travels between processes."""

import pickle

import pytest

from dwindle.finding.training import Ask, Came, came_with


def test_what_is_asked_and_what_came_travel():
    """Both are the same after a trip between processes."""
    ask = Ask(weight_decay=0.1, seed=3, scale={"width": 64}, number=7)
    came = Came(status="error", seconds=1.5, error="it died", last_lines=("bye",))
    assert pickle.loads(pickle.dumps((ask, came))) == (ask, came)


@pytest.mark.parametrize(
    ("loss", "status"),
    [(0.5, "ok"), (-2.0, "ok"), (float("nan"), "diverged"), (float("inf"), "diverged")],
)
def test_only_a_finite_loss_is_one(loss, status):
    """NaN and infinity are a divergence and no loss."""
    came = came_with(loss, seconds=1.0)
    assert came.status == status
    assert came.loss == (loss if status == "ok" else None)
