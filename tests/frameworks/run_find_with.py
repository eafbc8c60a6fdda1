"""The best decay through a Trainer, a module, a Keras model, and plain functions."""

import os

os.environ["KERAS_BACKEND"] = "jax"  # as the checks beside it, in one process
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import keras
import lightning.pytorch as pl
import numpy as np
import optax
import pytest
import torch
from frameworks.loops.net import Recipe
from frameworks.loops.of_transformers import arguments
from torch.utils.data import DataLoader, TensorDataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer

import dwindle
from dwindle.errors import StudyStoppedError, UsageError
from dwindle.integrations import (
    find_with_keras,
    find_with_lightning,
    find_with_trainer,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries
RANGE = {"low": 1e-2, "high": 10.0}
NINE = {"trainings": 9}
ADAMW = {"knob": "torch.optim.AdamW", **RANGE}

drawn = np.random.default_rng(0)
X = drawn.normal(size=(96, 12)).astype("float32")
Y = (X @ drawn.normal(size=(12, 1)) + drawn.normal(size=(96, 1))).astype("float32")
ROWS = [
    {"input_ids": row, "labels": row}
    for row in torch.tensor(drawn.integers(0, 8, (24, 8)))
]
TRAIN, HELD_OUT = (X[:32], Y[:32]), (X[32:], Y[32:])


def tensors(pair, **options):
    return DataLoader(TensorDataset(*map(torch.tensor, pair)), 16, **options)


def trainer_in(folder, **given):
    def make_trainer(weight_decay):
        config = GPT2Config(
            n_layer=1, n_head=1, n_embd=8, vocab_size=8, n_positions=8,
            bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        options = {"weight_decay": weight_decay, "learning_rate": 0.1, "max_steps": 4}
        args = arguments(Recipe(), folder, **options | given)
        model = GPT2LMHeadModel(config)
        return Trainer(model, args, train_dataset=ROWS, eval_dataset=ROWS)

    return make_trainer


class Linear(pl.LightningModule):
    def __init__(self, weight_decay=0.0):
        super().__init__()
        self.layer, self.weight_decay = torch.nn.Linear(12, 1), weight_decay

    def training_step(self, batch, _):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, _):
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("val_loss", loss)

    def configure_optimizers(self):
        return torch.optim.AdamW(
            self.parameters(), lr=0.1, weight_decay=self.weight_decay
        )


def lightning_trainer(**options):
    return pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip


LOADERS = {
    "train_dataloaders": tensors(TRAIN, shuffle=True),
    "val_dataloaders": tensors(HELD_OUT),
}


def keras_model(weight_decay):
    layer = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.0))
    model = keras.Sequential([keras.Input((12,)), layer])
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=weight_decay), loss="mse")
    return model


def by_trainer(folder, **options):
    return find_with_trainer(trainer_in(folder), **ADAMW, **{**NINE, **options})


def by_lightning(_folder, **options):
    return find_with_lightning(
        Linear, lightning_trainer, **ADAMW, **LOADERS, **{**NINE, **options}
    )


def by_keras(_folder, **options):
    return find_with_keras(
        keras_model, knob="keras.optimizers.AdamW", **RANGE, validation_data=HELD_OUT,
        fit={"x": TRAIN[0], "y": TRAIN[1], "epochs": 2}, **{**NINE, **options},
    )  # fmt: skip


def by_jax(_folder, **options):
    """A plain function is all that JAX needs."""

    def train(weight_decay, seed):
        params = jax.random.normal(jax.random.key(seed), (12, 1))
        optimizer = optax.adamw(0.1, weight_decay=weight_decay)

        def loss_of(params, x, y):
            return jnp.mean((x @ params - y) ** 2)

        @jax.jit
        def step(params, state):
            gradient = jax.grad(loss_of)(params, *TRAIN)
            updates, state = optimizer.update(gradient, state, params)
            return optax.apply_updates(params, updates), state

        state = optimizer.init(params)
        for _ in range(20):
            params, state = step(params, state)
        return loss_of(params, *HELD_OUT)

    return dwindle.find(train, knob="optax.adamw", **RANGE, **{**NINE, **options})


@pytest.mark.parametrize("by", [by_trainer, by_lightning, by_keras, by_jax])
def test_a_search_goes_through(by, tmp_path):
    """Every training has a loss, seeds differ, and the same call trains nothing new."""
    store = tmp_path / "kept.db"
    found = by(tmp_path, store=store)
    assert [each.status for each in found.curve] == ["ok"] * 9
    assert len({each.loss for each in found.curve}) == 9
    assert found.conditions["has_seed"]
    again = by(tmp_path, store=store)
    assert again.curve == found.curve


