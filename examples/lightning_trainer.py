"""A half-life in a Lightning Trainer: one callback."""

import math

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dwindle.integrations.lightning import DecayCallback
from dwindle.pytorch import decay_groups

EPOCHS = 6


class Digits(LightningModule):
    """Two layers that read a digit."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch, _):
        """Return the loss of a batch."""
        inputs, labels = batch
        return nn.functional.cross_entropy(self.net(inputs), labels)

    def configure_optimizers(self):
        """Weights of layers decay, biases do not; SGD, to see it multiplied."""
        optimizer = torch.optim.SGD(decay_groups(self), lr=0.1, momentum=0.9)
        steps = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


torch.manual_seed(0)
digits = load_digits()
inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
data = TensorDataset(inputs, torch.tensor(digits.target))

hold = DecayCallback(half_life="3 epochs")
trainer = Trainer(
    max_epochs=EPOCHS,
    accelerator="cpu",
    callbacks=[hold],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
)
trainer.fit(Digits(), DataLoader(data, batch_size=100, shuffle=True))

(controller,) = hold.controllers
print(controller)
kept = math.exp(-controller.e_folds[0])
print(f"A weight without gradient has kept {kept:.1%} over {EPOCHS} epochs.")
