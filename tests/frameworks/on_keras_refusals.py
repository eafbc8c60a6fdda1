"""DecayCallback: what decays by default, and what is refused."""

import logging

import keras
import numpy as np
import pytest
from keras import layers, ops

from dwindle.errors import MissingFactError, RangeError, RefusedError, UnknownNameError
from dwindle.integrations.keras import DecayCallback
from dwindle.integrations.keras_layers import decayed_variables, roles_of

# Keras itself does what numpy 2 calls deprecated.
pytestmark = pytest.mark.filterwarnings("default")

OF_KERAS = keras.optimizers


class MyRMSNorm(layers.Layer):
    """A normalization layer of somebody's own, known by its class name and shapes."""

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, inputs):
        return inputs * self.gain


class Positions(layers.Layer):
    """A position embedding: the same for every sample."""

    def build(self, shape):
        self.table = self.add_weight(shape=(1, *shape[1:]), name="table")
        self.mixing = self.add_weight(shape=(shape[-1], shape[-1]), name="mixing")

    def call(self, inputs):
        return inputs @ self.mixing + self.table


def _transformer():
    words = keras.Input((4,), dtype="int32")
    hidden = Positions(name="positions")(layers.Embedding(10, 8, name="words")(words))
    hidden = layers.MultiHeadAttention(2, 4, name="attention")(hidden, hidden)
    hidden = MyRMSNorm(name="norm")(hidden)
    hidden = layers.Conv1D(6, 3, name="conv")(hidden)
    hidden = layers.BatchNormalization(name="batch")(hidden)
    hidden = layers.PReLU(name="slopes")(hidden)
    hidden = layers.Bidirectional(layers.GRU(5), name="both")(hidden)
    inner = keras.Sequential([layers.Dense(3), layers.LayerNormalization()], name="in")
    return keras.Model(words, layers.Dense(1, name="head")(inner(hidden)))


def _model(optimizer):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile(optimizer, "mse")
    return model


def _fit(optimizer, *callbacks, epochs=1):
    model = _model(optimizer)
    data = np.zeros((16, 3)), np.zeros((16, 2))
    model.fit(*data, batch_size=4, epochs=epochs, verbose=0, callbacks=[*callbacks])
    return model


def test_kernels_decay_and_nothing_else():
    """Classed by layer, slot and shape, however deep, in a model of many kinds."""
    model = _transformer()
    names = {"kernel", "recurrent_kernel", "mixing"}
    expected = [v for v in model.trainable_variables if v.name in names]
    assert [v.path for v in decayed_variables(model)] == [v.path for v in expected]
    tokens = {"embeddings", "table"}
    more = [v for v in model.trainable_variables if v.name in names | tokens]
    assert decayed_variables(model, embeddings=True) == more


def test_every_role_is_met():
    """Biases that are matrices, gains, slopes: each has the role it plays."""
    model = _transformer()
    roles = roles_of(model)
    roles = {
        f"{variable.path.split('/')[0]}/{variable.name}": roles[id(variable)]
        for variable in model.trainable_variables
    }
    expected = {
        "words/embeddings": "embedding",
        "positions/table": "token",
        "attention/bias": "bias",  # (heads, width)
        "norm/gain": "norm",
        "batch/gamma": "norm",
        "slopes/alpha": "vector",  # (length, channels)
        "both/bias": "bias",  # (2, units)
        "head/kernel": "weight",  # (width, 1)
    }
    assert expected.items() <= roles.items()


def test_frozen_layers_are_no_matter():
    """What does not train is neither decayed nor counted."""
    model = _transformer()
    model.get_layer("conv").trainable = False
    assert not any("conv" in v.path for v in decayed_variables(model))


