"""Rescale: each rule keeps what it promises, and two changes are one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rescale import rescale
from dwindle.decay.rules import RULES, predict
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

OPTIMIZERS = ("torch.optim.SGD", "torch.optim.AdamW", "loshchilov2019.lambda")
WIDTH = {"wang-aitchison-width", "completep", "completed-p", "fan", "qiu"}
BATCH = {"power-lines-batch", "power-lines", "completed-p"}
KEPT = {
    "half-life-epochs": "epochs",
    "half-life-examples": "examples",
    "half-life-tokens": "tokens",
    "half-life-run": "run",
    "half-life-steps": "steps",
}


@st.composite
def changes(draw, count=2):
    """Runs of one shape, each with another batch, data set, length and lr."""
    momentum = draw(st.sampled_from([0.0, 0.9]))
    schedule = Schedule(shape=draw(st.sampled_from(["constant", "cosine"])))
    found = []
    for _ in range(count):
        batch_size = draw(st.integers(1, 64))
        run = Run(
            lr=draw(log_uniform(1e-3, 1e-1)),
            momentum=momentum,
            schedule=schedule,
            batch_size=batch_size,
            dataset_size=batch_size + draw(st.integers(0, 1000)),
            epochs=draw(st.integers(1, 5)),
            tokens_per_example=16,
        )
        found.append(run)
    return found


def answers(rescaling):
    return {answer.rule: answer for answer in rescaling.rules}


@given(st.sampled_from(OPTIMIZERS), changes(), log_uniform(1e-7, 1e-4))
def test_a_half_life_rule_keeps_its_half_life(name, runs, shrink):
    """What a half-life rule promises is the same before and after, to 1e-12."""
    before, after = runs
    number = shrink if name.startswith("losh") else shrink / before.lr
    found = rescale(number, name, before=before, after=after)
    for rule, clock in KEPT.items():
        answer = answers(found)[rule]
        if answer.applies:
            # 1e-12: three conversions, each rounding some ten times.
            expected = found.before.half_life[clock]
            assert answer.half_life[clock] == digits(expected, rel=1e-12)


@given(st.sampled_from(sorted(set(KNOBS) - {"half-life"})), changes())
def test_no_change_changes_nothing(name, runs):
    """Without a change, every rule that is about the knob gives the very number."""
    number = 50.0 if KNOBS[name].clock else 1e-3
    run = runs[0]
    if KNOBS[name].options.momentum is None:  # it would be refused where it is lacking
        run = replace(run, momentum=0.0, dampening=0.0, nesterov=None)
    found = rescale(number, name, before=run, after=run)
    values = {answer.value for answer in found.rules if answer.applies}
    assert values <= {number}
    assert found.unchanged == found.before


@settings(max_examples=30)  # each takes some twenty times as long as one of others
@given(st.sampled_from(OPTIMIZERS), changes(count=3), log_uniform(1e-7, 1e-5))
def test_two_changes_are_one(name, runs, shrink):
    """By way of a third run is the same as straight, for every rule."""
    before, middle, after = runs
    number = shrink if name.startswith("losh") else shrink / before.lr
    half_way = answers(rescale(number, name, before=before, after=middle))
    straight = answers(rescale(number, name, before=before, after=after))
    for rule, answer in half_way.items():
        if not (answer.applies and straight[rule].applies):
            continue
        onward = answers(rescale(answer.value, name, before=middle, after=after))[rule]
        if onward.applies:
            # 1e-11: twice the conversions of one change.
            assert onward.value == digits(straight[rule].value, rel=1e-11)


@given(changes(), log_uniform(1e-9, 1e-7))
def test_rescale_is_predict_where_decay_is_slow(runs, shrink):
    """For a slow decoupled decay, every rule's answer is its power law."""
    before, after = runs
    number = shrink / before.lr
    found = answers(rescale(number, "torch.AdamW", before=before, after=after))
    scales = {"before": before.quantities(), "after": after.quantities()}
    for rule in RULES:
        factor = predict(rule, family="decoupled", **scales).factor
        assert found[rule.name].applies is (factor is not None)
        # Half-lives count the steps of an epoch, ⌈N/B⌉; the power law in N and B
        # does not, so these rules are held to their promise above.
        if factor is not None and rule.name not in KEPT:
            # 1e-4: second order in shrinks of up to 1e-5 or so.
            assert found[rule.name].value == digits(number * factor, rel=1e-4)


