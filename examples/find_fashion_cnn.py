"""A CNN on Fashion-MNIST with flags.

To find its weight decay:
dwindle find --knob torch.optim.AdamW --low 1e-3 --high 3 --metric val_loss \
    --lr 4e-3 --batch-size 25 --dataset-size 500 --epochs 30 --schedule cosine \
    -- python find_fashion_cnn.py --weight-decay {weight_decay} --seed {seed}

--seed sets initialization, order and choice of the images; --data is the folder of
Debian's dataset-fashion-mnist. With 2,000 images and 6 epochs decay would not matter.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

flags = argparse.ArgumentParser(description="Train a CNN on Fashion-MNIST.")
flags.add_argument("--weight-decay", type=float, default=0.01)
flags.add_argument("--seed", type=int, default=0)
flags.add_argument("--epochs", type=int, default=30)
flags.add_argument("--samples", type=int, default=500)
flags.add_argument("--channels", type=int, default=8)
flags.add_argument("--data", type=Path, default="/usr/share/datasets/fashion-mnist")
args = flags.parse_args()


def read(name: str, header: int) -> torch.Tensor:
    """Return the bytes of a file behind its header."""
    content = gzip.decompress((args.data / f"{name}-ubyte.gz").read_bytes())
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy())


images = read("train-images-idx3", 16).reshape(-1, 1, 28, 28).float() / 255 - 0.286
labels = read("train-labels-idx1", 8).long()
torch.manual_seed(args.seed)
chosen, held_out = torch.randperm(len(labels)).split(
    [args.samples, len(labels) - args.samples]
)
held_out = held_out[:2000]
width = args.channels
model = nn.Sequential(
    nn.Conv2d(1, width, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(2 * width * 49, 10),
)  # fmt: skip
optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=args.weight_decay)
steps = args.epochs * -(-args.samples // 25)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
for _ in range(args.epochs):
    for batch in chosen[torch.randperm(args.samples)].split(25):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        schedule.step()
with torch.no_grad():
    loss = nn.functional.cross_entropy(model(images[held_out]), labels[held_out])
print(f"val_loss {loss.item():.6f}")
