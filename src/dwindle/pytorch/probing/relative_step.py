"""Whether the steps of an optimizer grow with the weights, as a trust ratio makes them.

LAMB, LARS and an Adafactor that scales by its parameters step by a share of the
weight's own size.
"""

import torch
from torch.optim import Optimizer

from dwindle.pytorch.copying.toy import START, Mould, Toy
from dwindle.pytorch.options import decay_option, set_option

# So little that a step shows the gradient alone; 0 switches off some trust ratios.
_HARDLY_ANY = 1e-12
_GRADIENT = 0.5
_TWICE = 2.0
_NEARLY = 0.1


def steps_by_size(optimizer: Optimizer, *, at: int) -> bool:
    """Return whether a step of a group is twice as long from weights twice as large.

    Args:
        optimizer: Copied, and left as it is.
        at: Place of the group in its ``param_groups``.

    Raises:
        RefusedError: If no copy of it makes a step.

    Example:
        >>> weights = [torch.nn.Parameter(torch.ones(2, 2))]
        >>> steps_by_size(torch.optim.AdamW(weights), at=0)
        False

    """
    mould = Mould.of(optimizer, dtype=torch.float64)
    small, large = (
        _length_of_a_step(mould.toy(start=[times * each for each in START]), at)
        for times in (1.0, _TWICE)
    )
    return small > 0 and abs(large / small - _TWICE) < _NEARLY * _TWICE


def _length_of_a_step(toy: Toy, at: int) -> float:
    for group in toy.optimizer.param_groups:
        knob = decay_option(group)
        if knob is not None:
            set_option(group, knob, _HARDLY_ANY)
    weight = toy.weights[at][0]
    before = weight.detach().clone()
    toy.step(gradient=_GRADIENT)
    return float(torch.linalg.vector_norm(weight.detach() - before))
