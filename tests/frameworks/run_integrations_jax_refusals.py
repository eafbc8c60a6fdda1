"""The link for optax: what it refuses, asks for and warns of, and what shows it."""

import logging
import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from frameworks.chains import PEAK, STEPS, asked, held, left_of, warm, weights
from tolerance import digits

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.errors import MissingFactError, RangeError, RefusedError, UnknownNameError
from dwindle.integrations.optax import decay, measured_shrink


def test_bfloat16_says_what_it_cannot_hold(caplog):
    """A long half-life is refused with what can be had, a shorter one is warned of."""
    with pytest.raises(RefusedError, match=r"at most 177"):
        held(PEAK, half_life=300).init(weights(jnp.bfloat16))
    with caplog.at_level(logging.WARNING, "dwindle"):
        held(PEAK, half_life=100).init(weights(jnp.bfloat16))
    assert "108 steps instead" in caplog.text


def test_a_second_decay_is_found():
    """What the whole chain takes is measured; only the link's part was asked for."""
    link = held(PEAK, half_life=50)
    alone = measured_shrink(optax.chain(optax.adam(PEAK), link), weights(), steps=50)
    both = optax.chain(optax.adamw(PEAK, weight_decay=0.1), link)
    both = measured_shrink(both, weights(), steps=50)
    asked = shrink_from_half_life(50)
    # 50 steps round a weight at 3e-8 each; the shrinks are around 0.01.
    assert alone["layer"]["kernel"] == digits(asked, rel=1e-5)
    assert both["layer"]["kernel"] == digits(asked + 0.1 * PEAK, rel=1e-5)
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
def test_a_missing_fact_is_asked_for_by_its_argument(facts, message):
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
    """A wrong word, weights that are none, an update without the weights."""
    with pytest.raises(UnknownNameError, match=r"Got 'folow-lr'.*follow-lr"):
        held(schedule="folow-lr")
    with pytest.raises(RefusedError, match=r"\(3,\).*Give mask"):
        held().init({"b": jnp.ones(3)})
    link = held(mask=None)
    with pytest.raises(RangeError) as raised:
        link.update(weights(), link.init(weights()))
    assert raised.value.name == "params"


def test_an_lr_above_the_given_peak_is_told(caplog):
    """The decay follows it, and one line says so."""
    with caplog.at_level(logging.WARNING, "dwindle"):
        held(warm, lr_peak=PEAK)
        assert not caplog.records
        link = held(warm, lr_peak=PEAK / 2)
    assert "above lr_peak, 0.015" in caplog.text
    left = left_of(optax.chain(optax.adam(warm), link))
    assert -np.log(left).mean() > -1.9 * math.log(asked("follow-lr", warm))
