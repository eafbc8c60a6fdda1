"""Refusals: what would mislead is refused with a remedy that can be followed."""

import re
import shlex
from dataclasses import replace

import pytest
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
    UnknownNameError,
)

ADAPTIVE = ("Adam", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax")


@pytest.mark.parametrize("name", [f"torch.optim.{name}" for name in ADAPTIVE])
def test_a_coupled_adaptive_decay_has_no_half_life(name):
    """Both ways are refused: the number sets no rate, and decoupled decay does."""
    at_zero = "only a huge number" if "Adadelta" in name else "whatever the number"
    message = rf"{name} .*{at_zero}.*torch.optim.AdamW"
    with pytest.raises(RefusedError, match=message):
        convert(0.1, name, to="half-life", run=Run(lr=0.1))
    with pytest.raises(RefusedError, match=message):
        convert("100 steps", "half-life", to=name, run=Run(lr=0.1))
    with pytest.raises(RefusedError, match=message):
        convert(0.1, "torch.AdamW", to=name, run=Run(lr=0.1))


def test_the_first_thing_people_type_is_refused_with_a_route():
    """The question's λ to AdamW: name the optimizer it was tuned with, and both lrs."""
    message = r"term of an objective.*depends on the optimizer.*every lr"
    with pytest.raises(RefusedError, match=message) as caught:
        convert(1e-3, "question.l2", to="torch.AdamW", run=Run(lr=1e-3))
    assert "(it is 0.002)" in caught.value.instead
    assert "--lr LR_OF_SGD:LR_OF_ADAMW" in caught.value.instead


def commands(error):
    """The lines of a route, as words."""
    lines = re.findall(r"dwindle convert .*?(?=, then|\.$| \(it is)", error.instead)
    return [shlex.split(line)[2:] for line in lines]


@pytest.mark.parametrize("source", ["question.l2", "keras.L2", "bengio2012.l2"])
@pytest.mark.parametrize("target", ["torch.AdamW", "half-life:steps", "shrink"])
def test_the_route_of_a_penalty_leads_there(source, target):
    """Both lines of the route can be run, and end at what was asked for."""
    sgd = Run(lr=0.1, dataset_size=100, batch_size=10)
    message = "cannot be given"
    with pytest.raises(RefusedError, match=message) as caught:
        convert(2e-3, source, to=target, run=sgd)
    first, second = commands(caught.value)
    assert first[1:3] == ["--to", "torch.optim.SGD"]
    assert second[0] == "torch.optim.SGD=THAT"
    half_way = convert(2e-3, first[0].partition("=")[0], to=first[2], run=sgd)
    there = convert(half_way.value, "torch.optim.SGD", to=second[2], run=sgd)
    assert there.to == second[2]


def test_the_route_of_a_shrink_leads_there():
    """From a decoupled decay to a penalty the way goes through SGD as well."""
    run = Run(lr=0.1)
    with pytest.raises(RefusedError, match="plain gradients") as caught:
        convert(0.5, "torch.AdamW", to="question.l2", run=run)
    first, second = commands(caught.value)
    half_way = convert(0.5, first[0].partition("=")[0], to=first[2], run=run)
    there = convert(half_way.value, "torch.optim.SGD", to=second[2], run=run)
    assert (there.to, there.value) == ("question.l2", 0.25)


def test_a_route_repeats_the_facts_that_were_given():
    """Momentum, both lrs, schedule and sums stand in the lines, as they were given."""
    cosine = Schedule(shape="cosine", warmup=0.1)
    before = Run(lr=0.01, momentum=0.9, nesterov=True, dataset_size=50, batch_size=10)
    after = replace(before, lr=1e-3, schedule=cosine)
    with pytest.raises(RefusedError, match="term of an objective") as caught:
        convert(1e-4, "bengio2012.l2", to="torch.AdamW", run=before, run_after=after)
    first, second = commands(caught.value)
    assert first[3:] == ["--batch-size", "10", "--dataset-size", "50"]
    line = " ".join(second)
    assert "--lr 0.01:0.001 --momentum 0.9 --nesterov" in line
    assert "--schedule constant:cosine --warmup 0:0.1" in line
    with pytest.raises(RefusedError, match="plain gradients") as caught:
        convert(0.1, "torch.AdamW", to="keras.L2", run=after, run_after=before)
    assert "--lr 0.001:0.01 --momentum 0.9" in " ".join(commands(caught.value)[0])


@pytest.mark.parametrize("target", ["torch.AdamW", "shrink"])
def test_a_route_asks_for_the_momentum_where_none_was_given(target):
    """A route over SGD has a place for its momentum, which multiplies the decay."""
    with pytest.raises(RefusedError, match="--momentum MOMENTUM_OF_SGD"):
        convert(1e-4, "keras.L2", to=target)
    with pytest.raises(RefusedError, match="--momentum MOMENTUM_OF_SGD"):
        convert(0.01, target, to="keras.L2")


def test_the_route_to_adamw_is_the_real_optimizer_with_its_momentum():
    """Followed with the momentum, the route gives what SGD's two-state loop takes."""
    run, after = Run(lr=0.1, momentum=0.9), Run(lr=1e-3, momentum=0.9)
    half_way = convert(1e-4, "keras.L2", to="torch.SGD", run=run)
    there = convert(
        half_way.value, "torch.SGD", to="torch.AdamW", run=run, run_after=after
    )
    weight, buffer, ratio = 1.0, 0.0, 1.0
    for _ in range(2000):
        buffer = 0.9 * buffer + 2e-4 * weight
        ratio = 0.1 * buffer / weight
        weight -= 0.1 * buffer
    assert there.value == digits(ratio / 1e-3, rel=1e-9)  # 2,000 steps of rounding


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torch.Adagrad", "lr/√t in step t"),
        ("bitsandbytes.optim.Adagrad", "lr/√t in step t"),
        ("torch.RAdam", "a quarter of an lr per step in the first 300 steps"),
        ("torch.RMSprop", "1.4 lr per step at first"),
        ("pytorch_optimizer.AdEMAMix", "one lr per step at first and two later"),
        ("timm.lars", "the ratio is 1"),
        ("optax.lamb", "the number cancels out"),
    ],
)
def test_what_zero_gradients_do_is_said_of_each_optimizer(name, said):
    """A refusal says what this optimizer takes off a weight with zero gradient."""
    with pytest.raises(RefusedError, match=re.escape(said)):
        convert(0.1, name, to="shrink", run=Run(lr=0.1))


