"""Suggest and the recipes beside a value: who is compared, and what follows."""

import json
import math
from statistics import median

import pytest

from dwindle.decay.evidence.kinds import family_of_evidence
from dwindle.decay.evidence.peers import nearest_in_length, recipes_like
from dwindle.decay.evidence.recipes import recipes
from dwindle.decay.evidence.suggest import suggest
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.errors import (
    DwindleError,
    MissingFactError,
    RangeError,
    RefusedError,
    UnknownNameError,
    UsageError,
)

ADAMW, SGD = "torch.optim.AdamW", "torch.optim.SGD"
VISION = {"lr": 1e-3, "batch_size": 1024, "dataset_size": 1_281_167, "epochs": 300}
TOKENS = {"lr": 3e-4, "batch_size": 256, "tokens_per_example": 2048, "steps": 40_000}
TUNED = {"lr": 2e-5, "batch_size": 16, "dataset_size": 10_000, "epochs": 3}


def test_a_value_is_the_median_total_decay_typed_into_the_knob():
    """By hand: (1 - lr·λ)^steps is exp(-median) at a constant lr, and so for ends."""
    found = suggest(ADAMW, run=TOKENS)
    by_name = {each.name: each for each in recipes()}
    decays = [by_name[each.recipe].e_folds for each in found.reasons]
    decays = [each for each in decays if each >= 0.01]  # less is to do without
    assert found.measure == "e_folds"
    assert all(by_name[each.recipe].domain == "language" for each in found.reasons)

    def typed(e_folds):
        return -math.expm1(-e_folds / TOKENS["steps"]) / TOKENS["lr"]

    # 1e-9: a root of the survival, which knob_for_e_folds has in closed form or finds.
    assert found.value == pytest.approx(typed(median(decays)), rel=1e-9)
    assert found.low == pytest.approx(typed(min(decays)), rel=1e-9)
    assert found.high == pytest.approx(typed(max(decays)), rel=1e-9)
    assert found.explanation.e_folds == pytest.approx(median(decays), rel=1e-9)


def test_a_recipe_that_is_asked_about_is_its_own_answer():
    """DeiT's facts give DeiT's total decay among the reasons, and its value."""
    deit = next(each for each in recipes() if each.name.startswith("DeiT-B on"))
    found = suggest(deit.optimizer, run=deit.run(), domain="vision")
    (own,) = [each for each in found.reasons if each.recipe == deit.name]
    assert own.e_folds == deit.e_folds
    # Whichever measure they share, DeiT's own leads to what DeiT types.
    assert own.value == pytest.approx(deit.weight_decay, rel=1e-6)
    assert found.low <= own.value <= found.high


def test_who_is_compared_with_whom():
    """A class never mixes; LoRA has LoRA; a domain and a family where three have it."""
    knob = KNOBS[ADAMW]
    seen = {
        name: recipes_like(knob, Run(**facts), **kind)
        for name, facts, kind in (
            ("vision", VISION, {}),
            ("tokens", TOKENS, {}),
            ("tuned", TUNED, {}),
            ("tuned by name", VISION, {"regime": "fine-tuning"}),
            ("lora", TUNED, {"regime": "lora"}),
            ("scratch", TUNED, {"regime": "many-epochs"}),
        )
    }
    kinds = {
        name: {each.kind_of_run for each in of.recipes} for name, of in seen.items()
    }
    assert kinds == {
        "vision": {"many-epochs-normalized"},
        "tokens": {"single-pass"},
        "scratch": {"many-epochs-normalized"},
        **{name: {"fine-tuning"} for name in ("tuned", "tuned by name", "lora")},
    }
    assert all(each.lora for each in seen["lora"].recipes)
    assert not any(each.lora for each in seen["tuned"].recipes)
    assert seen["tuned"].notes  # that an lr below 1e-4 decided it
    assert not seen["tuned by name"].notes
    assert {each.domain for each in seen["tokens"].recipes} == {"language"}
    assert not seen["vision"].notes
    assert "lion" in recipes_like(KNOBS["timm.lion"], Run(**VISION)).notes[-1]
    in_vision = recipes_like(knob, Run(**VISION), domain="vision")
    assert {each.domain for each in in_vision.recipes} == {"vision"}
    assert recipes_like(knob, Run(lr=1e-3)) is None
    plain = recipes_like(knob, Run(**VISION), normalized=False)
    assert {each.kind_of_run for each in plain.recipes} == {"many-epochs-plain"}
    assert "language" not in {each.domain for each in seen["vision"].recipes}


def test_an_lr_below_which_training_goes_on_from_trained_weights():
    """The border that is drawn between the two holds in the table of recipes."""
    adaptive = [
        each
        for each in recipes()
        if family_of_evidence(each.knob) == "adaptive" and not each.lora
    ]
    tuned = [each.lr for each in adaptive if each.kind_of_run == "fine-tuning"]
    scratch = [each.lr for each in adaptive if each.kind_of_run != "fine-tuning"]
    # Three of vision, with layer-wise lr decay; one transformer for tables, tuned.
    assert sum(lr >= 6e-5 for lr in tuned) <= 0.15 * len(tuned)
    assert sum(lr < 6e-5 for lr in scratch) <= 0.02 * len(scratch)


