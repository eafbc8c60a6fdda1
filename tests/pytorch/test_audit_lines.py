"""The line of a finding is Python, and once it has run the finding is gone."""

import warnings
from itertools import product
from types import SimpleNamespace

import pytest
import torch
from pytorch.planted_programs import RUN, adamw, grouped, mlp, of
from torch import nn
from torch.optim import lr_scheduler

from dwindle.decay.run import Run
from dwindle.pytorch.audit import audit
from dwindle.pytorch.checks.remedies import set_knob
from dwindle.pytorch.controller import DecayController


def after(line, model, **names):
    """Run a line as its reader would, in a script with these names; return them."""
    names |= {"torch": torch, "model": model}
    exec(line, names)  # noqa: S102  the lines of our own findings
    return names


def test_a_line_writes_what_was_typed():
    """Options that differ from the class's own are written, the others are not."""
    model = mlp()
    groups = grouped(model, 0.1, also=["0.bias"])
    optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), fused=True)
    line = audit(model, optimizer).findings[0].line
    made = "torch.optim.AdamW(decay_groups(model, weight_decay=0.1)"
    assert line.splitlines()[1:] == [
        f"optimizer = {made}, lr=0.0006, betas=(0.9, 0.95), fused=True)"
    ]
    # A scheduler that has begun does not creep into it.
    optimizer = adamw(model, also=["0.bias"])
    lr_scheduler.LinearLR(optimizer, start_factor=0.01)
    assert "lr=0.001)" in audit(model, optimizer).findings[0].line


def test_a_line_keeps_learning_rates_of_layers():
    """Groups with an lr each are split, not thrown away."""
    model = mlp()
    groups = [
        {"params": model[0].parameters(), "lr": 1e-4},
        {"params": [*model[2].parameters(), *model[3].parameters()]},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    found = audit(model, optimizer).findings
    line = next(each for each in found if each.code == "DW001").line
    assert "groups=optimizer.param_groups" in line
    mended = after(line, model, optimizer=optimizer)["optimizer"]
    decays = {group["lr"]: group["weight_decay"] for group in mended.param_groups[::-1]}
    assert set(decays) == {1e-4, 1e-3}
    assert max(decays.values()) == 0.1


def test_numbers_advised_are_the_numbers_of_the_run():
    """Where one epoch was too short, the line gives a half-life of more than one."""
    model = mlp()
    run = Run(batch_size=100, dataset_size=100_000, epochs=10)
    optimizer = adamw(model, weight_decay=1.0)
    line = audit(model, optimizer, run=run).findings[0].line
    mended = after(line, model, optimizer=optimizer)["optimizer"]
    assert 1 <= audit(model, mended, run=run).table[0].half_life["epochs"] < 3


def test_places_in_a_row_are_a_range():
    """Of more than three; others are listed, one stands alone."""
    for at, written in {
        (2,): 'optimizer.param_groups[2]["weight_decay"] = 0.1',
        (0, 1, 2): "for at in (0, 1, 2):",
        (3, 1, 2, 0): "for at in range(4):",
        (5, 2, 3, 4): "for at in range(2, 6):",
        (0, 2, 4, 6): "for at in (0, 2, 4, 6):",
    }.items():
        groups = [SimpleNamespace(called="optimizer", at=each) for each in at]
        line = set_knob((group, 0.1) for group in groups)
        assert line.text.splitlines()[0] == written
        assert {place for _, place, _ in line.sets} == set(at)


def test_a_group_that_is_held_is_not_advised_to_decay():
    """A controller has set the knob to 0 and decays itself: that is no fault."""
    model = mlp()
    optimizer = torch.optim.RMSprop(grouped(model, 1e-4), lr=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        controller = DecayController(optimizer, half_life="1000 steps")
    found = audit(model, optimizer, run=RUN)
    assert found.findings == ()
    assert any("DecayController" in text for text in found.unchecked)
    controller.remove()
    assert [each.code for each in audit(model, optimizer).findings] == ["DW008"]


@pytest.mark.parametrize("schedule", ["follow-lr", "constant", "lr-squared"])
def test_a_half_life_that_is_held_is_judged(schedule):
    """A controller that holds too much or too little is a finding like a knob."""
    model = mlp()
    optimizer = torch.optim.SGD(grouped(model, 1e-4), lr=1e-3, momentum=0.9)
    codes = {"100000 steps": ["DW010"], "1 steps": ["DW011"], "1000 steps": []}
    for half_life, expected in codes.items():
        controller = DecayController(optimizer, half_life=half_life, schedule=schedule)
        there = audit(model, optimizer, run=RUN)
        failing = [each for each in there.findings if each.severity != "note"]
        assert [each.code for each in failing] == expected
        assert all("DecayController(optimizer, half_life=" in f.line for f in failing)
        (held, *_) = there.table
        steps = controller.half_life_steps
        assert (held.is_held, held.half_life["steps"]) == (True, pytest.approx(steps))
        controller.remove()


def noam(step):
    return 64**-0.5 * min((step + 1) ** -0.5, (step + 1) / 200**1.5)


def chain(optimizer):
    parts = [
        lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=10),
        lr_scheduler.ExponentialLR(optimizer, gamma=0.999),
    ]
    return lr_scheduler.ChainedScheduler(parts)


SCHEDULERS = (
    lambda optimizer: lr_scheduler.LambdaLR(optimizer, noam),
    lambda optimizer: lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=5000),
    chain,
)


