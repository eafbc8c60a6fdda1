"""Convert: laws over all pairs of knobs, an oracle per knob, correct fidelity."""

import math
import re
import shlex
from dataclasses import replace
from functools import cache
from itertools import pairwise, product

import pytest
from decay import traps
from oracle.knob_kinds import kinds, pairs_of
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.convert_all import convert_to_all
from dwindle.decay.families import family_of
from dwindle.decay.half_life import HalfLife
from dwindle.decay.knobs import KNOBS, knobs, resolve_knob
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
    UnknownNameError,
)

NAMES = kinds(knobs())
# Errors that a conversion may raise instead of a number.
REFUSALS = (RefusedError, MissingFactError, RangeError, OscillationError)
WHOLE = replace(traps.WHOLE, tokens_per_example=128, units=(8, 8, 8))
FLAT = replace(traps.FLAT, tokens_per_example=128)


@cache
def attempt(number, source, target, run):
    """A conversion, or None where it is refused; any other error is a failure."""
    try:
        return convert(number, source, to=target, run=run)
    except REFUSALS as error:
        text = str(error)
    assert len(text) > 40  # it has a remedy
    return None


def close(first, second, source):
    """Equal to twelve digits, with a decay that is always on added."""
    # ASGD subtracts its own 1e-4 from the number, which costs digits below it.
    slack = 1e-4 if source == "torch.optim.ASGD" else 0.0
    return math.isclose(first + slack, second + slack, rel_tol=1e-12)


PLACES = {
    "constant": {"lr": 0.1},
    "momentum": {"lr": 0.01, "momentum": 0.9, "dampening": 0.3}
    | {"schedule": Schedule(shape="cosine", warmup=0.1), "units": (4, 9, 3)},
    "nesterov": {"lr": 0.05, "momentum": 0.8, "nesterov": True}
    | {"schedule": Schedule(shape="linear", final=0.1), "batch_size": 7},
    "uneven": {"lr": 0.7, "dataset_size": 83, "units": (4, 1)},
}
RUNS = {
    name: Run(
        **{"batch_size": 20, "dataset_size": 600, "epochs": 2, "units": (6, 6, 6)}
        | {"tokens_per_example": 7}
        | facts
    )
    for name, facts in PLACES.items()
}


@cache
def number_at(name, run):
    """A number that makes a shrink of a thousandth or so, where one knows it."""
    found = attempt(1e-3, "shrink", name, run)
    return found.value if found and found.value else 2e-2


@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.full)])
def test_every_pair_comes_back_and_no_way_makes_a_difference(one_in):
    """A to B and back is A, and A to B to C is A to C, to 1e-12, or refused."""
    wrong, pairs, triples = [], 0, 0
    for at, run in enumerate(RUNS.values()):
        for source, target in pairs_of(NAMES, one_in=one_in, at=at):
            number = number_at(source, run)
            found = attempt(number, source, target, run)
            if not found or found.value is None:
                continue
            pairs += 1
            back = convert(found.value, target, to=source, run=run)
            wrong += [] if close(back.value, number, source) else [back]
            step = 4 * one_in
            for third in NAMES[pairs % step :: step]:
                straight = attempt(number, source, third, run)
                if straight is None or straight.coordinate != found.coordinate:
                    continue
                onward = attempt(found.value, target, third, run)
                if onward and onward.value and onward.coordinate == found.coordinate:
                    is_same = close(onward.value, straight.value, third)
                    wrong += [] if is_same else [(found, onward, straight)]
                    triples += 1
    assert not wrong
    # Some optimizers have no dampening: with it they convert to none of their kind.
    assert pairs > len(RUNS) * len(NAMES) ** 2 / one_in / 3
    assert triples > pairs / 4


def test_without_facts_there_is_a_number_or_a_reason():
    """Every pair of knobs gives a conversion, or an error with a remedy."""
    for place, (source, target) in enumerate(product(NAMES, NAMES)):
        number = 50.0 if KNOBS[source].clock else 1e-3
        attempt(number, source, target, (Run(), Run(lr=0.1))[place % 2])


IN_ONES_HEAD = [
    (5e-4, "keras.regularizers.L2", "torch.optim.SGD", 1e-3),
    (1e-3, "question.l2", "answer.decay", 2e-3),
    (1e-3, "question.l2", "answer.batch-sum", 20e-3),
    (1e-3, "question.l2", "bengio2012.l2", 600e-3),
    (0.6, "bengio2012.l2", "torch.optim.SGD", 2e-3),
    (1.0, "LogisticRegression", "torch.optim.SGD", 1 / 600),
    (2.0, "gaussian-prior.sigma", "torch.optim.SGD", 1 / 2400),
    (1e-2, "torch.optim.SGD", "torch.optim.Adam", 1e-2),
    (1e-2, "torch.optim.SGD", "torch.optim.ASGD", 1e-2 - 1e-4),
    (1e-2, "torch.optim.SGD", "torch.optim.ASGD:lambd", 1e-2),
]


