"""Explain: numbers against a loop, and a warning wherever there is none."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import decay_by_hand
from strategies import log_uniform, runs
from tolerance import digits

from dwindle.decay.equilibrium import lion_equilibrium
from dwindle.decay.explain import explain
from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UnknownNameError

NO_RATE = {name for name, each in FAMILIES.items() if not each.has_half_life}
RATELESS = {
    *NO_RATE,
    *("coupled-adaptive", "no-optimizer", "oscillation", "impossible", "missing-fact"),
}
CLOCKS = ["steps", "examples", "epochs", "run", "tokens"]
KEYS = [
    *("knob", "value", "family", "shrink_per_step", "half_life", "half_life_average"),
    *("e_folds", "kept", "equilibrium_rms", "rms_at_end", "rotation_per_step"),
    *("penalty", "warnings"),
    "update",
    "understood",
]
# A warning with one of these codes says why a field is null.
REASONS = {
    "family": {"no-optimizer"},
    "shrink_per_step": RATELESS,
    "e_folds": RATELESS | {"nothing-left"},
    "kept": RATELESS | {"growth"},
    "equilibrium_rms": {
        *("no-optimizer", "no-equilibrium", "equilibrium-noise", "impossible"),
        *("no-decay", "missing-fact"),
    },
    "rms_at_end": {
        *("no-optimizer", "no-equilibrium", "equilibrium-noise", "impossible"),
        *("no-decay", "missing-fact", "oscillation"),
    },
    "rotation_per_step": {
        *("no-optimizer", "no-equilibrium", "impossible", "no-decay", "missing-fact"),
    },
    "penalty": {"no-optimizer", "no-penalty", "per-layer", "missing-fact"},
    "half_life": RATELESS | {"no-decay"},
    "half_life_average": RATELESS | {"no-decay", "swing", "nothing-left", "growth"},
}
WHOLE = Run(
    lr=0.1,
    momentum=0.9,
    batch_size=100,
    dataset_size=5000,
    epochs=20,
    tokens_per_example=10,
    schedule=Schedule(shape="cosine"),
)
FADING = Schedule(shape="cosine")
LATE = {"schedule": FADING, "dtype": "bfloat16"}


def codes(found):
    return [warning.code for warning in found.warnings]


def text_of(found, code):
    return next(warning.text for warning in found.warnings if warning.code == code)


@given(runs(), log_uniform(1e-6, 0.02))
def test_what_the_run_leaves_against_a_loop(run, shrink):
    """kept and e_folds of SGD and AdamW are those of a loop with fifty digits."""
    knob = shrink / run.lr * (1 - run.momentum) ** 2
    lrs = [run.lr * m for m in run.multipliers()]
    facts = (run.momentum, run.dampening, run.nesterov)
    names = ("momentum", "dampening", "nesterov")
    paths = {
        "torch.SGD": decay_by_hand.sgd_path(
            lrs, knob, **dict(zip(names, facts, strict=True))
        ),
        "torch.AdamW": decay_by_hand.product_path(lrs, knob),
    }
    for name, path in paths.items():
        found = explain(knob, name, run=run)
        # 1e-12: the two hundred logarithms of a run, as many roundings at 1e-16.
        assert found.kept == digits(float(path[-1]), rel=1e-12)
        e_folds = -float(path[-1].ln())
        assert found.e_folds == pytest.approx(e_folds, rel=1e-12, abs=1e-300)


@given(
    st.sampled_from(sorted(set(KNOBS) - {"half-life"})),
    st.one_of(runs(), st.sampled_from([Run(), Run(lr=0.1), Run(steps=9)])),
    st.one_of(log_uniform(1e-9, 0.9), st.just(0.0), st.just(300.0)),
)
def test_what_is_null_has_a_reason(name, run, number):
    """Every null stands beside a warning that says why, and JSON can hold the rest."""
    try:
        found = explain(number, name, run=run)
    except RangeError:
        assume(condition=False)
    plain = found.as_dict()
    assert list(plain) == KEYS
    assert [*plain["half_life"]] == [*plain["half_life_average"]] == CLOCKS
    json.dumps(plain, allow_nan=False)
    for key, reasons in REASONS.items():
        values = plain[key].values() if "half_life" in key else [plain[key]]
        assert None not in values or reasons & set(codes(found)), key


def test_a_usual_sgd_recipe():
    """The CIFAR recipe of SGD: half-lives on all clocks, at the peak and on average."""
    found = explain(5e-4, "torch.optim.SGD", run=WHOLE)
    assert found.shrink_per_step == digits(5.0227e-4, rel=1e-4)  # five digits known
    half_life = found.half_life
    assert half_life["steps"] == digits(math.log(2) / 5.0239e-4, rel=1e-4)
    assert half_life["examples"] == digits(100 * half_life["steps"], rel=1e-14)
    assert half_life["epochs"] == digits(half_life["steps"] / 50, rel=1e-14)
    assert half_life["run"] == digits(half_life["steps"] / 1000, rel=1e-14)
    assert half_life["tokens"] == digits(1000 * half_life["steps"], rel=1e-14)
    average = found.half_life_average
    assert average["steps"] == digits(math.log(2) * 1000 / found.e_folds, rel=1e-14)
    # The mean of a cosine is one half; its start lag makes up for what is missing.
    assert average["steps"] / half_life["steps"] == pytest.approx(2, rel=0.03)
    assert found.kept == digits(math.exp(-found.e_folds), rel=1e-14)
    assert found.penalty == 5e-4
    # 0.25 e-folds: the run ends before anything has settled.
    assert found.rotation_per_step is found.equilibrium_rms is None
    assert "leaves 78.1% of the initial" in text_of(found, "no-equilibrium")
    longer = explain(5e-4, "torch.optim.SGD", run=replace(WHOLE, epochs=100))
    assert longer.rotation_per_step == digits(math.sqrt(1e-4 / 1.9), rel=1e-4)
    assert longer.equilibrium_rms is longer.rms_at_end is None
    assert "would settle, at the peak lr" in text_of(longer, "equilibrium-noise")
    assert "31.62 times the standard deviation" in text_of(longer, "equilibrium-noise")


@pytest.mark.parametrize(
    ("shape", "at_end"),
    [("constant", 0.2226), ("linear", 0.133), ("cosine", 0.142), ("wsd", 0.190)],
)
def test_a_falling_lr_takes_the_size_of_weights_with_it(shape, at_end):
    """AdamW ends where the real one does, below what its peak lr would settle at."""
    run = Run(lr=0.01, steps=6000, schedule=Schedule(shape=shape))
    found = explain(0.1, "torch.AdamW", run=run)
    assert found.equilibrium_rms == digits(0.2226, rel=1e-3)
    # Measured on 4,000 weights, 1 % each, and β₂ makes a second moment that wavers.
    assert found.rms_at_end == digits(at_end, rel=0.02)


def test_a_run_that_is_too_short_to_settle_has_no_equilibrium():
    """Where the run leaves more than 1/e, it says after how many steps it would not."""
    run = Run(lr=0.01, steps=900)
    found = explain(0.1, "torch.AdamW", run=run)
    assert found.equilibrium_rms is found.rms_at_end is None
    assert found.rotation_per_step is None
    # 1 over -ln(1 - 1e-3).
    assert "about 999 steps" in text_of(found, "no-equilibrium")
    longer = explain(0.1, "torch.AdamW", run=replace(run, steps=1000))
    assert longer.rms_at_end == digits(0.2226 * (1 - math.exp(-2)) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("steps", [500, 10**9])
def test_no_decay_has_no_sign(steps):
    """λ = 0 has 0 e-folds, not -0."""
    run = Run(lr=0.1, steps=steps, momentum=0.9)
    for name in ("torch.AdamW", "torch.SGD", "timm.adan", "timm.adamc"):
        found = explain(0, name, run=run)
        assert math.copysign(1, found.e_folds) == 1
        assert (found.e_folds, found.kept) == (0, 1)


def test_adamw_settles_at_a_known_size():
    """AdamW's equilibrium needs no noise to be known: √(lr/2λ), nearly."""
    found = explain(0.1, "torch.AdamW", run=Run(lr=1e-3))
    assert found.equilibrium_rms == digits(math.sqrt(1e-3 / 0.2), rel=1e-3)
    assert found.rotation_per_step is not None
    assert found.penalty is None


