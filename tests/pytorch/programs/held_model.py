"""A held model in two processes: DDP and FSDP2, with AdamW and with SGD."""

from functools import partial

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, AdamW, lr_scheduler

from dwindle.pytorch.controller import DecayController

STEPS, LR, HALF_LIFE_STEPS = 20, 0.02, 10
OPTIMIZERS = {
    "AdamW": partial(AdamW, lr=LR, weight_decay=0.1, foreach=True),
    "SGD": partial(SGD, lr=LR, momentum=0.9, weight_decay=0.1, foreach=True),
}


def _whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _model():
    torch.manual_seed(0)  # the same weights everywhere
    # The third layer is behind a zero: it has gradients, and they are zero.
    return nn.ModuleList([nn.Linear(3, 8), nn.Linear(8, 1), nn.Linear(3, 8)]).double()


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = _model()

    def forward(self, batch):
        used, out, unpulled = self.layers
        return out(torch.tanh(used(batch))) + 0.0 * unpulled(batch).sum()


def _wrapped(kind, model):
    if kind == "ddp":
        return DistributedDataParallel(model)
    for layer in model.layers:
        fully_shard(layer)
    return fully_shard(model)


def _train(kind, name):
    model = _Net()
    wrapped = _wrapped(kind, model)
    optimizer = OPTIMIZERS[name](wrapped.parameters())
    falling = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    held = DecayController(optimizer, half_life=f"{HALF_LIFE_STEPS} steps")
    before = _whole(model.layers[2].weight).detach().clone()
    lrs = []
    for step in range(STEPS):
        lrs.append(optimizer.param_groups[0]["lr"])
        torch.manual_seed(100 * step + dist.get_rank())  # other data per rank
        optimizer.zero_grad()
        wrapped(torch.randn(4, 3).double()).square().mean().backward()
        optimizer.step()
        falling.step()
    after = [_whole(each).detach() for each in model.parameters()]
    kept = _whole(model.layers[2].weight).detach() / before
    return {
        "mechanisms": held.mechanisms,
        "e_folds": held.e_folds,
        "lrs": lrs,
        "least": kept.min().item(),
        "most": kept.max().item(),
        "weights": [each.flatten().tolist() for each in after],
        "sharded": isinstance(next(iter(model.parameters())), DTensor),
        "groups": held.state_dict()["groups"],
    }


def seen():
    """What became of the model in each kind of training."""
    trained = (("ddp", "AdamW"), ("fsdp", "AdamW"), ("fsdp", "SGD"))
    return {f"{kind} {name}": _train(kind, name) for kind, name in trained}
