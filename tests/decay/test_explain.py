"""Explain: numbers against a loop, and a warning for each missing one."""

import io
import json
import math
import re
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import decay_by_hand
from oracle.knob_kinds import fitted
from oracle.paths import survival_path
from rich.console import Console
from strategies import log_uniform, runs
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.coordinates import has_shrink
from dwindle.decay.equilibrium import adamw_equilibrium, lion_equilibrium
from dwindle.decay.explain import explain
from dwindle.decay.families import FAMILIES, family_of
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.own_facts import facts_of
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.strength import STRENGTHS, strength_of
from dwindle.errors import RangeError
from dwindle.show import WIDTH

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
    *("update", "understood", "summary", "strength", "lr_stays", "among"),
    "decay_schedule",
]
# A warning with one of these codes has the reason why a field is null.
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


def codes(found):
    return [warning.code for warning in found.warnings]


def text_of(found, code):
    return next(warning.text for warning in found.warnings if warning.code == code)


@given(runs(), log_uniform(1e-6, 0.02))
def test_what_the_run_leaves_against_a_loop(run, shrink):
    """kept and e_folds of SGD and AdamW are those of a loop with fifty digits."""
    knob = shrink / run.lr * (1 - run.momentum) ** 2
    for name in ("torch.optim.SGD", "torch.optim.AdamW"):
        path = decay_by_hand.family_path(KNOBS[name].family, knob, run)
        found = explain(knob, name, run=run)
        # 1e-12: the two hundred logarithms of a run, as many roundings at 1e-16.
        assert found.kept == digits(float(path[-1]), rel=1e-12)
        e_folds = decay_by_hand.lost(path)
        assert found.e_folds == pytest.approx(e_folds, rel=1e-12, abs=1e-300)


@given(
    st.sampled_from(sorted(set(KNOBS) - {"half-life"})),
    st.one_of(runs(), st.sampled_from([Run(), Run(lr=0.1), Run(steps=9)])),
    st.one_of(log_uniform(1e-9, 0.9), st.just(0.0), st.just(300.0)),
)
def test_what_is_null_has_a_reason(name, run, number):
    """Every null has a warning with the reason, and JSON can hold the rest."""
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
    assert found.kept == digits(0.781, rel=1e-3)
    assert "no-equilibrium" in codes(found)
    longer = explain(5e-4, "torch.optim.SGD", run=replace(WHOLE, epochs=100))
    assert longer.rotation_per_step == digits(math.sqrt(1e-4 / 1.9), rel=1e-4)
    assert longer.equilibrium_rms is longer.rms_at_end is None
    assert "equilibrium-noise" in codes(longer)


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
    """Where the run leaves more than 1/e, a warning gives the steps to 1/e."""
    run = Run(lr=0.01, steps=900)
    found = explain(0.1, "torch.AdamW", run=run)
    assert found.equilibrium_rms is found.rms_at_end is None
    assert found.rotation_per_step is None
    # 1 over -ln(1 - 1e-3) is 999.5.
    assert "about 999 steps" in text_of(found, "no-equilibrium")
    longer = explain(0.1, "torch.AdamW", run=replace(run, steps=1000))
    assert longer.rms_at_end == digits(0.2226 * (1 - math.exp(-2)) ** 0.5, rel=1e-3)


PLAIN_SGD = explain(0.1, "torch.SGD", run=Run(lr=1e-3, momentum=0.9))


def test_what_is_known_of_a_time_a_penalty_and_a_usual_run():
    """A half-life on its clock, λ of an objective, and no note where all is usual."""
    time = explain("3 epochs", "half-life", run=WHOLE)
    assert time.half_life["epochs"] == digits(3, rel=1e-14)
    assert time.shrink_per_step == digits(1 - 2 ** (-1 / 150), rel=1e-12)
    # The question's λ is half the canonical one, and needs an optimizer to decay.
    penalty = explain(1e-3, "question.l2", run=WHOLE)
    assert (penalty.penalty, penalty.shrink_per_step) == (2e-3, None)
    assert codes(penalty) == ["no-optimizer"]
    usual = replace(WHOLE, lr=1e-3, momentum=0.0, epochs=200, schedule=Schedule())
    assert codes(explain(0.1, "torch.AdamW", run=usual)) == ["no-penalty"]
    # After a swing through zero, what is left gives no rate.
    swing = explain(0.1, "torch.SGD", run=Run(lr=0.1, momentum=0.9, steps=100))
    assert swing.kept < 0
    assert swing.e_folds is not None
    assert set(swing.half_life_average.values()) == {None}
    for steps, name in product((500, 10**9), ("AdamW", "SGD")):  # 0 e-folds, not -0
        run = Run(lr=0.1, steps=steps, momentum=0.9)
        nothing = explain(0, f"torch.{name}", run=run)
        assert math.copysign(1, nothing.e_folds) == 1
        assert (nothing.e_folds, nothing.kept) == (0, 1)


