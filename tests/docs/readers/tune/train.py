"""A training whose best decay is 3.2 / width: python train.py --wd 0.1 --width 64."""

import sys

given = dict(zip(sys.argv[1::2], map(float, sys.argv[2::2]), strict=True))
off = given["--wd"] * given["--width"] / 3.2 - 1 - given["--seed"] / 1000
sys.stdout.write(f"val_loss {1 + off**2}\n")
