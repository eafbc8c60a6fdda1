"""Known recipes: their e-folds are recomputed here, and compared by kind."""

import math

import pytest
from architecture.source import ROOT
from tolerance import digits

from dwindle.audit.recipes import (
    RECIPES,
    is_within_practice,
    recipe_finding,
    recipes_like,
)
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

COSINE = [(1.0, Schedule(shape="cosine"))]
TO_A_TENTH = [(1.0, Schedule(shape="cosine", final=0.1))]
# name: (momentum, the lr in pieces of the run: (share of the peak, schedule))
PIECES = {
    "ResNet-50 on ImageNet": (0.9, [(f, Schedule()) for f in (1, 0.1, 0.01)]),
    "a ResNet on CIFAR-10": (0.9, COSINE),
    "MobileNetV2 on ImageNet": (0.9, [(0.98**k, Schedule()) for k in range(300)]),
    "AWD-LSTM on Penn Treebank": (0, [(1.0, Schedule())]),
    "DeiT on ImageNet": (0, COSINE),
    "BERT-base": (0, [(1.0, Schedule(shape="linear"))]),
    "GPT-3 175B": (0, TO_A_TENTH),
    "LLaMA 7B": (0, TO_A_TENTH),
    "LLaMA 65B": (0, TO_A_TENTH),
    "nanoGPT's GPT-2 124M": (0, TO_A_TENTH),
    "nanoGPT on Shakespeare's characters": (
        0,
        [(1.0, Schedule(shape="cosine", warmup=100 / 5000, final=0.1))],
    ),
    "ConvNeXt-T on ImageNet": (
        0,
        [(1.0, Schedule(shape="cosine", warmup=20 / 300))],
    ),
}
KNOBS = {"sgd": "torch.SGD", "adamw": "torch.AdamW"}


def test_the_numbers_of_a_recipe_are_those_of_explain():
    """e-folds and half-life in the table are what the mathematics gives."""
    assert PIECES.keys() == {recipe.name for recipe in RECIPES}
    for recipe in RECIPES:
        momentum, pieces = PIECES[recipe.name]
        told = [
            explain(
                recipe.weight_decay,
                KNOBS[recipe.kind],
                run=Run(
                    lr=recipe.lr * share,
                    momentum=momentum,
                    steps=recipe.steps // len(pieces),
                    schedule=schedule,
                ),
            )
            for share, schedule in pieces
        ]
        # The table rounds to three digits, of 0.31 to two.
        e_folds = sum(each.e_folds for each in told)
        assert e_folds == digits(recipe.e_folds, rel=0.02), recipe.name
        share = told[0].half_life["steps"] / recipe.steps
        assert share == digits(recipe.half_life_share, rel=0.01), recipe.name
        assert recipe.kept == math.exp(-recipe.e_folds)


def test_the_docs_list_every_recipe():
    """docs/audit.md has a row with the numbers of every recipe."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")
    for recipe in RECIPES:
        numbers = f"| {recipe.half_life_share:g} | {recipe.e_folds:g} |"
        (row,) = [line for line in page.splitlines() if f"| {recipe.name} |" in line]
        assert numbers in row
        assert recipe.source in row


CONV, LM = "convolutional network", "language model"


def test_recipes_are_alike_in_optimizer_and_network():
    """SGD on a convolutional network and AdamW on one are two kinds; MLPs have none."""
    assert {each.kind for each in recipes_like("coupled-sgd", CONV)} == {"sgd"}
    assert [each.name for each in recipes_like("decoupled", CONV)] == [
        "ConvNeXt-T on ImageNet"
    ]
    assert len(recipes_like("schedule-only", LM)) == 6
    assert recipes_like("coupled-adaptive", CONV) == []
    assert recipes_like("coupled-sgd", LM) == []
    assert recipes_like("decoupled", None) == []


def test_a_setting_like_a_recipe_gives_no_note():
    """Between recipes of its kind, or near one, there is nothing to say."""
    for steps in (8000, 35_000, 400_000, 1_000_000):
        run = Run(lr=6e-4, steps=steps, schedule=Schedule(shape="cosine"))
        told = explain(0.1, "torch.AdamW", run=run)
        assert recipe_finding(told, run, model=LM) is None


def test_a_weight_that_swings_is_compared_with_nothing():
    """Where momentum makes weights swing there is no half-life to compare."""
    run = Run(lr=0.1, momentum=0.9, steps=50_000)
    told = explain(0.1, "torch.SGD", run=run)
    assert told.e_folds is not None
    assert recipe_finding(told, run, model=CONV) is None


def test_a_setting_far_from_all_recipes_gives_a_note():
    """SGD that leaves half of a weight is told beside MobileNetV2's 1.12%."""
    run = Run(lr=0.1, steps=60_000)
    told = explain(1e-4, "torch.SGD", run=run)
    note = recipe_finding(told, run, model=CONV, where="group 0")
    assert (note.code, note.severity, note.where) == ("DW017", "note", "group 0")
    assert note.values["recipe"] == "MobileNetV2 on ImageNet"
    assert note.values["recipe_keeps"] == digits(0.0112, rel=0.01)
    assert note.values["keeps"] == told.kept


@pytest.mark.parametrize(
    ("knob", "value", "run", "model"),
    [
        ("torch.SGD", 1e-4, Run(lr=1e-3, steps=60_000), CONV),
        ("torch.SGD", 1e-4, Run(lr=0.1, steps=1000), CONV),
        ("torch.AdamW", 0.01, Run(lr=5e-5, steps=30_000), LM),
        ("torch.AdamW", 0.01, Run(lr=1e-3, steps=60_000), None),
    ],
    ids=["a small lr", "a trial", "the Trainer's lr", "an MLP"],
)
def test_a_run_of_another_kind_is_compared_with_none(knob, value, run, model):
    """Fine-tuning leaves nearly all of a weight, which no recipe from scratch does."""
    told = explain(value, knob, run=run)
    assert recipe_finding(told, run, model=model) is None


def test_recipes_themselves_are_within_practice():
    """GPT-3's 2.2 runs are no mistake in a language model, and no word on an MLP."""
    run = Run(lr=6e-5, steps=93_750, schedule=Schedule(shape="cosine", final=0.1))
    told = explain(0.1, "torch.AdamW", run=run)
    assert is_within_practice(told, LM)
    assert not is_within_practice(told, CONV)
    assert not is_within_practice(told, None)
    assert not is_within_practice(explain(0.05, "torch.AdamW", run=run), LM)