TWINS_OF_ADAMW = {
    "fastai.optimizer.Adam": 0.1,
    "optimi.AdamW": 0.1,
    "optimi.AdamW:decouple_lr": 1e-4,
    "bitsandbytes.optim.AdamW": 0.1,
    "bitsandbytes.optim.Adam": 0.1,
    "composer.optim.DecoupledAdamW": 1e-4,
    "unit_scaling.optim.AdamW": 1e-4,
    "mup.MuAdamW": 0.1,
    "optax.add_decayed_weights:before-lr": 0.1,
    "timm.adamc": 0.1,
}
LIONS = ("keras.optimizers.Lion", "optax.lion", "timm.lion")
TWINS_OF_SGD = (
    *("timm.momentum", "optimi.SGD", "optax.add_decayed_weights:before-sgd"),
    *("bitsandbytes.optim.SGD", "fastai.optimizer.SGD:coupled", "mup.MuSGD"),
)


def test_twins_settle_where_the_originals_do():
    """The same update with the same decay has the same RMS and rotation."""
    run, wrong = Run(lr=1e-3), []
    adamw, lion = adamw_equilibrium(0.1, run), lion_equilibrium(0.1, run)
    twins = [(name, number, adamw) for name, number in TWINS_OF_ADAMW.items()]
    for name, number, wanted in [*twins, *((name, 0.1, lion) for name in LIONS)]:
        found = explain(number, name, run=run)
        there = (found.equilibrium_rms, found.rotation_per_step)
        settled = [wanted.rms, wanted.rotation_per_step]
        wrong += [] if there == digits(settled, rel=1e-12) else [(name, there)]
    for name in TWINS_OF_SGD:
        found = explain(0.1, name, run=Run(lr=1e-3, momentum=0.9))
        turn = found.rotation_per_step
        is_alike = turn == digits(PLAIN_SGD.rotation_per_step, rel=1e-12)
        # Its RMS is per unit of gradient noise, which nobody knows.
        if not is_alike or "equilibrium-noise" not in codes(found):
            wrong.append((name, turn))
    assert not wrong


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


def test_every_knob_has_one_line():
    """Every knob has a line of mathematics that has its number."""
    wrong = []
    for knob in knobs():
        for run in (Run(), Run(lr=0.2, momentum=0.5, nesterov=True, steps=30)):
            if knob.wants_clock:
                continue
            line = explain(0.125, knob.name, run=fitted(run, knob)).update
            if "0.125" not in line or "\n" in line:
                wrong.append((knob.name, line))
    assert not wrong


OPTIMIZERS = sorted(
    knob.name for knob in knobs() if has_shrink(knob) and knob.family is not None
)


def after_one_step(line, multiplier):
    """Compute the line with w = 1 and no gradient, in a fresh optimizer."""
    letters = {"w": 1.0, "b": 0.0, "g": 0.0, "m_t": multiplier, "e_t": math.nan}
    formulas = line.partition("  (")[0].partition(" with ")
    first = re.search(r"e_0 = ([^,]*)", formulas[2])
    for text in [*(["e_t ← " + first[1]] if first else []), *formulas[0].split("; ")]:
        name, _, formula = text.partition(" ← ")
        python = formula.replace("m̂/(√v̂ + ε)", "0").replace("sign(c)", "0")
        python = re.sub(r"√([0-9.e+]+)", r"math.sqrt(\1)", python)
        python = python.replace("m_t²", "m_t*m_t").replace("m_0", "m_t")
        python = re.sub(r"\bu\b", "0", python).replace("·", "*").replace("−", "-")
        letters[name] = eval(python, {"math": math}, letters)  # noqa: S307 (our own line)
    return letters["w"]


