"""The link for optax in real chains: what it leaves, and what it refuses."""

import logging
import math
import pickle
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerance import digits

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.errors import MissingFactError, RangeError, RefusedError, UnknownNameError
from dwindle.integrations.optax import decay, decayed_leaves, measured_shrink

STEPS, PEAK, HALF_LIFE = 80, 0.03, 40
POWERS = {"follow-lr": 1, "constant": 0, "lr-squared": 2}
TABLE = [PEAK * at / 10 for at in range(10)] + [
    PEAK * (1 + math.cos(math.pi * at / 70)) / 2 for at in range(70)
]


def warm(step):
    """Warm-up from 0 and cosine, in double; optax computes its own in single."""
    return jnp.asarray(TABLE)[step]


def weights(dtype=None):
    sizes = jnp.linspace(0.3, 7.0, 24, dtype=dtype).reshape(4, 6)
    return {"layer": {"kernel": sizes, "bias": jnp.ones(6, dtype)}}


def run(optimizer, params, steps=STEPS, gradient=jnp.zeros_like, state=None):
    """Weights and state after jitted steps."""

    @jax.jit
    def step(params, state):
        gradients = jax.tree.map(gradient, params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params) if state is None else state
    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def left_of(optimizer, *, steps=STEPS, dtype=None):
    params = weights(dtype)
    after, _ = run(optimizer, params, steps)
    assert (after["layer"]["bias"] == params["layer"]["bias"]).all()
    return np.asarray(after["layer"]["kernel"] / params["layer"]["kernel"], "float64")


def kept_by(schedule, lr, steps=STEPS, half_life=HALF_LIFE):
    """What the half-life and the lr of each step leave, by a loop over steps."""
    left, peak = 1.0, 1 - 0.5 ** (1 / half_life)
    for at in range(steps):
        share = (float(lr(at)) if callable(lr) else lr) / PEAK
        left *= 1 - peak * share ** POWERS[schedule]
    return left


def held(lr=warm, schedule="follow-lr", half_life=HALF_LIFE, **facts):
    facts = {"steps": STEPS, "schedule": schedule} | facts
    return decay(f"{half_life} steps", learning_rate=lr, **facts)


OF_OPTAX = optax.warmup_cosine_decay_schedule(0.0, PEAK, 10, STEPS, end_value=1e-5)
LRS = {"number": PEAK, "warm-up from 0": warm}
SCHEDULES = {
    "warm-up and cosine": OF_OPTAX,
    "linear": optax.linear_schedule(PEAK, 0.0, STEPS),
    "joined": optax.join_schedules(
        [optax.linear_schedule(0.0, PEAK, 9), optax.exponential_decay(PEAK, 20, 0.5)],
        [9],
    ),
    "steps": optax.piecewise_constant_schedule(PEAK, {20: 0.5, 50: 0.1}),
}
# By the lr; none of them decays by itself as it is configured here.
OPTIMIZERS = {
    "sgd": optax.sgd,
    "sgd momentum": partial(optax.sgd, momentum=0.9, nesterov=True),
    "adam": optax.adam,
    "adamw, its own decay off": partial(optax.adamw, weight_decay=0.0),
    "lion, its own decay off": partial(optax.lion, weight_decay=0.0),
    "adafactor": optax.adafactor,
    "rmsprop": partial(optax.rmsprop, momentum=0.9),
    "muon": optax.contrib.muon,
}
# 80 steps round the weight and the schedule 2 or 3 times each, at 1e-16.
DOUBLE = 1e-12
# In 32 bits a step rounds at 3e-8, up or down: 80 of them stay below this.
SINGLE = 1e-6


@pytest.fixture
def in_double():
    with jax.enable_x64(True):  # noqa: FBT003 (its only argument)
        yield


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.usefixtures("in_double")
def test_a_weight_with_zero_gradient_decays_exactly(name):
    """Behind every optimizer the kernel loses exactly what is expected."""
    left = left_of(optax.chain(OPTIMIZERS[name](warm), held()))
    assert left.flatten() == digits([kept_by("follow-lr", warm)] * 24, rel=DOUBLE)


