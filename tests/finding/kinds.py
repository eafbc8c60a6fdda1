"""One training of each kind, as a function and as a program."""

import sys


def good(weight_decay, seed):
    return weight_decay + seed


def nan(weight_decay, seed):
    return float("nan") * weight_decay * seed


def bad(weight_decay, seed):
    return weight_decay / (seed - seed)


def nothing(weight_decay, seed):
    del weight_decay, seed


def main(name):
    loss = globals()[name](float(sys.argv[1]), int(sys.argv[2]))
    if loss is not None:
        print(f"{loss=}")  # noqa: T201 that is its output
