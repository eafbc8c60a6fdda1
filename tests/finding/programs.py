"""Small programs that a test runs as a training, and what is left of them."""

import contextlib
import os
import sys
from pathlib import Path

from dwindle.finding.command import CommandRecipe
from dwindle.finding.metric import Metric
from dwindle.finding.training import Request

# Trains from a command by the function of a file mine.py.
MAIN = """
def main(weight_decay, seed):
    print("loss =", train(float(weight_decay), int(seed)))
"""
SEARCH = "--knob torch.optim.AdamW --low 1e-3 --high 1 --store kept.db"
CODE = "import sys, mine; mine.main(*sys.argv[1:])"
COMMAND = (sys.executable, "-c", CODE, "{weight_decay}", "{seed}")


def faces_of(options=""):
    """The command line of each face that trains with a file mine.py."""
    search = (*SEARCH.split(), *options.split())
    scales = ("--proxy", "width=1,2", "--target", "width=4")
    return {
        "command": ("find", *search, "--metric", "loss", "--", *COMMAND),
        "function": ("find", "mine:train", *search),
        "tune": ("tune", "mine:train", *search, *scales),
    }


def recipe(code, *arguments, metric="loss", **options):
    """A command that runs Python code; the decay is its last argument."""
    words = (sys.executable, "-S", "-c", code, *arguments, "{weight_decay}")
    return CommandRecipe(words=words, metric=Metric(text=metric), **options)


def run(code, *arguments, metric="loss", scale_names=(), keep_out=False, **request):
    """The result of one training by Python code."""
    command = recipe(
        code, *arguments, metric=metric, scale_names=scale_names, keep_out=keep_out
    )
    # As it is for most users, independent of this machine.
    environment = {"PYTHONUNBUFFERED": "", **request.pop("environment", {})}
    options = {"weight_decay": 0.1, "seed": 3, "environment": environment, **request}
    return command.open().train(Request(**options))


def alive(mark):
    """Processes with a mark in their environment that are not dead, from /proc."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX" and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found
