"""Audits of programs with a scheduler, a controller, or given facts."""

import pytest
import torch
from pytorch.planted_programs import RUN, TinyGpt, adamw, grouped, mlp, of
from tolerance import digits
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LambdaLR,
    OneCycleLR,
)

from dwindle.audit.setting_findings import judge
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.pytorch.audit import audit
from dwindle.pytorch.checks.group import scheduler_name
from dwindle.pytorch.controller import DecayController

ONE_CYCLE = Run(batch_size=32, dataset_size=3200, epochs=10)


def _half_life(momentum):
    run = Run(lr=0.1, momentum=momentum)
    return judge("torch.optim.SGD", 5e-4, run).explanation.half_life["steps"]


def test_a_momentum_that_is_cycled_is_that_of_the_peak():
    """OneCycleLR pairs its peak with momentum 0.85, wherever the run is now.

    CyclicLR is at 0.8 where the lr is highest; of betas the first is cycled.
    """
    model = mlp()
    optimizer = torch.optim.SGD(grouped(model, 5e-4), lr=0.1, momentum=0.9)
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=1000)
    optimizer.step()
    for step in range(701):
        for given in (scheduler, None) if step in {0, 300, 700} else ():
            line = audit(model, optimizer, scheduler=given, run=ONE_CYCLE).table[0]
            assert line.half_life["steps"] == digits(_half_life(0.85), rel=1e-12)
            assert line.half_life["epochs"] == pytest.approx(20.75, abs=0.01)
        scheduler.step()
    optimizer = torch.optim.SGD(grouped(model, 5e-4), lr=0.1, momentum=0.9)
    scheduler = CyclicLR(optimizer, base_lr=0.01, max_lr=0.1)
    line = audit(model, optimizer, scheduler=scheduler).table[0]
    assert line.half_life["steps"] == digits(_half_life(0.8), rel=1e-12)
    optimizer = adamw(model)
    scheduler = OneCycleLR(optimizer, max_lr=1e-3, total_steps=1000)
    line = audit(model, optimizer, scheduler=scheduler).table[0]
    assert line.run.betas == (0.85, 0.999)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_three_epochs_that_are_held_are_in_the_table(kind):
    """The half-life is the controller's, and no number of the knob is shown."""
    model = mlp()
    optimizer = kind(grouped(model, 0.1), lr=1e-3)
    facts = {"batch_size": 100, "dataset_size": 50_000}
    held = DecayController(optimizer, half_life="3 epochs", **facts)
    line = audit(model, optimizer, run=RUN).table[0]
    assert (line.is_held, line.family, line.weight_decay) == (True, "decoupled", None)
    # The half-life comes back out of the shrink of a step, 2e-4 of 1.
    assert line.half_life["epochs"] == digits(3, rel=1e-9)
    held.remove()


def test_a_penalty_that_is_held_is_not_judged_as_a_half_life():
    """What a controller holds is a number of SGD; no half-life is claimed for it."""
    model = mlp()
    optimizer = torch.optim.SGD(grouped(model, 1e-4), lr=0.1, momentum=0.9)
    held = DecayController(optimizer, penalty=5e-4)
    found = audit(model, optimizer, run=RUN)
    assert [each.code for each in found.findings] == []
    assert any("DecayController" in text for text in found.unchecked)
    held.remove()


def test_facts_that_the_program_has_too_are_named():
    """Beside those of the program an lr is not used, a schedule is; both are named."""
    model, run = mlp(), Run(lr=0.5, steps=8000, schedule=Schedule(shape="linear"))
    optimizer = adamw(model)
    scheduler = CosineAnnealingLR(optimizer, 8000)
    with_both = set(audit(model, optimizer, scheduler=scheduler, run=run).unchecked)
    same = Run(lr=1e-3, steps=8000, schedule=Schedule(shape="linear"))
    more = sorted(with_both - set(audit(model, optimizer, run=same).unchecked))
    assert ["lr" in text for text in more] == [True, False]
    assert [scheduler_name(scheduler) in text for text in more] == [False, True]


def _adam(run=None):
    model = mlp()
    adam = torch.optim.Adam(grouped(model, 0.01), lr=1e-3)
    return of(audit(model, adam, run=run), "DW008")


def test_the_number_instead_of_a_coupled_one_is_explained():
    """AdamW's default without facts; with the length of the run a half-life."""
    bare, known = _adam(), _adam(Run(steps=1000))
    assert (bare.case, bare.values["start"]) == ("start", 0.01)
    assert "weight_decay=0.01)" in bare.line
    assert (known.case, known.values["steps"]) == ("half-life", 1000)
    assert "decoupled_weight_decay=True, weight_decay=3.46" in known.line


def test_a_padding_row_decays_under_a_coupled_adam_too():
    """Its gradient is zero, and the coupled decay takes its numbers all the same."""
    model = TinyGpt()
    model.wte = nn.Embedding(20, 16, padding_idx=0)
    nn.init.normal_(model.wte.weight)
    groups = grouped(model, 0.01, also=["wte.weight"])
    idle = of(audit(model, torch.optim.Adam(groups, lr=1e-3)), "DW015")
    ((name, row, norm),) = idle.values["padding"]
    assert (name, row) == ("wte.weight", 0)
    assert norm == pytest.approx(float(model.wte.weight[0].detach().norm()))


def test_an_lr_that_is_0_all_along_decays_nothing_at_any_peak():
    """Neither runs nor epochs are values; groups that decay keep a separate finding.

    At its peak lr the first would halve within an epoch, and the third keeps its lr:
    its half-life is ln 2 / 2.5e-5 of 3,600 steps.
    """
    model = mlp()
    weights = [each for each in model.parameters() if each.ndim > 1]
    biases = [each for each in model.parameters() if each.ndim == 1]
    groups = [
        {"params": weights[:1], "lr": 0.5},
        {"params": biases, "weight_decay": 0.0},
        {"params": weights[1:], "lr": 2.5e-4},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    run = Run(batch_size=128, dataset_size=5000, epochs=90)
    still, usual = (lambda _: 0.0), (lambda _: 1.0)
    scheduler = LambdaLR(optimizer, [still, still, usual])
    found = audit(model, optimizer, scheduler=scheduler, run=run, every="step").findings
    sizes = {each.values["groups"]: each for each in found if each.code == "DW010"}
    assert [each.code for each in found if each.code in {"DW009", "DW011"}] == []
    assert sizes[0,].values["lr_all_along"] == 0
    assert "runs" not in sizes[0,].values
    assert (sizes[0,].case, sizes[0,].line) == ("still", "")
    assert sizes[2,].values["runs"] == pytest.approx(7.70, abs=0.01)
    assert "least" not in sizes[2,].values
