"""An engine for the nets of our studies that dwindle's own does not train.

A CNN with a BatchNorm after each convolution, a net that goes on from weights trained
on other classes (fine-tuning), and one whose lr follows its width as in μP. All models
of a pack are one net in groups, with PyTorch's autograd; biases and BatchNorm's gains
are not decayed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dwindle.store.records import Optimizer, Outcome, ProblemFacts, Scale, Trial
from dwindle.study.engine import lrs_of, one_thread
from dwindle.study.problems import Data, Split, load_once, rows_of
from dwindle.study.problems import problem as problem_of
from dwindle.study.sampling import epoch_order, split_order
from dwindle.study.worker import Engine, Trials

SIDE, CLASSES = 14, 10
HALF_CLASSES = CLASSES // 2
VALID = 2000
EVALUATED = 500  # samples at a time
# Of the half of the classes that a fine-tuned net has seen before: long enough to be
# better there than any start, short enough to cost a tenth of a study.
BEFORE = Scale(width=1, depth=2, batch_size=100, dataset_size=10_000, epochs=5, lr=2e-3)
PRETRAINED_BY = Optimizer(name="adamw", schedule="cosine")
# The width at which μP's learning rates and first weights are those of any net.
MUP_WIDTH = 32
Params = dict[str, Tensor]  # each (models, ...)


@dataclass(frozen=True)
class Images:
    """Fashion-MNIST at half its size; ``parity`` leaves every other class out.

    The even classes (tops and bags) are harder to tell apart than the odd ones.
    ``mup`` is for AdamW: the lr of weights that have the width as inputs falls as its
    inverse, and those of the last layer begin smaller. What decay takes off in a step
    is lr·λ in all layers, with the lr of the study: λ goes with the width where the lr
    falls with it. Reference: Yang et al., arXiv 2203.03466, table 3.
    """

    name: str
    net: str
    parity: int | None = None
    before: str | None = None  # the problem that trained the weights to start from
    mup: bool = False

    @property
    def classes(self) -> int:
        """Classes to tell apart."""
        return CLASSES if self.parity is None else HALF_CLASSES

    @property
    def pool_size(self) -> int:
        """Images to train on: classes have equally many."""
        return 60_000 * self.classes // CLASSES

    @property
    def facts(self) -> ProblemFacts:
        """What the store keeps; it sizes packs as if all layers were dense."""
        return ProblemFacts(
            inputs=SIDE**2,
            classes=self.classes,
            hidden=True,
            validation_samples=VALID,
        )

    def load(self) -> Data:
        """Return the images of the classes, those to train on first."""
        whole = problem_of("fashion-mlp").load()
        x = whole.x.reshape(-1, SIDE, 2, SIDE, 2).mean((2, 4)).reshape(-1, SIDE**2)
        if self.parity is None:
            return Data(x, whole.y)
        kept = whole.y % 2 == self.parity
        return Data(x[kept], whole.y[kept] // 2)

    def split(self, seed: int) -> Split:
        """Return all training images as the pool, and the test images of a seed."""
        test = self.pool_size + split_order(seed, self.pool_size // 6)
        return Split(pool=np.arange(self.pool_size), valid=test[:VALID])


NETS = {
    each.name: each
    for each in (
        Images("fashion-cnn-batchnorm", "cnn"),
        Images("fashion-odd-mlp", "mlp", parity=1),
        Images("fashion-finetuned-mlp", "mlp", parity=0, before="fashion-odd-mlp"),
        Images("fashion-mup-mlp", "mlp", mup=True),
    )
}


def shapes_of(net: str, width: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every decayed weight, (outputs, inputs, ...)."""
    if net == "mlp":
        return {"0": (width, SIDE**2), "1": (width, width), "last": (classes, width)}
    # Two halvings of 14 pixels leave 3.
    inputs = 2 * width * 9
    return {
        "0": (width, 1, 3, 3),
        "1": (2 * width, width, 3, 3),
        "last": (classes, inputs),
    }


