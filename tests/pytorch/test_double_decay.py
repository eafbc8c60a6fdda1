"""A penalty in the loss beside a decay in the optimizer: found, and warned of once."""

import gc
import warnings

import pytest
import torch
from torch import nn

from dwindle.errors import DoubleDecayWarning
from dwindle.pytorch import DecayController, L2Penalty, decay_groups
from dwindle.pytorch.audit import audit
from dwindle.pytorch.penalized.double_decay import names_of_decayed, penalties_of


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def step(model, optimizer):
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()


def test_an_optimizer_that_is_given_is_checked_at_once():
    """AdamW decays by default: the warning has the number of weights and the remedy."""
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.warns(DoubleDecayWarning, match=r"Got 2 .*0\.weight.*=0") as seen:
        penalty = L2Penalty(model, 1e-4, optimizer=optimizer)
    with pytest.warns(DoubleDecayWarning) as again:
        assert penalty.warn_if_decayed(optimizer) == ("0.weight", "1.weight")
    assert {each.filename for each in (*seen, *again)} == {__file__}  # the user's line
    assert names_of_decayed(penalty, optimizer) == ("0.weight", "1.weight")


def test_an_optimizer_that_is_not_given_is_checked_at_its_first_step():
    """Later steps, and those of another model, do not warn; all are taken."""
    model, other = net(), net()
    penalty = L2Penalty(model, 1e-4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    before = model[0].weight.detach().clone()
    penalty()
    step(other, torch.optim.AdamW(other.parameters()))
    with pytest.warns(DoubleDecayWarning) as seen:
        step(model, optimizer)
    assert seen[0].filename == __file__  # the line that takes the step
    step(model, optimizer)  # warnings are errors here
    # Two steps of lr 0.1 with weight_decay 0.5; float32 rounds each.
    assert torch.allclose(model[0].weight, 0.95**2 * before, rtol=1e-6, atol=0)


CLEAN = {
    "no decay": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
    "decay of other parameters": lambda model: torch.optim.AdamW(
        [
            {"params": [layer.weight for layer in model], "weight_decay": 0.0},
            {"params": [layer.bias for layer in model], "weight_decay": 0.1},
        ]
    ),
    "another model": lambda _: torch.optim.AdamW(net().parameters()),
}


def test_no_warning_where_weights_decay_once():
    """Warnings are errors in these tests: none is given for either."""
    for name, build in CLEAN.items():
        model = net()
        optimizer = build(model)
        penalty = L2Penalty(model, 1e-4, optimizer=optimizer)
        again = L2Penalty(model, 1e-4)
        again()
        step(model, optimizer)
        for each in (penalty, again):
            assert names_of_decayed(each, optimizer) == (), name
    # Nor is a penalty that was built and not called, or one of 0, a second decay.
    model = net()
    unused, off = L2Penalty(model, 1e-4), L2Penalty(model, 0)
    off()
    step(model, torch.optim.AdamW(model.parameters()))
    assert (unused.is_on, off.is_on) == (False, False)


def test_a_controller_decays_too():
    """Held by multiplication the knob is 0, and yet the weights decay twice."""
    model = net()
    optimizer = torch.optim.SGD(decay_groups(model), lr=0.1, momentum=0.9)
    controller = DecayController(optimizer, half_life="100 steps", schedule="constant")
    assert "multiply" in controller.mechanisms
    with pytest.warns(DoubleDecayWarning):
        L2Penalty(model, 1e-4, optimizer=optimizer)


def test_penalties_are_found_by_their_weights_while_they_live():
    """penalties_of finds those on some of the parameters; a dropped one is gone."""
    model, other = net(), net()
    penalty = L2Penalty(model, 1e-4)
    assert penalties_of(model.parameters()) == (penalty,)
    assert penalties_of([model[0].bias]) == penalties_of(other.parameters()) == ()
    del penalty
    gc.collect()
    assert penalties_of(model.parameters()) == ()


# Importing torch's own compiler warns about torch's own use of torch.jit.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
def test_a_compiled_step_is_not_disturbed():
    """torch.compile of a step traces past the hook that checks for penalties."""
    model = net()
    penalty = L2Penalty(model, 1e-4)
    penalty()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1))
    compiled = torch.compile(optimizer.step, backend="eager")
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = model[0].bias.detach().clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error", DoubleDecayWarning)
        compiled()
    assert torch.allclose(
        model[0].bias, before - 0.1
    )  # one step of lr 0.1 down a slope of 1
    assert penalty.parameters


def test_a_penalty_that_cannot_list_its_weights_stops_no_other():
    """A lazy layer put in later: other models step and are audited as before."""
    model = nn.Sequential(nn.Linear(4, 4))
    penalty = L2Penalty(model, 0.1)
    penalty()
    model.append(nn.LazyLinear(2))
    other = nn.Linear(3, 3)
    sgd = torch.optim.SGD(other.parameters(), lr=0.1, weight_decay=0.1)
    other(torch.ones(1, 3)).sum().backward()
    sgd.step()
    assert "DW007" not in {found.code for found in audit(other, sgd).findings}
    # Once the layer has its shape, the double decay of its own model is seen.
    own = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    own.step()
    model(torch.ones(1, 4)).sum().backward()
    penalty().backward()
    with pytest.warns(DoubleDecayWarning):
        own.step()
