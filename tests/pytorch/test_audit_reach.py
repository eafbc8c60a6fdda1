"""Decay that does not arrive: lost numbers, keys that are not read, resting groups."""

import copy
import math

import pytest
import torch
from pytorch.planted_optimizers import EachWeight
from pytorch.planted_programs import (
    RUN,
    Program,
    adamw,
    backward,
    codes,
    grouped,
    mlp,
    of,
)
from tolerance import digits
from torch import nn

from dwindle.decay.run import Run
from dwindle.errors import RangeError, RefusedError
from dwindle.pytorch.audit import audit
from dwindle.pytorch.groups import decay_groups
from dwindle.pytorch.penalty import L2Penalty


def _net_with(*groups, weight_decay=0.0):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    chosen = [
        {"params": [getattr(model[at], name) for at, name in places], **options}
        for places, options in groups
    ]
    return Program(
        model, torch.optim.SGD(chosen, lr=0.1, weight_decay=weight_decay), run=RUN
    )


WEIGHTS = [(0, "weight"), (1, "weight")]
BIASES = [(0, "bias"), (1, "bias")]


def test_the_part_of_the_weights_that_does_not_decay_is_a_note():
    """A group without a weight_decay beside one that has: with what, and how much."""
    decays, rests = ({"weight_decay": 1e-3}, {})
    program = _net_with(
        (WEIGHTS[:1], decays), (WEIGHTS[1:], rests), (BIASES, {"weight_decay": 0.0})
    )
    found = of(audit(program.model, program.optimizer, run=RUN), "DW040")
    assert (found.severity, found.where) == ("note", "1.weight")
    assert found.values["share"] == 0.5
    assert (found.values["groups"], found.values["settings"]) == ((1,), ((0, 0.1),))
    assert found.values["their_settings"] == ((1e-3, 0.1),)


def test_a_zero_that_was_chosen_is_a_note():
    """0 in every group, against the class or what the optimizer was built with."""
    model = mlp()
    adamw_at_0 = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    found = of(audit(model, adamw_at_0), "DW021")
    assert (found.severity, found.values["default"]) == ("note", 0.01)
    lost = _net_with((WEIGHTS + BIASES, {"weight_decay": 0.0}), weight_decay=1e-3)
    found = of(audit(lost.model, lost.optimizer, run=RUN), "DW021")
    assert found.severity == "note"
    assert found.values["built"] == 1e-3


def test_the_number_that_was_meant_is_looked_for():
    """Every weight that has another number is found; biases without are not.

    decay_groups divides it by the layer's size, and so must the groups.
    """
    program = _net_with(
        (WEIGHTS, {"weight_decay": 1e-3}), (BIASES, {"weight_decay": 0.0})
    )
    for meant, expected in ((1e-3, []), (0.0, [2]), (5e-4, [2])):
        there = audit(program.model, program.optimizer, weight_decay=meant)
        found = there.selected(["DW040"]).findings
        assert [each.values["tensors"][0] for each in found] == expected
        assert all(each.severity == "warning" for each in found)
        assert all(each.values["meant"] == meant for each in found)
    # Where it is nowhere, DW021 does not advise a half-life.
    model = mlp()
    none = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    found = audit(model, none, weight_decay=0.05).findings
    assert [each.code for each in found] == ["DW040"]
    assert audit(model, none, weight_decay=0.0).findings == ()
    groups = decay_groups(model, weight_decay=0.3, normalization="layer-mean")
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    assert "DW040" not in codes(audit(model, optimizer, weight_decay=0.3), "warning")
    assert "DW040" in codes(audit(model, optimizer, weight_decay=0.1), "warning")


