"""What to type after a change of scale: laws that any evidence must keep."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.decay.coordinates import number_from_shrink
from dwindle.decay.evidence.change import (
    RANKED,
    UNCHANGED,
    claimed,
    parts_of_change,
    summed,
)
from dwindle.decay.evidence.peers import TUNED_BY_ITS_LR, kinds_of_run
from dwindle.decay.evidence.recommend import recommend
from dwindle.decay.evidence.records import KINDS
from dwindle.decay.evidence.suggest import suggest
from dwindle.decay.families import has_no_rate
from dwindle.decay.knobs import KNOBS
from dwindle.decay.read_numbers import ONE_TOKEN
from dwindle.decay.rescale import rescale
from dwindle.decay.rules import predict
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, read_setting
from dwindle.errors import RangeError, UnknownNameError

ADAMW, SGD = "torch.optim.AdamW", "torch.optim.SGD"
IMAGENET = {"dataset_size": 1_281_167}
scales = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([1e-4, 5e-4, 1e-3]),
        "batch_size": st.sampled_from([32, 64, 256]),
        "dataset_size": st.sampled_from([1024, 4096, 65536]),
        "epochs": st.sampled_from([2, 4, 16, 90]),
        "width": st.sampled_from([64, 128, 512]),
        "depth": st.sampled_from([2, 4, 8]),
    }
)
kinds = st.sampled_from(list(KINDS))
settings = st.sampled_from([(1e-3, ADAMW), (1e-4, SGD), (1e-5, "shrink")])


def of(setting, before, after, **more):
    return recommend(read_setting(*setting), before, after, **more)


@given(settings, scales, scales, scales, kinds)
def test_two_steps_are_one(setting, first, second, third, kind):
    """A change made in two steps gives the value of the change made in one."""
    runs = [Run(**each) for each in (first, second, third)]
    at_once = of(setting, runs[0], runs[2], regime=kind)
    halfway = of(setting, runs[0], runs[1], regime=kind)
    there = of((halfway.value, setting[1]), runs[1], runs[2], regime=kind)
    # Sums of logarithms in another order: 1e-9 is far above their rounding.
    assert there.value == pytest.approx(at_once.value, rel=1e-9)


@given(scales, scales, kinds)
def test_reasons_multiply_to_the_value(before, after, kind):
    """Their factors are what the value is multiplied by; without a change none is."""
    there = of((0.01, ADAMW), Run(**before), Run(**after), regime=kind)
    product = math.prod(reason.factor for reason in there.reasons)
    assert there.value == pytest.approx(0.01 * product, rel=1e-9)
    assert there.low <= there.value <= there.high
    same = of((0.01, ADAMW), Run(**before), Run(**before), regime=kind)
    assert (same.low, same.value, same.high, same.reasons) == (0.01, 0.01, 0.01, ())


@pytest.mark.parametrize("kind", KINDS)
def test_linear_lr_keeps_the_decay_regardless_of_the_lr(kind):
    """With lr ∝ batch, only the exponent of both together counts, and it is near 1."""
    before = Run(lr=0.1, batch_size=128, epochs=90, **IMAGENET)
    after = replace(before, lr=0.8, batch_size=1024)
    (part,) = parts_of_change(before, after, kind)
    assert part.logs["lr"] == pytest.approx(0, abs=1e-12)
    there = of((5e-4, SGD), before, after, regime=kind)
    assert there.low < 5e-4 < there.high
    # A tenth of the exponent per factor of 8 in the batch is ×1.23.
    assert there.value == pytest.approx(5e-4, rel=0.6)


def test_the_class_is_read_from_the_facts():
    """Up to one epoch, or tokens alone, is a single pass; else it has to be given."""
    many = ("many-epochs-normalized", "many-epochs-plain")
    tokens = {"batch_size": 100, "tokens_per_example": ONE_TOKEN, "steps": 10}
    cases = [
        (Run(epochs=1), {}, ("single-pass",)),
        (Run(**tokens), {}, ("single-pass",)),
        (Run(steps=100, batch_size=10, dataset_size=1000), {}, ("single-pass",)),
        (Run(epochs=3), {}, many),
        (Run(epochs=3), {"normalized": False}, many[1:]),
        (Run(epochs=3), {"regime": "fine-tuning"}, ("fine-tuning",)),
        (Run(epochs=3), {"regime": "many-epochs-plain"}, many[1:]),
        (Run(), {"regime": "single-pass"}, ("single-pass",)),
        (Run(), {}, (*many, "single-pass")),
    ]
    wrong = [
        (run, options)
        for run, options, kinds in cases
        if kinds_of_run(run, **options) != kinds
    ]
    assert not wrong
    with pytest.raises(UnknownNameError) as raised:
        kinds_of_run(Run(), regime="fine tuning")
    assert "fine-tuning" in raised.value.nearest


def test_every_class_that_is_possible_is_answered():
    """Where the facts leave several, the answers of the others stand beside."""
    facts = {"lr": 1e-3, "batch_size": 256, "epochs": 90, **IMAGENET}
    few = {"lr": 2e-4, "batch_size": 32, "dataset_size": 10_000, "epochs": 8}
    tuned = few | {"lr": 2e-5, "epochs": 3}
    kinds = {
        "two": (facts, {"epochs": 30}, ["many-epochs-normalized", "many-epochs-plain"]),
        "one pass": (few, {"epochs": 1}, ["single-pass", "fine-tuning"]),
        # At 2e-5 twice the batch: no run from scratch goes that slowly.
        "tuned": (tuned, {"batch_size": 64}, ["fine-tuning"]),
    }
    found = {
        name: rescale(0.05, ADAMW, before=before, after=before | change)
        for name, (before, change, _) in kinds.items()
    }
    for name, (_, _, wanted) in kinds.items():
        there = found[name].recommendation
        assert [each.kind_of_run for each in (there, *there.others)] == wanted
    assert 0.05 < found["one pass"].recommendation.value < 0.2
    assert found["tuned"].recommendation.value == pytest.approx(0.05)
    assert TUNED_BY_ITS_LR in found["tuned"].notes
    for estimator in ("LogisticRegression", "Ridge"):
        few, many = ({"dataset_size": n} for n in (1_000, 10_000))
        knob = f"sklearn.linear_model.{estimator}"
        there = rescale(1.0, knob, before=few, after=many).recommendation
        assert (there.kind_of_run, there.others) == ("many-epochs-plain", ())
        # A prior stays where data grow: its 1 lies within the measured range.
        assert there.low < 1.0 < there.high


def test_zero_and_an_unknown_lr_have_answers():
    """No decay stays no decay; where no lr is known, λ moves as lr·λ does."""
    before = Run(batch_size=256, epochs=90, **IMAGENET)
    after = replace(before, epochs=45)
    with_lr = [replace(each, lr=0.1) for each in (before, after)]
    assert of((0.0, ADAMW), *with_lr).value == 0
    known = of((0.1, ADAMW), *with_lr)
    assert of((0.1, ADAMW), before, after).value == pytest.approx(known.value)


def test_repeated_text_is_a_change_of_regime():
    """From a single pass to repeated text the value starts from published optima."""
    before = Run(
        lr=1e-3, batch_size=64, tokens_per_example=4096, dataset_size=48_800, epochs=1
    )
    after = replace(before, epochs=8)
    there = of((0.1, ADAMW), before, after)
    (reason,) = there.reasons
    assert (reason.quantity, reason.exponent) == (there.kind_of_run, None)
    # Half-lives of .135 to .361 epochs of 763 steps, in the 16 optima of such text.
    half_life = math.log(2) / (1e-3 * there.value * 763)
    assert 0.135 < half_life < 0.361
    assert of((0.5, ADAMW), before, after).value == there.value
    assert [each.rule for each in there.candidates] == ["unchanged", "recipes"]
    assert there.experiment.quantity == "epochs"
    # With one given regime on both sides, nothing starts anew.
    found = of((0.1, ADAMW), before, after, regime="many-epochs", normalized=True)
    assert found.reasons[0].quantity == "epochs"


@pytest.mark.parametrize("name", [ADAMW, SGD])
@pytest.mark.parametrize("epochs", [1.5, 4])
def test_a_few_passes_are_as_one(name, epochs):
    """Data repeated up to four times count as new: nothing jumps behind one epoch."""
    once = Run(lr=1e-3, batch_size=50, dataset_size=50_000, epochs=1, momentum=0.9)
    there = of((0.1, name), once, replace(once, epochs=epochs))
    assert there.kind_of_run == "single-pass"
    more = replace(once, dataset_size=int(50_000 * epochs))
    assert there.value == pytest.approx(of((0.1, name), once, more).value)
    assert 0.2 < there.value / 0.1 < 1
    back = of((there.value, name), replace(once, epochs=epochs), once)
    assert back.value == pytest.approx(0.1)
    assert there.others[0].kind_of_run == "fine-tuning"


@pytest.mark.parametrize(("name", "tokens"), [(ADAMW, None), (SGD, None), (SGD, 4096)])
@pytest.mark.parametrize("normalized", [True, False])
def test_nothing_jumps_where_data_come_to_be_repeated(name, tokens, normalized):
    """Of images, and with SGD: one step over the border of classes moves little."""
    once = Run(lr=1e-3, batch_size=64, dataset_size=50_000, epochs=1, momentum=0.9)
    once = replace(once, tokens_per_example=tokens)

    def at(epochs):
        after = replace(once, epochs=epochs)
        return of((1e-4, name), once, after, normalized=normalized)

    few, more = at(4), at(4.1)
    assert few.kind_of_run == "single-pass" != more.kind_of_run
    for end in ("low", "value", "high"):
        assert getattr(more, end) == pytest.approx(getattr(few, end), rel=0.05)
    # Two steps are one, there and back; 1e-4 is how far SGD with momentum is from
    # a shrink that is lr·λ/(1 - m).
    there = at(30)
    product = math.prod(each.factor for each in there.reasons)
    assert product == pytest.approx(there.value / 1e-4, rel=1e-4)
    after = replace(once, epochs=30)
    back = of((there.value, name), after, once, normalized=normalized)
    assert back.value == pytest.approx(1e-4, rel=1e-4)
    assert back.kind_of_run == "single-pass"


def test_a_wide_change_of_regime_shows_what_recipes_do():
    """Ninety epochs instead of one: undecided, with the number before and recipes'."""
    once = Run(lr=1e-3, batch_size=64, dataset_size=50_000, epochs=1)
    after = replace(once, epochs=90)
    there = of((0.01, ADAMW), once, after)
    assert there.is_undecided
    recipes = suggest(ADAMW, run=after).value
    values = {each.rule: each.value for each in there.candidates}
    assert values == {"unchanged": 0.01, "recipes": recipes}
    assert (there.experiment.low, there.experiment.high) == (1, 90)
    assert of((0.0, ADAMW), once, after).value == 0.0


