"""The audit: each planted fault is found, a clean program is clean, nothing changes."""

import copy
import math
import random

import pytest
import torch
from pytorch.planted_faults import FAULTS
from pytorch.planted_modules import CoupledAdamW
from pytorch.planted_programs import (
    RUN,
    Program,
    TinyGpt,
    adamw,
    backward,
    cnn,
    codes,
    grouped,
    mlp,
    of,
)
from tolerance import digits
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR

from dwindle.audit.codes import CODES, UNCHECKED
from dwindle.audit.findings import Unchecked
from dwindle.decay.run import Run
from dwindle.errors import RefusedError, UsageError
from dwindle.pytorch.audit import audit
from dwindle.pytorch.groups import decay_groups
from dwindle.pytorch.refusals import refused


def test_every_code_of_a_program_is_planted():
    """Each code has a planted fault, but those of files, of changes, and of sizes."""
    planted = {fault.code for fault in FAULTS}
    notes_of_size = {"DW017", "DW023", "DW025"}  # tested below, beside other notes
    of_changes = {code for code in CODES if code.startswith("DW03")}
    assert set(CODES) - planted == notes_of_size | of_changes


def unchecked(found):
    """Codes that could not be checked."""
    known = (each for each in found.unchecked if isinstance(each, Unchecked))
    return {code for each in known for code in each.codes}


def _cnn_with_adamw():
    model = cnn()
    optimizer = torch.optim.AdamW(decay_groups(model, weight_decay=0.5), lr=2e-3)
    scheduler = CosineAnnealingLR(optimizer, 3000)
    run = Run(batch_size=100, dataset_size=5000, epochs=60)
    return Program(model, optimizer, scheduler, run, torch.randn(4, 3, 12, 12))


def _tied_head():
    model = TinyGpt()
    model.head.weight = model.wte.weight
    groups = decay_groups(model, weight_decay=0.1)
    return Program(model, torch.optim.AdamW(groups, lr=1e-3), run=RUN)


def _two_optimizers():
    model = mlp()
    matrices, others = grouped(model, 0.1)
    return Program(
        model,
        [
            torch.optim.Muon(matrices["params"], lr=1e-3, weight_decay=0.1),
            torch.optim.AdamW(others["params"], lr=1e-3, weight_decay=0.0),
        ],
        run=RUN,
    )


def _layer_decay_that_is_applied():
    model = mlp()
    optimizer = adamw(model)
    for group, scale in zip(optimizer.param_groups, (0.5, 1.0), strict=True):
        group["lr_scale"] = scale
        group["lr"] *= scale
    return Program(model, optimizer, run=RUN)


# Beside the published recipes: a tied head, two optimizers, a scale that is applied.
CLEAN = (
    _cnn_with_adamw,
    _tied_head,
    _two_optimizers,
    _layer_decay_that_is_applied,
)


def test_a_clean_program_is_clean():
    """A program as it should be gives no error and no warning."""
    wrong = {
        build.__name__: codes(build().audited(), "error", "warning") for build in CLEAN
    }
    assert not any(wrong.values()), wrong


def _bytes(tree):
    if isinstance(tree, torch.Tensor):
        return (tree.dtype, tuple(tree.shape), tree.detach().numpy().tobytes())
    if isinstance(tree, dict):
        return {key: _bytes(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_bytes(each) for each in tree]
    return repr(tree)


def _snapshot(program):
    model, optimizer = program.model, program.optimizer
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]
    return (
        _bytes(model.state_dict()),
        _bytes([parameter.grad for parameter in model.parameters()]),
        _bytes(optimizer.state_dict()),
        _bytes(groups),
        [id(each) for group in optimizer.param_groups for each in group["params"]],
        [module.training for module in model.modules()],
        [(type(module), sorted(vars(module))) for module in model.modules()],
        [len(module._forward_hooks) for module in model.modules()],
        sorted(vars(optimizer)),
        _bytes(program.scheduler.state_dict()),
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
    )