def test_a_group_at_lr_0_beside_others_rests():
    """Nothing in it decays, its row shows that, and no line divides by its lr."""
    net = nn.ModuleDict({"backbone": nn.Linear(8, 8), "head": nn.Linear(8, 2)})
    groups = [
        {"params": list(net["backbone"].parameters()), "lr": 0.0},
        {"params": [net["head"].weight]},
        {"params": [net["head"].bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    found = audit(net, optimizer, run=RUN)
    assert codes(found, "error", "warning") == set()
    row = found.table[0]
    assert (row.lr, row.weight_decay, row.family) == (0.0, 0.1, "none")
    assert row.half_life["steps"] is None
    assert not any("--lr" in text for text in found.unchecked)


def test_frozen_parameters_are_named_and_neither_judged_nor_counted():
    """A leaf that requires no gradient is not stepped: no DW008 on it."""
    model = nn.Linear(4, 2, bias=False).requires_grad_(requires_grad=False)
    optimizer = torch.optim.Adam([{"params": [model.weight], "weight_decay": 0.01}])
    found = audit(model, optimizer, run=RUN)
    assert found.findings == ()
    assert any("frozen" in text for text in found.unchecked)
    assert (found.table[0].parameters, found.table[0].numbers) == (0, 0)
    model = mlp()
    model[0].requires_grad_(requires_grad=False)
    found = audit(model, adamw(model), run=RUN)
    assert [row.numbers for row in found.table] == [64, 16 + 16 + 4]


def test_a_target_network_is_frozen_not_trained():
    """A module whose weights are copies of trained ones: a note, a line to freeze."""
    model = nn.ModuleDict({"online": mlp()})
    optimizer = adamw(model["online"])
    model["target"] = copy.deepcopy(model["online"])
    found = of(audit(model, optimizer), "DW004")
    assert found.severity == "note"
    assert found.line == "model.target.requires_grad_(requires_grad=False)"
    with torch.no_grad():
        model["target"][0].weight.add_(1)
    assert of(audit(model, optimizer), "DW004").severity == "error"


def test_weights_without_any_gradient_are_a_note():
    """A hook that returns zeros leaves one layer without: it decays all the same."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 2, bias=False))
    model[0].weight.register_hook(torch.zeros_like)
    backward(model, torch.randn(4, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-3)
    found = of(audit(model, optimizer), "DW015")
    assert (found.severity, found.where) == ("note", "0.weight")
    optimizer.zero_grad(set_to_none=False)
    assert "DW015" not in codes(audit(model, optimizer), "note", "warning")


def test_a_penalty_goes_through_an_adaptive_optimizer_like_a_decay():
    """DW008 for L2Penalty under what makes steps of one size; SGD keeps its number."""
    model, torchs = mlp(), torch.optim
    model.penalty = L2Penalty(model[0], 1e-3)
    for kind in (torchs.Adam, torchs.AdamW, torchs.RMSprop, torchs.SGD):
        optimizer = kind(model.parameters(), lr=1e-3, weight_decay=0.0)
        found = codes(audit(model, optimizer, run=RUN), "warning")
        assert ("DW008" in found) == (kind is not torchs.SGD), kind


# Put into a group by hand, or out of YAML: the constructor's number alone is checked.
NO_NUMBERS = {
    "weight_decay": (-0.1, "a", [0.1], object(), 1j, 10**400, torch.ones(2)),
    "lr": ("a", "0.1", [1e-3], {}, torch.ones(0)),
    "initial_lr": ("a",),
    "max_lr": ("a", [1.0]),
    "base_momentum": ("a",),
}


def test_what_is_no_number_in_a_group_is_refused_by_name():
    """A negative number would grow weights, and others stop a step later."""
    model = mlp()
    for name, values in NO_NUMBERS.items():
        for value in values:
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
            optimizer.param_groups[0][name] = value
            for each, called in ((optimizer, ""), ([optimizer], "s[0]")):
                with pytest.raises(RangeError) as raised:
                    audit(model, each)
                place = f'optimizer{called}.param_groups[0]["{name}"]'
                assert raised.value.name == place
                assert raised.value.value in (value, repr(value))
    # Options that a step fails on are refused as such.
    for name, value in {"betas": "a", "momentum": None, "dampening": "a"}.items():
        is_sgd = name != "betas"
        kind = torch.optim.SGD if is_sgd else torch.optim.AdamW
        optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.1)
        optimizer.param_groups[0] |= {"momentum": 0.9} if is_sgd else {}
        optimizer.param_groups[0][name] = value
        with pytest.raises(RefusedError, match=kind.__name__):
            audit(model, optimizer)


def test_a_weight_decay_of_none_is_no_number():
    """One group has None: the next step fails, and its line makes a number of it."""
    model = mlp()
    groups = grouped(model, 0.1)
    groups[1]["weight_decay"] = None
    found = of(audit(model, torch.optim.AdamW(groups, lr=1e-3), run=RUN), "DW020")
    assert (found.values["option"], found.values["value"]) == ("weight_decay", "None")
    assert found.line == 'optimizer.param_groups[1]["weight_decay"] = 0.0'


class _ReadsItsKeys(torch.optim.SGD):
    """Multiplies its lr by a factor that its groups have."""

    def step(self, closure=None):
        kept = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] *= group.get("lr_mult", 1.0)
        super().step(closure)
        for group, lr in zip(self.param_groups, kept, strict=True):
            group["lr"] = lr


class _Corrected(EachWeight):
    """Takes lr²·weight_decay over its peak lr off, as AdamC does."""

    def move(self, group, weight):
        share = group["lr"] ** 2 / 0.1 * group["weight_decay"]
        weight.mul_(1 - share).sub_(weight.grad, alpha=group["lr"])


def test_a_share_that_goes_with_the_square_of_the_lr_is_judged_so():
    """At its peak it is lr·weight_decay of a weight: another lr separates them."""
    model = mlp()
    row = audit(model, _Corrected(grouped(model, 0.01), lr=0.1), run=RUN).table[0]
    assert row.knob == "timm.adamc"
    assert row.half_life["steps"] == digits(-math.log(2) / math.log1p(-1e-3), rel=1e-6)


def test_a_key_that_the_optimizer_reads_is_none_of_nobodys():
    """What a step is seen to read, and a factor that was applied, are no findings."""
    model = mlp()
    groups = grouped(model, 0.1)
    groups[0] |= {"lr_mult": 0.1, "name": "matrices", "group_index": 3}
    own = _ReadsItsKeys(groups, lr=0.1)
    assert "DW028" not in codes(audit(model, own), "error")
    groups[0]["lr"] = 1e-3 * groups[0]["lr_mult"]
    applied = torch.optim.AdamW(groups, lr=1e-3)
    assert "DW028" not in codes(audit(model, applied), "error")


def test_biases_of_a_bare_recurrent_network_under_sgd_are_a_note():
    """Published recipes of the kind decay all; an LSTM needs no embedding for that."""
    lstm = nn.LSTM(8, 8)
    sgd = torch.optim.SGD(lstm.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    run = Run(batch_size=128, dataset_size=50_000, epochs=90)
    (found,) = audit(lstm, sgd, run=run).selected(["DW001"]).findings
    assert found.severity == "note"
    adamw = torch.optim.AdamW(lstm.parameters(), lr=1e-3, weight_decay=0.1)
    (found,) = audit(lstm, adamw, run=run).selected(["DW001"]).findings
    assert found.severity == "warning"


def test_a_doubled_parameter_is_not_found_again_as_a_decay_without_half_life():
    """DW005 is the finding; once each is listed once, sizes are checked."""
    net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    sgd = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=0.1)
    sgd.param_groups.append({**sgd.param_groups[0], "params": [net[0].weight]})
    found = {each.code for each in audit(net, sgd).findings}
    assert "DW005" in found
    assert "DW025" not in found
