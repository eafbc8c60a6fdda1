"""DecayCallback in real ``fit``, on the backend of KERAS_BACKEND."""

import logging
import math

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.optimizers import schedules
from tolerance import digits

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.errors import DoubleDecayWarning, RangeError
from dwindle.integrations.keras import DecayCallback

# Keras itself does what numpy 2 calls deprecated.
pytestmark = pytest.mark.filterwarnings("default")

BATCHES, EPOCHS, PEAK = 8, 4, 0.03
POWERS = {"follow-lr": 1, "constant": 0, "lr-squared": 2}
WARM = schedules.CosineDecay(0.0, 28, warmup_target=PEAK, warmup_steps=4)
FALLING = schedules.PiecewiseConstantDecay([10, 20], [PEAK, PEAK / 2, PEAK / 8])
OF_KERAS = keras.optimizers
OPTIMIZERS = {
    "SGD": lambda lr: OF_KERAS.SGD(lr, momentum=0.9, nesterov=True),
    "Adam": OF_KERAS.Adam,
    "AdamW, its own decay on": OF_KERAS.AdamW,
    "Adadelta": OF_KERAS.Adadelta,
    "Adafactor": OF_KERAS.Adafactor,
    "Adagrad": OF_KERAS.Adagrad,
    "Adamax": OF_KERAS.Adamax,
    "Lamb": OF_KERAS.Lamb,
    "Lion": OF_KERAS.Lion,
    "Muon, its own decays on": OF_KERAS.Muon,
    "Nadam": OF_KERAS.Nadam,
    "RMSprop": lambda lr: OF_KERAS.RMSprop(lr, momentum=0.9),
    "loss scaled": lambda lr: OF_KERAS.LossScaleOptimizer(OF_KERAS.Adam(lr)),
    "clipped": lambda lr: OF_KERAS.Adam(lr, global_clipnorm=1.0),
}
# Some forty steps in 32 bits, each rounding at 3e-8 up or down: mean over 36 weights.
SINGLE = 1e-6


def _model(optimizer, dtype="float32", **options):
    """Two layers; the second starts with zeros, so that nothing drives the first."""
    stack = [
        keras.Input((6,)),
        layers.Dense(6, name="first", dtype=dtype),
        layers.Dense(2, name="second", kernel_initializer="zeros", dtype=dtype),
    ]
    model = keras.Sequential(stack)
    model.compile(optimizer, "mse", **options)
    return model


def _fit(model, *callbacks, epochs=EPOCHS, driven=False, **options):
    features = np.sin(np.arange(8 * BATCHES * 6.0)).reshape(-1, 6) * driven
    targets = np.cos(np.arange(8 * BATCHES * 2.0)).reshape(-1, 2) * driven
    options = {"batch_size": 8, "shuffle": False, "verbose": 0} | options
    model.fit(features, targets, epochs=epochs, callbacks=[*callbacks], **options)
    return model


def _numbers(variable):
    return np.asarray(ops.convert_to_numpy(variable.value), "float64")


def _kernel(model, name="first"):
    return _numbers(model.get_layer(name).kernel)


def _e_folds(model, *callbacks, **options):
    """-ln of what the run leaves of a weight that nothing drives."""
    before = _kernel(model)
    return -np.log(_kernel(_fit(model, *callbacks, **options)) / before).mean()


def _expected(schedule, lrs, half_life):
    """What the half-life and the lr of each update leave, by a loop over steps."""
    peak = 1 - 0.5 ** (1 / half_life)
    shares = [peak * (lr / PEAK) ** POWERS[schedule] for lr in lrs]
    return -sum(math.log1p(-share) for share in shares)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_kernel_decays_exactly_under_every_optimizer(name):
    """One epoch halves it, four leave a sixteenth, with any decay that it came with."""
    callback = DecayCallback("1 epoch")
    left = _e_folds(_model(OPTIMIZERS[name](PEAK)), callback)
    assert left == digits(4 * math.log(2), rel=SINGLE)
    assert callback.half_life_steps == BATCHES


@pytest.mark.parametrize(
    "half_life",
    ["10 steps", "1.25 epochs", "80 examples", "1600 tokens", "31.25% of the run"],
)
def test_on_every_clock(half_life):
    """Ten steps by any clock, given by its name as everywhere, are ten steps."""
    callback = DecayCallback(half_life=half_life, batch_size=8, tokens_per_example=20)
    left = _e_folds(_model(OF_KERAS.Adam(PEAK)), callback)
    assert left == digits(3.2 * math.log(2), rel=SINGLE)


def test_the_callback_can_be_read():
    """Before the training it prints the request, after it what is held."""
    callback = DecayCallback(half_life="1 epoch")
    assert repr(callback).endswith("has not begun")
    _fit(_model(OF_KERAS.Adam(PEAK)), callback, epochs=1)
    for part in ("(8 steps), follow-lr", "lr_peak 0.03", "decay of 2 variables"):
        assert part in repr(callback)


