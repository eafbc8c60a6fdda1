"""A pack is nothing but its trainings: what one by one gives, at once."""

import functools
import math
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from oracle.plain_training import Course, train_plainly

from dwindle.decay.penalties import NORMALIZATIONS, layer_coefficients
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError
from dwindle.store.records import Optimizer, Scale, Trial
from dwindle.study import engine
from dwindle.study.engine import Divergence, engine_version, train_pack
from dwindle.study.problems import load_once, problem
from dwindle.study.sampling import epoch_order, initial_weights, training_subset

SGD = Optimizer(name="sgd", momentum=0.9, schedule="cosine", warmup=0.05)
OPTIMIZERS = {
    "sgd": SGD,
    "dampening": replace(SGD, dampening=0.2),
    "nesterov": replace(SGD, nesterov=True, schedule="linear", final_lr=0.1),
    "adamw": Optimizer(name="adamw", betas=(0.9, 0.99), schedule="wsd", warmup=0.1),
    "adam": Optimizer(name="adam", betas=(0.9, 0.99)),
}
NESTEROV = OPTIMIZERS["nesterov"]
# 70 samples in batches of 16: a short last batch; 2.6 epochs end within an epoch.
SCALE = Scale(width=12, depth=2, batch_size=16, dataset_size=70, epochs=2.6, lr=0.05)
MLP = problem("digits-mlp")
# Float64 keeps 16 digits; a few hundred steps of a contracting training lose three.
CLOSE = 1e-12
NAN, INF = math.nan, math.inf


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def way(request, monkeypatch):
    """Show everything of both ways to take steps (of one, without a C compiler)."""
    if request.param == "torch":
        monkeypatch.setattr(engine, "compiled_steps", lambda _dtype: None)
    return request.param


def make_trial(weight_decay=1e-3, seed=0, optimizer=SGD, normalization="none", **scale):
    return Trial(
        problem="digits-mlp",
        optimizer=optimizer,
        scale=replace(SCALE, **scale),
        normalization=normalization,
        weight_decay=weight_decay,
        seed=seed,
    )


# The real optimizers, and the options that each of them has.
TORCH_OPTIMIZERS = {
    "sgd": (torch.optim.SGD, ("momentum", "dampening", "nesterov")),
    "adamw": (torch.optim.AdamW, ("betas", "eps")),
    "adam": (torch.optim.Adam, ("betas", "eps")),
}


