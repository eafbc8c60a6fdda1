"""A half-life in a loop with Accelerate: one call after prepare."""

import math

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dwindle.integrations.accelerate import hold_decay
from dwindle.pytorch import decay_groups

EPOCHS = 6
torch.manual_seed(0)
digits = load_digits()
inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
data = TensorDataset(inputs, torch.tensor(digits.target))
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.AdamW(decay_groups(model), lr=3e-3)
loader = DataLoader(data, batch_size=50, shuffle=True)

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
# The batch of a step is 2 × 50 here, and more with more processes: it is read.
controller = hold_decay(
    accelerator, optimizer, half_life="20% of the run", dataloader=loader, epochs=EPOCHS
)

for epoch in range(EPOCHS):
    for batch, labels in loader:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(batch), labels)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
    accelerator.print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

accelerator.print(controller)
kept = math.exp(-controller.e_folds[0])
accelerator.print(f"A weight without gradient has kept {kept:.1%} over the run.")