def test_the_objectives_of_design():
    """Conversions of penalties, from mental arithmetic."""
    for number, source, target, expected in IN_ONES_HEAD:
        there = convert(number, source, to=target, run=FLAT)
        assert there.value == digits(expected, rel=1e-14)  # two or three roundings
        assert there.fidelity == "same-objective"


def test_half_lives_and_paper_decays_in_numbers():
    """A decoupled decay is its shrink over the lr; λ_norm is a shrink times √steps."""
    per_step = 1 - 2 ** (-1 / 90)  # 3 epochs of 30 steps
    there = convert("3 epochs", "half-life", to="torch.AdamW", run=WHOLE)
    assert there.value == digits(per_step / 0.01, rel=1e-12)
    there = convert("0.1%", "shrink", to="loshchilov2019.lambda-norm", run=WHOLE)
    assert there.value == digits(1e-3 * math.sqrt(300), rel=1e-14)
    there = convert(HalfLife(0.1, "run"), "half-life", to="half-life:steps", run=WHOLE)
    assert there.value == digits(30, rel=1e-13)


def test_a_layer_has_its_own_penalty():
    """A normalized penalty is a number per layer, and one number where all agree."""
    run = Run(units=(2, 5, 1), dataset_size=100)
    there = convert(1.0, "question.l2:layer-mean", to="torch.optim.SGD", run=run)
    assert there.value is None
    assert [(each.layer, each.shape) for each in there.layers] == [
        (0, (2, 5)),
        (1, (5, 1)),
    ]
    assert [each.value for each in there.layers] == digits([0.1, 0.2], rel=1e-15)
    for known in (run, Run(parameters=15)):  # all weights are enough
        there = convert(1.0, "question.l2:global-mean", to="torch.optim.SGD", run=known)
        assert there.value == digits(2 / 15, rel=1e-15)
    there = convert(2.0, "neal1996.omega", to="torch.optim.SGD", run=run)
    # 1e-15: a division or two.
    assert [each.value for each in there.layers] == digits([0.005, 0.0125], rel=1e-15)
    square = Run(units=(3, 3, 3), dataset_size=100)
    there = convert(2.0, "neal1996.omega", to="torch.optim.SGD", run=square)
    assert there.value == digits(0.0075, rel=1e-15)


def test_fidelity_is_honest():
    """Each promise of the design stands where it holds, and only there."""

    def fidelity(number, source, target, run):
        return convert(number, source, to=target, run=run).fidelity

    plain = Run(lr=0.1, steps=100)
    cosine = Run(lr=0.1, steps=100, schedule=Schedule(shape="cosine"))
    momentum = Run(lr=0.1, steps=100, momentum=0.9)
    assert (
        fidelity(0.01, "torch.AdamW", "loshchilov2019.lambda", cosine) == "same-decay"
    )
    assert fidelity(0.01, "torch.AdamW", "optax.adamw", cosine) == "same-trajectory"
    assert fidelity(0.01, "torch.SGD", "torch.AdamW", plain) == "same-decay"
    assert fidelity(0.01, "torch.SGD", "torch.AdamW", momentum) == "approximate"
    assert fidelity(0.01, "torch.SGD", "torch.Adam", momentum) == "same-objective"
    assert fidelity(0.01, "torch.AdamW", "ASGD", cosine) == "same-total-decay"
    assert fidelity(0.01, "ASGD", "half-life", cosine) == "approximate"


def test_the_ends_of_what_floats_can_do_are_answered():
    """At an lr of 0 nothing decays; a step that takes all has no decay of an epoch."""
    still = Run(lr=0.0, momentum=0.9, steps=10, batch_size=10)
    there = convert(0.1, "MLPClassifier:sgd", to="half-life:steps", run=still)
    assert there.value == math.inf
    with pytest.raises(RangeError) as raised:
        convert(
            *(0.01, "half-life:steps"),
            to="shrink",
            run=FLAT,
            run_after=replace(FLAT, batch_size=40),
            keep="epoch",
        )
    assert raised.value.name == "shrink_per_step"


LARGE = Run(
    lr=1e-3,
    momentum=0.9,
    batch_size=10,
    dataset_size=100,
    epochs=5,
    tokens_per_example=3,
    units=(6, 4, 2),
    schedule=Schedule(shape="cosine"),
)
SETTINGS = [
    (0.1, "torch.optim.AdamW"),
    (5e-4, "torch.optim.SGD"),
    (1e-3, "question.l2"),
    ("3 epochs", "half-life"),
    (0.5, "shrink"),
    (1e-2, "torch.optim.Adam"),
    (0.1, "optax.lamb"),
]


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize(("value", "name"), SETTINGS)
def test_every_knob_is_converted_or_refused_as_convert_does(value, name, every):
    """Each knob but the bare half-life is there once, as convert alone has it."""
    for run in (Run(), Run(lr=0.1), LARGE):
        found = convert_to_all(value, name, run=run)
        held = {each.to: each for each in found.conversions}
        refused = [knob for each in found.refused for knob in each.knobs]
        assert sorted([*held, *refused]) == sorted(set(KNOBS) - {"half-life"})
        for target, there in [*held.items()][::every]:
            assert there == convert(value, name, to=target, run=run)
        for target in refused[::every]:
            with pytest.raises(REFUSALS) as raised:
                convert(value, name, to=target, run=run)
            assert str(raised.value)