@given(st.sampled_from(OPTIMIZERS), runs(), log_uniform(1e-5, 0.02))
def test_the_line_computed_is_the_first_step(name, run, shrink):
    """Without a gradient, the line leaves what the family's path has after one step."""
    knob = KNOBS[name]
    # A number that no lr multiplies is the shrink: else powers of it overflow.
    number = shrink / run.lr if family_of(knob).reads_lr else shrink
    number = float(f"{number:.6g}")  # as the line shows it
    run = Run(
        lr=float(f"{run.lr:.6g}"),
        momentum=float(f"{run.momentum:.6g}"),
        schedule=run.schedule,
        steps=run.total_steps,
        batch_size=16,
    )
    run = fitted(run, knob)
    # The one that refuses to run without a momentum.
    assume(run.momentum or name != "bitsandbytes.optim.SGD")
    family = FAMILIES[knob.family]
    by_steps = 1 / math.sqrt(run.total_steps)
    scales = {"": 1, "/B": 1 / 16, "·B/64": 16 / 64, "/√steps": by_steps}
    scale = scales[knob.scale]
    expected = survival_path(family, number * scale, facts_of(knob, run))[1]
    assume(expected > 0.1)
    line = explain(number, name, run=run).update
    # 1e-12: a handful of roundings at 1e-16.
    assert after_one_step(line, run.multipliers()[0]) == digits(expected, rel=1e-12)


def test_the_table_of_degrees_goes_up_and_covers_all():
    """From no decay on; each border belongs to the degree above it."""
    borders = [each.least for each in STRENGTHS]
    assert borders[0] == 0
    assert borders == sorted(set(borders))
    assert [strength_of(each.least) for each in STRENGTHS] == [
        each.name for each in STRENGTHS
    ]
    below = [strength_of(math.nextafter(each, 0)) for each in borders[1:]]
    assert below == [each.name for each in STRENGTHS[:-1]]
    assert all(each.why for each in STRENGTHS)


def test_a_share_is_what_the_steps_take():
    """Against (1 - lr·λ)^steps in the digits of Decimal."""
    for lr, steps, strength in (
        ("1e-5", 40_000, "next to nothing"),
        ("1e-5", 400, "nothing"),
        ("1e-4", 30_000, "weak"),
        ("1e-3", 13_000, "moderate"),
    ):
        left = (1 - Decimal(lr) * Decimal("0.1")) ** steps
        found = explain(0.1, "torch.optim.AdamW", run=Run(lr=float(lr), steps=steps))
        taken = f"removes {100 * float(1 - left):.3g} % of a weight over the run"
        assert found.kept == pytest.approx(float(left))
        assert found.summary.startswith(taken)
        assert found.strength == strength


def test_a_half_life_is_counted_in_what_people_count_in():
    """Epochs, else tokens, else shares of the run, else steps."""
    # ln 2 / (1e-3 · 0.1) is 6931.5 steps, and -ln 2 / ln(1 - 1e-4) is 6931.1.
    epochs = {"batch_size": 100, "dataset_size": 50_000, "epochs": 100}
    tokens = {"batch_size": 10, "tokens_per_example": 10, "steps": 50_000}
    known = {
        " 13.9 epochs: strong": epochs | {"tokens_per_example": 10},
        " 693,113 tokens: strong": tokens,
        " 13.9% of the run: strong": {"steps": 50_000},
        " 6,931 steps; the length": {},
    }
    summaries = {
        half_life: explain(0.1, "torch.optim.AdamW", run={"lr": 1e-3} | facts).summary
        for half_life, facts in known.items()
    }
    assert [
        time for time, text in summaries.items() if f"every{time}" not in text
    ] == []


OF_IMAGES = Run(lr=1e-3, batch_size=100, dataset_size=50_000, epochs=20)


def test_a_terminal_and_a_notebook_show_the_same_facts():
    """Rich prints the text as it is, brackets too; HTML has every fact."""
    for result in (
        explain(0.1, "torch.optim.AdamW", run=OF_IMAGES),
        convert(5e-4, "keras.regularizers.L2", to="torch.optim.SGD"),
        rescale(0.1, "torch.optim.AdamW", before=OF_IMAGES, after=Run(batch_size=200)),
    ):
        out = io.StringIO()
        Console(file=out, width=WIDTH, color_system=None).print(result)
        printed = [line.rstrip() for line in out.getvalue().splitlines()]
        assert printed == str(result).splitlines()
        page = result._repr_html_()
        assert str(result).splitlines()[0].strip() in page
        assert page.count("<tr>") == page.count("</tr>") > 0


def test_texts_of_strangers_are_escaped():
    """What came as text reaches a notebook as text, and a terminal without styles."""
    run = Run(lr=" 1e-3 ", schedule="cosine", steps="1e2")
    shown = explain(0.1, "torch.AdamW", run=run)
    assert "&#x27; 1e-3 &#x27;" in shown._repr_html_()
    assert r"\[" not in str(shown)


def test_an_infinite_half_life_is_inf():
    """An infinite half-life is not a missing one."""
    never = convert(0.0, "optax.adamw", to="half-life:steps", run=OF_IMAGES)
    assert str(never).splitlines()[0].endswith("half-life:steps = inf")