def test_where_most_do_without_the_answer_is_0():
    """Fine-tunes: 1e-8, 0, and a decay that removes less than 1 % are all none."""
    found = suggest(ADAMW, run=TUNED)
    deciding = [each for each in found.reasons if each.value is not None]
    assert 2 * len(deciding) < len(found.reasons)
    assert (found.value, found.explanation.strength) == (0.0, "nothing")
    assert all(each.e_folds >= 0.01 for each in deciding)
    lora = suggest(ADAMW, run=TUNED, regime="lora")
    assert (lora.value, lora.low, lora.high) == (0.0, 0.0, 0.0)


def test_recipes_of_the_nearest_length_decide():
    """Five, and those as far away as the fifth; on tokens, else epochs, else steps."""
    peers = recipes_like(KNOBS[ADAMW], Run(**TOKENS))
    tokens = TOKENS["steps"] * TOKENS["batch_size"] * TOKENS["tokens_per_example"]
    far = sorted(
        abs(math.log(known["tokens"] / tokens))
        for each in peers.recipes
        if "tokens" in (known := each.run().quantities())
    )
    near = nearest_in_length(peers.recipes, Run(**TOKENS), 5)
    assert len(near) == sum(each <= far[4] for each in far)


def test_of_two_as_long_the_one_on_as_many_data_is_nearer():
    """Ninety epochs of ImageNet-1k are not beside ninety of ImageNet-22k."""
    run = Run(lr=1e-3, batch_size=1024, dataset_size=1_281_167, epochs=90)
    peers = recipes_like(KNOBS[ADAMW], run)
    near = nearest_in_length(peers.recipes, run, 1)
    sizes = [each.dataset_size for each in near if each.epochs == run.epochs]
    assert len(set(sizes)) > 1
    assert sizes == sorted(sizes, key=lambda size: abs(math.log(size / 1_281_167)))
    assert near[0].dataset_size == sizes[0]


def test_recipes_are_listed_by_what_they_share():
    """Half-lives stand beside half-lives; who has none is not said to do without."""
    run = TOKENS | {"steps": None, "dataset_size": 48_800, "epochs": 16}
    found = suggest(ADAMW, run=Run(**run))
    assert found.measure == "half_life_epochs"
    shown = " ".join(str(found).split())
    unknown = [each for each in found.reasons if each.half_life_epochs is None]
    assert unknown
    assert all(each.e_folds > 0.01 for each in found.reasons)
    assert f"{len(unknown)} with no known epochs" in shown
    assert "under 1%" not in shown
    for each in found.reasons[:5]:
        if each.half_life_epochs:
            assert f"{each.recipe} {each.half_life_epochs:.2g}" in shown


@pytest.mark.parametrize(("size", "is_far"), [(50_000, True), (1_281_167, False)])
def test_recipes_of_many_times_the_steps_are_said_to_be(size, is_far):
    """Ninety epochs of a few images: a total decay of ImageNet's steps is untried."""
    run = Run(lr=1e-3, batch_size=1024, dataset_size=size, epochs=90)
    notes = " ".join(suggest(ADAMW, run=run).notes)
    assert ("times as many steps" in notes) == is_far


def test_a_half_life_knob_and_the_json():
    """A rate has no optimizer family; JSON can hold every field."""
    found = suggest("half-life:epochs", run=VISION, domain="vision")
    assert found.low < found.value < found.high
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert list(plain) == [
        *("knob", "value", "low", "high", "reasons", "class", "measure", "notes")
    ]
    assert set(plain["reasons"][0]) >= {"recipe", "source", "e_folds"}


def test_what_cannot_be_suggested():
    """No rate, no optimizer, unknown kind or name, and facts that are missing."""
    without_lr = {"epochs": 30, "dataset_size": 100, "batch_size": 10}
    cases = [
        (RefusedError, "torch.optim.Adam", VISION, {}),
        (RefusedError, "keras.regularizers.L2", VISION, {}),
        (UsageError, ADAMW, {"lr": 1e-3, "steps": 100}, {}),
        (UnknownNameError, ADAMW, VISION, {"regime": "often"}),
        (UnknownNameError, ADAMW, VISION, {"domain": "poetry"}),
        (MissingFactError, ADAMW, without_lr, {}),
        (RangeError, ADAMW, VISION | {"lr": 0.0}, {}),
    ]
    raised = []
    for _, knob, facts, kind in cases:
        with pytest.raises(DwindleError) as error:
            suggest(knob, run=facts, **kind)
        raised.append(type(error.value))
    assert raised == [error for error, *_ in cases]


def test_explain_places_a_value_among_its_kind():
    """Only where the total decay and the class are known; the nearest is named."""
    there = explain(1e-5, ADAMW, run=VISION).among
    assert there.nearest_e_folds == pytest.approx(9.48, rel=0.01)
    assert there.e_folds < there.low or there.low == 0
    assert there.e_folds == pytest.approx(1e-8 * 1252 * 300, rel=1e-3)
    assert explain(0.1, ADAMW, run={"lr": 1e-3}).among is None
    assert explain(0.1, "torch.optim.Adam", run=VISION).among is None
    tuned = explain(0.1, ADAMW, run=VISION, regime="fine-tuning").among
    assert "fine-tunes" in tuned.title