@pytest.mark.parametrize("schedule", POWERS)
@pytest.mark.parametrize("lr", LRS)
@pytest.mark.usefixtures("in_double")
def test_a_weight_with_zero_gradient_under_every_schedule(lr, schedule):
    """At any course of the lr, and any schedule of the decay."""
    left = left_of(optax.chain(optax.adam(LRS[lr]), held(LRS[lr], schedule)))
    assert left[0, 0] == digits(kept_by(schedule, LRS[lr]), rel=DOUBLE)


@pytest.mark.parametrize("schedule", POWERS)
@pytest.mark.parametrize("lr", SCHEDULES)
def test_in_single_precision_too(lr, schedule):
    """In 32 bits the half-life is the one that was given, to a millionth."""
    lr = SCHEDULES[lr]
    chain = optax.chain(optax.adam(lr), held(lr, schedule))
    e_folds = -np.log(left_of(chain)).mean()
    assert e_folds == digits(-math.log(kept_by(schedule, lr)), rel=SINGLE)


@pytest.mark.usefixtures("in_double")
def test_a_driven_weight_gets_its_gradient_and_the_decay():
    """Under follow-lr the chain is adamw with the number that gives the half-life."""
    number = shrink_from_half_life(HALF_LIFE) / PEAK

    def pull(weight):
        return 0.3 * weight + jnp.sin(weight)

    adamw = optax.adamw(warm, weight_decay=number, mask=decayed_leaves)
    ours, _ = run(optax.chain(optax.adam(warm), held()), weights(), gradient=pull)
    theirs, _ = run(adamw, weights(), gradient=pull)
    for own, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.asarray(own) == digits(np.asarray(other), rel=1e-9)  # chaos of adam


@pytest.mark.usefixtures("in_double")
def test_gathered_steps_count_once():
    """In MultiSteps four calls are one step of decay, at the lr of real updates."""
    chain = optax.MultiSteps(optax.chain(optax.adam(warm), held()), 4)
    assert left_of(chain, steps=4 * STEPS)[0, 0] == digits(
        kept_by("follow-lr", warm), rel=DOUBLE
    )
    assert left_of(chain, steps=3)[0, 0] == 1.0


@pytest.mark.usefixtures("in_double")
def test_skipped_steps_do_not_decay():
    """A step that apply_if_finite skips takes nothing off and does not count."""
    chain = optax.apply_if_finite(optax.chain(optax.adam(warm), held()), 5)
    params, state = weights(), chain.init(weights())
    update = jax.jit(chain.update)
    for at in range(2 * STEPS):
        value = jnp.where(at % 2, 0.0, math.nan)
        gradients = jax.tree.map(lambda w, v=value: jnp.full_like(w, v), params)
        updates, state = update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    left = params["layer"]["kernel"] / weights()["layer"]["kernel"]
    assert left[0, 0] == digits(kept_by("follow-lr", warm), rel=DOUBLE)


@pytest.mark.parametrize("schedule", POWERS)
@pytest.mark.usefixtures("in_double")
def test_an_injected_lr_is_followed(schedule):
    """With inject_hyperparams the decay goes with an lr that is set by hand."""

    @optax.inject_hyperparams
    def build(learning_rate):
        link = held(learning_rate, schedule, lr_peak=PEAK)
        return optax.chain(optax.adam(learning_rate), link)

    chain, params = build(PEAK), weights()
    state, update = chain.init(params), jax.jit(chain.update)
    for at in range(STEPS):
        state.hyperparams["learning_rate"] = jnp.asarray(warm(at))
        updates, state = update(jax.tree.map(jnp.zeros_like, params), state, params)
        params = optax.apply_updates(params, updates)
    left = params["layer"]["kernel"] / weights()["layer"]["kernel"]
    assert left[0, 0] == digits(kept_by(schedule, warm), rel=DOUBLE)


