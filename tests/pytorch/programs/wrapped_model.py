"""Two processes with a wrapped model: which groups it gets, and how a penalty acts."""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from dwindle.pytorch import L2Penalty, decay_groups

STEPS = 3
STRENGTH = 0.1


class Net(nn.Module):
    """A small transformer-like model: tied head, norms, a frozen block, a gain."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(6, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
            for _ in range(3)
        )
        self.scale = nn.Parameter(torch.ones(4))
        self.out = nn.Linear(4, 3)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.wte.weight
        self.blocks[2].requires_grad_(requires_grad=False)

    def forward(self, tokens):
        hidden = self.wte(tokens)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.out(hidden * self.scale).square().sum(-1) + self.head(hidden).mean(
            -1
        )


def made():
    torch.manual_seed(0)
    return Net().double()


def sharded(model, **options):
    for block in model.blocks:
        fully_shard(block, **options)
    return fully_shard(model, **options)


def groups_of(model):
    """All that decay_groups returns of a model, and whether it names its parameters."""
    groups = decay_groups(
        model, weight_decay=0.1, normalization="layer-mean", no_decay="out.*"
    )
    own = {id(parameter) for parameter in model.parameters()}
    given = [id(p) for group in groups for p in group["params"]]
    return {
        "rows": [
            [row.name, list(row.names), row.role, list(row.shape), row.decays,
             row.coefficient, row.why, row.group]
            for row in groups.rows
        ],
        "weight_decay": [group["weight_decay"] for group in groups],
        "own": own.issuperset(given) and len(given) == len(set(given)),
    }  # fmt: skip


def weights_of(model):
    whole = [
        parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter
        for parameter in model.parameters()
    ]
    return torch.cat([each.detach().flatten() for each in whole]).tolist()


def trained(model, penalty):
    """Train a few steps on this process's share of a batch; return all weights."""
    rank, world = dist.get_rank(), dist.get_world_size()
    data = torch.arange(8).remainder(6).view(4, 2)
    groups = decay_groups(model, weight_decay=0.0, embeddings=True)
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    values = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(data.chunk(world)[rank]).mean()
        term = penalty()
        values.append(term.item())
        (loss + term).backward()
        optimizer.step()
    return {"values": values, "weights": weights_of(model)}


def alone(model, penalty):
    """The same training in one process, with the whole batch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = torch.arange(8).remainder(6).view(4, 2)
    values = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        term = penalty()
        values.append(term.item())
        (model(data).mean() + term).backward()
        optimizer.step()
    return {"values": values, "weights": weights_of(model)}


def term_of(model):
    return L2Penalty(model, STRENGTH, normalization="fan-in")


def sharded_after_penalty():
    model = made()
    penalty = term_of(model)
    return trained(sharded(model), penalty)


def mixed():
    """Compute in bfloat16, weights in float32: the penalty is that of the weights."""
    model = made().float()
    before = term_of(model)().item()
    model = sharded(model, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    penalty = term_of(model)
    model(torch.zeros(1, 2, dtype=torch.int64)).mean().backward()
    model(torch.zeros(1, 2, dtype=torch.int64))  # the root is whole now, in bfloat16
    return {"before": before, "after": penalty().item()}


def compiled(model):
    return torch.compile(model, backend="eager")


def seen():
    """What the model has, and what becomes of it, in each wrapping."""
    ddp = DistributedDataParallel
    return {
        "plain": groups_of(made()),
        "ddp": groups_of(ddp(made())),
        "compile": groups_of(compiled(made())),
        "compile of ddp": groups_of(compiled(ddp(made()))),
        "ddp of compile": groups_of(ddp(compiled(made()))),
        "fully_shard": groups_of(sharded(made())),
        "fully_shard of compile": groups_of(sharded_inside(compiled(made()))),
        "alone": alone(plain := made(), term_of(plain)),
        "ddp trained": trained(wrapped := ddp(made()), term_of(wrapped)),
        "fsdp trained": trained(split := sharded(made()), term_of(split)),
        "fsdp trained, penalty first": sharded_after_penalty(),
        "mixed": mixed(),
    }


def sharded_inside(model):
    sharded(model._orig_mod)
    return model
