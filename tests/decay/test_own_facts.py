"""Momentum is what the knob's own library has: its default, used and named, or none."""

import json
from functools import partial

import pytest
import torch
from oracle import decay_by_hand
from tolerance import digits

from dwindle.cli.main import main
from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS, knobs, resolve_knob
from dwindle.decay.own_facts import default_note, facts_of, resolved, unused_facts
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.typed_facts import as_fields
from dwindle.errors import MissingFactError, RangeError

PERCEPTRON = "sklearn.neural_network.MLPClassifier:sgd"
BITS = "bitsandbytes.optim.SGD"
CHAIN = "optax.add_decayed_weights:before-sgd"
FASTAI = "fastai.optimizer.SGD:coupled"


def typed_in(line):
    """The exit code of a command line."""
    return main(line.split())


def left_by_torch(weight_decay, lr, steps, **options):
    """What torch's own SGD leaves of a weight with zero gradient."""
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=lr, weight_decay=weight_decay, **options)
    for _ in range(steps):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    return weight.item()


@pytest.mark.parametrize(
    "name", ["timm.sgd", "timm.momentum", "torch.optim.SGD", PERCEPTRON]
)
def test_what_is_not_given_is_that_of_the_record(name):
    """timm and sklearn have 0.9, torch has 0; a given momentum overrides both."""
    own, number = KNOBS[name].options, 1.0 if name == PERCEPTRON else 0.01
    options = {"momentum": own.momentum, "nesterov": bool(own.nesterov)}
    for given in ({}, {"momentum": 0.5, "nesterov": False}):
        # sklearn's alpha is λ times the batch.
        found = explain(
            number, name, run=Run(lr=0.1, steps=50, batch_size=100, **given)
        )
        left = left_by_torch(0.01, 0.1, 50, **options | given)
        assert found.kept == digits(left, rel=1e-12)


# Knob, what was given, and whether a default of the library stands in for the rest.
DEFAULTS = [
    (PERCEPTRON, {}, True),
    (PERCEPTRON, {"momentum": 0.5}, True),  # Nesterov's
    (PERCEPTRON, {"momentum": 0.5, "nesterov": True}, False),
    (PERCEPTRON, {"momentum": 0.0}, False),  # no momentum, so none of Nesterov's
    (PERCEPTRON, {"nesterov": False}, True),
    ("torch.optim.SGD", {}, True),
    ("torch.optim.SGD", {"momentum": 0.0}, False),
    # The cycle moves the momentum, and no default is used.
    ("torch.optim.SGD", {"schedule": "one-cycle", "steps": 100}, False),
    ("torch.optim.AdamW", {}, False),  # its decay goes through no momentum
    ("half-life:steps", {}, False),
]


def test_a_default_that_is_used_is_named():
    """A default that is used for a fact is named by explain, convert and rescale."""
    for name, facts, is_used in DEFAULTS:
        run = Run(lr=1e-3, batch_size=10, **facts)
        sentence = default_note(KNOBS[name], run)
        before = rescale(0.1, name, before=run, after=run).before
        codes = [
            [each.code for each in found.warnings]
            for found in (explain(0.1, name, run=run), before)
        ]
        there = convert(0.1, name, to="shrink", run=run)
        found = (
            bool(sentence),
            *("library-default" in each for each in codes),
            sentence in there.assumptions,
        )
        assert found == (is_used,) * 4, (name, facts)


def test_the_conversion_of_the_trials_page():
    """sklearn's 0.01 at lr 0.01 and batch 100 is ten times what a 0 momentum gives."""
    run, after = (Run(lr=lr, batch_size=100) for lr in (0.01, 1e-3))
    there = convert(0.01, PERCEPTRON, to="torch.optim.AdamW", run=run, run_after=after)
    path = decay_by_hand.sgd_path(
        [0.01] * 400, 0.01 / 100, momentum=0.9, dampening=0.0, nesterov=True
    )
    late = float(1 - path[400] / path[399])
    assert there.value == digits(late / 1e-3, rel=1e-9)
    assert there.fidelity == "approximate"


LACKING = [
    ("dampening", CHAIN, {"dampening": 0.9, "momentum": 0.9}),
    ("dampening", FASTAI, {"dampening": 0.9, "momentum": 0.9}),
    ("nesterov", FASTAI, {"nesterov": True, "momentum": 0.9}),
    ("nesterov", "optimi.SGD", {"nesterov": True, "momentum": 0.9}),
    ("nesterov", BITS, {"nesterov": True, "momentum": 0.9}),
    ("dampening", BITS, {"dampening": 0.5, "momentum": 0.9}),
    ("dampening", PERCEPTRON, {"dampening": 0.5}),
    ("momentum", "sklearn.SGDClassifier:constant", {"momentum": 0.9}),
]