def test_keep_needs_what_a_step_takes():
    """Between a bare penalty and SGD only the objective can be kept."""
    with pytest.raises(RefusedError, match=r"Leave keep \(--keep\) out"):
        convert(1e-4, "keras.L2", to="torch.SGD", run=Run(lr=0.1), keep="step")
    with pytest.raises(UnknownNameError, match="Nearest: epoch, run, step"):
        convert(0.1, "torch.AdamW", to="shrink", run=Run(lr=0.1), keep="epochs")


@pytest.mark.parametrize("target", ["gaussian-prior.sigma", "LogisticRegression"])
def test_no_penalty_is_no_finite_prior(target):
    """A penalty of 0 has no finite standard deviation and no finite C."""
    message = "only an infinite number means no penalty. Leave the penalty out"
    with pytest.raises(RefusedError, match=message):
        convert(0, "torch.SGD", to=target, run=Run(dataset_size=10))


@pytest.mark.parametrize(
    ("number", "source", "target", "facts", "message"),
    [
        (0.1, "torch.AdamW", "shrink", {}, r"needs lr.*--lr"),
        (0.1, "torch.SGD", "shrink", {}, r"shrink of SGD needs lr.*Run\(lr="),
        (0.1, "shrink", "half-life:epochs", {}, "needs dataset_size.*--dataset-size"),
        (0.1, "shrink", "half-life:run", {}, "needs steps.*--steps, or --epochs"),
        (0.1, "torch.AdamW", "ASGD", {"lr": 0.1}, "needs steps"),
        (1, "bengio2012.l2", "torch.SGD", {}, "whole training set needs dataset_size"),
        (1, "answer.batch-sum", "torch.SGD", {}, "summed minibatch needs batch_size"),
        (1, "question.l2:layer-mean", "torch.SGD", {}, "by layer needs units.*--units"),
    ],
)
def test_a_missing_fact_is_asked_for(number, source, target, facts, message):
    """A formula that lacks a fact says which, what for, and how to give it."""
    with pytest.raises(MissingFactError, match=message):
        convert(number, source, to=target, run=Run(**facts))


@pytest.mark.parametrize(
    ("number", "source", "target", "facts", "message"),
    [
        (20, "torch.AdamW", "half-life:steps", {"lr": 0.1}, r"fraction in \[0, 1\)"),
        (20, "torch.AdamW", "ASGD", {"lr": 0.1, "steps": 9}, r"fraction in \[0, 1\)"),
        (1e-300, "sigma", "torch.SGD", {"dataset_size": 9}, "to be a finite number"),
        (1e-5, "question.l2", "ASGD", {}, r"at least 0.0001.*Switch that"),
    ],
)
def test_an_impossible_result_is_refused(number, source, target, facts, message):
    """What no number can say is refused with its limits."""
    with pytest.raises(RangeError, match=message):
        convert(number, source, to=target, run=Run(**facts))


def test_beyond_the_limit_of_momentum_there_is_no_half_life():
    """A decay under which the weight swings has no rate to convert."""
    with pytest.raises(OscillationError, match="overshoots zero and swings"):
        convert(0.5, "torch.SGD", to="half-life", run=Run(lr=0.1, momentum=0.9))


def test_layers_must_pair_up():
    """A penalty by layer needs as many layers at both places."""
    before, after = Run(units=(3, 4, 5)), Run(units=(3, 5))
    with pytest.raises(RangeError, match="as many layers before as after"):
        convert(
            1, "question.l2:layer-mean", to="torch.SGD", run=before, run_after=after
        )


def test_keep_is_refused_by_the_side_that_sets_no_step():
    """Of Adam the reason is its own, of a bare penalty that it names no optimizer."""
    with pytest.raises(RefusedError, match="Adam adds its decay to the gradient"):
        convert(1e-4, "torch.Adam", to="torch.SGD", run=Run(lr=0.1), keep="step")
    with pytest.raises(RefusedError, match="L2 is a coefficient of an objective"):
        convert(1e-4, "torch.SGD", to="keras.L2", run=Run(lr=0.1), keep="run")
