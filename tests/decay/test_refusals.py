"""Refusals: what would mislead is refused with a remedy that can be followed."""

import re
import shlex
from dataclasses import replace
from itertools import pairwise

import pytest

from dwindle.decay.convert import convert
from dwindle.decay.families import family_of
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
    UnknownNameError,
)


def refused(number, source, target, run=None, **more):
    """The error of a conversion that no number answers."""
    with pytest.raises(RefusedError) as raised:
        convert(number, source, to=target, run=run or Run(), **more)
    return raised.value


def test_the_first_thing_people_type_is_refused_with_a_route():
    """The question's λ to AdamW: the route has its canonical number and both lrs."""
    route = refused(1e-3, "question.l2", "torch.AdamW", Run(lr=1e-3)).instead
    assert "(it is 0.002)" in route
    assert "--lr LR_OF_SGD:LR_OF_ADAMW" in route


def commands(error):
    """The lines of a route, as words."""
    lines = re.findall(r"dwindle convert .*?(?=, then|\.$| \(it is)", error.instead)
    return [shlex.split(line)[2:] for line in lines]


def test_the_route_of_a_penalty_leads_there():
    """Both lines of the route can be run, and end at what was asked for."""
    sgd = Run(lr=0.1, dataset_size=100, batch_size=10)
    for source in ("question.l2", "keras.L2", "bengio2012.l2"):
        for target in ("torch.AdamW", "half-life:steps", "shrink"):
            first, second = commands(refused(2e-3, source, target, sgd))
            assert first[1:3] == ["--to", "torch.optim.SGD"]
            assert second[0] == "torch.optim.SGD=THAT"
            half_way = convert(2e-3, first[0].partition("=")[0], to=first[2], run=sgd)
            there = convert(half_way.value, "torch.optim.SGD", to=second[2], run=sgd)
            assert there.to == second[2]


def test_the_route_of_a_shrink_leads_there():
    """From a decoupled decay to a penalty the way goes through SGD as well."""
    run = Run(lr=0.1)
    first, second = commands(refused(0.5, "torch.AdamW", "question.l2", run))
    half_way = convert(0.5, first[0].partition("=")[0], to=first[2], run=run)
    there = convert(half_way.value, "torch.optim.SGD", to=second[2], run=run)
    assert (there.to, there.value) == ("question.l2", 0.25)


def test_a_route_repeats_the_facts_that_were_given():
    """Momentum, both lrs, schedule and sums stand in the lines, as they were given."""
    cosine = Schedule(shape="cosine", warmup=0.1)
    before = Run(lr=0.01, momentum=0.9, nesterov=True, dataset_size=50, batch_size=10)
    after = replace(before, lr=1e-3, schedule=cosine)
    there = refused(1e-4, "bengio2012.l2", "torch.AdamW", before, run_after=after)
    first, second = commands(there)
    assert first[3:] == ["--batch-size", "10", "--dataset-size", "50"]
    told = dict(pairwise(second))
    assert (told["--lr"], told["--momentum"]) == ("0.01:0.001", "0.9")
    assert (told["--schedule"], told["--warmup"]) == ("constant:cosine", "0:0.1")
    assert "--nesterov" in second
    back = refused(0.1, "torch.AdamW", "keras.L2", after, run_after=before)
    told = dict(pairwise(commands(back)[0]))
    assert (told["--lr"], told["--momentum"]) == ("0.001:0.01", "0.9")


def test_a_route_asks_for_the_momentum_where_none_was_given():
    """A route over SGD has a place for its momentum, which multiplies the decay."""
    for target in ("torch.AdamW", "shrink"):
        there, back = (1e-4, "keras.L2", target), (0.01, target, "keras.L2")
        for asked in (there, back):
            assert "--momentum MOMENTUM_OF_SGD" in refused(*asked).instead


