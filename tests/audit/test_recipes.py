"""Known recipes: their e-folds are recomputed here, and compared by kind."""

import math

import pytest
from architecture.source import ROOT
from tolerance import digits

from dwindle.audit.recipes import RECIPES, nearest_recipe, recipe_finding
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

COSINE = [(1.0, Schedule(shape="cosine"))]
TO_A_TENTH = [(1.0, Schedule(shape="cosine", final=0.1))]
# name: (momentum, the lr in pieces of the run: (share of the peak, schedule))
PIECES = {
    "ResNet-50 on ImageNet": (0.9, [(f, Schedule()) for f in (1, 0.1, 0.01)]),
    "a ResNet on CIFAR-10": (0.9, COSINE),
    "DeiT on ImageNet": (0, COSINE),
    "BERT-base": (0, [(1.0, Schedule(shape="linear"))]),
    "GPT-3 175B": (0, TO_A_TENTH),
    "LLaMA 7B": (0, TO_A_TENTH),
    "LLaMA 65B": (0, TO_A_TENTH),
    "nanoGPT's GPT-2 124M": (0, TO_A_TENTH),
}
KNOBS = {"sgd": "torch.SGD", "adamw": "torch.AdamW"}


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.name for recipe in RECIPES])
def test_the_numbers_of_a_recipe_are_those_of_explain(recipe):
    """e-folds and half-life in the table are what the mathematics gives."""
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
    assert sum(each.e_folds for each in told) == digits(recipe.e_folds, rel=0.02)
    share = told[0].half_life["steps"] / recipe.steps
    assert share == digits(recipe.half_life_share, rel=0.01)
    assert recipe.kept == math.exp(-recipe.e_folds)
    assert recipe.source


def test_the_docs_list_every_recipe():
    """docs/audit.md has a row with the numbers of every recipe."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")
    for recipe in RECIPES:
        numbers = f"| {recipe.half_life_share:g} | {recipe.e_folds:g} |"
        (row,) = [line for line in page.splitlines() if f"| {recipe.name} |" in line]
        assert numbers in row
        assert recipe.source in row


def test_the_nearest_is_of_the_same_kind():
    """SGD is compared with SGD, decoupled with decoupled, the others with none."""
    assert nearest_recipe("coupled-sgd", 0.01).kind == "sgd"
    assert nearest_recipe("decoupled", 4.5).name == "LLaMA 7B"
    assert nearest_recipe("schedule-only", 100).name == "nanoGPT's GPT-2 124M"
    assert nearest_recipe("coupled-adaptive", 4.5) is None
    assert nearest_recipe("decoupled", None) is None
    assert nearest_recipe("decoupled", 0) is None


def test_a_setting_like_a_recipe_gives_no_note():
    """Between recipes of its kind, or near one, there is nothing to say."""
    for steps in (8000, 35_000, 400_000, 1_000_000):
        run = Run(lr=6e-4, steps=steps, schedule=Schedule(shape="cosine"))
        assert recipe_finding(explain(0.1, "torch.AdamW", run=run)) is None


def test_a_weight_that_swings_is_compared_with_nothing():
    """Where momentum makes weights swing there is no half-life to compare."""
    run = Run(lr=0.1, momentum=0.9, steps=100)
    told = explain(0.1, "torch.SGD", run=run)
    assert told.e_folds is not None
    assert recipe_finding(told) is None


def test_a_setting_far_from_all_recipes_gives_a_note():
    """SGD that leaves half of a weight is told beside ResNet-50's 6e-08."""
    run = Run(lr=0.1, steps=60_000)
    note = recipe_finding(explain(1e-4, "torch.SGD", run=run), where="group 0")
    assert (note.code, note.severity, note.where) == ("DW017", "note", "group 0")
    assert note.evidence.startswith("ResNet-50 on ImageNet leaves 6e-08 of a weight")
    assert "arXiv 1512.03385" in note.remedy
