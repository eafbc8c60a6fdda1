"""Files of TrainingArguments beside the real Trainer: names, defaults, schedules."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from frameworks.torchvision_names import torchvision_names
from transformers import Trainer, TrainingArguments
from transformers.optimization import get_scheduler
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames

from dwindle.audit.trainer_courses import TRAINER_SCHEDULES, ScheduleFacts
from dwindle.audit.trainer_setting import read_setting_of
from dwindle.audit.trainers import NAMES, TRANSFORMERS
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS

with torchvision_names():
    from timm.scheduler import create_scheduler

# Names of older versions, which files may still have.
OLDER = {"adamw_hf", "adamw_apex_fused"}
STEPS, WARMUP = 200, 20
OPTIONS = {
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 60, "decay_type": "linear"},
}


def arguments(tmp_path, **options):
    """TrainingArguments as a person builds them, without a device."""
    given = {"report_to": [], "use_cpu": True} | options
    return TrainingArguments(output_dir=str(tmp_path / "out"), **given)


def written(tmp_path, found):
    """The file that to_json_string makes of arguments."""
    path = tmp_path / "args.json"
    path.write_text(found.to_json_string())
    return str(path)


def test_the_optimizers_are_those_of_the_trainer():
    """Every name of ``optim`` that transformers lists is one that we read."""
    assert {each.value for each in OptimizerNames} == set(TRANSFORMERS.knobs) - OLDER


def test_the_schedules_are_those_of_the_trainer():
    """Every lr_scheduler_type of transformers is one that we read."""
    assert {each.value for each in SchedulerType} == set(TRAINER_SCHEDULES)


def test_the_defaults_are_those_of_the_trainer(tmp_path):
    """A file without arguments is read as TrainingArguments() has it."""
    real = arguments(tmp_path)
    path = tmp_path / "empty.json"
    path.write_text(json.dumps({"warmup_steps": 0}))
    setting = read_setting_of(str(path))
    assert setting.reading.optimizer == real.optim.value
    assert setting.weight_decay == real.weight_decay
    run = setting.run
    assert run.lr == real.learning_rate
    assert run.epochs == real.num_train_epochs
    assert run.batch_size == real.per_device_train_batch_size
    assert run.betas == (real.adam_beta1, real.adam_beta2)
    assert run.schedule.shape == real.lr_scheduler_type.value


def test_what_they_write_is_read(tmp_path):
    """to_json_string of any arguments is read back, number by number."""
    real = arguments(
        tmp_path,
        learning_rate=3e-4,
        weight_decay=0.1,
        optim="lion_8bit",
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=8,
        max_steps=500,
        bf16=True,
    )
    setting = read_setting_of(written(tmp_path, real))
    assert (setting.reading.knob, setting.weight_decay) == (
        "bitsandbytes.optim.Lion",
        0.1,
    )
    assert (setting.run.lr, setting.run.batch_size, setting.run.steps) == (
        3e-4,
        32,
        500,
    )
    assert setting.run.schedule.warmup == 0.1
    assert setting.findings == ()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(
            (name, OPTIONS.get(name, {}))
            for name in TRAINER_SCHEDULES
            if name not in ("reduce_lr_on_plateau", "greedy")
        ),
        ("cosine_with_restarts", {"num_cycles": 3}),
        ("polynomial", {"power": 2.0, "lr_end": 0.05}),
        ("inverse_sqrt", {"timescale": 50}),
        ("warmup_stable_decay", {"num_decay_steps": 60}),
        ("warmup_stable_decay", {"num_decay_steps": 60, "decay_type": "1-sqrt"}),
    ],
)
def test_a_schedule_goes_as_theirs(name, options):
    """Step by step our schedule is theirs."""
    if name == "cosine_warmup_with_min_lr":
        options = {"min_lr_rate": 0.1}
    warmup = 0 if name == "constant" else WARMUP
    facts = ScheduleFacts(warmup=warmup / STEPS, lr=1.0, steps=STEPS, options=options)
    ours = TRAINER_SCHEDULES[name](facts)
    if ours.warmup:
        ours = replace(ours, warmup_start=TRANSFORMERS.defaults["warmup_start"])
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    theirs = get_scheduler(
        name,
        optimizer,
        num_warmup_steps=WARMUP,
        num_training_steps=STEPS,
        scheduler_specific_kwargs=options,
    )
    # This one runs a step ahead of the others.
    apart = 1.5 / WARMUP if name == "cosine_warmup_with_min_lr" else 1e-12
    for mine in ours.multipliers(STEPS):
        assert mine == pytest.approx(theirs.get_last_lr()[0], abs=apart)
        optimizer.step()
        theirs.step()


def test_a_warm_up_that_is_longer_than_the_run_goes_as_theirs(tmp_path):
    """A weight keeps what it keeps under theirs; what comes after does not count."""
    beyond = ("reduce_lr_on_plateau", "greedy", "cosine_warmup_with_min_lr")
    for name in TRAINER_SCHEDULES.keys() - beyond:
        options = OPTIONS.get(name, {})
        real = arguments(
            tmp_path,
            learning_rate=0.1,
            weight_decay=0.1,
            lr_scheduler_type=name,
            lr_scheduler_kwargs=options,
            warmup_steps=2 * STEPS,
            max_steps=STEPS,
        )
        run = read_setting_of(written(tmp_path, real)).run
        weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        weight.grad = torch.zeros_like(weight)
        optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1)
        theirs = get_scheduler(
            name,
            optimizer,
            num_warmup_steps=real.get_warmup_steps(STEPS),
            num_training_steps=STEPS,
            scheduler_specific_kwargs=options,
        )
        for _ in range(STEPS):
            optimizer.step()
            theirs.step()
        kept = explain(0.1, "torch.optim.AdamW", run=run).kept
        assert kept == pytest.approx(weight.item(), rel=1e-9), name


TIMM = {
    "cosine": {"min_lr": 1e-5},
    "poly": {"min_lr": 1e-5, "decay_rate": 2.0, "warmup_epochs": 0},
    "step": {"decay_epochs": 7, "decay_rate": 0.5},
    "multistep": {"decay_milestones": [9, 20], "warmup_lr": 1e-6},
    "cosine, whose k decays": {"lr_k_decay": 1.5, "warmup_prefix": True},
    "cosine in cycles": {
        "lr_cycle_mul": 2.0,
        "lr_cycle_limit": 2,
        "lr_cycle_decay": 0.5,
        "cooldown_epochs": 3,
    },
    "poly in cycles": {"lr_cycle_limit": 3, "lr_cycle_decay": 0.4, "decay_rate": 1.5},
}


@pytest.mark.parametrize(("sched", "options"), TIMM.items())
def test_timm_moves_the_lr_once_in_an_epoch(sched, options, tmp_path):
    """The lr of every step is that of timm's scheduler in its epoch."""
    facts = {"opt": "adamw", "lr": 1e-3, "weight_decay": 0.05, "epochs": 30}
    path = tmp_path / "args.json"
    whole = {**facts, "sched": sched.partition(",")[0].partition(" ")[0], **options}
    path.write_text(json.dumps({**whole, "batch_size": 100}))
    run = read_setting_of(str(path), given={"dataset_size": 400}).run
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=1e-3)
    theirs, epochs = create_scheduler(SimpleNamespace(**whole), optimizer)
    lrs = [run.lr * each for each in run.multipliers()]
    assert len(lrs) == 4 * epochs
    for epoch in range(epochs):
        lr = optimizer.param_groups[0]["lr"]
        # 1e-12: a few roundings apart.
        assert lrs[4 * epoch : 4 * epoch + 4] == pytest.approx([lr] * 4, rel=1e-12)
        theirs.step(epoch + 1)


