"""What rescale answers, and that its drawing has the numbers of its data."""

import math
import shlex
from dataclasses import replace

import pytest

from dwindle.decay.evidence.recommend import Candidate, Experiment, recommend
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.setting import read_setting
from dwindle.errors import UnknownNameError
from dwindle.show import as_text
from dwindle.wording import number

ADAMW = "torch.optim.AdamW"
SMALL = Run(lr=3e-4, batch_size=256, dataset_size=1_281_167, epochs=90)
LARGE = Run(lr=8e-4, batch_size=2048, dataset_size=1_281_167, epochs=30)
TOKENS = [
    Run(lr=3e-4, batch_size=1, tokens_per_example=500_000, steps=steps)
    for steps in (40_000, 200_000)
]


def test_the_answer_is_what_the_evidence_recommends():
    """The same record, in Python and JSON, for every class that the facts allow."""
    found = rescale(0.1, ADAMW, before=SMALL, after=LARGE)
    wanted = recommend(read_setting(0.1, ADAMW), SMALL, LARGE)
    assert found.recommendation == wanted
    assert found.as_dict()["recommendation"] == wanted.as_dict()
    assert [each.kind_of_run for each in wanted.others] == ["many-epochs-plain"]
    said = rescale(0.1, ADAMW, before=SMALL, after=LARGE, normalized=False)
    assert said.recommendation == wanted.others[0]


def test_the_drawing_has_the_value_its_range_and_its_reasons():
    """As many digits as mean something, the factors, and the rules beside it."""
    found = rescale(0.1, ADAMW, before=TOKENS[0], after=TOKENS[1])
    there, shown = found.recommendation, str(found)
    assert there.digits == 2
    for each in (there.value, there.low, there.high, there.reasons[0].factor):
        assert f"{each:.2g}" in shown
    # Five times the steps at one lr·λ remove five times as much.
    before, after = found.before.e_folds, found.unchanged.e_folds
    assert after == pytest.approx(5 * before, rel=1e-12)
    assert before == pytest.approx(-40_000 * math.log1p(-3e-5), rel=1e-9)
    assert f"{number(after)} e-folds" in shown
    applies = {each.rule: each.value for each in found.rules if each.applies}
    assert f"loshchilov-hutter {number(applies['loshchilov-hutter'])}" in shown
    whole = as_text(found.drawn(all_rules=True))
    assert [rule for rule in applies if rule not in whole] == []
    assert shown in whole


@pytest.mark.parametrize(("records", "who"), [(0, "nobody has"), (1, "too few have")])
def test_a_range_beyond_ten_names_candidates_and_what_would_decide(records, who):
    """It says how many have measured it, and gives what two rules make of it."""
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
def test_a_factor_says_what_it_multiplies(knob, what):
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
    """Text repeated for the first time: recipes are no measurement, and no 90 %."""
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


def test_a_regime_that_is_said_counts_more_than_the_facts():
    """Also where it contradicts them; LoRA is fine-tuning, an unknown one refused."""
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