def first_weights(
    net: str, width: int, classes: int, seed: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield He-normal weights, biases of 0, and BatchNorm's gains of 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in shapes_of(net, width, classes).items():
        spread = (2 / np.prod(shape[1:])) ** 0.5
        yield name, torch.randn(shape, generator=generator) * spread
        yield f"{name}.bias", torch.zeros(shape[0])
        if net == "cnn" and name != "last":
            yield f"{name}.gain", torch.ones(shape[0])
            yield f"{name}.mean", torch.zeros(shape[0])
            yield f"{name}.variance", torch.ones(shape[0])


def logits(w: Params, x: Tensor, *, training: bool) -> Tensor:  # (models, batch, ...)
    """Return the logits of every model; x is (models, batch, pixels)."""
    if "0.gain" in w:
        x = _convolved(w, x, training=training)
    else:
        for name in ("0", "1"):
            x = torch.baddbmm(w[f"{name}.bias"][:, None], x, w[name].mT).relu()
    return torch.baddbmm(w["last.bias"][:, None], x, w["last"].mT)


def _convolved(w: Params, x: Tensor, *, training: bool) -> Tensor:
    models, batch, _ = x.shape
    x = x.transpose(0, 1).reshape(batch, models, SIDE, SIDE)
    for name in ("0", "1"):
        x = functional.conv2d(x, w[name].flatten(0, 1), padding=1, groups=models)
        # Every model has channels of its own, so their statistics are its own as well.
        x = functional.batch_norm(
            x,
            w[f"{name}.mean"].view(-1),
            w[f"{name}.variance"].view(-1),
            w[f"{name}.gain"].flatten(),
            w[f"{name}.bias"].flatten(),
            training,
        )
        x = functional.max_pool2d(x.relu(), 2)
    return x.view(batch, models, -1).transpose(0, 1)


class Moves:
    """SGD and AdamW as torch.optim has them, with a λ for each model.

    AdamW's gradient step of a weight is ``shares`` of the lr, all of it by default.
    """

    def __init__(
        self, options: Optimizer, w: Params, decays: Tensor, shares: Mapping[str, float]
    ) -> None:
        self.options, self.shares = options, shares
        self.trained = {k: p for k, p in w.items() if p.requires_grad}
        self.first = {k: torch.zeros_like(p) for k, p in self.trained.items()}
        self.second = {k: torch.zeros_like(p) for k, p in self.trained.items()}
        self.decays = {
            k: decays.view(-1, *[1] * (p.ndim - 1)) if "." not in k else 0.0
            for k, p in self.trained.items()
        }

    @torch.no_grad()
    def step(self, number: int, lr: float) -> None:
        """Take a step, counted from 1, with the gradients that are there."""
        o = self.options
        for k, p in self.trained.items():
            gradient, decay, first = p.grad, self.decays[k], self.first[k]
            if o.name == "sgd":
                first.mul_(o.momentum).add_(gradient).add_(decay * p)
                p.sub_(first, alpha=lr)
                continue
            p.mul_(1 - lr * decay)
            first.lerp_(gradient, 1 - o.betas[0])
            second = self.second[k].mul_(o.betas[1])
            second.addcmul_(gradient, gradient, value=1 - o.betas[1])
            root = (second / (1 - o.betas[1] ** number)).sqrt_().add_(o.eps)
            rate = lr * self.shares.get(k, 1.0)
            p.addcdiv_(first, root, value=-rate / (1 - o.betas[0] ** number))


def trained(trials: Sequence[Trial]) -> tuple[Params, Tensor, Tensor]:
    """Train a pack; return its weights, and inputs and labels of each model's seed.

    Inputs are (models, samples, pixels), labels (models, samples).
    """
    problem, scale = NETS[trials[0].problem], trials[0].scale
    options, size = trials[0].optimizer, scale.dataset_size
    starts = [start_of(problem, scale.width, trial.seed) for trial in trials]
    w = {name: torch.stack([s[name] for s in starts]) for name in starts[0]}
    for name, value in w.items():
        value.requires_grad_(not name.endswith((".mean", ".variance")))
    decays = torch.tensor([trial.weight_decay for trial in trials])
    narrower = MUP_WIDTH / scale.width if problem.mup else 1.0
    moves = Moves(options, w, decays, {"1": narrower, "last": narrower})
    x, y = samples(problem, trials, training=True)
    every = torch.arange(len(trials))[:, None]
    for number, lr in enumerate(lrs_of(trials[0])):
        epoch, batch = divmod(number, scale.steps_per_epoch)
        if not batch:
            orders = {s: epoch_order(s, epoch, size) for s in {t.seed for t in trials}}
            order = torch.from_numpy(np.stack([orders[t.seed] for t in trials]))
        rows = order[:, batch * scale.batch_size : (batch + 1) * scale.batch_size]
        for value in moves.trained.values():
            value.grad = None
        out = logits(w, x[every, rows], training=True)
        # Summed over models: each has the gradient of its own mean.
        losses = functional.cross_entropy(
            out.flatten(0, 1), y[every, rows].flatten(), reduction="sum"
        )
        (losses / rows.shape[1]).backward()
        moves.step(number + 1, lr)
    return w, x, y


@cache
def start_of(problem: Images, width: int, seed: int) -> Params:
    """Return a seed's first weights: random, or trained on other classes."""
    start = dict(first_weights(problem.net, width, problem.classes, seed))
    if problem.mup:
        start["last"] *= (MUP_WIDTH / width) ** 0.5
    if problem.before is None:
        return start
    trial = Trial(
        problem=problem.before,
        optimizer=PRETRAINED_BY,
        scale=replace(BEFORE, width=width),
        normalization="none",
        weight_decay=0.0,
        seed=seed,
    )
    before, _, _ = trained([trial])
    # The last layer is new, as the classes are, and begins with 0: random weights there
    # would be noise that decay removes, and what it does to them is not asked here.
    kept = {k: p[0].detach() for k, p in before.items() if "last" not in k}
    return {**start, **kept, "last": torch.zeros_like(start["last"])}


def samples(
    problem: Images, trials: Sequence[Trial], *, training: bool
) -> tuple[Tensor, Tensor]:
    """Return inputs and labels, training or validation set, of every model."""
    data, part = load_once(problem), "pool" if training else "valid"
    chosen = np.stack([getattr(rows_of(problem, trial), part) for trial in trials])
    return torch.from_numpy(data.x[chosen]), torch.from_numpy(data.y[chosen])


@torch.no_grad()
def judged(w: Params, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean loss of every model, and the share that is right."""
    losses, right = torch.zeros(len(x)), torch.zeros(len(x))
    for inputs, labels in zip(
        x.split(EVALUATED, 1), y.split(EVALUATED, 1), strict=True
    ):
        log_p = logits(w, inputs, training=False).log_softmax(2)
        losses -= log_p.gather(2, labels[..., None]).sum((1, 2))
        right += (log_p.argmax(2) == labels).sum(1)
    return losses / x.shape[1], right / x.shape[1]


@one_thread()
def train(trials: Trials) -> list[Outcome]:
    """Train a pack and return its outcomes."""
    w, x, y = trained(trials)
    problem = NETS[trials[0].problem]
    train_losses, _ = judged(w, x, y)
    losses, right = judged(w, *samples(problem, trials, training=False))
    steps = trials[0].scale.steps
    return [
        Outcome(
            status="ok",
            steps=steps,
            seconds=0.0,
            loss=float(loss),
            accuracy=float(accuracy),
            train_loss=float(train_loss),
            penalty=0.0,
        )
        if loss.isfinite()
        else Outcome(
            status="diverged", steps=steps, seconds=0.0, diverged_at_step=steps
        )
        for loss, accuracy, train_loss in zip(losses, right, train_losses, strict=True)
    ]


def version() -> str:
    """Return the version that trainings are kept under: raise it with the numbers."""
    return "evidence-nets 1"


def load(name: str) -> Data:
    """Read the data of a problem."""
    return load_once(NETS[name])


ENGINE = Engine(train, version, load)