def test_a_half_life_explains_itself():
    """A half-life has its own shrink and its own number on its own clock."""
    found = explain("3 epochs", "half-life", run=WHOLE)
    assert found.half_life["epochs"] == digits(3, rel=1e-14)
    assert found.shrink_per_step == digits(1 - 2 ** (-1 / 150), rel=1e-12)
    assert found.family is None


def test_a_penalty_says_its_canonical_number():
    """The question's λ is half the canonical one, and needs an optimizer to decay."""
    found = explain(1e-3, "question.l2", run=WHOLE)
    assert found.penalty == 2e-3
    assert found.shrink_per_step is None
    assert codes(found) == ["no-optimizer"]
    assert "Convert it to torch.optim.SGD" in text_of(found, "no-optimizer")


@pytest.mark.parametrize(
    ("number", "name", "facts", "code", "text"),
    [
        (
            0.5,
            "torch.SGD",
            {"momentum": 0.9},
            "oscillation",
            "overshoots zero and swings",
        ),
        (0.1, "torch.Adam", {}, "coupled-adaptive", "no half-life"),
        (1e-3, "torch.AdamW", {"steps": 10}, "longer-than-the-run", "693 runs"),
        (
            9.0,
            "torch.AdamW",
            {"epochs": 5},
            "shorter-than-an-epoch",
            "forgets examples",
        ),
        (0.01, "torch.AdamW", {"dtype": "bfloat16"}, "dead-zone", "stays as it is"),
        (
            0.05,
            "torch.AdamW",
            {"dtype": "bfloat16"},
            "rounding",
            "2.56 times what bfloat16",
        ),
        (0.025, "torch.AdamW", {"dtype": "bfloat16"}, "stalls", "before it has halved"),
        (0.1, "torch.Adam", {"momentum": 0.9}, "coupled-adaptive", "no half-life"),
        (0.1, "SGDClassifier", {}, "optimal-schedule", "power law"),
        (
            0.1,
            "torch.AdamW",
            {"schedule": FADING},
            "fading-decay",
            "does 0.17% of the decay",
        ),
        (
            1.0,
            "torch.AdamW",
            LATE,
            "late-dead-zone",
            "For 8.9% of the steps the lr is so low",
        ),
        (
            1e-7,
            "torch.AdamW",
            {},
            "dead-zone",
            "float32 rounds all below 2.98e-08 away",
        ),
        (0.01, "ASGD", {}, "second-decay", "lambd = 1e-4, that is on by default"),
        (0.01, "ASGD:lambd", {}, "falling-step", "half-life is that of the first step"),
        (30.0, "torch.AdamW", {}, "impossible", r"fraction in [0, 1)"),
        (
            10.0,
            "torch.SGD",
            {"lr": 1e-300},
            "impossible",
            "rotation per step too small",
        ),
        (1e9, "torch.AdamW", {"steps": 1000}, "growth", "it grows instead of decaying"),
        (0, "torch.AdamW", {}, "no-decay", "the half-life is infinite"),
        (0.1, "question.l2:layer-mean", {}, "per-layer", "another penalty for every"),
        (0.1, "torch.Muon", {}, "no-equilibrium", "not known here"),
        (
            0.1,
            "torch.AdamW",
            {"momentum": 0.9},
            "unused-fact",
            "does not pass through one",
        ),
        (
            0.1,
            "torch.Adam",
            {"momentum": 0.9},
            "unused-fact",
            "the decay of torch.optim.Adam sets no rate",
        ),
        (0.1, "optimi.StableAdamW", {}, "own-rule", "where no update is clipped"),
        (0.1, "mup.MuAdamW", {}, "own-rule", "the lr divided by m and the decay"),
        (
            0.1,
            "torch.Adam",
            {"gradient_rms": 0.5},
            "approximate",
            "divided by the size of the gradients, 0.5",
        ),
    ],
)
def test_a_warning_says_what_to_know(number, name, facts, code, text):
    """Each trap is told by its code and in words."""
    size = {} if "steps" in facts else {"batch_size": 10, "dataset_size": 100}
    found = explain(number, name, run=Run(**({"lr": 0.1} | size | facts)))
    assert text in text_of(found, code)