@pytest.mark.parametrize(
    ("optimizer", "left"),
    [
        (lambda: OF_KERAS.Ftrl(0.1), "Got 0:"),
        (lambda: OF_KERAS.ScheduleFreeAdamW(0.1), "Got 0.875:"),
        (
            lambda: OF_KERAS.Adam(0.1, use_ema=True, ema_overwrite_frequency=100),
            "overwrites them with an average",
        ),
    ],
)
def test_an_optimizer_that_moves_weights_itself_is_refused(optimizer, left):
    """A rehearsal on a copy shows it; the model is not touched."""
    model = _model(optimizer())
    before = model.layers[0].kernel.numpy()
    with pytest.raises(RefusedError, match=f"should leave 0.5625.*{left}"):
        DecayCallback(
            "1 epoch", schedule="constant", batch_size=1, dataset_size=9
        ).hold(model)
    assert (model.layers[0].kernel.numpy() == before).all()


def test_no_optimizer_of_keras_is_forgotten():
    """Each class can be held or is refused; a new one that moves weights fails here."""
    classes = {
        name: cls
        for name, cls in vars(OF_KERAS).items()
        if isinstance(cls, type) and issubclass(cls, OF_KERAS.Optimizer)
    }
    # the base class, one that wraps another (tried in fit), one that makes of a map
    for name in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer"):
        classes.pop(name, None)
    refused = set()
    for name, cls in classes.items():
        try:
            DecayCallback("9 steps").hold(_model(cls(0.1)))
        except RefusedError:
            refused.add(name)
    assert refused == {"Ftrl", "ScheduleFreeAdamW"}
    assert len(classes) >= 14


def test_several_optimizers_in_one_are_refused():
    """Each of them has a separate lr."""
    optimizers = OF_KERAS.OptimizerMap(OF_KERAS.SGD(0.1))
    model = _model(OF_KERAS.MultiOptimizer(optimizers))
    with pytest.raises(RefusedError, match="MultiOptimizer has several"):
        DecayCallback("9 steps").hold(model)


def test_two_half_lives_in_one_fit_are_refused():
    """An optimizer has one decay step."""
    two = DecayCallback("1 epoch"), DecayCallback("2 epochs")
    with pytest.raises(RefusedError, match="Two half-lives"):
        _fit(OF_KERAS.Adam(0.1), *two)


def test_a_model_without_kernels_is_refused():
    """If nothing would decay, the variables that there are are listed."""
    optimizer = OF_KERAS.Adam(0.1)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    with pytest.raises(RefusedError, match=r"No trainable variable.*dense.*bias.*Give"):
        _fit(optimizer, DecayCallback("1 epoch"))


def test_what_16_bits_cannot_hold_is_logged(caplog):
    """A long half-life is refused with what can be had, a shorter one is warned of."""

    def model():
        made = keras.Sequential([keras.Input((3,)), layers.Dense(2, dtype="bfloat16")])
        made.compile(OF_KERAS.SGD(0.1), "mse")
        return made

    with pytest.raises(RefusedError, match=r"at most 177"):
        DecayCallback("300 steps").hold(model())
    with caplog.at_level(logging.WARNING, "dwindle"):
        DecayCallback("100 steps").hold(model())
    assert "108 steps instead" in caplog.text


def test_mixed_precision_keeps_weights_in_32_bits():
    """There nothing is rounded away, and nothing is refused."""
    layer = layers.Dense(2, dtype="mixed_bfloat16")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(OF_KERAS.SGD(0.1), "mse")
    callback = DecayCallback("30000 steps")
    callback.hold(model)
    assert callback.decayed == (layer.kernel.path,)


def test_a_missing_fact_is_named_by_its_argument():
    """Nothing is guessed: the error is the argument to write."""

    def begin(callback, optimizer):
        callback.hold(_model(optimizer))

    epochs = DecayCallback("3 epochs")
    with pytest.raises(MissingFactError, match=r"DecayCallback\(dataset_size=\.\.\.\)"):
        begin(epochs, OF_KERAS.Adam(0.1))
    falling = OF_KERAS.schedules.ExponentialDecay(0.1, 10, 0.5)
    with pytest.raises(MissingFactError, match=r"DecayCallback\(steps=\.\.\.\)"):
        begin(DecayCallback("3 steps"), OF_KERAS.Adam(falling))
    with pytest.raises(MissingFactError, match=r"DecayCallback\(lr_peak=\.\.\.\)"):
        begin(DecayCallback("3 steps"), OF_KERAS.Adam(lambda: 0.1))


