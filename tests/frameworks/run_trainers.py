"""What is particular to transformers, to Lightning and to Accelerate."""

import logging
import math
import warnings

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from frameworks.loops import of_transformers
from frameworks.loops.net import BATCH, PEAK, Net, Recipe, at_rest, examples
from frameworks.loops.of_accelerate import train
from frameworks.loops.of_lightning import Module, trainer_of
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from tolerance import digits
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
)
from transformers.trainer_utils import SchedulerType

from dwindle.decay.half_life import HalfLife
from dwindle.errors import MissingFactError, RangeError
from dwindle.integrations.accelerate import facts_of_loader, hold_decay
from dwindle.integrations.lightning import DecayCallback as LightningCallback
from dwindle.integrations.transformers import DecayCallback
from dwindle.pytorch.groups import decay_groups

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("default")  # other people's libraries
LR = 0.05
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
    """Fifteen steps, each of which is logged."""
    usual = {"learning_rate": LR, "logging_strategy": "steps", "logging_steps": 1}
    return of_transformers.arguments(Recipe(), folder, **usual | options)


def trained(folder, *callbacks, model=None, optimizers=(None, None), **options):
    """The trainer after its run, resumed from ``resume``, if given."""
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
    """What is left of the matrix at rest."""
    return (model.at_rest.detach().double() / at_rest().double()).mean().item()


@pytest.mark.parametrize("kind", [each.value for each in SchedulerType])
def test_the_peak_of_every_scheduler(kind, tmp_path):
    """At any lr_scheduler_type, the half-life is the one at learning_rate."""
    callback = DecayCallback("2 epochs")
    trainer = trained(
        tmp_path,
        callback,
        lr_scheduler_type=kind,
        lr_scheduler_kwargs=NEEDED.get(kind, {}),
        warmup_steps=3,
        eval_strategy="epoch",  # two of them use its loss
    )
    lrs = lrs_of(trainer)
    assert max(lrs) == digits(LR, rel=1e-12)
    shrink = 1 - 2 ** (-1 / 10)
    expected = math.prod(1 - shrink * lr / LR for lr in lrs)
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
    optimizer = torch.optim.AdamW(decay_groups(model), lr=LR)
    trained(tmp_path, callback, model=model, optimizers=(optimizer, None))
    decayed = [
        weight
        for group, mechanism in zip(
            optimizer.param_groups, callback.controller.mechanisms, strict=True
        )
        if mechanism != "left alone"
        for weight in group["params"]
    ]
    assert {id(w) for w in decayed} == {id(model.layer.weight), id(model.at_rest)}


def test_a_gpt2_of_two_layers(tmp_path):
    """A model of transformers itself: an unused position decays as requested."""
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
    expected = math.prod(1 - shrink * lr / LR for lr in lrs_of(trainer))
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
    assert torch.equal(whole.model.at_rest, resumed.model.at_rest)
    assert second.controller.e_folds == first.controller.e_folds


def test_a_checkpoint_of_before_the_callback(tmp_path, caplog):
    """It can be resumed with the callback; that is logged, and saved from then on."""
    saving = {"save_strategy": "steps", "save_steps": 7}
    trained(tmp_path, **saving)
    callback = DecayCallback("2 epochs")
    with caplog.at_level(logging.WARNING, "dwindle"):
        trained(tmp_path, callback, resume=f"{tmp_path}/checkpoint-7", **saving)
    assert "made without DecayCallback" in caplog.text
    assert callback.controller.steps_done == 8


def test_trained_twice(tmp_path):
    """A second run of the same trainer begins anew, with new hooks."""
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
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0)
    alike = {"model": model, "optimizers": (optimizer, None)}
    with pytest.raises(RuntimeError, match="cable"):
        trained(tmp_path, callback, Broken(), **alike)
    trained(tmp_path, callback, **alike)
    assert callback.controller.steps_done == 15


def test_the_callback_can_be_read(tmp_path):
    """Before the training it prints the request, after it what was held."""
    callback = DecayCallback(half_life="2 epochs", lr_peak=LR)
    shown = "DecayCallback of transformers: a half-life of 2 epochs, follow-lr"
    assert repr(callback).startswith(f"{shown}, lr_peak 0.05;")
    trained(tmp_path, callback)
    assert repr(callback).endswith(repr(callback.controller))
    assert "10 steps" in repr(callback)
    assert repr(DecayCallback(penalty=0.1)).endswith("0.1; training has not begun")


