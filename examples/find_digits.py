"""A small network on 300 digits, one label in ten wrong: does weight decay help?

To find its weight decay:
dwindle find examples.find_digits:train --knob torch.optim.AdamW --low 1e-2 --high 10 \
    --lr 1e-2 --batch-size 50 --dataset-size 300 --epochs 60 --schedule cosine

The seed sets the first weights and the order of the digits.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

SAMPLES, BATCH, EPOCHS, LR, WRONG = 300, 50, 60, 1e-2, 0.1
digits = load_digits()
inputs = torch.tensor(digits.data / 8 - 1, dtype=torch.float32)
labels = torch.tensor(digits.target)
torch.manual_seed(0)
chosen, held_out = torch.randperm(len(labels)).tensor_split([SAMPLES])
is_wrong = torch.rand(len(labels)) < WRONG
taught = torch.where(is_wrong, torch.randint(10, labels.shape), labels)


def train(weight_decay: float, seed: int) -> float:
    """Return the loss on the digits that were not trained on."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=weight_decay)
    steps = EPOCHS * SAMPLES // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        for batch in chosen[torch.randperm(SAMPLES)].split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), taught[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(inputs[held_out]), labels[held_out])
    return loss.item()