@pytest.mark.usefixtures("in_double")
def test_groups_by_label():
    """In multi_transform two half-lives live beside each other."""
    params = {"a": {"kernel": jnp.ones((2, 2))}, "b": {"kernel": jnp.ones((2, 2))}}
    chains = {
        name: optax.chain(optax.adam(PEAK), held(PEAK, half_life=half_life))
        for name, half_life in (("a", 20), ("b", 40))
    }
    chain = optax.multi_transform(chains, {"a": "a", "b": "b"})
    after, _ = run(chain, params, steps=40)
    assert after["a"]["kernel"][0, 0] == digits(0.25, rel=DOUBLE)
    assert after["b"]["kernel"][0, 0] == digits(0.5, rel=DOUBLE)


@pytest.mark.usefixtures("in_double")
def test_the_mask_is_the_users():
    """A tree, a prefix, a function, or None for every leaf; others stay as they are."""
    params = {"a": {"x": jnp.ones(3), "y": jnp.ones(())}, "b": jnp.ones((2, 2))}
    masks = (
        (None, [0.5, 0.5, 0.5]),
        ({"a": True, "b": False}, [0.5, 0.5, 1.0]),
        (lambda tree: jax.tree.map(lambda leaf: leaf.ndim == 1, tree), [0.5, 1.0, 1.0]),
    )
    for mask, expected in masks:
        chain = optax.chain(optax.sgd(PEAK), held(PEAK, mask=mask))
        after, _ = run(chain, params, steps=HALF_LIFE)
        left = [leaf.flatten()[0] for leaf in jax.tree.leaves(after)]
        assert left == digits(expected, rel=DOUBLE)


def test_without_a_mask_kernels_decay_and_nothing_else():
    """Classed by the whole name of a leaf; where it has none of these, by the shape."""
    wide, flat = jnp.ones((3, 4)), jnp.ones(4)
    params = {
        "Dense_0": {"kernel": wide, "bias": flat, "LayerNorm": {"scale": flat}},
        "attention": {"bias": wide, "kernel": jnp.ones((2, 3, 4))},
        "Embed_0": {"embedding": wide},
        "linear": {"w": jnp.ones((4, 1)), "b": flat},
        "mine": [wide, flat, jnp.ones((1, 4)), jnp.ones((3, 4), int)],
    }
    expected = {
        "Dense_0": {"kernel": True, "bias": False, "LayerNorm": {"scale": False}},
        "attention": {"bias": False, "kernel": True},
        "Embed_0": {"embedding": False},
        "linear": {"w": True, "b": False},
        "mine": [True, False, False, False],
    }
    assert decayed_leaves(params) == expected
    expected["Embed_0"]["embedding"] = True
    assert decayed_leaves(params, embeddings=True) == expected


@jax.tree_util.register_dataclass
@dataclass
class _Variable:
    """A variable as Flax NNX splits a model into: its array is its attribute value."""

    value: jax.Array


def test_variables_of_flax_are_classed_by_their_names():
    """Behind a name stands a variable: the name counts, also one that is "value"."""
    wide, flat = _Variable(jnp.ones((3, 4))), _Variable(jnp.ones(4))
    params = {
        "embed": {"embedding": wide},
        "attention": {"value": {"kernel": wide, "bias": wide}},
        "norm": {"scale": flat},
        "mine": wide,
    }
    decayed = decayed_leaves(params)
    assert decayed["embed"]["embedding"].value is False
    assert decayed["attention"]["value"]["kernel"].value is True
    assert decayed["attention"]["value"]["bias"].value is False
    assert decayed["norm"]["scale"].value is False
    assert decayed["mine"].value is True


@jax.tree_util.register_dataclass
@dataclass
class _Layer:
    """A module as Equinox has them: attributes, some of them None."""

    weight: jax.Array
    bias: jax.Array | None


@pytest.mark.usefixtures("in_double")
def test_a_module_is_a_tree_too():
    """Attributes are names as keys are, and what is None stays None."""
    model = [_Layer(jnp.ones((2, 3)), None), _Layer(jnp.ones((3, 3)), jnp.ones((3, 1)))]
    chain = optax.chain(optax.adam(PEAK), held(PEAK))
    after, _ = run(chain, model, steps=HALF_LIFE)
    assert after[0].weight[0, 0] == after[1].weight[0, 0] == digits(0.5, rel=DOUBLE)
    assert after[0].bias is None
    assert after[1].bias[0] == 1.0