class Two(LightningModule):
    """Two nets with an optimizer each, stepped by hand at every batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.nets = torch.nn.ModuleList([Net(), Net()])

    def training_step(self, batch, _):
        for net, optimizer in zip(self.nets, self.optimizers(), strict=True):
            optimizer.zero_grad()
            self.manual_backward(net(**batch)["loss"])
            optimizer.step()

    def configure_optimizers(self):
        kinds = (torch.optim.AdamW, torch.optim.Adam)
        return [
            kind(net.parameters(), lr=PEAK / 10, weight_decay=0)
            for kind, net in zip(kinds, self.nets, strict=True)
        ]


def fit(module, callbacks, tmp_path, *, loader=None, **options):
    """Train three epochs of five batches."""
    trainer = trainer_of(Recipe(), tmp_path, callbacks, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, loader or DataLoader(examples(), batch_size=BATCH))
    return module


def test_several_optimizers_alike(tmp_path):
    """One half-life is held on all of them, native or multiplied."""
    callback = LightningCallback("2 epochs")
    module = fit(Two(), [callback], tmp_path)
    assert [each.mechanisms for each in callback.controllers] == [
        ("native",), ("multiply",)
    ]  # fmt: skip
    for net in module.nets:
        assert kept(net) == digits(2**-1.5, rel=1e-6)


def test_several_optimizers_each_its_own(tmp_path):
    """A half-life for each; None leaves an optimizer as it is."""
    callback = LightningCallback(["1 epoch", None])
    module = fit(Two(), [callback], tmp_path)
    assert kept(module.nets[0]) == digits(2**-3, rel=1e-6)
    assert kept(module.nets[1]) == 1
    assert callback.controllers[1] is None


def test_as_many_half_lives_as_optimizers(tmp_path):
    """One too many is refused when the optimizers are known."""
    callback = LightningCallback(["1 epoch", None, "2 epochs"])
    with pytest.raises(RangeError, match=r"the 2 optimizers.*Got 3"):
        fit(Two(), [callback], tmp_path)


def test_the_length_of_a_run_by_hand_is_not_guessed(tmp_path):
    """Under manual optimization a share of the run needs the steps."""
    with pytest.raises(MissingFactError, match=r"DecayCallback\(steps=\.\.\.\)"):
        fit(Two(), [LightningCallback("20% of the run")], tmp_path)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_accumulation_that_changes(late, tmp_path):
    """After an epoch of single batches come epochs of two: the half-life follows."""
    callback = LightningCallback("1 epoch", schedule="constant")
    callbacks = [callback, GradientAccumulationScheduler({1: 2})]
    module = fit(Module(Recipe()), callbacks[:: -1 if late else 1], tmp_path)
    assert len(module.lrs) == 5 + 3 + 3
    assert kept(module.net) == digits(2**-3, rel=1e-6)


def test_an_epoch_that_is_cut_short(tmp_path):
    """With limit_train_batches an epoch is as long as the Trainer makes it."""
    callback = LightningCallback("1 epoch", schedule="constant")
    options = {"limit_train_batches": 4}
    module = fit(Module(Recipe()), [callback], tmp_path, **options)
    assert len(module.lrs) == 12
    assert kept(module.net) == digits(2**-3, rel=1e-6)


def test_several_loaders_have_no_single_batch(tmp_path):
    """With more than one loader, the batch size is missing."""
    loader = {"a": DataLoader(examples(), batch_size=2), "b": DataLoader(examples())}
    with pytest.raises(MissingFactError, match=r"DecayCallback\((batch|dataset)_size="):
        fit(Two(), [LightningCallback("1 epoch")], tmp_path, loader=loader)


def test_under_the_other_name_of_lightning(tmp_path):
    """The callback works in a Trainer of pytorch_lightning too."""

    class Other(pytorch_lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def training_step(self, batch, _):
            return self.net(**batch)["loss"]

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=PEAK, weight_decay=0)

    module, callback = Other(), LightningCallback("1 epoch")
    trainer = pytorch_lightning.Trainer(
        accelerator="cpu",
        max_epochs=3,
        callbacks=[callback],
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
    )
    trainer.fit(module, DataLoader(examples(), batch_size=BATCH))
    assert kept(module.net) == digits(2**-3, rel=1e-6)
    assert isinstance(callback, lightning.pytorch.Callback)


class Rising(Module):
    """The small training with an lr that rises from epoch to epoch."""

    def configure_optimizers(self):
        made = super().configure_optimizers()
        optimizer = made["optimizer"]
        every_second = {"interval": "epoch", "frequency": 2}
        scheduler = LambdaLR(optimizer, lambda times: 1 + times)
        return [optimizer], [{"scheduler": scheduler, **every_second}]


def test_a_scheduler_that_is_stepped_by_epochs(tmp_path):
    """It is followed as the Trainer steps it: twice the lr in the third epoch."""
    callback, module = LightningCallback("2 epochs"), Rising(Recipe())
    fit(module, [callback], tmp_path)
    assert module.lrs == [PEAK] * 10 + [2 * PEAK] * 5
    assert kept(module.net) == digits((1 - (1 - 2**-0.1) / 2) ** 10 * 2**-0.5, rel=1e-6)


def test_fitted_twice(tmp_path):
    """A second fit has new optimizers and holds them too."""
    callback, module = (
        LightningCallback("1 epoch", schedule="constant"),
        Module(Recipe()),
    )
    for _ in range(2):
        fit(module, [callback], tmp_path)
    assert kept(module.net) == digits(2**-6, rel=1e-6)
    assert math.isclose(callback.controllers[0].half_life_steps, 5)


def test_the_callback_of_lightning_can_be_read(tmp_path):
    """Before the training it prints the request, after it what was held."""
    callback = LightningCallback(half_life=["1 epoch", None], schedule="constant")
    shown = "a half-life of 1 epoch, constant; left alone; training has not begun"
    assert repr(callback) == f"DecayCallback of Lightning: {shown}"
    fit(Two(), [callback], tmp_path)
    _, *held, alone = repr(callback).splitlines()
    assert "\n".join(held) == repr(callback.controllers[0])
    assert alone == "left alone"


def test_a_batch_by_hand_is_believed(tmp_path, caplog):
    """Under manual optimization nobody but the user knows how often it steps."""
    fit(Two(), [LightningCallback(half_life="1 epoch", batch_size=8)], tmp_path)
    assert "was given" not in caplog.text


def test_several_optimizers_are_logged_once(tmp_path, caplog):
    """A contradiction is one line, however many optimizers are held."""
    callback = LightningCallback(half_life="1 epoch", dataset_size=40)
    fit(Two(), [callback], tmp_path)
    found = [each.args[1:] for each in caplog.records if len(each.args or ()) == 4]
    assert found == [("dataset_size", 40, 20)]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_held_before_prepare(accumulation, tmp_path):
    """What is held before the parts are prepared stays held, and knows as much."""
    recipe = Recipe(held_before_prepare=True, accumulation=accumulation)
    seen = train(recipe, tmp_path)
    steps = {1: 10, 2: 6}[accumulation]
    assert seen.controller.half_life_steps == steps
    assert seen.kept == digits(seen.expected(steps), rel=1e-6)


@pytest.mark.parametrize("split", [False, True], ids=["own batches", "split batches"])
@pytest.mark.parametrize("prepared", [False, True], ids=["as it is", "prepared"])
def test_batch_and_epoch_come_from_the_loader(split, prepared):
    """Prepared or not, a loader has the same."""
    config = DataLoaderConfiguration(split_batches=split)
    accelerator = Accelerator(
        cpu=True, gradient_accumulation_steps=3, dataloader_config=config
    )
    loader = DataLoader(examples(18), batch_size=BATCH)
    if prepared:
        loader = accelerator.prepare(loader)
    facts = facts_of_loader(accelerator, loader)
    assert (facts.batch_size, facts.dataset_size) == (12, 18)


def test_a_loader_with_a_batch_sampler():
    """Where DataLoader.batch_size is None, its sampler knows."""
    data = examples()
    batches = BatchSampler(SequentialSampler(data), batch_size=5, drop_last=False)
    loader = DataLoader(data, batch_sampler=batches)
    facts = facts_of_loader(Accelerator(cpu=True), loader)
    assert (facts.batch_size, facts.dataset_size) == (5, 20)


def test_without_a_loader_the_epoch_is_missing():
    """Nothing is guessed."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, 2))])
    accelerator = Accelerator(cpu=True)
    with pytest.raises(MissingFactError, match=r"hold_decay\((batch|dataset)_size="):
        hold_decay(accelerator, optimizer, "3 epochs")