def test_the_example_of_the_design():
    """AdamW, a batch eight times as large, a third of the epochs, a larger lr."""
    before = Run(lr=3e-4, batch_size=256, dataset_size=1281167, epochs=90)
    after = Run(lr=8e-4, batch_size=2048, dataset_size=1281167, epochs=30)
    found = rescale(0.1, "torch.optim.AdamW", before=before, after=after)
    value = {rule: answer.value for rule, answer in answers(found).items()}
    # 1e-3: short last batches and second order; the powers can be done in one's head.
    assert value["half-life-epochs"] == digits(0.1 * 8 * 3 / 8, rel=1e-3)
    assert value["half-life-run"] == digits(0.1 * 8 * 3 * 3 / 8, rel=1e-3)
    assert value["half-life-steps"] == digits(0.1 * 3 / 8, rel=1e-3)
    assert value["loshchilov-hutter"] == digits(0.1 * 24**0.5 * 3 / 8, rel=1e-3)
    assert value["sde-sqrt"] == digits(0.1 * 8 * 3 / 8, rel=1e-3)
    assert value["bengio-map"] is None
    assert "decoupled decay" in answers(found)["bengio-map"].why_not
    ratio = found.unchanged.half_life["epochs"] / found.before.half_life["epochs"]
    assert ratio == digits(3, rel=1e-3)


def test_a_half_life_is_not_ruled_by_what_speaks_of_a_coefficient():
    """Rules of λ say that they do not fit a rate, rather than name its family."""
    before, after = (Run(batch_size=size, dataset_size=50_000) for size in (128, 1024))
    found = answers(rescale("3 epochs", "half-life", before=before, after=after))
    for rule in ("question-layer-mean", "bengio-map", "neal", "linear-lr"):
        assert found[rule].value is None
        assert found[rule].why_not.endswith("and a rate of decay has none")
    assert found["half-life-epochs"].value == 3


def test_the_question_with_sgd():
    """Twice the width: the question divides, the answer keeps, Neal multiplies."""
    before = Run(lr=0.1, momentum=0.9, width=64, depth=1, units=(64, 64, 10))
    after = Run(lr=0.1, momentum=0.9, width=128, depth=1, units=(64, 128, 10))
    found = answers(rescale(1e-3, "torch.SGD", before=before, after=after))
    assert found["question-layer-mean"].value == digits(5e-4, rel=1e-14)
    assert found["answer"].value == digits(1e-3, rel=1e-12)  # there and back
    assert found["neal"].value == digits(2e-3, rel=1e-14)
    assert found["bengio-map"].value is None


def test_the_question_carried_over_to_adamw():
    """A division by the number of weights divides a decoupled knob as well."""
    before, after = Run(lr=0.1, units=(4, 8, 2)), Run(lr=0.1, units=(4, 16, 2))
    found = answers(rescale(0.5, "torch.AdamW", before=before, after=after))
    assert found["question-layer-mean"].value == digits(0.25, rel=1e-14)
    assert found["neal"].value is None


