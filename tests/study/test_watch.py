"""The step at which a model diverged is found, whenever one looks."""

import math

import pytest
import torch

from dwindle.study.watch import Watch

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "step", "last"),
    [
        ([3.0, 2.0, 1.0, 0.5, 0.2], None, 0.2),
        ([3.0, NAN, NAN, NAN, NAN], 2, 3.0),
        ([3.0, 2.0, 1.0, INF, NAN], 4, 1.0),
        ([3.0, 2.0, 9.0, 8.0, NAN], 5, 8.0),
        ([NAN, NAN, NAN, NAN, NAN], 1, None),
    ],
)
def test_first_bad_step_and_last_good_loss(losses, step, last):
    """Looking after two epochs of three and two steps finds the exact step."""
    sizes = torch.tensor([4.0, 4.0, 2.0])
    watch = Watch(models=2, sizes=sizes.tolist())
    # A calm neighbor beside; sums are log-likelihoods of the whole batch.
    both = torch.tensor([[-loss, -1.0] for loss in losses], dtype=torch.float64)
    watch.look(0, both[:3] * sizes[:, None])
    watch.look(3, both[3:] * sizes[:2, None])
    assert watch.diverged_at == [step, None]
    assert watch.last_finite == [last, 1.0]
    assert not watch.all_gone()


def test_all_gone_once_every_model_diverged():
    """When no model is left there is nothing to train."""
    watch = Watch(models=2, sizes=[1])
    watch.look(0, torch.tensor([[NAN, NAN]]))
    assert watch.all_gone()