def test_the_lr_of_a_trained_optimizer_is_no_peak():
    """It may have fallen since: the error names the peak."""
    optimizer = OF_KERAS.Adam(0.1)
    model = _fit(optimizer)
    with pytest.raises(MissingFactError) as raised:
        DecayCallback("3 steps").hold(model)
    assert raised.value.fact == "lr_peak"
    DecayCallback("3 steps", lr_peak=0.1).hold(model)


def test_a_long_schedule_is_evaluated_where_it_turns():
    """Of a million steps the peak of a short warm-up is found."""
    lr = OF_KERAS.schedules.CosineDecay(
        0.0, 10**6, warmup_target=0.3, warmup_steps=1237, alpha=0.0
    )
    callback = DecayCallback("100 steps", steps=10**6)
    callback.hold(_model(OF_KERAS.Adam(lr)))
    assert callback._step.rate.lr_peak == pytest.approx(0.3, rel=1e-6)  # 32 bits


def test_absurd_numbers_are_refused():
    """At once, with the value."""
    with pytest.raises(UnknownNameError, match=r"Got 'folow-lr'.*follow-lr"):
        DecayCallback("3 epochs", schedule="folow-lr")
    slips = {
        ("half_life", 3): {"half_life": 3},
        ("batch_size", 0): {"batch_size": 0},
        ("lr_peak", -1): {"lr_peak": -1},
        ("lr", 0.1): {"lr_peak": 1e-6},  # far above its peak
    }
    for fact, slip in slips.items():
        model, options = _model(OF_KERAS.Adam(0.1)), {"half_life": "3 steps"} | slip
        with pytest.raises(RangeError) as raised:
            DecayCallback(**options).hold(model)
        found = raised.value.name, raised.value.value
        assert found == (fact[0], pytest.approx(fact[1]))


class TrainsByItself(keras.Model):
    """A model whose train_step has another optimizer, as the GAN guides write."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(2, name="inner")

    def call(self, inputs):
        return self.inner(inputs)

    def compile(self, g_optimizer):
        super().compile()
        self.g_optimizer = g_optimizer

    def train_step(self, *arguments):
        if keras.backend.backend() == "jax":
            return {"loss": 0.0}, arguments[0]
        self.g_optimizer.apply(
            [ops.zeros(each.shape) for each in self.trainable_variables],
            self.trainable_variables,
        )
        return {"loss": 0.0}


def _trained_by_itself(*callbacks):
    model = TrainsByItself()
    model.compile(OF_KERAS.AdamW(0.01, weight_decay=0.004))
    model(np.ones((1, 3)))
    data = np.ones((16, 3)), np.zeros((16, 2))
    model.fit(*data, batch_size=4, epochs=1, verbose=0, callbacks=[*callbacks])


def test_an_optimizer_that_makes_no_step_is_refused():
    """Where train_step uses other optimizers, the one that is held never steps."""
    with pytest.raises(RefusedError, match="made no step") as caught:
        _trained_by_itself(DecayCallback("2 steps"))
    assert "(g_optimizer)" in str(caught.value)
    assert "hold(model, optimizer=" in str(caught.value)


def test_an_optimizer_of_its_own_is_held():
    """The optimizer that a loop really uses decays what it trains, as requested."""
    model = TrainsByItself()
    model.compile(OF_KERAS.AdamW(0.01, weight_decay=0.004))
    model(np.ones((1, 3)))
    kernel, start = model.inner.kernel, ops.convert_to_numpy(model.inner.kernel)
    callback = DecayCallback("4 steps", lr_peak=0.01, variables=[kernel])
    callback.hold(model, optimizer=model.g_optimizer)
    variables = model.trainable_variables
    for _ in range(4):
        zeros = [ops.zeros(each.shape) for each in variables]
        model.g_optimizer.apply(zeros, variables)
    # float32: four steps round by some 1e-7.
    np.testing.assert_allclose(ops.convert_to_numpy(kernel), start / 2, rtol=1e-6)
    callback.release(model, optimizer=model.g_optimizer)
    assert model.g_optimizer.weight_decay == 0.004
