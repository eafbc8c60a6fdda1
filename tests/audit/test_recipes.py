"""Known recipes: what a setting is compared with, by kind."""

from architecture.source import ROOT
from tolerance import digits

from dwindle.audit.setting_findings import (
    is_within_practice,
    recipe_finding,
    recipes_of_practice,
)
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.wording import number

CONV, LM = "convolutional network", "language model"
KINDS = {
    "SGD": ("coupled-sgd", (CONV, "recurrent language model")),
    "AdamW": ("decoupled", (CONV, "vision transformer", LM)),
}


def test_the_docs_list_what_is_compared():
    """docs/audit.md has a row with the range of every kind."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")
    for optimizer, (family, networks) in KINDS.items():
        for network in networks:
            alike = recipes_of_practice(family, network)
            e_folds = [each.e_folds for each in alike]
            least, most = min(e_folds), max(e_folds)
            cells = (
                f"{network}, {optimizer}",
                str(len(alike)),
                f"{min(each.lr for each in alike):g}",
                f"{min(each.run.total_steps for each in alike):,}",
                f"{number(least)} to {number(most)}",
            )
            assert f"| {' | '.join(cells)} |" in page


def test_recipes_are_alike_in_optimizer_and_network():
    """SGD on a convolutional network and AdamW on one are two kinds; MLPs have none."""
    alike = recipes_of_practice("coupled-sgd", CONV)
    assert {each.knob.name for each in alike} == {"torch.optim.SGD"}
    names = {each.name for each in alike}
    assert "MobileNetV2 on ImageNet" in names
    # From a trained backbone, and without normalization layers.
    assert not names & {
        "Mask R-CNN R50-FPN on COCO, 1x",
        "AlexNet on ImageNet, Caffe's",
    }
    assert recipes_of_practice("schedule-only", LM) == recipes_of_practice(
        "decoupled", LM
    )
    assert all(each.e_folds > 0 for each in recipes_of_practice("decoupled", LM))
    assert recipes_of_practice("coupled-adaptive", CONV) == []
    assert recipes_of_practice("coupled-sgd", LM) == []
    assert recipes_of_practice("decoupled", None) == []


def test_a_setting_far_from_all_recipes_gives_a_note():
    """SGD that leaves half of a weight is compared with MobileNetV2's 1.17%."""
    run = Run(lr=0.1, steps=60_000)
    explanation = explain(1e-4, "torch.SGD", run=run)
    note = recipe_finding(explanation, run, model=CONV, where="group 0")
    assert (note.code, note.severity, note.where) == ("DW017", "note", "group 0")
    assert note.values["recipe"] == "MobileNetV2 on ImageNet"
    assert note.values["recipe_keeps"] == digits(0.0117, rel=0.01)
    assert note.values["keeps"] == explanation.kept


# Settings without a note: the knob, its number, the run, the network.
NO_NOTES = {
    **{
        f"like recipes, {steps} steps": (
            "torch.AdamW",
            0.1,
            Run(lr=6e-4, steps=steps, schedule=Schedule(shape="cosine")),
            LM,
        )
        for steps in (8000, 35_000, 400_000, 1_000_000)
    },
    # It has e-folds, and no half-life to compare.
    "swings": ("torch.SGD", 0.1, Run(lr=0.1, momentum=0.9, steps=50_000), CONV),
    # Fine-tuning leaves nearly all of a weight, which no recipe from scratch does.
    "a small lr": ("torch.SGD", 1e-4, Run(lr=1e-3, steps=60_000), CONV),
    "a trial": ("torch.SGD", 1e-4, Run(lr=0.1, steps=1000), CONV),
    "the Trainer's lr": ("torch.AdamW", 0.01, Run(lr=5e-5, steps=30_000), LM),
    "an MLP": ("torch.AdamW", 0.01, Run(lr=1e-3, steps=60_000), None),
}


def test_a_setting_like_a_recipe_or_of_another_kind_gives_no_note():
    """Between recipes of its kind, or near one, or where no recipe is like it."""
    notes = {}
    for name, (knob, value, run, model) in NO_NOTES.items():
        explanation = explain(value, knob, run=run)
        assert explanation.e_folds is not None
        notes[name] = recipe_finding(explanation, run, model=model)
    assert not any(notes.values()), notes


def test_recipes_themselves_are_within_practice():
    """GPT-3's 1.2 runs are no mistake in a language model; an MLP has no recipes."""
    run = Run(lr=6e-5, steps=93_750, schedule=Schedule(shape="cosine", final=0.1))
    explanation = explain(0.1, "torch.AdamW", run=run)
    assert is_within_practice(explanation, LM)
    assert not is_within_practice(explanation, CONV)
    assert not is_within_practice(explanation, None)
    # Of all of them GPT-NeoX decays least, by 0.08 e-folds.
    assert not is_within_practice(explain(0.02, "torch.AdamW", run=run), LM)