@pytest.mark.parametrize("schedule", POWERS)
@pytest.mark.parametrize("lr", [WARM, FALLING], ids=["warm-up from 0", "steps"])
def test_the_decay_goes_with_the_lr_of_each_step(schedule, lr):
    """Under a schedule every step takes its share; the peak is found."""
    callback = DecayCallback("10 steps", schedule=schedule)
    left = _e_folds(_model(OF_KERAS.Adam(lr)), callback)
    lrs = [float(lr(at)) for at in range(BATCHES * EPOCHS)]
    assert left == digits(_expected(schedule, lrs, 10), rel=SINGLE)


@pytest.mark.parametrize("schedule", POWERS)
def test_another_callback_may_set_the_lr(schedule):
    """LearningRateScheduler halves it every epoch, and the decay goes along."""
    halve = keras.callbacks.LearningRateScheduler(lambda epoch: PEAK / 2**epoch)
    callback = DecayCallback("10 steps", schedule=schedule)
    left = _e_folds(_model(OF_KERAS.SGD(PEAK)), callback, halve)
    lrs = [PEAK / 2 ** (at // BATCHES) for at in range(BATCHES * EPOCHS)]
    assert left == digits(_expected(schedule, lrs, 10), rel=SINGLE)


def test_gathered_batches_are_one_update():
    """With gradient accumulation an epoch is fewer updates, and still an epoch."""
    optimizer = OF_KERAS.Adam(PEAK, gradient_accumulation_steps=4)
    callback = DecayCallback("1 epoch", schedule="constant")
    assert _e_folds(_model(optimizer), callback) == digits(4 * math.log(2), rel=SINGLE)
    assert callback.half_life_steps == 2


def test_several_steps_per_execution_are_several_updates():
    """Each of them decays; Keras has that on JAX only."""
    at_once = {"jax": 3, "torch": 1}[keras.backend.backend()]
    model = _model(OF_KERAS.Adam(WARM), steps_per_execution=at_once)
    left = _e_folds(model, DecayCallback("10 steps", schedule="lr-squared"))
    lrs = [float(WARM(at)) for at in range(BATCHES * EPOCHS)]
    assert left == digits(_expected("lr-squared", lrs, 10), rel=SINGLE)


def test_skipped_steps_do_not_decay():
    """Where the loss scale finds an overflow there is no update and no decay."""
    model = _model(OF_KERAS.LossScaleOptimizer(OF_KERAS.SGD(PEAK)))
    before, targets = _kernel(model), np.zeros((64, 2))
    targets[:8] = np.inf  # the first batch of each epoch
    callback = DecayCallback("7 steps", schedule="constant")
    model.fit(
        np.zeros((64, 6)), targets, batch_size=8, epochs=2, shuffle=False, verbose=0,
        callbacks=[callback],
    )  # fmt: skip
    left = -np.log(_kernel(model) / before).mean()
    assert left == digits(2 * math.log(2), rel=SINGLE)


def test_a_driven_model_trains_as_with_adamw():
    """Under follow-lr it is AdamW with the number that gives the half-life."""
    keras.utils.set_random_seed(1)
    ours = _model(OF_KERAS.Adam(WARM))
    keras.utils.set_random_seed(1)
    number = shrink_from_half_life(10) / PEAK
    adamw = OF_KERAS.AdamW(WARM, weight_decay=number)
    adamw.exclude_from_weight_decay(var_names=["bias"])
    theirs = _fit(_model(adamw), driven=True)
    assert _kernel(ours).std() > 0.1
    _fit(ours, DecayCallback("10 steps"), driven=True)
    for name in ("first", "second"):
        # 32 steps of Adam multiply a rounding of 3e-8 by some hundred
        worst = np.abs(_kernel(ours, name) - _kernel(theirs, name)).max()
        assert worst < 1e-5


def test_in_double_precision():
    """With floatx float64 nothing is lost but the last digits."""
    keras.config.set_floatx("float64")
    try:
        model = _model(OF_KERAS.Adam(PEAK), dtype="float64")
        left = _e_folds(model, DecayCallback("1 epoch", schedule="lr-squared"))
    finally:
        keras.config.set_floatx("float32")
    assert left == digits(4 * math.log(2), rel=1e-12)  # 32 steps at 1e-16, a logarithm


def test_the_users_exclusions_stay():
    """What exclude_from_weight_decay names does not decay; biases never do."""
    optimizer = OF_KERAS.Adam(PEAK)
    model = _model(optimizer)
    model.get_layer("first").bias.assign(np.ones(6))
    optimizer.exclude_from_weight_decay(var_list=[model.get_layer("second").kernel])
    callback = DecayCallback("1 epoch")
    _fit(model, callback)
    assert callback.decayed == (model.get_layer("first").kernel.path,)
    assert (_numbers(model.get_layer("first").bias) == 1).all()


def test_the_user_may_choose_the_variables():
    """Only what is given decays; variables of another model are refused."""
    model = _model(OF_KERAS.Adam(PEAK))
    bias = model.get_layer("first").bias
    bias.assign(np.ones(6))
    before = _kernel(model)
    _fit(model, DecayCallback("1 epoch", variables=[bias]))
    assert _numbers(bias) == digits([1 / 16] * 6, rel=SINGLE)
    assert (_kernel(model) == before).all()
    with pytest.raises(RangeError, match="variables"):
        _fit(
            _model(OF_KERAS.Adam(PEAK)),
            DecayCallback("1 epoch", variables=[model.get_layer("first").kernel]),
        )


def test_a_later_fit_may_have_another_half_life():
    """The compiled step of the first fit is not used with the decay of the second."""
    model = _model(OF_KERAS.Adam(PEAK))
    callback = DecayCallback("1 epoch")
    assert _e_folds(model, callback) == digits(4 * math.log(2), rel=SINGLE)
    step = model.train_function
    assert _e_folds(model, callback, epochs=1) == digits(math.log(2), rel=SINGLE)
    assert model.train_function is step
    other = DecayCallback("2 epochs")  # the peak is the one that is known already
    assert _e_folds(model, other, epochs=1) == digits(math.log(2) / 2, rel=SINGLE)


def test_a_model_that_was_trained_before():
    """A step that was compiled without the callback is not used with it."""
    model = _fit(_model(OF_KERAS.SGD(PEAK)))
    callback = DecayCallback("1 epoch", lr_peak=PEAK)
    assert _e_folds(model, callback) == digits(4 * math.log(2), rel=SINGLE)


def test_a_loop_of_ones_own():
    """hold() before the first step does what fit does."""
    model = _model(OF_KERAS.Adam(PEAK))
    before = _kernel(model)
    DecayCallback("5 steps").hold(model)
    for _ in range(10):
        model.train_on_batch(np.zeros((8, 6)), np.zeros((8, 2)))
    left = -np.log(_kernel(model) / before).mean()
    assert left == digits(2 * math.log(2), rel=SINGLE)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path):
    """BackupAndRestore after two epochs: bitwise the run without a break."""

    def fresh():
        keras.utils.set_random_seed(3)
        model = _model(OF_KERAS.Adam(WARM))
        model.build((None, 6))
        return model

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 (as Keras calls it)
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    def held():
        return DecayCallback("1 epoch", schedule="lr-squared")

    whole = _fit(fresh(), held(), driven=True)
    with pytest.raises(KeyboardInterrupt, match=""):
        _fit(fresh(), backup(), held(), Stop(), driven=True)
    resumed = _fit(fresh(), backup(), held(), driven=True)
    for name in ("first", "second"):
        assert (_kernel(resumed, name) == _kernel(whole, name)).all()


def test_an_lr_above_the_peak_is_logged_once(caplog):
    """A callback that raises the lr raises the decay, and one line warns of it."""
    up = keras.callbacks.LearningRateScheduler(lambda epoch: PEAK * (1 + (epoch > 0)))
    with caplog.at_level(logging.WARNING, "dwindle"):
        _fit(_model(OF_KERAS.SGD(PEAK)), DecayCallback("20 steps"), up)
    assert caplog.text.count("up to 0.06,") == 1


def test_the_optimizers_own_decay_is_set_aside_and_logged(caplog):
    """Two decays never add up; one line names the one that stays."""
    optimizer = OF_KERAS.AdamW(PEAK, weight_decay=0.1)
    with caplog.at_level(logging.INFO, "dwindle"):
        _fit(_model(optimizer), DecayCallback("1 epoch"))
    assert ("AdamW", 0.1) in [each.args for each in caplog.records]
    assert optimizer.weight_decay == 0.0


def test_released_the_optimizer_decays_by_itself_again():
    """Its own number comes back, and with it its own decay."""
    optimizer = OF_KERAS.AdamW(PEAK, weight_decay=2.0)
    model = _model(optimizer)
    first, second = DecayCallback("1 epoch"), DecayCallback("2 epochs")
    _fit(_fit(model, first, epochs=1), second, epochs=1)
    second.release(model)
    own = -BATCHES * math.log1p(-2.0 * PEAK)
    # torch multiplies by 1 − s, which is rounded at 3e-8: a millionth of s = 0.06
    assert _e_folds(model, epochs=1) == digits(own, rel=2e-6)
    second.release(model)
    assert optimizer.weight_decay == 2.0


def test_a_regularizer_beside_the_callback_is_a_warning():
    """An L2 of the layer's own and the callback both decay its kernel."""
    model = keras.Sequential(
        [layers.Input((6,)), layers.Dense(3, kernel_regularizer="l2"), layers.Dense(2)]
    )
    model.compile(OF_KERAS.SGD(PEAK), loss="mse")
    with pytest.warns(DoubleDecayWarning, match=r": sequential\S*/kernel\."):
        _fit(model, DecayCallback("1 epoch"))
