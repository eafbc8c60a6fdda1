"""Rules: laws of exponents, and each published rule on its own case."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import power_law
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.families import FAMILIES
from dwindle.decay.half_life import CLOCKS
from dwindle.decay.rules import QUANTITIES, RULES, Rule, predict, resolve_rule, rules
from dwindle.errors import RangeError, UnknownNameError

every_rule = st.sampled_from(RULES)
BASE = {
    "width": 64,
    "depth": 2,
    "weights": 8832,
    "batch_size": 32,
    "dataset_size": 640,
    "epochs": 30,
    "steps": 600,
    "lr": 0.05,
    "tokens_per_example": 1,
    "tokens_per_step": 32,
    "tokens": 19200,
}


@st.composite
def scales(draw):
    """All quantities of scale, somewhere."""
    return {name: draw(log_uniform(1e-3, 1e6)) for name in QUANTITIES}


def changed(**factors):
    return {name: value * factors.get(name, 1) for name, value in BASE.items()}


def factor(rule, family, **factors):
    return predict(rule, family=family, before=BASE, after=changed(**factors)).factor


@given(every_rule, scales(), scales(), st.data())
def test_a_factor_is_the_product_of_powers(rule, before, after, data):
    """The factor is what a loop over the exponents gives, over the lr for a shrink."""
    family = data.draw(st.sampled_from(rule.families))
    there = predict(rule, family=family, before=before, after=after)
    if there.factor is not None:
        expected = power_law.knob_factor(rule, family, before, after)
        # 1e-11: as above.
        assert there.factor == digits(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("rule", "family", "factors", "expected"),
    [
        ("question-layer-mean", "coupled-sgd", {"weights": 4}, 1 / 4),
        ("answer", "coupled-sgd", {"width": 2, "weights": 4}, 1),
        ("answer", "coupled-sgd", {"depth": 2, "weights": 2}, 1),
        ("answer", "decoupled", {"lr": 2}, 1 / 2),
        ("bengio-map", "coupled-sgd", {"dataset_size": 4, "steps": 4}, 1 / 4),
        ("bengio-map", "coupled-sgd", {"batch_size": 4, "steps": 1 / 4}, 1),
        ("bengio-map", "coupled-sgd", {"lr": 2}, 1),
        ("neal", "coupled-sgd", {"width": 2, "weights": 4}, 2),
        ("neal", "coupled-sgd", {"dataset_size": 4}, 1 / 4),
        ("loshchilov-hutter", "decoupled", {"epochs": 4, "steps": 4}, 1 / 2),
        ("loshchilov-hutter", "decoupled", {"batch_size": 4, "steps": 1 / 4}, 2),
        ("half-life-epochs", "decoupled", {"batch_size": 2, "lr": 2}, 1),
        ("half-life-epochs", "decoupled", {"dataset_size": 4, "steps": 4}, 1 / 4),
        ("half-life-epochs", "coupled-sgd", {"epochs": 4, "steps": 4}, 1),
        ("half-life-examples", "decoupled", {"batch_size": 2}, 2),
        ("half-life-examples", "decoupled", {"dataset_size": 2, "steps": 2}, 1),
        ("half-life-run", "decoupled", {"epochs": 2, "steps": 2}, 1 / 2),
        ("half-life-run", "schedule-only", {"epochs": 2, "steps": 2, "lr": 3}, 1 / 2),
        ("half-life-steps", "decoupled", {"lr": 1 / 4}, 4),
        ("wang-aitchison-width", "decoupled", {"width": 2, "lr": 1 / 2}, 2),
        ("power-lines-batch", "decoupled", {"batch_size": 4, "tokens_per_step": 4}, 4),
        ("power-lines", "decoupled", {"tokens_per_step": 4, "steps": 1 / 4}, 4),
        ("power-lines", "decoupled", {"epochs": 2, "tokens": 2}, 2**-0.473),
        ("power-lines", "decoupled", {"width": 2, "weights": 4}, 4**-0.527),
        ("sde-sqrt", "decoupled", {"batch_size": 4, "lr": 2}, 2),
        ("linear-lr", "coupled-sgd", {"batch_size": 4, "lr": 4}, 1),
        ("completep", "decoupled", {"width": 2, "lr": 1 / 2}, 2),
        ("completep", "decoupled", {"depth": 2}, 1),
        ("fan", "decoupled", {"width": 4, "lr": 1 / 4}, 2),
        ("qiu", "schedule-only", {"width": 4}, 1 / 4),
        ("nanochat-width", "decoupled", {"width": 2}, 1 / 4),
        ("nanochat", "decoupled", {"tokens_per_step": 4, "lr": 2}, 2),
        ("completed-p", "decoupled", {"width": 2, "tokens_per_step": 4, "lr": 1}, 4),
        ("completed-p", "decoupled", {"tokens": 4, "steps": 4, "lr": 1 / 2}, 1 / 2),
        ("nanochat", "decoupled", {"epochs": 2, "tokens": 2, "steps": 2}, 1 / 2),
    ],
)
def test_a_rule_gives_the_factor_that_its_authors_published(
    rule, family, factors, expected
):
    """On its own case, each rule gives the factor of its publication."""
    # 1e-14: one logarithm and one exponential.
    assert factor(rule, family, **factors) == digits(expected, rel=1e-14)


# Rule and family, the scale before, what changes or what it is after, and why not.
SILENT = [
    ("bengio-map", "decoupled", BASE, {"dataset_size": 2}, "stated for SGD with a pen"),
    ("neal", "coupled-sgd", BASE, {"depth": 2, "weights": 2}, "does not cover depth"),
    ("half-life-epochs", "decoupled", BASE, {"depth": 2}, "does not cover depth"),
    ("question-layer-mean", "coupled-sgd", BASE, {"batch_size": 2}, "cover batch_size"),
    ("qiu", "decoupled", BASE, {"batch_size": 2, "lr": 2}, "does not cover batch_size"),
    ("fan", "decoupled", BASE, {"width": 2}, "an lr times 0.5, here the lr goes times"),
    ("linear-lr", "coupled-sgd", BASE, {"batch_size": 2}, "goes with an lr times 2"),
    ("linear-lr", "coupled-sgd", BASE, {"lr": 2}, "does not cover lr"),
    # A quantity that must have changed is not known.
    (
        "question-layer-mean",
        "coupled-sgd",
        {"width": 64},
        {"width": 2},
        "or --units of",
    ),
    (
        "half-life-run",
        "decoupled",
        {"dataset_size": 9},
        {"dataset_size": 2},
        "needs st",
    ),
    (
        *("half-life-tokens", "decoupled", {"batch_size": 8}),
        {"batch_size": 1, "tokens_per_example": 9},
        "needs tokens_per_step before and after",
    ),
    (
        "bengio-map",
        "coupled-sgd",
        {"dataset_size": 9, "lr": 1},
        {"lr": 1},
        "dataset_si",
    ),
]


def test_silence_is_not_a_prediction():
    """A rule that was not stated for a case gives no factor, and the reason."""
    for rule, family, before, factors, why in SILENT:
        after = {name: before.get(name, 1) * times for name, times in factors.items()}
        after = BASE | after if before is BASE else after
        there = predict(rule, family=family, before=before, after=after)
        assert there.factor is None
        assert why in there.why_not, rule


def test_steps_and_tokens_follow_from_the_others():
    """Without steps and tokens, batch, data and epochs give them."""
    before = {"batch_size": 32, "dataset_size": 600, "epochs": 10}
    after = before | {"batch_size": 64}
    there = predict("half-life-run", family="decoupled", before=before, after=after)
    assert there.factor == digits(19 / 10, rel=1e-14)  # ⌈600/32⌉ and ⌈600/64⌉ steps
    after = before | {"epochs": 20}
    there = predict("power-lines", family="decoupled", before=before, after=after)
    assert there.factor == digits(2**-0.473, rel=1e-14)  # one logarithm


@pytest.mark.parametrize(
    ("rule", "lr", "change", "expected"),
    [
        # Twice the length at half the batch is the same number of tokens.
        ("power-lines-batch", 1, {"batch_size": 1 / 2, "tokens_per_example": 2}, 1),
        ("power-lines", 1, {"batch_size": 1 / 2, "tokens_per_example": 2}, 1),
        ("nanochat", 1, {"batch_size": 1 / 2, "tokens_per_example": 2}, 1),
        # At the same batch and steps: B/(lr·τ·D) with τ ∝ (D/P)^-0.527.
        ("power-lines-batch", 1, {"tokens_per_example": 2}, 2),
        ("power-lines", 1, {"tokens_per_example": 2}, 2**0.527),
        ("nanochat", 2**0.5, {"tokens_per_example": 2}, 2**-0.5),
        ("half-life-tokens", 1, {"tokens_per_example": 2}, 2),
        ("half-life-run", 1, {"tokens_per_example": 2}, 1),
    ],
)
def test_language_model_rules_count_the_batch_in_tokens(rule, lr, change, expected):
    """A changed sequence length is a changed batch: both are tokens in a step."""
    before = {"batch_size": 512, "tokens_per_example": 1024, "steps": 10_000, "lr": 1}
    after = {name: value * change.get(name, 1) for name, value in before.items()}
    there = predict(rule, family="decoupled", before=before, after=after | {"lr": lr})
    assert there.why_not == ""
    # 1e-14: a few logarithms and one exponential.
    assert there.factor == digits(expected, rel=1e-14)


def test_what_follows_from_a_change_is_no_change_of_its_own():
    """More steps are more tokens; a rule about steps is not silent on them."""
    before = {"batch_size": 32, "steps": 100, "tokens": 3200}
    after = before | {"steps": 200, "tokens": 6400}
    for rule in ("loshchilov-hutter", "half-life-run"):
        there = predict(rule, family="decoupled", before=before, after=after)
        assert (there.why_not, there.silent_on) == ("", ())


def test_changes_that_a_rule_does_not_cover_are_named():
    """A rule about one change names the other changes as not covered."""
    after = changed(width=2, weights=4, batch_size=2, steps=0.5)
    there = predict("half-life-examples", family="decoupled", before=BASE, after=after)
    assert there.factor == 2
    assert there.silent_on == ("width",)


def test_a_rounded_lr_still_follows_a_published_pair():
    """An lr of 8e-4 counts as 3e-4·√8; one that is half as large does not."""
    after = changed(batch_size=8, lr=8 / 3)
    there = predict("sde-sqrt", family="decoupled", before=BASE, after=after)
    assert there.factor == digits(3, rel=1e-14)
    after = changed(batch_size=8, lr=4 / 3)
    there = predict("sde-sqrt", family="decoupled", before=BASE, after=after)
    assert there.factor is None


def test_no_hidden_layer_is_a_depth():
    """A depth of 0 is no error, and no power law either."""
    before = {"depth": 0, "weights": 640}
    after = {"depth": 1, "weights": 4736}
    there = predict("answer", family="coupled-sgd", before=before, after=after)
    assert there.factor == 1


def test_a_record_is_complete():
    """Each rule has known quantities and families, a source, evidence, a sentence."""
    for rule in RULES:
        assert set(rule.exponents) | set(rule.lr_exponents) <= set(QUANTITIES), rule
        assert set(rule.families) <= {*FAMILIES}, rule
        assert rule.clock in {None, *CLOCKS}, rule
        assert set(rule.measured_over) <= set(QUANTITIES) - {"lr"}, rule
        assert set(rule.measured_for or ()) <= set(rule.families), rule
        assert all((rule.source, rule.evidence, rule.keeps)), rule
        assert rule.sentence.endswith("."), rule
        assert hash(rule) == hash(resolve_rule(rule.name))
    assert len({rule.name for rule in rules()}) == len(RULES)  # no two share one


def test_a_rule_of_ones_own_can_be_applied():
    """predict takes a record as well as a name."""
    own = Rule(
        name="own",
        coordinate="penalty",
        families=("decoupled",),
        exponents={"width": 3.0},
        source="",
        evidence="",
        sentence="",
        keeps="",
        checked="from memory",
    )
    # 1e-14: one logarithm, one exponential.
    assert factor(own, "decoupled", width=2) == digits(8, rel=1e-14)


def test_an_unknown_rule_is_named_with_its_neighbors():
    """A rule that does not exist is refused with those that sound like it."""
    with pytest.raises(UnknownNameError) as raised:
        predict("bengio", family="decoupled", before={}, after={})
    assert (raised.value.name, raised.value.nearest[0]) == ("bengio", "bengio-map")


def test_an_impossible_quantity_is_refused():
    """A quantity of scale is a number above 0, and one that a training can have."""
    for value in (0, -1, math.inf, math.nan, 1e-200, 1e200, True):
        with pytest.raises(RangeError) as raised:
            predict("neal", family="coupled-sgd", before={"width": value}, after={})
        assert (raised.value.name, raised.value.value) == ("width", value)