def test_text_in_a_single_pass_starts_anew_too():
    """From repeated text to a single pass the value is that of published recipes."""
    before = Run(
        lr=1e-3, batch_size=64, tokens_per_example=4096, dataset_size=48_800, epochs=8
    )
    after = replace(before, epochs=1)
    there = of((0.8, ADAMW), before, after)
    first = suggest(ADAMW, run=after)
    assert there.value == first.value
    assert there.kind_of_run == "single-pass"
    assert there.reasons[0].exponent is None
    # Within a factor of ten on either side the old number is no second candidate.
    for factor, rules in ((1 / 9, 0), (9, 0), (1 / 11, 2), (11, 2)):
        there = of((factor * first.value, ADAMW), before, after)
        assert len(there.candidates) == rules


def test_every_knob_with_a_rate_has_a_value():
    """Wherever a family has a rate there is a value, and elsewhere the reason why."""
    before = Run(lr=1e-3, batch_size=64, epochs=20, dataset_size=6400, momentum=0.9)
    after = replace(before, lr=2e-3, batch_size=128)
    wrong = []
    for knob in KNOBS.values():
        if knob.wants_clock:
            continue
        clocked = knob.clock == "tokens"
        sides = [
            replace(run, tokens_per_example=8) if clocked else run
            for run in (before, after)
        ]
        number = 1e-4
        if knob.clock:
            number = number_from_shrink(knob, number, sides[0])
        there = recommend(Setting(knob, number), *sides, normalized=True)
        if (there.value is None) != has_no_rate(knob) or bool(there.why_null) != (
            there.value is None
        ):
            wrong.append((knob.name, there.value, there.why_null))
    assert not wrong