def test_the_lr_that_was_typed_is_written_not_the_peak_of_its_scheduler():
    """A scheduler multiplies the lr of the line again: it must be its base."""
    wrong = {}
    for scheduled, kind in product(SCHEDULERS, (float, torch.tensor)):
        model = mlp()
        lr = kind(1.0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)
        line = of(audit(model, optimizer, scheduler=scheduled(optimizer)), "DW001").line
        if after(line, model)["optimizer"].param_groups[0]["lr"] != 1.0:
            wrong[scheduled, kind] = line
    assert wrong == {}


def test_a_number_that_is_a_finding_itself_is_copied_to_nothing():
    """The only decay swings (DW012): weights beside it are offered none."""
    net = nn.Sequential(nn.Linear(8, 32, bias=False), nn.Linear(32, 8, bias=False))
    groups = [
        {"params": net[0].parameters(), "weight_decay": 5.0},
        {"params": net[1].parameters(), "weight_decay": 0.0},
    ]
    sgd = torch.optim.SGD(groups, lr=0.1, momentum=0.99)
    there = audit(net, sgd, run=RUN)
    assert "DW012" in {found.code for found in there.findings}
    (lost,) = there.selected(["DW040"]).findings
    assert (lost.line, lost.advice) == ("", "faulty")
    sgd.param_groups[0]["weight_decay"] = 1e-4
    (lost,) = audit(net, sgd, run=RUN).selected(["DW040"]).findings
    assert lost.line == 'optimizer.param_groups[1]["weight_decay"] = 0.0001'


def test_where_nothing_decays_biases_are_spared_by_the_line():
    """Rprop has no weight_decay: a controller over decay_groups leaves biases alone.

    LBFGS takes one group alone: no line could spare its biases.
    """
    model = mlp()
    line = of(audit(model, torch.optim.Rprop(model.parameters())), "DW021").line
    assert "left alone" in repr(after(line, model)["controller"])
    imports = [each.split()[-1] for each in line.splitlines() if "import" in each]
    assert imports == ["decay_groups", "DecayController"]
    (found,) = audit(model, torch.optim.LBFGS(model.parameters())).findings
    assert (found.code, found.line, found.case) == ("DW021", "", "one-group")


class Lookahead(torch.optim.Optimizer):
    """Slow weights in lists beside the groups, as its common implementations keep."""

    def __init__(self, base):
        super().__init__(base.param_groups, base.defaults)
        self.base, self.count = base, 0
        self.base.param_groups = self.param_groups
        self.slow = [
            [p.detach().clone() for p in g["params"]] for g in self.param_groups
        ]

    def step(self, closure=None):
        self.base.step(closure)
        self.count += 1
        for group, slow in zip(self.param_groups, self.slow, strict=True):
            for parameter, kept in zip(group["params"], slow, strict=True):
                if self.count % 5 == 0:
                    kept.lerp_(parameter.detach(), 0.5)
                    parameter.data.copy_(kept)


def test_a_wrapper_with_lists_of_its_own_is_to_be_built_again():
    """Groups that are split behind it would no longer fit its lists."""
    model = mlp()
    base = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    there = audit(model, Lookahead(base)).selected(["DW001", "DW002"])
    assert {found.code for found in there.findings} == {"DW001", "DW002"}
    for found in there.findings:
        assert not found.line
        assert found.advice == "unwrap"
