"""The engine of the studies that dwindle's own does not train, beside PyTorch's own."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from dwindle.store.records import Optimizer, Scale, Trial
from dwindle.study.problems import Data, Split
from dwindle.study.sampling import epoch_order, training_subset

POOL = 40
SCALE = Scale(width=3, depth=2, batch_size=8, dataset_size=20, epochs=3, lr=0.05)
OPTIMIZERS = (
    (Optimizer(name="sgd", momentum=0.9, schedule="cosine"), torch.optim.SGD),
    (Optimizer(name="adamw", betas=(0.9, 0.99), schedule="cosine"), torch.optim.AdamW),
)


@pytest.fixture
def nets(monkeypatch):
    """The script, with little noise instead of images."""
    nets = importlib.import_module("evidence_nets")
    draw = np.random.default_rng(0)
    x = draw.standard_normal((60, 14**2)).astype(np.float32)
    data = Data(x, draw.integers(0, 5, 60))
    split = Split(pool=np.arange(POOL), valid=np.arange(POOL, 60))
    monkeypatch.setattr(nets, "load_once", lambda _: data)
    monkeypatch.setattr(nets.Images, "split", lambda *_: split)
    monkeypatch.setattr(nets.Images, "pool_size", POOL)
    before = replace(nets.BEFORE, dataset_size=POOL, epochs=2)
    monkeypatch.setattr(nets, "BEFORE", before)
    nets.start_of.cache_clear()
    yield nets
    nets.start_of.cache_clear()


def module_of(start):
    """Return PyTorch's modules that begin like a model, and their decayed weights."""
    width, classes = len(start["0"]), len(start["last"])
    if "0.gain" in start:
        first = nn.Conv2d(1, width, 3, padding=1, bias=False)
        second = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        last = nn.Linear(18 * width, classes)
        # BatchNorm has the biases; they and its gains begin with 0 and 1 there, too.
        model = nn.Sequential(
            *(nn.Unflatten(1, (1, 14**2)), nn.Unflatten(2, (14, 14))),
            *(first, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)),
            *(second, nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), last),
        )
    else:
        first, second = nn.Linear(14**2, width), nn.Linear(width, width)
        last = nn.Linear(width, classes)
        model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)
    decayed = []
    with torch.no_grad():
        for name, layer in (("0", first), ("1", second), ("last", last)):
            decayed.append(layer.weight)
            layer.weight.copy_(start[name])
            if layer.bias is not None:
                layer.bias.copy_(start[f"{name}.bias"])
    return model, decayed


def losses_by_pytorch(start, trial, optimizer_class, data, shares, **options):
    """Train by PyTorch's modules; return validation and training loss."""
    model, decayed = module_of(start)
    kept = [p for p in model.parameters() if all(p is not each for each in decayed)]
    # What AdamW takes off is lr·λ of the study, also where a layer's lr is a share.
    groups = [
        {
            "params": p,
            "lr": SCALE.lr * share,
            "weight_decay": trial.weight_decay / share,
        }
        for p, share in zip(decayed, shares, strict=True)
    ]
    groups.append({"params": kept})
    optimizer = optimizer_class(groups, lr=SCALE.lr, weight_decay=0.0, **options)
    lrs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, SCALE.steps)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    rows = training_subset(trial.seed, POOL, SCALE.dataset_size)
    for epoch in range(3):
        order = rows[epoch_order(trial.seed, epoch, SCALE.dataset_size)]
        for batch in torch.from_numpy(order).split(SCALE.batch_size):
            optimizer.zero_grad()
            cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
            lrs.step()
    model.eval()
    parts = slice(POOL, None), rows
    return [float(cross_entropy(model(x[part]), y[part]).detach()) for part in parts]


@pytest.mark.parametrize(
    "name", ["fashion-cnn-batchnorm", "fashion-finetuned-mlp", "fashion-mup-mlp"]
)
def test_each_model_of_a_pack_is_the_module_of_pytorch(nets, name):
    """λ, seeds, steps, BatchNorm's statistics, what fine-tuning starts from, losses."""
    mup = nets.NETS[name].mup
    narrower = nets.MUP_WIDTH / SCALE.width if mup else 1.0
    for options, optimizer_class in OPTIMIZERS[mup:]:  # μP's powers are AdamW's
        trials = tuple(
            Trial(
                problem=name,
                optimizer=options,
                scale=SCALE,
                normalization="none",
                weight_decay=decay,
                seed=seed,
            )
            for seed in (1, 2)
            for decay in (0.0, 0.3)
        )
        given = {"momentum": 0.9} if options.name == "sgd" else {"betas": options.betas}
        data, found, expected = nets.load_once(None), [], []
        for trial, outcome in zip(trials, nets.train(trials), strict=True):
            start = nets.start_of(nets.NETS[name], SCALE.width, trial.seed)
            found += [outcome.loss, outcome.train_loss]
            shares = (1.0, narrower, narrower)
            expected += losses_by_pytorch(
                start, trial, optimizer_class, data, shares, **given
            )
        assert found == pytest.approx(expected, rel=2e-4)
    tiny = torch.tensor(1e-40)  # no normal float32
    assert tiny * 1 != 0, "a pack leaves denormals off"


def test_what_was_trained_before_is_where_fine_tuning_starts(nets):
    """Hidden layers go on from the other classes; the last layer is new, and 0."""
    tuned = nets.start_of(nets.NETS["fashion-finetuned-mlp"], 3, 1)
    fresh = nets.start_of(nets.NETS["fashion-odd-mlp"], 3, 1)
    assert not torch.equal(tuned["1"], fresh["1"])
    assert torch.count_nonzero(tuned["last"]) == 0


def test_the_last_layer_of_mup_begins_smaller_as_the_net_grows(nets):
    """Its first weights fall as 1/width, from those of any net at one width."""
    of_mup, plain = nets.NETS["fashion-mup-mlp"], nets.NETS["fashion-odd-mlp"]
    for width in (nets.MUP_WIDTH, 4 * nets.MUP_WIDTH):
        deviation = float(nets.start_of(of_mup, width, 0)["last"].std())
        assert deviation == pytest.approx(
            (2 / nets.MUP_WIDTH) ** 0.5 * nets.MUP_WIDTH / width, rel=0.1
        )
    assert torch.equal(
        nets.start_of(of_mup, 8, 0)["1"], nets.start_of(plain, 8, 0)["1"]
    )
