"""The Trainer of transformers in particular: its schedulers, its groups, its files."""

import logging
import math

import pytest
import torch
from frameworks.loops.net import BATCH, Net, examples, undriven
from tolerance import digits
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_utils import SchedulerType

from dwindle.decay.half_life import HalfLife
from dwindle.integrations.transformers import DecayCallback
from dwindle.pytorch.groups import decay_groups

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("default")  # other people's libraries
PEAK = 0.05
NEEDED = {  # what a scheduler cannot do without
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 5, "num_stable_steps": 5},
}


class Normed(Net):
    """The small net with a norm of an unusual name, and one that is a LayerNorm."""

    def __init__(self):
        super().__init__()
        self.ln_2 = nn.RMSNorm(4)
        self.first = nn.LayerNorm(4)

    def forward(self, inputs, labels):
        return super().forward(self.ln_2(self.first(inputs)), labels)


def arguments(folder, **options):
    """Fifteen steps of nothing but training."""
    usual = {
        "output_dir": str(folder),
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 3,
        "learning_rate": PEAK,
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "remove_unused_columns": False,
    }
    return TrainingArguments(**usual | options)


def trained(folder, *callbacks, model=None, optimizers=(None, None), **options):
    """The trainer after its run, resumed if ``resume`` says from where."""
    torch.manual_seed(3)
    resume = options.pop("resume", None)
    trainer = Trainer(
        model=model or Net(),
        args=arguments(folder, **options),
        train_dataset=examples(),
        eval_dataset=examples(),
        callbacks=list(callbacks),
        optimizers=optimizers,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def lrs_of(trainer):
    """The lr of every step, as the Trainer logged it."""
    logged = [line for line in trainer.state.log_history if "learning_rate" in line]
    return [line["learning_rate"] for line in logged]


def kept(model):
    """What is left of the undriven matrix."""
    return (model.undriven.detach().double() / undriven().double()).mean().item()


@pytest.mark.parametrize("kind", [each.value for each in SchedulerType])
def test_the_peak_of_every_scheduler(kind, tmp_path):
    """Whatever lr_scheduler_type, the half-life is the one at learning_rate."""
    callback = DecayCallback("2 epochs")
    trainer = trained(
        tmp_path,
        callback,
        lr_scheduler_type=kind,
        lr_scheduler_kwargs=NEEDED.get(kind, {}),
        warmup_steps=3,
        eval_strategy="epoch",  # two of them look at its loss
    )
    lrs = lrs_of(trainer)
    assert max(lrs) == digits(PEAK, rel=1e-12)
    shrink = 1 - 2 ** (-1 / 10)
    expected = math.prod(1 - shrink * lr / PEAK for lr in lrs)
    assert kept(trainer.model) == digits(expected, rel=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_groups_of_the_trainer(weight_decay, tmp_path):
    """The Trainer's own groups: what it spares is spared, with weight_decay 0 too."""
    callback = DecayCallback("2 epochs")
    trained(tmp_path, callback, model=Normed(), weight_decay=weight_decay)
    assert callback.controller.mechanisms == ("native", "left alone")


def test_groups_by_type_and_shape(tmp_path):
    """With decay_groups the norm of an unusual name is spared as well."""
    callback, model = DecayCallback("2 epochs"), Normed()
    optimizer = torch.optim.AdamW(decay_groups(model), lr=PEAK)
    trained(tmp_path, callback, model=model, optimizers=(optimizer, None))
    decayed = [
        weight
        for group, mechanism in zip(
            optimizer.param_groups, callback.controller.mechanisms, strict=True
        )
        if mechanism != "left alone"
        for weight in group["params"]
    ]
    assert {id(w) for w in decayed} == {id(model.layer.weight), id(model.undriven)}


def test_a_gpt2_of_two_layers(tmp_path):
    """A model of transformers itself: an unused position decays as asked."""
    torch.manual_seed(3)
    size = {"n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": 11, "n_positions": 8}
    model = GPT2LMHeadModel(GPT2Config(**size))
    before = model.transformer.wpe.weight[4:].detach().double()  # 4 tokens, 8 places
    data = [{"input_ids": torch.arange(4), "labels": torch.arange(4)}] * 20
    trainer = Trainer(
        model=model,
        args=arguments(tmp_path, lr_scheduler_type="cosine"),
        train_dataset=data,
        callbacks=[DecayCallback("2 epochs")],
    )
    trainer.train()
    shrink = 1 - 2 ** (-1 / 10)
    expected = math.prod(1 - shrink * lr / PEAK for lr in lrs_of(trainer))
    after = model.transformer.wpe.weight[4:].detach().double()
    assert (after / before).median().item() == digits(expected, rel=1e-6)


@pytest.mark.parametrize("restore", [False, True])
def test_resumed_with_the_trainers_own_optimizer(restore, tmp_path):
    """Bit for bit the same run, also where the Trainer makes its callbacks anew."""
    first = DecayCallback(HalfLife(2, "epochs"))  # as good as its text, in JSON too
    saving = {"save_strategy": "steps", "save_steps": 7}
    whole = trained(tmp_path, first, **saving)
    resumed = trained(
        tmp_path,
        DecayCallback("2 epochs"),
        resume=f"{tmp_path}/checkpoint-7",
        restore_callback_states_from_checkpoint=restore,
        **saving,
    )
    (second,) = [
        each
        for each in resumed.callback_handler.callbacks
        if isinstance(each, DecayCallback)
    ]
    assert torch.equal(whole.model.undriven, resumed.model.undriven)
    assert second.controller.e_folds == first.controller.e_folds


def test_a_checkpoint_of_before_the_callback(tmp_path, caplog):
    """It can be resumed with the callback, which says so and is saved from then on."""
    saving = {"save_strategy": "steps", "save_steps": 7}
    trained(tmp_path, **saving)
    callback = DecayCallback("2 epochs")
    with caplog.at_level(logging.WARNING, "dwindle"):
        trained(tmp_path, callback, resume=f"{tmp_path}/checkpoint-7", **saving)
    assert "made without DecayCallback" in caplog.text
    assert callback.controller.steps_done == 8


def test_trained_twice(tmp_path):
    """A second run of the same trainer begins anew, with hooks of its own."""
    callback = DecayCallback("2 epochs")
    trainer = trained(tmp_path, callback)
    first, once = callback.controller, kept(trainer.model)
    trainer.train()
    assert callback.controller is not first
    assert kept(trainer.model) == digits(once**2, rel=1e-6)


class Broken(TrainerCallback):
    """Something else of the user's that fails in the third step."""

    def on_step_end(self, _, state, *__, **parts):  # noqa: ARG002 by its name
        if state.global_step == 3:
            raise RuntimeError("cable")


def test_trained_again_after_a_failure(tmp_path):
    """A run that broke off leaves nothing behind that holds the next one up."""
    model, callback = Net(), DecayCallback("2 epochs")
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0)
    alike = {"model": model, "optimizers": (optimizer, None)}
    with pytest.raises(RuntimeError, match="cable"):
        trained(tmp_path, callback, Broken(), **alike)
    trained(tmp_path, callback, **alike)
    assert callback.controller.steps_done == 15


def test_the_callback_can_be_read(tmp_path):
    """Before the training it says what it was asked, after it what was held."""
    callback = DecayCallback(half_life="2 epochs", lr_peak=PEAK)
    asked = "DecayCallback of transformers: a half-life of 2 epochs, follow-lr"
    assert repr(callback).startswith(f"{asked}, lr_peak 0.05;")
    trained(tmp_path, callback)
    assert repr(callback).endswith(repr(callback.controller))
    assert "10 steps" in repr(callback)
    assert repr(DecayCallback(penalty=0.1)).endswith("0.1; training has not begun")
