"""The step at which a model diverged is found, whenever one looks."""

import math

import pytest
import torch

from dwindle.study.layout import Layout
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
    layout = Layout(((1, 1),), models=2, dtype=torch.float64)
    sizes = [4, 4, 2]
    watch = Watch(layout, [slice(0, 2)], sizes)
    for first, part in ((0, losses[:3]), (3, losses[3:])):
        for i, loss in enumerate(part):
            # A calm neighbor beside; sums are log-likelihoods of the whole batch.
            sums = torch.tensor([-loss, -1.0], dtype=torch.float64) * sizes[i]
            watch.rows[i][0].copy_(sums)
        watch.look(first, len(part))
    assert watch.diverged_at == [step, None]
    assert watch.last_finite == [last, 1.0]
    assert not watch.all_gone()


def test_all_gone_once_every_model_diverged():
    """When no model is left there is nothing to train."""
    watch = Watch(Layout(((1, 1),), models=2), [slice(0, 2)], [1])
    watch.rows[0][0].fill_(NAN)
    watch.look(0, 1)
    assert watch.all_gone()
