"""A picture of an optimizer, bit by bit: to see that something left it as it was."""

import random
from contextlib import contextmanager

import numpy as np
import torch


def _plain(value):
    """Tensors as bytes, containers item by item, everything else as itself."""
    if isinstance(value, torch.Tensor):
        bits = value.detach()
        known = [] if value.is_meta else bits.to_dense().flatten().tolist()
        return id(value), str(value.dtype), tuple(value.shape), repr(known)
    if isinstance(value, dict):
        return [(id(key), _plain(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return id(value), repr(value)


def picture(optimizer):
    """Attributes, options, parameters, gradients, state and hooks, with identities."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        "attributes": {name: _plain(each) for name, each in vars(optimizer).items()},
        "parameters": [_plain(p) for p in parameters],
        "gradients": [None if p.grad is None else _plain(p.grad) for p in parameters],
        "own attributes": [sorted(vars(p)) for p in parameters],
        "groups": [_plain(dict(group)) for group in optimizer.param_groups],
        "state": {id(key): _plain(each) for key, each in optimizer.state.items()},
    }


def generators():
    """The states of all random generators."""
    return (
        torch.get_rng_state().tolist(),
        random.getstate(),
        repr(np.random.get_state()),  # noqa: NPY002  (the one that libraries use)
    )


@contextmanager
def left_alone(optimizer):
    """Fail if anything about the optimizer, or a random generator, has changed."""
    before, drawn = picture(optimizer), generators()
    yield
    assert picture(optimizer) == before
    assert generators() == drawn