@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_program_changes(training):
    """Parameters, buffers, gradients, state, options, modes, generators: bit by bit."""
    program = _cnn_with_adamw()
    program.model.insert(6, nn.Dropout(0.5))
    backward(program.model, program.example)
    program.optimizer.step()
    program.scheduler.step()
    program.model[1].eval()
    program.model.train(mode=training)
    before = copy.deepcopy(_snapshot(program))
    program.audited()
    assert _snapshot(program) == before


def test_an_lr_of_0_hides_no_kind_and_no_size_where_its_peak_is_known():
    """Sizes are those of the peak: torch's schedulers keep it, or it is given."""
    model = mlp()
    optimizer = adamw(model, lr=0.0, also=["0.bias"])
    found = audit(model, optimizer, run=RUN)
    assert codes(found, "error", "warning") == {"DW001"}
    assert found.table[0].half_life.get("steps") is None
    assert {"DW009", "DW010"} <= unchecked(found)
    assert UNCHECKED["lr-of-0"] in found.unchecked
    known = audit(model, optimizer, run=Run(lr=1e-3))
    assert round(known.table[0].half_life["steps"]) == 6931
    optimizer = adamw(model, also=["0.bias"])
    warmup = LambdaLR(optimizer, lambda step: step / 100)
    assert optimizer.param_groups[0]["lr"] == 0
    found = audit(model, optimizer, scheduler=warmup)
    assert codes(found, "warning") == {"DW001"}
    assert found.table[0].lr == 1e-3
    assert round(found.table[0].half_life["steps"]) == 6931


def test_the_scheduler_at_hand_is_followed():
    """Over a linear fall half of the decay happens: what was enough is not."""
    model, run = mlp(), Run(steps=800)
    optimizer = adamw(model, lr=1e-2)
    assert codes(audit(model, optimizer, run=run), "warning") == set()
    falling = LinearLR(optimizer, start_factor=1.0, end_factor=1e-9, total_iters=800)
    for length in (run, Run(steps=9000)):
        found = audit(model, optimizer, scheduler=falling, run=length)
        assert codes(found, "warning") == {"DW010"}
        # Σ lr·λ of the fall is 801/2 times 1e-3, and a little for ln(1 - x).
        assert found.table[0].e_folds == pytest.approx(0.4005, rel=1e-3)
    # Most of the run is at no lr at all: the line makes up for that, too.
    optimizer = adamw(model, lr=1e-2)
    early = LinearLR(optimizer, start_factor=1.0, end_factor=1e-9, total_iters=240)
    exec(of(audit(model, optimizer, scheduler=early, run=run), "DW010").line)  # noqa: S102
    mended = audit(model, optimizer, scheduler=early, run=run)
    assert codes(mended, "warning") == set()
    assert mended.table[0].e_folds > math.log(2)


def test_a_wrapped_model_is_its_model():
    """Names and findings are those of the model inside."""
    model, images = cnn(), torch.randn(4, 3, 12, 12)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    plain = audit(model, optimizer, example=images)
    for wrapped in (nn.DataParallel(model), torch.compile(model, backend="eager")):
        assert audit(wrapped, optimizer, example=images).findings == plain.findings


def test_sizes_that_are_no_faults_are_notes():
    """A rounded rate, a decay without half-life and a far recipe are notes."""
    model = mlp()
    optimizer = adamw(model, lr=1e-5, weight_decay=0.01)
    found = audit(model, optimizer, run=Run(steps=5_000_000))
    assert "DW023" in codes(found, "note")
    gpt = TinyGpt()
    far = audit(gpt, adamw(gpt, weight_decay=0.3), run=Run(steps=900_000))
    assert "DW017" in codes(far, "note")