def test_beyond_tenfold_two_candidates_and_an_experiment_stand():
    """An undecided answer names two rules whose values differ, and what to measure."""
    before = Run(lr=3e-4, batch_size=256, epochs=90, **IMAGENET)
    after = replace(before, batch_size=32768)
    there = of((0.1, ADAMW), before, after, normalized=True)
    assert there.is_undecided
    assert there.digits == 1
    assert there.candidates[0].rule == "unchanged"
    low, high = sorted(each.value for each in there.candidates)
    assert high > 1.25 * low
    # The lr is what decides, and stays: both batches at it are the experiment.
    assert there.experiment.quantity == "batch"
    assert (there.experiment.low, there.experiment.high) == (256, 32768)
    assert there.experiment.trainings == 42
    decided = of((0.1, ADAMW), before, replace(before, epochs=80), normalized=True)
    assert not decided.is_undecided
    assert not decided.candidates
    assert decided.experiment is None
    assert decided.digits == 2


@given(scales, scales)
def test_claims_are_what_the_rules_predict(before, after):
    """The base exponents of a rule are what it predicts for a change of a run."""
    runs = [
        Run(**{k: v for k, v in each.items() if k not in ("width", "depth")})
        for each in (before, after)
    ]
    before, after = (run.quantities() for run in runs)
    logs = summed(parts_of_change(*runs, "many-epochs-plain"))
    # The rule that changes nothing gives lr·λ the ratio of the lr.
    log = math.fsum(claimed(UNCHANGED)[base] * log for base, log in logs.items())
    assert log == pytest.approx(math.log(after["lr"] / before["lr"]))
    wrong = []
    for name in ("half-life-epochs", "loshchilov-hutter", "half-life-run", "answer"):
        found = predict(name, family="decoupled", before=before, after=after)
        exponents = claimed(RANKED[name])
        ours = math.exp(math.fsum(exponents[base] * log for base, log in logs.items()))
        if found.factor is not None and not math.isclose(
            found.shrink_factor, ours, rel_tol=1e-9
        ):
            wrong.append((name, found.shrink_factor, ours))
    assert not wrong


def test_a_change_of_schedule_is_no_measured_change():
    """A cosine instead of a constant lr halves the run's decay, which is reported."""
    facts = {"lr": 3e-4, "batch_size": 256, **IMAGENET, "epochs": 90}
    found = rescale(0.1, ADAMW, before=facts, after=facts | {"schedule": "cosine"})
    assert found.notes
    assert found.unchanged.e_folds == pytest.approx(found.before.e_folds / 2, rel=1e-3)


def test_no_power_law_begins_at_nothing():
    """From no hidden layer to one is no ratio of depths."""
    with pytest.raises(RangeError) as raised:
        of((0.1, ADAMW), Run(lr=1e-3, depth=0), Run(lr=1e-3, depth=1))
    assert (raised.value.name, raised.value.value) == ("depth", "0 and then 1")
