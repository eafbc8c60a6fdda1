"""The line that a finding says is Python, and once it has run the finding is gone."""

import warnings

import pytest
import torch
from pytorch.planted_faults import FAULTS
from pytorch.planted_programs import RUN, Program, adamw, grouped, mlp
from torch import nn

from dwindle.audit.codes import CODES
from dwindle.decay.run import Run
from dwindle.pytorch.audit import audit
from dwindle.pytorch.controller import DecayController


def found_in(program):
    return audit(
        program.model,
        program.optimizer,
        scheduler=program.scheduler,
        run=program.run,
    ).findings


def one_finding(fault, program):
    found = found_in(program)
    return next(each for each in found if each.code == fault.code)


def after(line, program):
    """Run a line as its reader would, in a script with these names."""
    called = "optimizers" if isinstance(program.optimizer, list) else "optimizer"
    names = {
        "torch": torch,
        "model": program.model,
        called: program.optimizer,
    }
    for group in program.optimizer.param_groups if program.scheduler else ():
        del group["initial_lr"]  # schedulers of torch are built after the line
    exec(line, names)  # noqa: S102  the lines of our own findings
    return Program(names["model"], names[called], run=program.run)


# What they say to do is no line that a test could run here.
WITHOUT_A_LINE = {"DW024", "DW026", "DW029"}
MENDED = [
    fault
    for fault in FAULTS
    if CODES[fault.code].severity != "note" and fault.code not in WITHOUT_A_LINE
]


@pytest.mark.parametrize("fault", MENDED, ids=str)
def test_the_line_mends_the_fault(fault):
    """After the line the audit does not find that code again, nor a worse one."""
    program = fault.build()
    line = one_finding(fault, program).line
    assert line
    mended = found_in(after(line, program))
    assert not [each for each in mended if each.severity != "note"]


def test_a_line_writes_what_was_typed():
    """Options that differ from the class's own are written, the others are not."""
    model = mlp()
    groups = grouped(model, 0.1, also=["0.bias"])
    optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), fused=True)
    line = audit(model, optimizer).findings[0].line
    assert line == (
        "from dwindle.pytorch import decay_groups\n"
        "optimizer = torch.optim.AdamW(decay_groups(model, weight_decay=0.1), "
        "lr=0.0006, betas=(0.9, 0.95), fused=True)"
    )


def test_a_line_keeps_learning_rates_of_layers():
    """Groups with lrs of their own are split, not thrown away."""
    model = mlp()
    groups = [
        {"params": model[0].parameters(), "lr": 1e-4},
        {"params": [*model[2].parameters(), *model[3].parameters()]},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    found = audit(model, optimizer).findings
    line = next(each for each in found if each.code == "DW001").line
    assert "groups=optimizer.param_groups" in line
    mended = after(line, Program(model, optimizer)).optimizer
    told = {group["lr"]: group["weight_decay"] for group in mended.param_groups[::-1]}
    assert set(told) == {1e-4, 1e-3}
    assert max(told.values()) == 0.1


def test_the_peak_is_written_not_the_lr_of_a_warmup():
    """A scheduler that has begun does not creep into the line."""
    model = mlp()
    optimizer = adamw(model, also=["0.bias"])
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01)
    assert "lr=0.001)" in audit(model, optimizer).findings[0].line


def test_numbers_advised_are_the_numbers_of_the_run():
    """Where one epoch was too short, the line gives a half-life of more than one."""
    model = mlp()
    run = Run(batch_size=100, dataset_size=100_000, epochs=10)
    program = Program(model, adamw(model, weight_decay=1.0), run=run)
    line = found_in(program)[0].line
    mended = audit(model, after(line, program).optimizer, run=run)
    assert 1 <= mended.table[0].half_life["epochs"] < 3


def test_many_names_are_told_in_short():
    """Three names and a count: an audit of a deep network fits on a screen."""
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(30)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    found = audit(model, optimizer, run=RUN).findings
    assert [each.code for each in found] == ["DW001"]
    assert found[0].where == "0.bias, 1.bias, 2.bias and 27 more"
    assert "30 tensors (120 numbers) in group 0" in found[0].evidence


def test_a_group_that_is_held_is_not_told_to_decay():
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
    """A controller that asks for too much or too little is told like a knob."""
    model = mlp()
    optimizer = torch.optim.SGD(grouped(model, 1e-4), lr=1e-3, momentum=0.9)
    asked = {"100000 steps": ["DW010"], "1 steps": ["DW011"], "1000 steps": []}
    for half_life, expected in asked.items():
        controller = DecayController(optimizer, half_life=half_life, schedule=schedule)
        there = audit(model, optimizer, run=RUN)
        told = [each for each in there.findings if each.severity != "note"]
        assert [each.code for each in told] == expected
        assert all("DecayController(optimizer, half_life=" in f.line for f in told)
        (held, *_) = there.table
        steps = controller.half_life_steps
        assert (held.family, held.half_life["steps"]) == ("held", pytest.approx(steps))
        controller.remove()