@pytest.mark.parametrize("shrink", [0.01, 0.05])
@pytest.mark.parametrize(
    ("rule", "change", "factor"),
    [
        ("power-lines-batch", {"batch_size": 256}, 8),
        ("power-lines", {"batch_size": 256}, 8 * 8**-0.473),
        ("sde-sqrt", {"batch_size": 256, "lr": 8**0.5}, 8**0.5),
        ("nanochat", {"batch_size": 256, "lr": 8**0.5}, 8**-0.5),
        ("loshchilov-hutter", {"steps": 400}, 1 / 2),
        ("fan", {"width": 256, "lr": 1 / 4}, 2),
        ("qiu", {"width": 256}, 1 / 4),
        ("nanochat-width", {"width": 128}, 1 / 4),
        ("completep", {"width": 256, "lr": 1 / 4}, 4),
    ],
)
def test_a_published_lambda_is_scaled_itself(shrink, rule, change, factor):
    """At a decay of 1 % or 5 % a step too, λ moves by the factor of the paper."""
    facts = {"batch_size": 32, "steps": 100, "width": 64, "lr": 1.0}
    after = Run(tokens_per_example=16, **facts | change)
    before = Run(tokens_per_example=16, **facts)
    found = answers(rescale(shrink, "torch.AdamW", before=before, after=after))
    assert found[rule].why_not == ""
    # 1e-12: logarithms of the factors, and two products.
    assert found[rule].value == digits(shrink * factor, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("loshchilov2019.lambda-norm", "loshchilov-hutter"),
        ("bergsma2025.tau", "half-life-run"),
        ("wang-aitchison2024.tau-epoch", "half-life-epochs"),
    ],
)
def test_what_a_rule_keeps_stays_to_the_digit(name, rule):
    """The knob in which a paper states its rule keeps its number under that rule."""
    before = Run(lr=1e-3, batch_size=100, dataset_size=10_000, epochs=10)
    after = Run(lr=1e-3, batch_size=400, dataset_size=20_000, epochs=5)
    found = answers(rescale(0.05, name, before=before, after=after))
    assert found[rule].value == digits(0.05, rel=1e-13)  # there and back


@pytest.mark.parametrize(
    "name",
    ["timm.adan", "optax.contrib.momo", "optimi.Adan", "torch.optim.ASGD:lambd"],
)
def test_a_half_life_rule_needs_nothing_but_a_half_life(name):
    """Proximal decay and ASGD's lambd have one, so the half-life rules apply."""
    before = Run(lr=0.1, batch_size=100, dataset_size=10_000, epochs=10)
    after = Run(lr=0.1, batch_size=200, dataset_size=10_000, epochs=20)
    found = rescale(1e-3, name, before=before, after=after)
    for rule, clock in KEPT.items():
        answer = answers(found)[rule]
        if rule not in {"half-life-tokens", "half-life-steps"}:
            assert answer.why_not == ""
            expected = found.before.half_life[clock]
            assert answer.half_life[clock] == digits(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "applies"),
    [
        ("keras.optimizers.SGD", True),
        ("timm.sgdw", True),
        ("pytorch_optimizer.SGDW", True),
        ("torch.optim.AdamW", False),
        ("tfa.optimizers.SGDW", False),  # without the lr in it
    ],
)
def test_the_linear_rule_of_sgd_holds_where_the_lr_multiplies_its_decay(name, applies):
    """SGD's lr and batch grow together and λ stays, in the gradient or beside it."""
    before, after = Run(lr=0.1, batch_size=32), Run(lr=0.4, batch_size=128)
    found = answers(rescale(1e-3, name, before=before, after=after))["linear-lr"]
    assert found.applies is applies
    assert found.value == (1e-3 if applies else None)


def test_half_the_epochs_need_no_length_of_an_epoch():
    """A ratio of epochs is enough for a share of the run, with an lr or without."""
    for lr in (None, 1e-3):
        before, after = Run(lr=lr, epochs=3), Run(lr=lr, epochs=1.5)
        found = answers(rescale(0.01, "torch.AdamW", before=before, after=after))
        # 1e-4: a half-life that is kept to second order in a shrink of 1e-5.
        assert found["half-life-run"].value == digits(0.02, rel=1e-4)
        assert found["power-lines"].value == digits(0.01 * 2**0.473, rel=1e-12)
        assert "needs tokens_per_example" in found["half-life-tokens"].why_not


