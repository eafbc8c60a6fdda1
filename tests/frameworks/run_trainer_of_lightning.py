"""The Trainer of Lightning in particular: optimizers, accumulation, its other name."""

import math
import warnings

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from frameworks.loops.net import BATCH, PEAK, Asked, Net, examples, undriven
from frameworks.loops.of_lightning import Module, trainer_of
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from tolerance import digits
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from dwindle.errors import MissingFactError, RangeError
from dwindle.integrations.lightning import DecayCallback

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("default")  # other people's libraries


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
    trainer = trainer_of(Asked(), tmp_path, callbacks, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, loader or DataLoader(examples(), batch_size=BATCH))
    return module


def kept(net):
    """What is left of the undriven matrix."""
    return (net.undriven.detach().double() / undriven().double()).mean().item()


def test_several_optimizers_alike(tmp_path):
    """One half-life is held on all of them, native or multiplied."""
    callback = DecayCallback("2 epochs")
    module = fit(Two(), [callback], tmp_path)
    assert [each.mechanisms for each in callback.controllers] == [
        ("native",), ("multiply",)
    ]  # fmt: skip
    for net in module.nets:
        assert kept(net) == digits(2**-1.5, rel=1e-6)


def test_several_optimizers_each_its_own(tmp_path):
    """A half-life for each; None leaves an optimizer as it is."""
    callback = DecayCallback(["1 epoch", None])
    module = fit(Two(), [callback], tmp_path)
    assert kept(module.nets[0]) == digits(2**-3, rel=1e-6)
    assert kept(module.nets[1]) == 1
    assert callback.controllers[1] is None


def test_as_many_half_lives_as_optimizers(tmp_path):
    """One too many is refused when the optimizers are known."""
    callback = DecayCallback(["1 epoch", None, "2 epochs"])
    with pytest.raises(RangeError, match=r"the 2 optimizers.*Got 3"):
        fit(Two(), [callback], tmp_path)


def test_the_length_of_a_run_by_hand_is_not_guessed(tmp_path):
    """Under manual optimization a share of the run needs the steps."""
    with pytest.raises(MissingFactError, match=r"DecayCallback\(steps=\.\.\.\)"):
        fit(Two(), [DecayCallback("20% of the run")], tmp_path)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_accumulation_that_changes(late, tmp_path):
    """After an epoch of single batches come epochs of two: the half-life follows."""
    callback = DecayCallback("1 epoch", schedule="constant")
    callbacks = [callback, GradientAccumulationScheduler({1: 2})]
    module = fit(Module(Asked()), callbacks[:: -1 if late else 1], tmp_path)
    assert len(module.lrs) == 5 + 3 + 3
    assert kept(module.net) == digits(2**-3, rel=1e-6)


def test_an_epoch_that_is_cut_short(tmp_path):
    """With limit_train_batches an epoch is as long as the Trainer makes it."""
    callback = DecayCallback("1 epoch", schedule="constant")
    options = {"limit_train_batches": 4}
    module = fit(Module(Asked()), [callback], tmp_path, **options)
    assert len(module.lrs) == 12
    assert kept(module.net) == digits(2**-3, rel=1e-6)


def test_several_loaders_do_not_tell_a_batch(tmp_path):
    """What a batch is, is asked for where there is more than one loader."""
    loader = {"a": DataLoader(examples(), batch_size=2), "b": DataLoader(examples())}
    with pytest.raises(MissingFactError, match=r"DecayCallback\((batch|dataset)_size="):
        fit(Two(), [DecayCallback("1 epoch")], tmp_path, loader=loader)


def test_under_the_other_name_of_lightning(tmp_path):
    """The callback works in a Trainer of pytorch_lightning too."""

    class Module(pytorch_lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def training_step(self, batch, _):
            return self.net(**batch)["loss"]

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=PEAK, weight_decay=0)

    module, callback = Module(), DecayCallback("1 epoch")
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
    callback, module = DecayCallback("2 epochs"), Rising(Asked())
    fit(module, [callback], tmp_path)
    assert module.lrs == [PEAK] * 10 + [2 * PEAK] * 5
    assert kept(module.net) == digits((1 - (1 - 2**-0.1) / 2) ** 10 * 2**-0.5, rel=1e-6)


def test_fitted_twice(tmp_path):
    """A second fit has new optimizers and holds them too."""
    callback, module = DecayCallback("1 epoch", schedule="constant"), Module(Asked())
    for _ in range(2):
        fit(module, [callback], tmp_path)
    assert kept(module.net) == digits(2**-6, rel=1e-6)
    assert math.isclose(callback.controllers[0].half_life_steps, 5)


def test_the_callback_can_be_read(tmp_path):
    """Before the training it says what it was asked, after it what was held."""
    callback = DecayCallback(half_life=["1 epoch", None], schedule="constant")
    asked = "a half-life of 1 epoch, constant; left alone; training has not begun"
    assert repr(callback) == f"DecayCallback of Lightning: {asked}"
    fit(Two(), [callback], tmp_path)
    _, *held, alone = repr(callback).splitlines()
    assert "\n".join(held) == repr(callback.controllers[0])
    assert alone == "left alone"


def test_a_batch_by_hand_is_believed(tmp_path, caplog):
    """Under manual optimization nobody but the user knows how often it steps."""
    fit(Two(), [DecayCallback(half_life="1 epoch", batch_size=8)], tmp_path)
    assert "was given" not in caplog.text


def test_several_optimizers_are_told_of_once(tmp_path, caplog):
    """A contradiction is one line, however many optimizers are held."""
    callback = DecayCallback(half_life="1 epoch", dataset_size=40)
    fit(Two(), [callback], tmp_path)
    found = [each.args[1:] for each in caplog.records if len(each.args or ()) == 4]
    assert found == [("dataset_size", 40, 20)]
