"""One of two processes that run every small training: what each saw, as JSON."""

import sys
from pathlib import Path

import torch
from frameworks.loops import of_accelerate, of_lightning, of_transformers
from frameworks.loops.net import Recipe
from pytorch.two_processes import write_and_leave

# Accelerate steps a scheduler once per process: 12 are the first 6 steps of 9.
RUNS = {
    "lightning": (of_lightning.train, Recipe(warm_up=2)),
    "accelerate": (of_accelerate.train, Recipe(warm_up=12)),
    "transformers": (of_transformers.train, Recipe(warm_up=2)),
}


def compared(seen):
    """Return what the test compares."""
    return {
        "half_life_steps": seen.controller.half_life_steps,
        "lrs": seen.lrs,
        "kept": seen.kept,
        "expected": seen.expected(6),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    saw = {
        name: compared(train(recipe, folder)) for name, (train, recipe) in RUNS.items()
    }
    write_and_leave(saw, folder)
