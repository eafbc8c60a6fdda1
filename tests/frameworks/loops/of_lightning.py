"""The small training under the Trainer of Lightning."""

import logging
import os
import warnings

from frameworks.loops.net import (
    BATCH,
    EPOCHS,
    Seen,
    data_of,
    factor,
    loss_scale,
    net,
    optimizer_of,
    recording,
)
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import MixedPrecision
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from dwindle.integrations.lightning import DecayCallback

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Going(DataLoader):
    """A loader that goes on where it was: Lightning resumes an epoch only with one."""

    start = done = 0

    def __iter__(self):
        start, self.start = self.start, 0
        for at, batch in enumerate(super().__iter__()):
            if at >= start:
                self.done = at + 1
                yield batch

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.start = state["done"]


class Module(LightningModule):
    """The net with what Lightning wants to know of it."""

    def __init__(self, recipe):
        super().__init__()
        self.net, self.recipe = net(recipe), recipe

    def training_step(self, batch, _):
        return self.net(**batch)["loss"]

    def configure_optimizers(self):
        optimizer = optimizer_of(self.recipe, self.net)
        self.lrs = recording(optimizer)
        scheduler = LambdaLR(optimizer, factor(self.recipe))
        every_step = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": every_step}


def trainer_of(recipe, folder, callbacks, **options):
    """Small, silent, on the CPU."""
    if recipe.save_at:
        saver = ModelCheckpoint(
            folder, "at-{step}", every_n_train_steps=recipe.save_at, save_top_k=-1
        )
        callbacks = [*callbacks, saver]
    if recipe.bf16:
        options["precision"] = "bf16-mixed"
    if recipe.scaler:
        options["plugins"] = MixedPrecision("16-mixed", "cpu", scaler=loss_scale())
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    parallel = {"devices": processes, "strategy": "ddp"} if processes > 1 else {}
    return Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        max_steps=9 if recipe.stream else -1,
        accumulate_grad_batches=recipe.accumulation,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=bool(recipe.save_at),
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **options | parallel,
    )


def train(recipe, folder):
    """Train by a recipe; return what was seen."""
    module = Module(recipe)
    wish = {"half_life": recipe.half_life, "schedule": recipe.schedule}
    callback = DecayCallback(**wish | recipe.facts)
    trainer = trainer_of(recipe, folder, [callback])
    loader = Going(data_of(recipe), batch_size=BATCH, drop_last=recipe.drop_last)
    path = recipe.resume_from and f"{folder}/at-step={recipe.resume_from}.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, loader, ckpt_path=path)
    return Seen(lrs=module.lrs, net=module.net, controller=callback.controllers[0])
