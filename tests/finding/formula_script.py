"""A training with flags: its loss is a formula and the luck of its seed."""

import argparse
import math
import random
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--weight-decay", type=float, required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--ignore", action="store_true")
parser.add_argument("--fail-above", type=float, default=math.inf)
parser.add_argument("--write", default="")
parser.add_argument("--seconds", type=float, default=0.0)
arguments = parser.parse_args()

luck = random.Random(arguments.seed)  # noqa: S311, luck and no secret
level, slope = luck.gauss(0, 0.1), luck.gauss(0, 0.01)
x = math.log(arguments.weight_decay / 0.05) if arguments.weight_decay else 3.0
x = 0.0 if arguments.ignore else x
time.sleep(arguments.seconds)
sys.stdout.write("epoch 1: val_loss 0.9\n")
if arguments.weight_decay > arguments.fail_above:
    sys.exit("\x1b[31mRuntimeError: too much\x1b[0m")
if arguments.write:
    Path(arguments.write).write_text(f"{arguments.weight_decay}")
loss = 0.5 * math.exp(0.02 * min(abs(x), 3.0) ** 2 + level + slope * x)
sys.stdout.write(f"epoch 2: val_loss {loss:.7f}\n")