def test_a_training_is_the_seed_s_alone(tmp_path):
    """What ran before it, and what others draw, changes no loss."""
    for by in (by_trainer, by_lightning, by_keras):
        first = by(tmp_path, trainings=5).curve
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002, the state that libraries share
        assert by(tmp_path, trainings=5).curve == first


def test_a_loss_is_that_of_the_library(tmp_path):
    """It is what a training by hand with the same seed has."""
    tried = by_lightning(tmp_path).curve[0]
    pl.seed_everything(tried.seed, verbose=False)
    module = Linear(tried.weight_decay)
    pl.seed_everything(tried.seed, verbose=False)
    lightning_trainer().fit(module, *LOADERS.values())
    with torch.no_grad():
        seen = module.layer(torch.tensor(HELD_OUT[0])).numpy()
    assert tried.loss == pytest.approx(float(np.mean((seen - HELD_OUT[1]) ** 2)), 1e-4)


def test_the_penalty_is_no_part_of_the_loss_in_keras():
    """Under a regularizer the loss of the data is compared, not what λ adds to it."""
    made = []

    def make_model(weight_decay):
        layer = keras.layers.Dense(
            1, kernel_regularizer=keras.regularizers.L2(weight_decay)
        )
        made.append(keras.Sequential([keras.Input((12,)), layer]))
        made[-1].compile(keras.optimizers.SGD(0.05), loss="mse")
        return made[-1]

    found = find_with_keras(
        make_model, knob="keras.regularizers.L2", **RANGE, **NINE,
        validation_data=HELD_OUT,
        fit={"x": TRAIN[0], "y": TRAIN[1], "epochs": 2},
    )  # fmt: skip
    for model, tried in zip(made, found.curve, strict=True):
        plain = np.mean((model.predict(HELD_OUT[0], verbose=0) - HELD_OUT[1]) ** 2)
        assert tried.loss == pytest.approx(float(plain), rel=1e-4)


def test_a_model_that_is_not_new_is_refused():
    """The second training would go on where the first has ended."""
    model = Linear(0.1)
    with pytest.raises(UsageError) as raised:
        find_with_lightning(lambda **_: model, lightning_trainer, **ADAMW, **LOADERS)
    assert raised.value.got == "the model of the training before"


def test_a_decay_that_does_not_reach_the_trainer_is_refused(tmp_path):
    """A factory that forgets its argument is found out at the first training."""
    make = trainer_in(tmp_path, weight_decay=0.25)
    with pytest.raises(UsageError) as raised:
        find_with_trainer(make, **ADAMW, **NINE)
    assert "0.25" in raised.value.got


def test_the_arguments_of_a_caller_stay(tmp_path):
    """A record of arguments that a factory shares keeps its seed."""
    shared = trainer_in(tmp_path)(0.0).args
    before = shared.seed

    def make_trainer(weight_decay):
        made = trainer_in(tmp_path)(weight_decay)
        made.args = shared
        shared.weight_decay = weight_decay
        return made

    find_with_trainer(make_trainer, **ADAMW, trainings=5)
    assert shared.seed == before


def test_ctrl_c_in_lightning_stops_the_search(tmp_path):
    """Lightning makes an exit of it; finished trainings stay."""

    class Interrupts(pl.Callback):
        def on_train_epoch_end(self, *_):
            if len(trained) == 3:
                raise KeyboardInterrupt
            trained.append(1)

    trained = []
    store = tmp_path / "kept.db"
    with pytest.raises(StudyStoppedError) as raised:
        find_with_lightning(
            Linear, lambda: lightning_trainer(callbacks=[Interrupts()]),
            **ADAMW, **NINE, **LOADERS, store=store,
        )  # fmt: skip
    assert raised.value.trained == 1
    assert by_lightning(tmp_path, store=store).trainings == 9


def test_a_metric_that_is_not_there_is_refused(tmp_path):
    """No other number stands in for it, and the names that there are follow."""
    names = {by_trainer: "eval_loss", by_lightning: "val_loss", by_keras: "loss"}
    for by, name in names.items():
        with pytest.raises(UsageError) as raised:
            by(tmp_path, metric="val_los")
        assert raised.value.got == "'val_los'"
        assert name in raised.value.remedy
