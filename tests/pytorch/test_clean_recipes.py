"""Published recipes pass: what their authors wrote is no error and no warning."""

import pytest
import torch
from pytorch.clean_recipes import RECIPES, TinyViT
from pytorch.planted_programs import TinyGpt, cnn
from tolerance import digits
from torch import nn

from dwindle.decay.run import Run
from dwindle.pytorch.audit import audit
from dwindle.pytorch.checks.facts import network_of

# A second or more each: walks, of which the Trainer's is another, and 50 groups.
LONG = {"BERT-base", "GPT-3-175B", "LLaMA-7B", "MAE-fine-tuning-of-ViT-L"}


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(each, marks=[pytest.mark.full] if str(each) in LONG else [])
        for each in RECIPES
    ],
    ids=str,
)
def test_a_published_recipe_is_no_warning(recipe):
    """Notes may be found in it; nothing that would fail a check."""
    found = recipe.build().audited()
    shown = [(each.code, each.evidence) for each in found.findings]
    assert found.exit_code == 0, (recipe.source, shown)
    assert "DW017" not in [code for code, _ in shown]


def _of(found, code):
    return [(each.severity, each.where) for each in found.findings if each.code == code]


def two_layers(*lrs, **facts):
    """What is found where two layers have an lr each, under one weight decay."""
    model = nn.ModuleList([nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)])
    groups = [
        {"params": layer.parameters(), "lr": lr}
        for layer, lr in zip(model, lrs, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.05)
    return audit(model, optimizer, run=Run(**facts)).selected(["DW010"])


EPOCHS = {"batch_size": 128, "dataset_size": 50_000, "epochs": 90}


def test_each_group_is_judged_by_its_own_half_life():
    """39.4 runs are a note, 3.94 a warning: two findings, each with its numbers."""
    found = two_layers(1e-5, 1e-4, **EPOCHS)
    assert _of(found, "DW010") == [("warning", "group 1"), ("note", "group 0")]
    runs = [each.values["runs"] for each in found.findings]
    assert runs == [digits(3.94, rel=1e-3), digits(39.4, rel=1e-3)]


def test_groups_of_one_finding_have_its_least_and_most():
    """Two groups of 12 and 39 runs share a note, which names both."""
    (note,) = two_layers(1e-5, 3e-5, steps=35_190).findings
    assert (note.severity, note.values["groups"]) == ("note", (0, 1))
    assert note.values["least"] == digits(13.1, rel=5e-3)
    assert note.values["most"] == digits(39.4, rel=1e-3)


def test_a_lower_layer_is_a_note_only_beside_one_that_decays():
    """Layer-wise lrs are meant; where even the head hardly decays, nothing is."""
    found = two_layers(1e-4, 1e-3, steps=35_190)
    assert _of(found, "DW010") == [("note", "group 0")]
    shorter = two_layers(1e-4, 1e-3, steps=5000)
    assert ("warning", "group 1") in _of(shorter, "DW010")


def test_a_memory_of_a_thousand_steps_is_no_warning():
    """Below an epoch, but as long as language models have it: DW011 is a note."""
    model = nn.Linear(8, 8, bias=False)
    run = Run(batch_size=10, dataset_size=100_000, epochs=3)
    for decay, severity in {0.5: "note", 50: "warning"}.items():
        adamw = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)
        found = _of(audit(model, adamw, run=run), "DW011")
        assert found == [(severity, "group 0")], decay


def test_a_decayed_bias_is_a_note_where_a_recipe_has_it():
    """SGD on a ResNet from scratch; not AdamW, not without facts, not an MLP."""
    run = Run(batch_size=256, dataset_size=1_281_167, epochs=90)
    mlp = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))

    def severity(kind, model, run, **options):
        optimizer = kind(model.parameters(), weight_decay=1e-4, **options)
        return _of(audit(model, optimizer, run=run), "DW001")[0][0]

    assert severity(torch.optim.SGD, cnn(), run, lr=0.1) == "note"
    assert severity(torch.optim.SGD, cnn(), None, lr=0.1) == "warning"
    assert severity(torch.optim.SGD, mlp, run, lr=0.1) == "warning"
    assert severity(torch.optim.AdamW, cnn(), run, lr=0.1) == "warning"


def test_layers_show_the_kind_of_a_network():
    """Convolutions, attention and embeddings; what has them all is of no kind."""
    recurrent = nn.ModuleList([nn.Embedding(4, 2), nn.GRU(2, 2)])
    for model, network in (
        (cnn(), "convolutional network"),
        (TinyViT(), "vision transformer"),
        (TinyGpt(), "language model"),
        (recurrent, "recurrent language model"),
        (nn.Linear(2, 2), None),
        (nn.ModuleList([cnn(), TinyGpt()]), None),
    ):
        assert network_of(model) == network