def test_what_is_not_known_is_named():
    """Without facts of the run, a Run or a mapping, what was not checked is named."""
    model = mlp()
    found = audit(model, adamw(model))
    assert unchecked(found) == {"DW010", "DW011"}
    # Without a target the class of the model names the audit.
    assert found.target == "Sequential"
    assert audit(model, adamw(model), target="train:make").target == "train:make"
    facts = {"batch_size": 3, "dataset_size": 300, "epochs": 2}
    runs = [audit(model, adamw(model), run=run) for run in (facts, Run(**facts))]
    assert runs[0].as_dict() == runs[1].as_dict()


def test_options_may_be_tensors_and_groups_empty():
    """An lr in a tensor, as compiled steps want it, and a group that waits."""
    model = mlp()
    groups = [*grouped(model, 0.1, also=["0.bias"]), {"params": []}]
    optimizer = torch.optim.AdamW(groups, lr=torch.tensor(1e-3))
    found = audit(model, optimizer)
    assert codes(found, "error", "warning") == {"DW001"}
    assert [line.parameters for line in found.table] == [3, 3, 0]


def test_something_else_is_refused():
    """A list of parameters is no model, and a scheduler no optimizer."""
    model = mlp()
    bare = adamw(model)
    bare.param_groups = []
    for wrong in ((model, object()), (list(model.parameters()), adamw(model))):
        with pytest.raises(RefusedError) as raised:
            audit(*wrong)
        assert raised.value.instead
    for none in ([], (), {}, bare):
        with pytest.raises(RefusedError) as raised:
            audit(model, none)
        assert raised.value.asked == refused("no-group").asked
    with pytest.raises(RefusedError) as raised:
        audit(model, adamw(model), scheduler=5)
    assert raised.value.why == refused("no-scheduler", given="an int").why
    with pytest.raises(UsageError) as wrong_run:
        audit(model, adamw(model), run=5)
    assert wrong_run.value.got == "5"


def test_memory_that_two_weights_share_in_part_is_found():
    """A step takes from the shared rows twice; columns side by side share nothing."""
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 4), nn.Linear(2, 4)
    )
    model[1].weight = nn.Parameter(model[0].weight[:2].detach())
    beside = torch.ones(4, 4)
    model[2].weight, model[3].weight = map(nn.Parameter, beside.split(2, dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    (found,) = [f for f in audit(model, optimizer).findings if f.code == "DW006"]
    assert found.case == "partly"
    assert found.values["names"] == ("0.weight", "1.weight")
    assert found.values["numbers"] == 8
    before = model[0].weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    kept = (model[0].weight / before).mean(dim=1).tolist()
    assert kept == pytest.approx([0.9801, 0.9801, 0.99, 0.99], rel=1e-6)  # float32


def test_a_name_and_a_rule_may_both_be_wrong():
    """Called AdamW, coupled like Adam: both its decay and its name are findings.

    Without momentum SGD's penalty decouples by itself; that breaks no promise.
    """
    model = mlp()
    optimizer = CoupledAdamW(grouped(model, 0.1), lr=1e-3)
    assert codes(audit(model, optimizer), "warning") == {"DW008", "DW019"}
    for momentum in (0.0, 0.9):
        optimizer = torch.optim.SGD(grouped(model, 1e-4), lr=0.1, momentum=momentum)
        found = audit(model, optimizer)
        assert codes(found, "error", "warning") == set()
        assert found.table[0].family == "coupled-sgd"


def _rotation(optimizer, **options):
    model = cnn()
    groups = grouped(model, 0.1)
    found = audit(model, optimizer(groups, lr=1e-3, **options)).findings
    return next(each for each in found if each.code == "DW016").values.get("angle")


def test_the_rotation_is_given_where_a_formula_knows_it():
    """AdamW turns by √(2·lr·λ·(1 − β₁)/(1 + β₁)); of another rule none is claimed."""
    assert _rotation(torch.optim.AdamW) == digits(0.0032444, rel=1e-4)
    # The limit is 0.00816497; the exact angle is a little more.
    turned = _rotation(torch.optim.AdamW, betas=(0.5, 0.999))
    assert turned == digits(0.00816512, rel=1e-5)
    assert _rotation(torch.optim.Adafactor) is None