@pytest.mark.usefixtures("in_double")
def test_scanned_and_mapped_over_models():
    """Under scan and vmap it is the same decay, for each model with its own lr."""
    peaks = jnp.asarray([PEAK, PEAK / 2])

    def train(peak):
        link = held(peak, lr_peak=PEAK)
        chain = optax.chain(optax.sgd(peak), link)

        def step(carry, _):
            weights, state = carry
            updates, state = chain.update(jnp.zeros_like(weights), state, weights)
            return (optax.apply_updates(weights, updates), state), None

        start = (jnp.ones((2, 2)), chain.init(jnp.ones((2, 2))))
        return jax.lax.scan(step, start, length=STEPS)[0][0][0, 0]

    expected = [kept_by("follow-lr", float(peak)) for peak in peaks]
    assert np.asarray(jax.vmap(train)(peaks)) == digits(expected, rel=DOUBLE)


def test_a_run_goes_on_from_its_state():
    """State through numpy and back, at any step: bitwise the run without a break."""
    chain = optax.chain(optax.adam(warm), held(schedule="lr-squared"))
    whole, _ = run(chain, weights(), gradient=jnp.sin)
    for pause in (1, 37):
        saved = pickle.dumps(jax.device_get(run(chain, weights(), pause, jnp.sin)))
        params, state = jax.tree.map(jnp.asarray, pickle.loads(saved))
        params, _ = run(chain, params, STEPS - pause, jnp.sin, state)
        same = jax.tree.map(lambda a, b: (a == b).all(), whole, params)
        assert all(jax.tree.leaves(same))


def test_bfloat16_holds_a_short_half_life():
    """Weights of 8 digits halve in time, updates keep the type of the gradients."""
    chain = optax.chain(optax.sgd(PEAK), held(PEAK, half_life=10))
    after, _ = run(chain, weights(jnp.bfloat16), steps=10)
    assert after["layer"]["kernel"].dtype == jnp.bfloat16
    left = left_of(chain, steps=10, dtype=jnp.bfloat16)
    # ten steps that round at 0.002, up and down, and the warning: two percent of ln 2
    assert -np.log(left).mean() == digits(math.log(2), rel=0.02)


def test_the_state_can_be_planned_and_mapped():
    """Shapes without arrays, as for a sharded start, and optax's own walks over it."""
    chain = optax.chain(optax.adam(PEAK), held(PEAK))
    shapes = jax.eval_shape(chain.init, weights())
    assert optax.tree.get(shapes[1], "count").dtype == jnp.int32
    doubled = optax.tree.map_params(chain, lambda leaf: 2 * leaf, chain.init(weights()))
    assert int(doubled[1].inner_state.count) == 0


@pytest.mark.usefixtures("in_double")
def test_without_the_length_a_given_peak_is_enough():
    """A schedule of unknown length is followed, if its peak is given."""
    link = decay(f"{HALF_LIFE} steps", learning_rate=warm, lr_peak=PEAK)
    left = left_of(optax.chain(optax.adam(warm), link))
    assert left[0, 0] == digits(kept_by("follow-lr", warm), rel=DOUBLE)


@pytest.mark.usefixtures("in_double")
def test_every_clock():
    """Epochs, tokens and shares of the run are the same steps."""
    facts = {
        "batch_size": 10,
        "dataset_size": 200,
        "tokens_per_example": 7,
        "epochs": 4,
    }
    for half_life in ("2 epochs", "400 examples", "2800 tokens", "50% of the run"):
        chain = optax.chain(
            optax.sgd(warm), decay(half_life=half_life, learning_rate=warm, **facts)
        )
        assert left_of(chain)[0, 0] == digits(kept_by("follow-lr", warm), rel=DOUBLE)


