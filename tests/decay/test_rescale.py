"""Rescale: each rule keeps what it promises, and two changes are one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rescale import rescale
from dwindle.decay.rules import RULES, predict
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UnknownNameError

OPTIMIZERS = ("torch.optim.SGD", "torch.optim.AdamW", "loshchilov2019.lambda")
KEPT = {
    "half-life-epochs": "epochs",
    "half-life-examples": "examples",
    "half-life-run": "run",
    "half-life-steps": "steps",
}


@st.composite
def changes(draw):
    """Two runs of one shape, with another batch, data set, length and lr."""
    momentum = draw(st.sampled_from([0.0, 0.9]))
    schedule = Schedule(shape=draw(st.sampled_from(["constant", "cosine"])))
    both = []
    for _ in range(2):
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
        both.append(run)
    return both


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
    found = rescale(number, name, before=runs[0], after=runs[0])
    values = {answer.value for answer in found.rules if answer.applies}
    assert values <= {number}
    assert found.unchanged == found.before


@given(st.sampled_from(OPTIMIZERS), changes(), changes(), log_uniform(1e-7, 1e-5))
def test_two_changes_are_one(name, first, second, shrink):
    """By way of a third run is the same as straight, for every rule."""
    before, middle, after = first[0], second[0], first[1]
    if len({run.momentum for run in (before, middle, after)}) > 1:
        return
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


def test_a_summed_penalty_has_the_data_in_its_number():
    """Bengio's λ of a summed loss stays when the data grows: the rule is in the sum."""
    before, after = Run(dataset_size=100), Run(dataset_size=400)
    found = answers(rescale(0.5, "bengio2012.l2", before=before, after=after))
    assert found["bengio-map"].value == digits(0.5, rel=1e-15)
    assert "a bare penalty has none" in found["half-life-epochs"].why_not
    sigma = answers(rescale(0.5, "sigma", before=before, after=after))
    assert sigma["bengio-map"].value == digits(0.5, rel=1e-15)


def test_a_normalized_knob_is_not_normalized_twice():
    """A knob that is spread over layers gets no rule about width or weights."""
    before, after = Run(units=(4, 8, 2), width=8), Run(units=(4, 16, 2), width=16)
    found = answers(rescale(0.5, "question.l2:layer-mean", before=before, after=after))
    for rule in ("question-layer-mean", "neal"):
        assert found[rule].why_not == "the knob is normalized by layer already"


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


def test_json_is_plain():
    """as_dict has the documented keys and values that JSON can hold."""
    before, after = Run(lr=0.1, batch_size=32), Run(lr=0.2, batch_size=64)
    plain = rescale(0.1, "torch.AdamW", before=before, after=after).as_dict()
    assert list(plain) == ["knob", "before", "unchanged", "rules"]
    assert plain["before"]["value"] == plain["unchanged"]["value"] == 0.1
    keys = {"rule", "value", "keeps", "half_life", "evidence", "applies", "why_not"}
    assert all(keys <= set(answer) for answer in plain["rules"])
    assert [answer["rule"] for answer in plain["rules"]] == [r.name for r in RULES]
    json.dumps(plain, allow_nan=False)


def test_unchanged_is_what_explain_says():
    """What happens if one changes nothing is the explanation in the new run."""
    before, after = Run(lr=0.1, steps=9), Run(lr=0.2, steps=18)
    found = rescale(0.1, "torch.AdamW", before=before, after=after)
    assert found.unchanged == explain(0.1, "torch.AdamW", run=after)
    assert found.before == explain(0.1, "torch.AdamW", run=before)


def test_bad_input_is_refused():
    """A value or knob that cannot be is an error with its remedy."""
    run = Run(lr=0.1)
    with pytest.raises(RangeError, match=r"0 or more. Got -1.0"):
        rescale(-1, "torch.AdamW", before=run, after=run)
    with pytest.raises(UnknownNameError, match="Got 'AdamV'"):
        rescale(1, "AdamV", before=run, after=run)
