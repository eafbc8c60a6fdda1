"""One of two processes of the small training: what it saw, as JSON in a folder."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

import torch
from frameworks.loops.net import Asked

if __name__ == "__main__":
    torch.set_num_threads(1)
    name, folder = sys.argv[1:]
    train = import_module(f"frameworks.loops.of_{name}").train
    # Accelerate steps a scheduler once per process: 12 are the first 6 steps of 9.
    seen = train(Asked(warm_up=12 if name == "accelerate" else 2), folder)
    told = {
        "half_life_steps": seen.controller.half_life_steps,
        "lrs": seen.lrs,
        "kept": seen.kept,
        "expected": seen.expected(6),
    }
    path = Path(folder) / f"{os.environ['RANK']}.json"
    path.write_text(json.dumps(told), "utf-8")