def test_a_usual_run_has_no_warning():
    """Where every fact is given and nothing is odd, one is told what it is not."""
    run = Run(
        lr=1e-3, batch_size=100, dataset_size=5000, epochs=200, tokens_per_example=1
    )
    assert codes(explain(0.1, "torch.AdamW", run=run)) == ["no-penalty"]


def test_a_swing_has_no_average():
    """After a swing through zero, what is left tells no rate."""
    found = explain(0.1, "torch.SGD", run=Run(lr=0.1, momentum=0.9, steps=100))
    assert found.kept < 0
    assert found.e_folds is not None
    assert set(found.half_life_average.values()) == {None}


def test_what_a_missing_fact_would_tell():
    """Without any fact there is a list of what each would give."""
    found = explain(0.1, "torch.AdamW")
    told = [w.text for w in found.warnings if w.code == "missing-fact"]
    assert any("--lr for a shrink per step" in text for text in told)
    found = explain(0.1, "torch.AdamW", run=Run(lr=0.1))
    told = " ".join(w.text for w in found.warnings if w.code == "missing-fact")
    assert "--dataset-size for half-lives in epochs" in told
    assert "--steps, or --epochs with --dataset-size and --batch-size" in told


def test_bad_input_is_refused():
    """A value or knob that cannot be is an error, not a warning."""
    with pytest.raises(RangeError, match=r"0 or more. Got -1.0"):
        explain(-1, "torch.AdamW")
    with pytest.raises(UnknownNameError, match="Got 'AdamV'"):
        explain(1, "AdamV")


