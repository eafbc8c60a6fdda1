"""Toys: copies of an optimizer that do what it does and leave it alone."""

import pytest
import torch
from tolerance import digits
from torch import nn

from dwindle.errors import RefusedError
from dwindle.pytorch.toy import Toy, random_kept, unwrapped


def parameters():
    return [nn.Parameter(torch.randn(3, 5)), nn.Parameter(torch.randn(5))]


EVERY = {
    "Adadelta": {},
    "Adafactor": {},
    "Adagrad": {},
    "Adam": {},
    "AdamW": {},
    "Adamax": {},
    "ASGD": {},
    "LBFGS": {},
    "Muon": {},
    "NAdam": {},
    "RAdam": {},
    "RMSprop": {},
    "Rprop": {},
    "SGD": {"momentum": 0.9},
    "SparseAdam": {},
}


def built(name, **options):
    mine = parameters()
    if name == "Muon":  # takes matrices only
        mine = mine[:1]
    return getattr(torch.optim, name)(mine, **{**EVERY[name], **options})


def test_every_torch_optimizer_is_tried_here():
    """The list of this file is that of torch.optim."""
    public = {name for name in dir(torch.optim) if name[0].isupper()}
    assert set(EVERY) == public - {"Optimizer"}


@pytest.mark.parametrize("name", EVERY)
def test_a_toy_of_every_torch_optimizer_steps(name):
    """A copy can be made and stepped with a gradient, without one, and with None."""
    toy = Toy.of(built(name))
    for gradient in (0.5, 0.0, None):
        toy.step(gradient=gradient)
    assert all(w.isfinite().all() for group in toy.weights for w in group)


def test_a_toy_has_one_weight_for_each_kind_of_parameter():
    """Groups stay apart; in each there is one weight per number of dimensions."""
    groups = [{"params": parameters() + parameters()}, {"params": parameters()[:1]}]
    toy = Toy.of(torch.optim.AdamW(groups))
    assert [[w.ndim for w in group] for group in toy.weights] == [[2, 1], [2]]


def test_a_toy_decays_as_its_optimizer_is_configured():
    """AdamW takes lr·weight_decay of a weight that nothing pulls at."""
    toy = Toy.of(torch.optim.AdamW(parameters(), lr=0.1, weight_decay=0.5))
    before = toy.weights[0][0].detach().clone()
    toy.step()
    left = (toy.weights[0][0].detach() / before).flatten().tolist()
    assert left == digits([0.95] * 4, rel=1e-6)  # float32


def test_without_a_gradient_nothing_happens():
    """None is no gradient: torch leaves such a weight alone."""
    toy = Toy.of(torch.optim.AdamW(parameters(), lr=0.1))
    before = toy.weights[0][0].detach().clone()
    toy.step(gradient=None)
    assert toy.weights[0][0].equal(before)


def test_the_random_generator_goes_on_where_it_was():
    """Numbers drawn inside are drawn again outside."""
    torch.manual_seed(3)
    first = torch.rand(2)
    torch.manual_seed(3)
    with random_kept():
        torch.rand(7)
    assert torch.rand(2).equal(first)


def test_what_is_no_optimizer_is_refused():
    """A module has no decay of its own."""
    with pytest.raises(RefusedError, match="Linear has no honest answer"):
        unwrapped(nn.Linear(1, 1))