# Measured with the real optimizers: lost per step over the lr, at first and later.
AT_ZERO = {
    "torch.Adagrad": "lr/√t in step t",
    "bitsandbytes.optim.Adagrad": "lr/√t in step t",
    "torch.RAdam": "a quarter of an lr per step in the first 300 steps",
    "torch.RMSprop": "1.4 lr per step at first",
    "torch.Adadelta": "only a huge number",
    "torch.Adam": "regardless of the number",
    "pytorch_optimizer.AdEMAMix": "one lr per step at first and two later",
    "timm.lars": "the ratio is 1",
    "optax.lamb": "the number cancels out",
}


def test_a_refusal_has_what_zero_gradients_do_under_its_optimizer():
    """No optimizer has the sentence of another."""
    why = {name: refused(0.1, name, "shrink", Run(lr=0.1)).why for name in AT_ZERO}
    assert {name: why[name] for name in why if AT_ZERO[name] not in why[name]} == {}


def test_what_no_number_says_is_an_error_with_its_facts():
    """Missing facts by name, impossible results with their quantity."""
    missing = [
        (0.1, "torch.AdamW", "shrink", {}, "lr"),
        (0.1, "torch.SGD", "shrink", {}, "lr"),
        (0.1, "shrink", "half-life:epochs", {}, "dataset_size"),
        (0.1, "shrink", "half-life:run", {}, "steps"),
        (0.1, "torch.AdamW", "ASGD", {"lr": 0.1}, "steps"),
        (1, "bengio2012.l2", "torch.SGD", {}, "dataset_size"),
        (1, "answer.batch-sum", "torch.SGD", {}, "batch_size"),
        (1, "question.l2:layer-mean", "torch.SGD", {}, "units"),
    ]
    for number, source, target, facts, fact in missing:
        with pytest.raises(MissingFactError) as lacking:
            convert(number, source, to=target, run=Run(**facts))
        assert lacking.value.fact == fact
    impossible = [
        (20, "torch.AdamW", "half-life:steps", {"lr": 0.1}, "shrink_per_step"),
        (20, "torch.AdamW", "ASGD", {"lr": 0.1, "steps": 9}, "shrink_per_step"),
        (1e-300, "sigma", "torch.SGD", {"dataset_size": 9}, "gaussian-prior.sigma"),
        (1e-5, "question.l2", "ASGD", {}, "penalty"),
    ]
    for number, source, target, facts, name in impossible:
        with pytest.raises(RangeError) as raised:
            convert(number, source, to=target, run=Run(**facts))
        assert raised.value.name == name
    with pytest.raises(OscillationError) as swings:
        convert(0.5, "torch.SGD", to="half-life", run=Run(lr=0.1, momentum=0.9))
    assert swings.value.momentum == 0.9
    layered = "question.l2:layer-mean"
    with pytest.raises(RangeError) as raised:  # as many layers at both places
        convert(
            1,
            layered,
            to="torch.SGD",
            run=Run(units=(3, 4, 5)),
            run_after=Run(units=(3, 5)),
        )
    assert raised.value.name == "units"


def test_no_penalty_is_no_finite_prior():
    """A penalty of 0 has no finite standard deviation and no finite C."""
    for target in ("gaussian-prior.sigma", "LogisticRegression"):
        found = refused(0, "torch.SGD", target, Run(dataset_size=10))
        assert found.asked.endswith(f" as {resolve_knob(target).name}")


def test_keep_is_refused_by_the_side_that_sets_no_step():
    """Of Adam the reason is its own, of a bare penalty that it names no optimizer."""
    run = Run(lr=0.1)
    adam = resolve_knob("torch.Adam")
    of_adam = refused(1e-4, "torch.Adam", "torch.SGD", run, keep="step")
    assert of_adam.why == family_of(adam).reason(adam.name, adam)
    for source, target in (("keras.L2", "torch.SGD"), ("torch.SGD", "keras.L2")):
        bare = refused(1e-4, source, target, run, keep="run")
        assert bare.why.startswith("keras.regularizers.L2 ")
        assert "Leave keep" in bare.instead
    with pytest.raises(UnknownNameError) as raised:
        convert(0.1, "torch.AdamW", to="shrink", run=run, keep="epochs")
    assert set(raised.value.nearest) == {"epoch", "run", "step"}
