"""Rescale: each rule keeps what it promises; the answer, and how it is drawn."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.evidence.recommend import Candidate, Experiment, recommend
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rescale import rescale
from dwindle.decay.rules import RULES, predict
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.setting import read_setting
from dwindle.errors import UnknownNameError
from dwindle.wording import number

OPTIMIZERS = ("torch.optim.SGD", "torch.optim.AdamW", "loshchilov2019.lambda")
# Their decays are not the lr times the number, and have a half-life all the same.
OTHERS = ("timm.adan", "optimi.Adan", "torch.optim.ASGD:lambd")
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


@given(st.sampled_from(OPTIMIZERS + OTHERS), changes(), log_uniform(1e-7, 1e-4))
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
    """Without a change, every rule that applies gives the same number, to the bit."""
    number = 50.0 if KNOBS[name].clock else 1e-3
    run = runs[0]
    if KNOBS[name].options.momentum is None:  # it would be refused where it is lacking
        run = replace(run, momentum=0.0, dampening=0.0, nesterov=None)
    found = rescale(number, name, before=run, after=run)
    values = {answer.value for answer in found.rules if answer.applies}
    assert values <= {number}
    assert found.unchanged == found.before


@settings(max_examples=15)  # each takes some twenty times as long as one of others
@given(st.sampled_from(OPTIMIZERS), changes(count=3), log_uniform(1e-7, 1e-5))
def test_two_changes_are_one(name, runs, shrink):
    """By way of a third run gives the same as directly, for every rule."""
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


WIDER = ({"units": (4, 8, 2)}, {"units": (4, 16, 2)})
MORE_DATA = ({"dataset_size": 100}, {"dataset_size": 400})
FASTER = ({"lr": 0.1, "batch_size": 32}, {"lr": 0.4, "batch_size": 128})
LONGER = (
    {"lr": 1e-3, "batch_size": 100, "dataset_size": 10_000, "epochs": 10},
    {"batch_size": 400, "dataset_size": 20_000, "epochs": 5},
)
SGD = {"lr": 0.1, "momentum": 0.9}
# Number and knob, facts before and those that change, and what rules make of it.
RIGHT = [
    # Twice the width: the question divides, the answer keeps, Neal multiplies.
    (
        *(1e-3, "torch.SGD", SGD | {"units": (64, 64, 10)}, {"units": (64, 128, 10)}),
        {"question-layer-mean": 5e-4, "answer": 1e-3, "neal": 2e-3, "bengio-map": None},
    ),
    (0.5, "torch.AdamW", *WIDER, {"question-layer-mean": 0.25, "neal": None}),
    # A knob that is spread over layers is not normalized twice.
    *(
        (0.5, "question.l2:layer-mean", *WIDER, {rule: None})
        for rule in ("question-layer-mean", "neal")
    ),
    # Bengio's λ of a summed loss stays when the data grows: the rule is in the sum.
    (0.5, "bengio2012.l2", *MORE_DATA, {"bengio-map": 0.5, "half-life-epochs": None}),
    (0.5, "sigma", *MORE_DATA, {"bengio-map": 0.5}),
    # SGD's lr and batch grow together and λ stays, in the gradient or beside it.
    *(
        (1e-3, name, *FASTER, {"linear-lr": value})
        for name, value in {
            "keras.optimizers.SGD": 1e-3,
            "timm.sgdw": 1e-3,
            "pytorch_optimizer.SGDW": 1e-3,
            "torch.optim.AdamW": None,
            "tfa.optimizers.SGDW": None,  # without the lr in it
        }.items()
    ),
    # The knob in which a paper states its rule keeps its number under that rule.
    (0.05, "loshchilov2019.lambda-norm", *LONGER, {"loshchilov-hutter": 0.05}),
    (0.05, "bergsma2025.tau", *LONGER, {"half-life-run": 0.05}),
    (0.05, "wang-aitchison2024.tau-epoch", *LONGER, {"half-life-epochs": 0.05}),
    # Complete(d)P's joint rule takes twice the width and four times the batch.
    (
        *(0.1, "torch.AdamW"),
        {"lr": 1e-3, "width": 64, "batch_size": 32, "steps": 400}
        | {"tokens_per_example": 8},
        {"width": 128, "batch_size": 128, "steps": 100},
        {"completed-p": 0.4, "completep": None},  # whose lr is half of it
    ),
    # Rules of λ do not fit a rate, and a half-life stays what it is.
    (
        *("3 epochs", "half-life", {"batch_size": 128, "dataset_size": 50_000}),
        {"batch_size": 1024},
        {"half-life-epochs": 3, "question-layer-mean": None, "bengio-map": None}
        | {"neal": None, "linear-lr": None},
    ),
    # What is on neither side is taken as unchanged, where a rule is one of powers.
    (
        0.1,
        "torch.AdamW",
        {"batch_size": 32},
        {"batch_size": 64},
        {"half-life-epochs": 0.2},
    ),
    # Twice the share of a run at 1e-5 a step: two steps take 1 - (1 - 1e-5)².
    (
        *(0.01, "torch.AdamW", {"lr": 1e-3, "epochs": 3}, {"epochs": 1.5}),
        {"half-life-run": (2e-5 - 1e-10) / 1e-3},
    ),
    (
        *(0.01, "torch.AdamW", {"epochs": 3}, {"epochs": 1.5}),
        {
            "half-life-run": 0.02,
            "power-lines": 0.01 * 2**0.473,
            "half-life-tokens": None,
        },
    ),
    (0.1, "torch.AdamW", {"batch_size": 32}, {"lr": 1}, {"power-lines-batch": None}),
    # Where no number decays that fast, there is none.
    (
        *(5e-4, "torch.SGD", SGD | {"batch_size": 1, "dataset_size": 640}),
        {"batch_size": 640},
        {"half-life-epochs": None},
    ),
    (0, "torch.AdamW", *FASTER, {"half-life-epochs": 0, "sde-sqrt": None}),
    # At a decay of 5 % a step too, λ moves by the factor of the paper.
    *(
        (
            *(0.05, "torch.AdamW"),
            {"batch_size": 32, "steps": 100, "width": 64, "lr": 1.0}
            | {"tokens_per_example": 16},
            change,
            {rule: 0.05 * factor},
        )
        for rule, change, factor in (
            ("power-lines-batch", {"batch_size": 256}, 8),
            ("power-lines", {"batch_size": 256}, 8 * 8**-0.473),
            ("sde-sqrt", {"batch_size": 256, "lr": 8**0.5}, 8**0.5),
            ("nanochat", {"batch_size": 256, "lr": 8**0.5}, 8**-0.5),
            ("loshchilov-hutter", {"steps": 400}, 1 / 2),
            ("fan", {"width": 256, "lr": 1 / 4}, 2),
            ("qiu", {"width": 256}, 1 / 4),
            ("nanochat-width", {"width": 128}, 1 / 4),
            ("completep", {"width": 256, "lr": 1 / 4}, 4),
        )
    ),
]


def test_rules_give_their_numbers():
    """On its own case each rule has the number of its publication, or none."""
    wrong = []
    for value, knob, before, change, expected in RIGHT:
        after = Run(**before | change)
        found = rescale(value, knob, before=Run(**before), after=after)
        there = {rule: answers(found)[rule].value for rule in expected}
        # 1e-12: there and back, logarithms of the factors, and two products.
        wanted = {k: each and digits(each, rel=1e-12) for k, each in expected.items()}
        wrong += [] if there == wanted else [(knob, there)]
        explained = explain(value, knob, run=after)
        assert found.unchanged == replace(explained, among=None)
    assert not wrong


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


ADAMW = "torch.optim.AdamW"
SMALL = Run(lr=3e-4, batch_size=256, dataset_size=1_281_167, epochs=90)
LARGE = Run(lr=8e-4, batch_size=2048, dataset_size=1_281_167, epochs=30)


def test_the_answer_is_what_the_evidence_recommends():
    """The same record, in Python and JSON, for every class that the facts allow."""
    found = rescale(0.1, ADAMW, before=SMALL, after=LARGE)
    wanted = recommend(read_setting(0.1, ADAMW), SMALL, LARGE)
    assert found.recommendation == wanted
    assert found.as_dict()["recommendation"] == wanted.as_dict()
    assert [each.kind_of_run for each in wanted.others] == ["many-epochs-plain"]
    stated = rescale(0.1, ADAMW, before=SMALL, after=LARGE, normalized=False)
    assert stated.recommendation == wanted.others[0]


@pytest.mark.parametrize(("records", "who"), [(0, "nobody has"), (1, "too few have")])
def test_a_range_beyond_ten_names_candidates_and_what_would_decide(records, who):
    """It names how many measured it, and gives the results of two rules."""
    found = rescale(0.1, ADAMW, before=SMALL, after=LARGE, normalized=True)
    # Made up: what is undecided today may be measured tomorrow.
    there = replace(
        found.recommendation,
        reasons=tuple(
            replace(each, records=records) for each in found.recommendation.reasons
        ),
        value=0.83,
        low=0.21,
        high=24.0,
        candidates=(
            Candidate(rule="unchanged", value=0.1),
            Candidate(rule="half-life-epochs", value=0.799),
        ),
        experiment=Experiment(quantity="batch", low=64, high=512, decays=7, seeds=3),
    )
    shown = " ".join(str(replace(found, recommendation=there)).split())
    assert f"{who} measured this" in shown
    # The value has two digits, to lie where it does; the ends of a wide range one.
    assert "perhaps 0.83 (90 %: 0.2 to 20; it was 0.1)" in shown
    assert "λ unchanged 0.1 · half-life-epochs 0.8" in shown
    # The line is whole, to paste: a grid of two around the value, at both batches.
    lines = str(replace(found, recommendation=there)).splitlines()
    (words,) = [shlex.split(line) for line in lines if "dwindle tune" in line]
    assert words[:3] == ["dwindle", "tune", "my_module:train"]
    assert dict(zip(words[3::2], words[4::2], strict=True)) == {
        "--knob": ADAMW,
        "--low": "0.1",
        "--high": "6.6",
        "--proxy": "batch_size=64,512",
        "--target": "batch_size=512",
    }


@pytest.mark.parametrize(
    ("knob", "what"),
    [(ADAMW, "value"), ("half-life:epochs", "decay of a step"), ("keras.L2", "λ")],
)
def test_a_factor_names_what_it_multiplies(knob, what):
    """A half-life falls where its decay grows: a bare factor would be misread."""
    found = rescale(0.1, knob, before=SMALL, after=LARGE)
    factor = found.recommendation.reasons[0].factor
    assert f"{what} ×{number(float(f'{factor:.2g}'))} (" in str(found)


def test_a_rounded_length_is_no_reason():
    """Longer sequences at as many tokens: whole steps are not quite as many."""
    facts = {"lr": 3e-4, "batch_size": 256, "steps": 3815, "tokens_per_example": 1024}
    after = facts | {"steps": 1907, "tokens_per_example": 2048}
    found = rescale(0.1, ADAMW, before=facts, after=after, regime="single-pass")
    assert len(found.recommendation.reasons) == 2
    assert "batch ×2" in str(found)
    assert "×1 " not in str(found)


def test_what_recipes_alone_know_is_not_called_measured():
    """Text repeated for the first time: an answer by recipes has no 90 % interval."""
    once = {"lr": 1e-3, "batch_size": 64, "dataset_size": 50_000, "epochs": 1}
    once |= {"tokens_per_example": 4096}
    found = rescale(0.1, ADAMW, before=once, after=once | {"epochs": 30})
    count = found.recommendation.reasons[0].records
    shown = " ".join(str(found).split())
    assert "nobody has measured this" in shown
    assert f"{count} recipes" in shown
    assert "recipes:" in shown
    assert "90 %" not in shown


def test_what_has_no_answer_or_no_change_is_drawn_too():
    """No rate: the reason. No change, or no decay: the number as it was."""
    for value, knob, after in (
        (0.1, "torch.optim.Adam", LARGE),
        (1e-4, "keras.regularizers.L2", LARGE),
        (0.0, ADAMW, LARGE),
        (0.1, ADAMW, SMALL),
        ("3 epochs", "half-life", LARGE),
        (0.01, "shrink", LARGE),
    ):
        found = rescale(value, knob, before=SMALL, after=after)
        there = found.recommendation
        assert (there.value is None) == bool(there.why_null)
        assert str(found)
        assert found._repr_html_()
    unmoved = rescale(0.1, ADAMW, before=SMALL, after=SMALL).recommendation
    assert unmoved.value == unmoved.low == unmoved.high == 0.1
    nothing = rescale(0.0, ADAMW, before=SMALL, after=LARGE).recommendation
    assert nothing.value == 0.0


def test_a_stated_regime_overrules_the_facts():
    """Even if it contradicts them; LoRA is fine-tuning, an unknown regime refused."""
    kinds = {
        regime: rescale(
            0.1, ADAMW, before=SMALL, after=LARGE, regime=regime
        ).recommendation.kind_of_run
        for regime in ("single-pass", "fine-tuning", "lora")
    }
    assert kinds == {
        "single-pass": "single-pass",
        "fine-tuning": "fine-tuning",
        "lora": "fine-tuning",
    }
    with pytest.raises(UnknownNameError) as raised:
        rescale(0.1, ADAMW, before=SMALL, after=LARGE, regime="often")
    assert raised.value.name == "often"