def test_what_bfloat16_cannot_hold_is_logged(caplog):
    """A long half-life is refused with what can be had, a shorter one is warned of."""
    with pytest.raises(RefusedError, match=r"at most 177"):
        held(PEAK, half_life=300).init(weights(jnp.bfloat16))
    with caplog.at_level(logging.WARNING, "dwindle"):
        held(PEAK, half_life=100).init(weights(jnp.bfloat16))
    assert "108 steps instead" in caplog.text


def test_a_second_decay_is_found():
    """What the whole chain takes is measured; only the link's part was requested."""
    link = held(PEAK, half_life=50)
    alone = measured_shrink(optax.chain(optax.adam(PEAK), link), weights(), steps=50)
    both = optax.chain(optax.adamw(PEAK, weight_decay=0.1), link)
    both = measured_shrink(both, weights(), steps=50)
    shrink = shrink_from_half_life(50)
    # 50 steps round a weight at 3e-8 each; the shrinks are around 0.01.
    assert alone["layer"]["kernel"] == digits(shrink, rel=1e-5)
    assert both["layer"]["kernel"] == digits(shrink + 0.1 * PEAK, rel=1e-5)
    assert alone["layer"]["bias"] == 0.0
    with pytest.raises(RangeError) as raised:
        measured_shrink(link, weights(), steps=0)
    assert (raised.value.name, raised.value.value) == ("steps", 0)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"learning_rate": None},
            r"needs learning_rate.*decay\(learning_rate=\.\.\.\)",
        ),
        (
            {"learning_rate": warm},
            r"peak of a learning_rate schedule.*decay\(steps=\.\.\.\)",
        ),
        (
            {"half_life": "3 epochs", "batch_size": 8},
            r"needs dataset_size.*decay\(dataset_size=\.\.\.\)",
        ),
        ({"learning_rate": jnp.ones(())}, r"injected.*decay\(lr_peak=\.\.\.\)"),
    ],
)
def test_a_missing_fact_is_named_by_its_argument(facts, message):
    """Nothing is guessed: the error is the argument to write."""
    with pytest.raises(MissingFactError, match=message):
        decay(**({"half_life": "30 steps", "learning_rate": PEAK} | facts))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"half_life": 30}, r"time with its clock\. Got 30"),
        ({"half_life": "-3 steps"}, r"half_life must be above 0\. Got -3"),
        ({"learning_rate": -0.1}, r"lr_peak must be.*Got -0\.1"),
        ({"learning_rate": "fast"}, r"learning_rate must be a number\. Got 'fast'"),
        ({"learning_rate": lambda _: -0.1, "lr_peak": 0.1}, r"lr must be.*Got -0\.1"),
        ({"lr_peak": 1e-9}, r"lr_peak is 1e-09.*Give lr_peak"),
        ({"batch_size": jnp.ones(())}, r"batch_size must be a plain.*static_args"),
        ({"batch_size": 0}, r"batch_size must be at least 1\. Got 0"),
    ],
)
def test_absurd_numbers_are_refused(facts, message):
    """What cannot be is refused where the link is made, with the value."""
    usual = {"half_life": "30 steps", "learning_rate": PEAK, "steps": STEPS}
    with pytest.raises(RangeError, match=message):
        decay(**(usual | facts))


def test_what_else_is_refused():
    """A wrong name, weights that are none, an update without the weights."""
    with pytest.raises(UnknownNameError, match=r"Got 'folow-lr'.*follow-lr"):
        held(schedule="folow-lr")
    with pytest.raises(RefusedError, match=r"\(3,\).*Give mask"):
        held().init({"b": jnp.ones(3)})
    link = held(mask=None)
    with pytest.raises(RangeError) as raised:
        link.update(weights(), link.init(weights()))
    assert raised.value.name == "params"


def test_an_lr_above_the_given_peak_is_logged(caplog):
    """The decay follows it, and one line warns of it."""
    with caplog.at_level(logging.WARNING, "dwindle"):
        held(warm, lr_peak=PEAK)
        assert not caplog.records
        link = held(warm, lr_peak=PEAK / 2)
    assert "above lr_peak, 0.015" in caplog.text
    left = left_of(optax.chain(optax.adam(warm), link))
    assert -np.log(left).mean() > -1.9 * math.log(kept_by("follow-lr", warm))