@pytest.mark.parametrize(
    ("name", "after", "expected"),
    [
        ("torch.optim.SGD", {"batch_size": 64, "lr": 0.2}, {"linear-lr"}),
        ("torch.optim.AdamW", {"batch_size": 64}, BATCH),
        ("torch.optim.AdamW", {"steps": 800}, {"power-lines", "loshchilov-hutter"}),
        ("torch.optim.AdamW", {"lr": 0.2}, set()),
        ("torch.optim.AdamW", {"width": 128, "lr": 0.05}, WIDTH | {"nanochat-width"}),
        ("half-life:steps", {"batch_size": 64}, BATCH),
    ],
)
def test_what_was_measured_is_marked(name, after, expected):
    """An answer is marked where its authors measured such a change and family."""
    facts = {"lr": 0.1, "batch_size": 32, "steps": 400, "width": 64}
    before, later = Run(**facts), Run(**facts | after)
    found = rescale(100.0 if ":" in name else 1e-3, name, before=before, after=later)
    assert {each.rule for each in found.rules if each.measured} == expected


def test_width_and_batch_at_once():
    """Complete(d)P's joint rule takes twice the width and four times the batch."""
    before = Run(lr=1e-3, width=64, batch_size=32, steps=400, tokens_per_example=8)
    after = Run(lr=1e-3, width=128, batch_size=128, steps=100, tokens_per_example=8)
    found = answers(rescale(0.1, "torch.AdamW", before=before, after=after))
    assert found["completed-p"].value == digits(0.4, rel=1e-12)
    assert not found["completep"].applies  # its lr is half of it


def test_a_summed_penalty_has_the_data_in_its_number():
    """Bengio's λ of a summed loss stays when the data grows: the rule is in the sum."""
    before, after = Run(dataset_size=100), Run(dataset_size=400)
    found = answers(rescale(0.5, "bengio2012.l2", before=before, after=after))
    assert found["bengio-map"].value == digits(0.5, rel=1e-15)
    assert not found["half-life-epochs"].applies
    sigma = answers(rescale(0.5, "sigma", before=before, after=after))
    assert sigma["bengio-map"].value == digits(0.5, rel=1e-15)


def test_a_normalized_knob_is_not_normalized_twice():
    """A knob that is spread over layers gets no rule about width or weights."""
    before, after = Run(units=(4, 8, 2), width=8), Run(units=(4, 16, 2), width=16)
    found = answers(rescale(0.5, "question.l2:layer-mean", before=before, after=after))
    for rule in ("question-layer-mean", "neal"):
        assert not found[rule].applies


def test_without_an_lr_it_is_taken_as_unchanged():
    """Batch and data are enough for a rule of powers."""
    before, after = Run(batch_size=32), Run(batch_size=64)
    found = answers(rescale(0.1, "torch.AdamW", before=before, after=after))
    assert found["half-life-epochs"].value == digits(0.2, rel=1e-14)
    one_lr = answers(
        rescale(0.1, "torch.AdamW", before=Run(lr=1, batch_size=32), after=after)
    )
    assert "needs lr" in one_lr["power-lines-batch"].why_not


def test_an_answer_that_cannot_be_says_why():
    """Where no number decays that fast, the rule has no answer, and says so."""
    before = Run(lr=0.1, momentum=0.9, batch_size=1, dataset_size=640)
    after = Run(lr=0.1, momentum=0.9, batch_size=640, dataset_size=640)
    found = answers(rescale(5e-4, "torch.SGD", before=before, after=after))
    assert found["half-life-epochs"].value is None
    assert "overshoots zero" in found["half-life-epochs"].why_not


def test_no_decay_stays_none():
    """A decay of 0 is 0 under every rule."""
    before, after = Run(lr=0.1, batch_size=32), Run(lr=0.2, batch_size=64)
    found = rescale(0, "torch.AdamW", before=before, after=after)
    assert {answer.value for answer in found.rules if answer.applies} == {0}


def test_unchanged_is_what_explain_says():
    """What happens if one changes nothing is the explanation in the new run."""
    before, after = Run(lr=0.1, steps=9), Run(lr=0.2, steps=18)
    found = rescale(0.1, "torch.AdamW", before=before, after=after)
    assert found.unchanged == explain(0.1, "torch.AdamW", run=after)
    assert found.before == explain(0.1, "torch.AdamW", run=before)