def train_alone(trial):
    """Train with the oracle; return it, and the training set."""
    task, scale, options = problem(trial.problem), trial.scale, trial.optimizer
    data, shapes = load_once(task), task.facts.layer_shapes(trial.scale)
    drawn = training_subset(trial.seed, task.pool_size, scale.dataset_size)
    rows = task.split(trial.split_seed).pool[drawn]
    schedule = Schedule(
        shape=options.schedule, warmup=options.warmup, final=options.final_lr
    )
    epochs = range(-(-scale.steps // scale.steps_per_epoch))
    spread = layer_coefficients(trial.normalization, shapes)
    course = Course(
        data.x[rows],
        data.y[rows],
        [epoch_order(trial.seed, epoch, scale.dataset_size) for epoch in epochs],
        [scale.lr * share for share in schedule.multipliers(scale.steps)],
        scale.batch_size,
    )
    kind, names = TORCH_OPTIMIZERS[options.name]
    trained = train_plainly(
        course,
        initial_weights(trial.seed, shapes),
        [trial.weight_decay * c for c in spread],
        functools.partial(kind, lr=1.0, **{at: getattr(options, at) for at in names}),
        layer_norm=task.facts.layer_norm,
    )
    return trained, rows


def assert_outcome_is(outcome, trial):
    """Compare an outcome, number by number, with the oracle's training."""
    trained, rows = train_alone(trial)
    task = problem(trial.problem)
    data, valid = load_once(task), task.split(trial.split_seed).valid
    loss, accuracy = trained.evaluate(data.x[valid], data.y[valid])
    train_loss, _ = trained.evaluate(data.x[rows], data.y[rows])
    squares = [float((m[:, :-1] ** 2).sum()) for m in trained.matrices()]
    rms = [float((m[:, :-1] ** 2).mean() ** 0.5) for m in trained.matrices()]
    shapes = problem(trial.problem).facts.layer_shapes(trial.scale)
    spread = layer_coefficients(trial.normalization, shapes)
    penalty = trial.weight_decay / 2 * sum(np.multiply(spread, squares))
    assert outcome.status == "ok"
    assert outcome.steps == len(trained.losses)
    assert outcome.accuracy == accuracy
    close = functools.partial(pytest.approx, rel=CLOSE)
    assert outcome.loss == close(loss)
    assert outcome.train_loss == close(train_loss)
    assert outcome.sum_of_squares == close(sum(squares))
    assert outcome.penalty == close(penalty)
    assert outcome.layer_rms == close(tuple(rms))  # as many as layers


def train(trials, dtype="float64"):
    """The outcomes of a pack, without their seconds."""
    outcomes = train_pack(trials, problem=problem(trials[0].problem), dtype=dtype)
    return [replace(outcome, seconds=0.0) for outcome in outcomes]


def packs():
    """Packs of all kinds, by what is shown of them: each is trained by the oracle."""
    for name, options in OPTIMIZERS.items():
        lr = 0.05 if options.name == "sgd" else 3e-3
        mixed = [(0.0, 0, lr), (0.3, 1, lr), (0.02, 0, lr), (0.3, 1, lr / 2)]
        pack = [make_trial(decay, seed, options, lr=lr) for decay, seed, lr in mixed]
        yield name, pack
        if name in ("sgd", "adamw"):
            normed = [replace(each, problem="digits-mlp-layernorm") for each in pack]
            yield f"LayerNorm, {name}", normed[:3]
            for spread in NORMALIZATIONS:  # each layer has its own decay
                decay = 50.0 if spread.endswith("mean") else 3e-3
                own = make_trial(decay, 3, options, spread, lr=0.01)
                yield f"{spread}, {name}", [own]
    for depth in (0, 1, 3):
        yield f"depth {depth}", [make_trial(0.01, seed, depth=depth) for seed in (0, 1)]
    for what, sizes in {
        "one sample a batch": {"batch_size": 1, "dataset_size": 5},
        "one batch an epoch": {"batch_size": 70},
        "one left over": {"batch_size": 69},
        "one step": {"epochs": 0.01},
        "one unit": {"width": 1},
    }.items():
        yield what, [make_trial(0.01, **sizes)]
    # A fixed split takes the place of the seed's own; seeds differ all the same.
    yield "one split", [replace(make_trial(seed=seed), split=1) for seed in (0, 1)]
    # Without hidden layers width and depth mean nothing.
    flat = make_trial(0.01, width=99, depth=5)
    yield "logistic regression", [replace(flat, problem="digits-logistic")]


PACKS = dict(packs())


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_its_plain_trainings_with_torch_optim(name):
    """Every model of a pack ends where autograd and torch.optim end alone."""
    for outcome, trial in zip(train(PACKS[name]), PACKS[name], strict=True):
        assert_outcome_is(outcome, trial)


def test_an_outcome_does_not_depend_on_the_pack(way):
    """Alone, in a pack of three and in one of nine: the same outcome to the last bit.

    PyTorch's own operations step a whole pack at once and round with its size, so
    that is promised of compiled steps.
    """
    trials = [make_trial(0.01 * i, i % 3) for i in range(9)]
    together = train(trials, "float32")
    assert train(trials, "float32") == together
    # In the order of the trials, even an unsorted one.
    double, backwards = train(trials), train(trials[::-1])[::-1]
    for one, other in zip(double, backwards, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=CLOSE)
        assert one.layer_rms == pytest.approx(other.layer_rms, rel=CLOSE)
    alone = [train([trial], "float32")[0] for trial in trials]
    parts = [*train(trials[:3], "float32"), *train(trials[3:], "float32")]
    for one, part, whole in zip(alone, parts, together, strict=True):
        assert [one.loss, part.loss] == pytest.approx([whole.loss] * 2, rel=1e-5)
    if way == "compiled" and engine_version() == "3+compiled":
        assert alone == parts == together


def test_float32_is_near_float64():
    """Float32 gives the same losses to three digits: 57 steps of 7 digits each."""
    trials = [make_trial(0.01, seed, epochs=10) for seed in range(3)]
    pairs = zip(train(trials, "float32"), train(trials), strict=True)
    for single, double in pairs:
        assert single.loss == pytest.approx(double.loss, rel=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_diverging_neighbor_changes_no_bit(options, dtype):
    """A model that becomes NaN leaves the others bitwise as they were."""
    calm = [make_trial(0.01 * i, i % 2, options, lr=0.01) for i in range(4)]
    # Before: the same pack with a harmless model in the wild one's place.
    tame = train([*calm[:2], make_trial(0.5, 0, options, lr=0.01), *calm[2:]], dtype)
    wild = train([*calm[:2], make_trial(1e30, 0, options, lr=0.01), *calm[2:]], dtype)
    if options.name == "adam":
        # Coupled Adam divides by the gradient's size: no λ makes it diverge, so this
        # one only has to be another training.
        assert wild[2] != tame[2]
    else:
        assert wild[2].status == "diverged"
    assert wild[:2] + wild[3:] == tame[:2] + tame[3:]


def test_divergence_names_its_step_and_last_loss():
    """The step is the first whose batch loss is no number; the loss the one before."""
    trial = make_trial(200.0, lr=0.5, epochs=30, optimizer=Optimizer(name="sgd"))
    losses = train_alone(trial)[0].losses
    first_bad = next(i for i in count() if not np.isfinite(losses[i]))
    outcome = train([trial])[0]
    assert outcome.status == "diverged"
    assert outcome.diverged_at_step == first_bad + 1
    assert outcome.last_finite_loss == pytest.approx(losses[first_bad - 1], rel=1e-9)
    assert outcome.loss is outcome.accuracy is outcome.penalty is None
    # So do weights that overflow in the very last step.
    trial = make_trial(1e200, epochs=1 / 5, optimizer=Optimizer(name="sgd"), lr=1.0)
    losses = train_alone(trial)[0].losses
    outcome = train([trial])[0]
    assert (outcome.status, outcome.diverged_at_step) == ("diverged", 1)
    assert [outcome.last_finite_loss] == pytest.approx(losses, rel=CLOSE)


def test_threads_and_denormals_are_given_back(monkeypatch):
    """A pack runs on one thread with denormals off, and leaves neither behind."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    inside = []

    def order(*which):
        inside.append(torch.get_num_threads())
        return epoch_order(*which)

    monkeypatch.setattr(engine, "epoch_order", order)
    train([make_trial()])
    after = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert set(inside) == {1}
    assert after == 2
    assert float(torch.tensor(1e-40) * 1) > 0


def test_impossible_packs_are_refused():
    """What cannot be one pack is refused, by the name and the value that are wrong."""
    bad = {
        ("trials", "none"): [],
        ("trials of a pack", "2 kinds"): [make_trial(), make_trial(width=13)],
        ("trials of a pack", "1 kinds"): [
            replace(make_trial(), problem="digits-logistic")
        ],
        ("dataset_size", 1201): [make_trial(dataset_size=1201)],
        ("batch_size", 71): [make_trial(batch_size=71)],
        ("batch_size", 0): [make_trial(batch_size=0)],
        ("momentum", 0.0): [
            make_trial(optimizer=replace(NESTEROV, momentum=0.0)),
        ],
        ("momentum", 0.9): [make_trial(optimizer=replace(NESTEROV, dampening=0.5))],
        ("lr", 0.0): [make_trial(), make_trial(lr=0.0)],
        ("weight_decay", -0.1): [make_trial(), make_trial(-0.1)],
        ("weight_decay", NAN): [make_trial(NAN)],
    }
    for (name, value), trials in bad.items():
        with pytest.raises(RangeError) as refused:
            train_pack(trials, problem=MLP)
        assert (refused.value.name, refused.value.value) == (name, value)


@pytest.mark.parametrize(
    ("losses", "step", "last"),
    [
        ([3.0, 2.0, 1.0, 0.5, 0.2], None, 0.2),
        ([3.0, NAN, NAN, NAN, NAN], 2, 3.0),
        ([3.0, 2.0, 1.0, INF, NAN], 4, 1.0),
        ([3.0, 2.0, 9.0, 8.0, NAN], 5, 8.0),
        ([NAN, NAN, NAN, NAN, NAN], 1, None),
    ],
)
def test_first_bad_step_and_last_good_loss(losses, step, last):
    """Recording epochs of three and of two steps finds the exact step."""
    sizes = torch.tensor([4.0, 4.0, 2.0])
    divergence = Divergence(models=2, sizes=sizes.tolist())
    # A calm neighbor beside; sums are log-likelihoods of the whole batch.
    both = torch.tensor([[-loss, -1.0] for loss in losses], dtype=torch.float64)
    divergence.record(0, both[:3] * sizes[:, None])
    divergence.record(3, both[3:] * sizes[:2, None])
    assert divergence.step == [step, None]
    assert divergence.last_finite == [last, 1.0]