def test_what_the_library_lacks_is_refused():
    """A momentum that would be ignored there is refused, by all three functions."""
    for fact, name, facts in LACKING:
        run = Run(lr=0.01, batch_size=10, **facts)
        for question in (
            partial(explain, run=run),
            partial(rescale, before=run, after=run),
            partial(convert, to="half-life:steps", run=run),
        ):
            with pytest.raises(RangeError) as raised:
                question(0.1, name)
            assert (raised.value.name, raised.value.value) == (fact, facts[fact])


def test_a_fact_that_is_given_once_is_for_the_side_that_has_it():
    """From torch's dampened SGD to optax, the dampening is torch's alone."""
    run = Run(lr=0.1, momentum=0.9, dampening=0.9)
    there = convert(5e-4, "torch.optim.SGD", to=CHAIN, run=run)
    assert there.coordinate == "penalty"
    back = convert(5e-4, "torch.optim.SGD", to="half-life:steps", run=run)
    own = convert(back.value, "half-life:steps", to="torch.optim.AdamW", run=run)
    assert own.value == digits(
        explain(5e-4, "torch.optim.SGD", run=run).shrink_per_step / 0.1, rel=1e-12
    )


def test_bitsandbytes_needs_a_momentum():
    """Its SGD refuses to run without one, so there is none to assume."""
    with pytest.raises(MissingFactError) as missing:
        convert(1e-4, BITS, to="half-life:steps", run=Run(lr=0.1))
    assert (missing.value.fact, missing.value.option) == ("momentum", "--momentum")
    with pytest.raises(RangeError) as raised:
        facts_of(KNOBS[BITS], Run(momentum=0.0))
    assert (raised.value.name, raised.value.value) == ("momentum", 0.0)
    found = explain(1e-4, BITS, run=Run(lr=0.1))
    assert found.shrink_per_step is None
    assert any("Give --momentum" in each.text for each in found.warnings)
    assert explain(1e-4, BITS, run=Run(lr=0.1, momentum=0.9)).shrink_per_step > 0


def test_a_dampening_that_is_a_flag_is_zero_or_the_momentum():
    """optimi's dampening=True is the momentum's own value."""
    run = Run(lr=0.1, momentum=0.9, dampening=0.9)
    assert explain(0.01, "optimi.SGD", run=run).shrink_per_step == digits(
        explain(0.01, "torch.optim.SGD", run=run).shrink_per_step, rel=1e-12
    )
    other = Run(lr=0.1, momentum=0.9, dampening=0.5)
    found = explain(0.01, "optimi.SGD", run=other)
    assert "impossible" in {each.code for each in found.warnings}
    with pytest.raises(RangeError) as raised:
        convert(0.01, "optimi.SGD", to="half-life:steps", run=other)
    assert (raised.value.name, raised.value.value) == ("dampening", 0.5)


CYCLE = {"schedule": "one-cycle"}
# Knob, what was given, and what of it changes nothing.
IDLE = [
    ("torch.AdamW", {"momentum": 0.9}, ["momentum"]),
    ("torch.AdamW", {"dampening": 0.9}, ["dampening"]),
    ("torch.AdamW", {"nesterov": True}, ["nesterov"]),
    ("Adam:decoupled", {"nesterov": True}, ["nesterov"]),
    ("torch.Muon", {"momentum": 0.9, "nesterov": True}, ["momentum", "nesterov"]),
    ("keras.SGD", {"momentum": 0.9}, ["momentum"]),
    ("timm.sgdw", {"momentum": 0.9}, ["momentum"]),
    ("torch.SGD", {"betas": (0.9, 0.95)}, ["betas"]),
    ("composer.optim.DecoupledAdamW", {"betas": (0.8, 0.99)}, []),
    # Also a 0, which was typed.
    ("torch.AdamW", {"final": 0.0}, ["final"]),
    ("torch.AdamW", {"decay_share": 0.2}, ["decay_share"]),
    ("torch.AdamW", {"schedule": "cosine", "decay_share": 0.1}, ["decay_share"]),
    ("torch.AdamW", {"schedule": "wsd", "final": 0.1, "decay_share": 0.2}, []),
    # A momentum that the cycle moves, and not one that it keeps.
    ("torch.SGD", CYCLE | {"momentum": 0.0}, ["momentum"]),
    ("torch.SGD", CYCLE | {"momentum": 0, "cycled_momentum": (0.0, 0.0)}, []),
    ("torch.SGD", CYCLE, []),
]