PLAIN_ADAMW = explain(0.1, "torch.AdamW", run=Run(lr=1e-3))
PLAIN_SGD = explain(0.1, "torch.SGD", run=Run(lr=1e-3, momentum=0.9))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("fastai.optimizer.Adam", 0.1),
        ("optimi.AdamW", 0.1),
        ("optimi.AdamW:decouple_lr", 1e-4),
        ("bitsandbytes.optim.AdamW", 0.1),
        ("bitsandbytes.optim.Adam", 0.1),
        ("composer.optim.DecoupledAdamW", 1e-4),
        ("unit_scaling.optim.AdamW", 1e-4),
        ("mup.MuAdamW", 0.1),
        ("optax.add_decayed_weights:before-lr", 0.1),
        ("timm.adamc", 0.1),
    ],
)
def test_twins_of_adamw_settle_where_it_does(name, number):
    """The same update with the same decay has the same RMS and rotation."""
    told = explain(number, name, run=Run(lr=1e-3))
    assert told.equilibrium_rms == digits(PLAIN_ADAMW.equilibrium_rms, rel=1e-12)
    assert told.rotation_per_step == digits(PLAIN_ADAMW.rotation_per_step, rel=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        "timm.momentum",
        "optimi.SGD",
        "optax.add_decayed_weights:before-sgd",
        "bitsandbytes.optim.SGD",
        "fastai.optimizer.SGD:coupled",
        "mup.MuSGD",
    ],
)
def test_twins_of_sgd_turn_as_it_does(name):
    """The same update has the same rotation, and an RMS per noise."""
    told = explain(0.1, name, run=Run(lr=1e-3, momentum=0.9))
    assert told.rotation_per_step == digits(PLAIN_SGD.rotation_per_step, rel=1e-12)
    assert "times the standard deviation" in text_of(told, "equilibrium-noise")


@pytest.mark.parametrize("name", ["keras.optimizers.Lion", "optax.lion", "timm.lion"])
def test_lion_settles_by_its_own_formula(name):
    """Lion's steps are signs: its weights settle far above AdamW's."""
    told = explain(0.1, name, run=Run(lr=1e-3))
    there = lion_equilibrium(0.1, Run(lr=1e-3))
    assert told.equilibrium_rms == digits(there.rms, rel=1e-12)
    assert told.equilibrium_rms > 5 * PLAIN_ADAMW.equilibrium_rms


def test_a_decay_without_the_lr_ends_where_adamw_does():
    """Under a falling lr Composer's decay falls as AdamW's does, and AdamC's more."""
    run = Run(lr=0.01, steps=6000, schedule=Schedule(shape="cosine"))
    adamw = explain(0.1, "torch.AdamW", run=run)
    composer = explain(1e-3, "composer.optim.DecoupledAdamW", run=run)
    assert composer.rms_at_end == digits(adamw.rms_at_end, rel=1e-9)
    assert adamw.rms_at_end < 0.7 * adamw.equilibrium_rms
    # AdamC's decay goes with lr², so that R² = η/2λ stays; the start of the run is
    # forgotten but for e^-4 of R².
    adamc = explain(0.1, "timm.adamc", run=run)
    assert adamc.rms_at_end == digits(adamc.equilibrium_rms, rel=0.02)