CLASSES = {
    "adamw_torch": "torch.optim.AdamW",
    "adamw_torch_fused": "torch.optim.AdamW",
    "sgd": "torch.optim.SGD",
    "adagrad": "torch.optim.Adagrad",
    "rmsprop": "torch.optim.RMSprop",
    "adamw_bnb_8bit": "bitsandbytes.optim.AdamW",
    "lion_32bit": "bitsandbytes.optim.Lion",
    "ademamix": "bitsandbytes.optim.AdEMAMix",
    "rmsprop_bnb": "bitsandbytes.optim.RMSprop",
    "stable_adamw": "optimi.StableAdamW",
    "schedule_free_adamw": "schedulefree.AdamWScheduleFree",
    "schedule_free_sgd": "schedulefree.SGDScheduleFree",
}


@pytest.mark.parametrize(("optim", "knob"), CLASSES.items())
def test_the_trainer_builds_the_class_of_the_knob(optim, knob, tmp_path):
    """The Trainer's optimizer has our knob's class, and our decay in its groups."""
    real = arguments(tmp_path, optim=optim, weight_decay=0.3, learning_rate=1e-3)
    trainer = Trainer(model=torch.nn.Linear(3, 3), args=real)
    built = trainer.create_optimizer()
    assert TRANSFORMERS.knobs[optim] == knob in KNOBS
    assert type(built).__name__ == knob.rpartition(".")[2]
    assert type(built).__module__.partition(".")[0] == knob.partition(".")[0]
    assert {group["weight_decay"] for group in built.param_groups} == {0.3, 0.0}


def test_adafactor_decays_as_torchs_does(tmp_path):
    """The Trainer's Adafactor takes lr·weight_decay off a weight with zero gradient."""
    real = arguments(tmp_path, optim="adafactor", weight_decay=0.5, learning_rate=1e-2)
    model = torch.nn.Linear(3, 3, bias=False)
    built = Trainer(model=model, args=real).create_optimizer()
    before = model.weight.detach().clone()
    model.weight.grad = torch.zeros_like(model.weight)
    built.step()
    expected = before * (1 - 1e-2 * 0.5)
    torch.testing.assert_close(model.weight.detach(), expected, rtol=1e-6, atol=0)


def test_optim_args_lose_their_weight_decay(tmp_path):
    """DW027: a weight_decay in optim_args is overridden by that of the groups."""
    real = arguments(tmp_path, optim="sgd", optim_args="weight_decay=0.5,momentum=0.9")
    built = Trainer(model=torch.nn.Linear(3, 3), args=real).create_optimizer()
    assert {group["weight_decay"] for group in built.param_groups} == {0.0}
    found = read_setting_of(written(tmp_path, real)).findings
    assert [each.code for each in found] == ["DW027"]


@pytest.mark.parametrize("field", ["weight_decay", "learning_rate"])
def test_a_text_for_a_number_stops_the_trainer(field, tmp_path):
    """DW020: the Trainer takes YAML's 1e-3 and fails with a TypeError later."""
    real = arguments(tmp_path, optim="adamw_torch", **{field: "1e-3"})
    model = torch.nn.Linear(3, 3)
    model.weight.grad, model.bias.grad = torch.ones(3, 3), torch.ones(3)
    with pytest.raises(TypeError, match=r"can't multiply|not supported between"):
        Trainer(model=model, args=real).create_optimizer().step()
    found = read_setting_of(written(tmp_path, real)).findings
    assert [each.code for each in found] == ["DW020"]


def test_every_argument_has_a_known_name():
    """No argument of the Trainer is taken for an unknown key, or for a mistake."""
    fields = set(TrainingArguments.__dataclass_fields__)
    assert sorted(fields - NAMES) == []
