"""A wrapped model in two processes: what the audit finds in each wrapping."""

import torch
from torch import nn
from torch.distributed.fsdp import fully_shard

from dwindle.pytorch.audit import audit


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(6, 8),
        nn.Linear(8, 8, bias=False),
        nn.LayerNorm(8),
        nn.ReLU(),
        nn.Linear(8, 4),
    )


def sharded(net):
    for layer in (net[1], net[4]):
        fully_shard(layer)
    return fully_shard(net)


IDS = torch.tensor([[0, 2, 4]])  # some rows of each process lack a gradient


def all_of_it(net):
    return torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1)


def audited(net, optimizer):
    found = audit(net, optimizer, example=IDS, target="a model")
    return found.as_dict()


def trained(net):
    """Gradients and state are there, as in the middle of a training."""
    optimizer = all_of_it(net)
    net(IDS).square().mean().backward()
    optimizer.step()
    return audited(net, optimizer)


def too_early():
    """The optimizer holds what the model was before it was sharded."""
    net = model()
    optimizer = all_of_it(net)
    return audited(sharded(net), optimizer)


def seen():
    """What was found in each wrapping of one model."""
    return {
        "plain": trained(model()),
        "fsdp": trained(sharded(model())),
        "sharded too late": too_early(),
    }
