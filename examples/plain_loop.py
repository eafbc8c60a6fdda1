"""A half-life in a plain PyTorch loop: three lines, the loop stays as it is."""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dwindle.pytorch import DecayController, decay_groups

EPOCHS, BATCH = 6, 100
torch.manual_seed(0)
digits = load_digits()
inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(inputs, labels), batch_size=BATCH, shuffle=True)
model = nn.Sequential(
    nn.Linear(64, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, 10)
)

# 1: weights of layers decay; biases and the LayerNorm do not.
groups = decay_groups(model)
optimizer = torch.optim.AdamW(groups, lr=3e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=3e-3, total_steps=EPOCHS * len(loader)
)
# 2: a weight that nothing pulls at halves in three epochs at the peak lr.
controller = DecayController(
    optimizer, half_life="3 epochs", batch_size=BATCH, dataset_size=len(labels)
)

for epoch in range(EPOCHS):
    for batch, wanted in loader:
        loss = nn.functional.cross_entropy(model(batch), wanted)
        loss.backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

# 3: what was held, and what came of it.
print(controller)
kept = math.exp(-controller.e_folds[0])
print(f"A weight without gradient has kept {kept:.1%} over {EPOCHS} epochs.")
