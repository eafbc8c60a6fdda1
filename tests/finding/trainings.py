"""Functions that train, to be found by name in a worker, or run as a program."""

# A training takes what it is given, used or not, and may print.
# ruff: noqa: ARG001, T201

import os
import signal
import sys
import time


def good(weight_decay, seed):
    return weight_decay + seed


def nan(weight_decay, seed):
    return float("nan") * weight_decay * seed


def bad(weight_decay, seed):
    return weight_decay / (seed - seed)


def nothing(weight_decay, seed):
    pass


def main(name):
    loss = globals()[name](float(sys.argv[1]), int(sys.argv[2]))
    if loss is not None:
        print(f"{loss=}")


def plain(weight_decay, seed, width=1):
    print("width", width, type(width).__name__)
    return weight_decay * 100 + seed * 10 + width


def no_seed(weight_decay):
    return {"loss": weight_decay, "pid": os.getpid()}


def pid(weight_decay, seed):
    return os.getpid()


def anything(weight_decay, **scale):
    return sum(scale.values())


def raising(weight_decay, seed):
    print("about to fail")
    return inner(weight_decay)


def inner(weight_decay):
    return 1 / (weight_decay - weight_decay)


def leaving(weight_decay):
    raise SystemExit(3)


def crashing(weight_decay):
    if weight_decay == 1:
        print("bye", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    return weight_decay


def hanging(weight_decay):
    if weight_decay == 1:
        os.fork()
        time.sleep(600)
    if weight_decay == 2 and not os.fork():
        return -1.0
    time.sleep(0.2)  # the child is back before us
    return weight_decay


def pairs(weight_decay):
    yield from enumerate((3.0, 1.0, 2.0), start=int(weight_decay))


def diverging(weight_decay):
    yield 1, 0.5
    yield 2, float("nan")
    os._exit(9)  # never reached


def without_decay(seed):
    return 1.0


def threads(weight_decay):
    return float(os.environ.get("OMP_NUM_THREADS", "-1"))


NOT_A_FUNCTION = 3