def test_what_changes_nothing_is_one_note_and_stands_last():
    """Behind all that changes the answer, also where several facts change nothing."""
    for name, more, idle in IDLE:
        run = Run(**as_fields({"lr": 0.01, "steps": 137} | more))
        assert list(unused_facts(resolve_knob(name), run)) == idle, more
        codes = [each.code for each in explain(0.1, name, run=run).warnings]
        assert codes.count("unused-fact") == bool(idle), more
        assert not idle or codes[-1] == "unused-fact", codes


def test_betas_are_those_of_the_library():
    """DecoupledAdamW has 0.95 by default, torch 0.999; given betas override both."""
    composer = KNOBS["composer.optim.DecoupledAdamW"]
    assert resolved(composer, Run()).betas == (0.9, 0.95)
    assert resolved(composer, Run(betas=(0.8, 0.99))).betas == (0.8, 0.99)
    assert resolved(KNOBS["torch.optim.AdamW"], Run()).betas == (0.9, 0.999)


def test_every_optimizer_with_a_momentum_in_its_decay_has_a_record():
    """Every knob of coupled SGD has a momentum in its record, but for these."""
    without = {
        knob.name
        for knob in knobs()
        if knob.family == "coupled-sgd" and knob.options.momentum is None
    }
    assert without == {
        "sklearn.linear_model.SGDClassifier:constant",
        "sklearn.linear_model.SGDRegressor:constant",
        "sklearn.linear_model.SGDRegressor:invscaling",
    }


def test_nesterov_alone_takes_the_momentum_of_the_library():
    """sklearn has one by default; torch has none, and insists on one."""
    run = Run(lr=0.1, batch_size=10, nesterov=True)
    whole = Run(lr=0.1, batch_size=10, nesterov=True, momentum=0.9)
    found, wanted = (explain(0.1, PERCEPTRON, run=each) for each in (run, whole))
    assert found.shrink_per_step == wanted.shrink_per_step
    for question in (explain, partial(convert, to="shrink")):
        with pytest.raises(RangeError) as raised:
            question(0.1, "torch.optim.SGD", run=run)
        assert (raised.value.name, raised.value.value) == ("momentum", 0.0)


TRAINER = "transformers.TrainingArguments"


def test_the_schedule_of_the_trainer_is_linear_where_none_is_given():
    """lr_scheduler_type is "linear" by default: the run's decay is the sum over it.

    Σ of 1 − t/1000 over the steps is 500.5; each takes lr·0.1 times that.
    """
    run = {"lr": 1e-4, "steps": 1000}
    found = explain(0.1, TRAINER, run=run)
    # 1e-5: -ln(1 − s) is s to that many digits.
    assert found.e_folds == digits(500.5 * 1e-5, rel=1e-5)
    note = "was given no schedule: linear, its own default"
    assert note in " ".join(each.text for each in found.warnings)
    constant = explain(0.1, TRAINER, run=run | {"schedule": "constant"})
    assert constant.e_folds == digits(1000 * 1e-5, rel=1e-5)
    assert note not in " ".join(each.text for each in constant.warnings)
    there = convert(0.1, TRAINER, to="half-life:run", run=run)
    assert note in there.assumptions[0]
    assert not [each for each in there.unused if each.startswith("schedule")]
    there = rescale(0.1, TRAINER, before=run, after=run)
    assert there.before.e_folds == there.unchanged.e_folds == found.e_folds
    assert explain(0.1, "torch.AdamW", run=run).e_folds == constant.e_folds
    # One that counts steps is timed by the length of the run, and named all the same.
    counted = explain(1e-4, "sklearn.SGDRegressor", run={"lr": 0.01, "steps": 1000})
    assert "library-default" in {each.code for each in counted.warnings}


def test_the_run_of_a_command_has_no_schedule_of_its_own(capsys):
    """The command line gives a schedule only where one was typed."""
    line = f"explain {TRAINER}=0.1 --lr 1e-4 --steps 1000 --json"
    assert typed_in(line) == 0
    found = explain(0.1, TRAINER, run={"lr": 1e-4, "steps": 1000}).as_dict()
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found))


def test_elastic_nets_number_leaves_the_l1_term_out():
    """alpha·(1 − l1_ratio) is no alpha, and without L1 the function is another."""
    there = convert(0.5, "sklearn.ElasticNet", to="torch.SGD")
    assert (there.value, there.fidelity) == (1.0, "approximate")
    back = convert(1.0, "torch.SGD", to="sklearn.ElasticNet")
    assert (back.value, back.fidelity) == (0.5, "approximate")
    same = convert(0.5, "sklearn.ElasticNet", to="sklearn.ElasticNet")
    assert same.fidelity == "same-trajectory"
    codes = {each.code for each in explain(0.5, "sklearn.ElasticNet").warnings}
    assert "own-rule" in codes
