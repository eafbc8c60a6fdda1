"""A model of characters on Python's own manual, with flags.

To find its weight decay:

dwindle find --knob torch.optim.AdamW --low 0.01 --high 30 --metric val_loss \
    --lr 3e-3 --batch-size 64 --steps 600 --schedule cosine \
    -- python find_characters.py --wd {weight_decay} --seed {seed}

From 8 characters it predicts the next one, in bits. No file is needed: the text is what
help() prints of Python's keywords. The last fifth of it is held out.
"""

import argparse
import math
from pydoc_data.topics import topics

import torch
from torch import nn

BEFORE, BATCH = 8, 64
flags = argparse.ArgumentParser(description="Train a small model of characters.")
flags.add_argument("--wd", type=float, default=0.1, help="weight decay of AdamW")
flags.add_argument("--seed", type=int, default=0)
flags.add_argument("--steps", type=int, default=600)
flags.add_argument("--characters", type=int, default=10_000, help="length of the text")
args = flags.parse_args()

text = "".join(topics[name] for name in sorted(topics))[: args.characters]
known = {each: number for number, each in enumerate(sorted(set(text)))}
data = torch.tensor([known[each] for each in text]).unfold(0, BEFORE + 1, 1)
train, held_out = data.split([len(data) * 4 // 5, len(data) - len(data) * 4 // 5])

torch.manual_seed(args.seed)
model = nn.Sequential(
    nn.Embedding(len(known), 16), nn.Flatten(),
    nn.Linear(16 * BEFORE, 128), nn.ReLU(), nn.Linear(128, len(known)),
)  # fmt: skip
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=args.wd)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)


def bits(rows: torch.Tensor) -> torch.Tensor:
    """Return the mean surprise of the last characters of rows, in bits."""
    guess = model(rows[:, :BEFORE])
    return nn.functional.cross_entropy(guess, rows[:, BEFORE]) / math.log(2)


for _ in range(args.steps):
    optimizer.zero_grad()
    bits(train[torch.randint(len(train), (BATCH,))]).backward()
    optimizer.step()
    schedule.step()
with torch.no_grad():
    print(f"val_loss {bits(held_out).item():.6f}")