def test_what_cannot_hold_it_is_listed_with_the_reason():
    """The reason is short, and stands once for all knobs that share it."""
    adamw, l2 = "torch.AdamW", "keras.regularizers.L2"
    constant = "sklearn.linear_model.SGDClassifier:constant"
    reasons = [
        (0.1, adamw, Run(lr=1), "needs batch_size: give --batch", "half-life:examples"),
        (0.1, adamw, Run(lr=1e-3), "the number sets no rate", "torch.optim.Adam"),
        (0.1, adamw, Run(lr=1e-3), "terms of an objective", l2),
        (0.1, "shrink", Run(lr=1e-3), "terms of an objective", l2),
        (0.1, "question.l2", Run(lr=1), "name its optimizer", "torch.optim.AdamW"),
        (0.1, "optax.lamb", LARGE, "the number sets no rate", "torch.optim.AdamW"),
        (0.5, "shrink", LARGE, "without a swing", "torch.optim.SGD"),
        (0.0, adamw, LARGE, "no number there gives", "torch.optim.ASGD"),
        (0.1, adamw, LARGE, "have this momentum", constant),
    ]
    for value, name, run, reason, knob in reasons:
        found = convert_to_all(value, name, run=run)
        (refusal,) = [each.reason for each in found.refused if knob in each.knobs]
        assert reason in refusal
        assert len(refusal) < 100
        assert len({each.reason for each in found.refused}) == len(found.refused)


def test_a_change_of_scale_reaches_every_knob():
    """The run afterwards is that of the targets."""
    found = convert_to_all(0.1, "torch.AdamW", run=Run(lr=1e-3), run_after=Run(lr=2e-3))
    values = {each.to: each.value for each in found.conversions}
    assert values["optax.adamw"] == pytest.approx(0.05, rel=1e-12)  # three roundings


def test_bad_input_is_an_error_not_a_list():
    """An impossible value, or no such knob, is refused once, not for every target."""
    with pytest.raises(RangeError) as raised:
        convert_to_all(-1, "torch.AdamW")
    assert raised.value.value == -1.0
    with pytest.raises(UnknownNameError) as unknown:
        convert_to_all(1, "AdamV")
    assert unknown.value.name == "AdamV"


def refused(number, source, target, run=None, **more):
    """The error of a conversion that is refused."""
    with pytest.raises(RefusedError) as raised:
        convert(number, source, to=target, run=run or Run(), **more)
    return raised.value


def test_the_first_thing_people_type_is_refused_with_a_route():
    """The question's λ to AdamW: the route has its canonical number and both lrs."""
    route = refused(1e-3, "question.l2", "torch.AdamW", Run(lr=1e-3)).instead
    assert "(it is 0.002)" in route
    assert "--lr LR_OF_SGD:LR_OF_ADAMW" in route


def commands(error):
    """The words of the commands of a route."""
    lines = re.findall(r"dwindle convert .*?(?=, then|\.$| \(it is)", error.instead)
    return [shlex.split(line)[2:] for line in lines]


def test_the_route_of_a_penalty_leads_there():
    """Both lines of the route can be run, and end at the target."""
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
    options = dict(pairwise(second))
    assert (options["--lr"], options["--momentum"]) == ("0.01:0.001", "0.9")
    assert (options["--schedule"], options["--warmup"]) == ("constant:cosine", "0:0.1")
    assert "--nesterov" in second
    back = refused(0.1, "torch.AdamW", "keras.L2", after, run_after=before)
    options = dict(pairwise(commands(back)[0]))
    assert (options["--lr"], options["--momentum"]) == ("0.001:0.01", "0.9")


def test_a_route_has_a_placeholder_for_a_missing_momentum():
    """A route over SGD has a placeholder for its momentum, which scales the decay."""
    for target in ("torch.AdamW", "shrink"):
        there, back = (1e-4, "keras.L2", target), (0.01, target, "keras.L2")
        for question in (there, back):
            assert "--momentum MOMENTUM_OF_SGD" in refused(*question).instead


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
    """Each optimizer has its own sentence."""
    why = {name: refused(0.1, name, "shrink", Run(lr=0.1)).why for name in AT_ZERO}
    assert {name: why[name] for name in why if AT_ZERO[name] not in why[name]} == {}


def test_a_conversion_without_a_number_is_an_error_with_its_facts():
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
