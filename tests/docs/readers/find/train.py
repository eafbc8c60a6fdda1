"""A training that is over at once: python train.py --wd 0.1 --seed 0."""

import sys

given = dict(zip(sys.argv[1::2], map(float, sys.argv[2::2]), strict=True))
luck = (given["--seed"] * 0.37) % 0.1
sys.stdout.write(f"val_loss {1 + (given['--wd'] - 0.1) ** 2 + luck}\n")
