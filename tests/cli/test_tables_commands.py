"""dwindle rules and dwindle knobs: the tables and their single entries."""

import json

import pytest

from dwindle.cli.main import main
from dwindle.cli.rules import law
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rules import RULES, resolve_rule


def _json(words, capsys):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_rules_lists_every_rule(capsys):
    """The table and the JSON name every rule."""
    assert [rule["name"] for rule in _json(["rules"], capsys)["rules"]] == [
        rule.name for rule in RULES
    ]
    assert main(["rules"]) == 0
    shown = capsys.readouterr().out
    assert [rule.name for rule in RULES if rule.name not in shown] == []


def test_one_rule_shows_its_source(capsys):
    """One rule is told with its source, its evidence and its exponents."""
    rule = resolve_rule("neal")
    assert main(["rules", "neal"]) == 0
    shown = capsys.readouterr().out
    assert rule.source in shown
    assert rule.evidence in shown
    (told,) = _json(["rules", "neal"], capsys)["rules"]
    assert told["exponents"] == dict(rule.exponents)
    assert told["families"] == list(rule.families)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("question-layer-mean", "λ ∝ 1 / weights"),
        ("neal", "λ ∝ width / dataset size"),
        ("loshchilov-hutter", "shrink ∝ 1 / steps^½"),
        ("nanochat-width", "shrink ∝ 1 / width²"),
        ("half-life-steps", "shrink stays, whatever lr"),
    ],
)
def test_a_rule_reads_as_a_law(name, said):
    """A vector of exponents is shown as a proportionality."""
    assert law(resolve_rule(name)) == said


def test_knobs_lists_every_knob(capsys):
    """The table and the JSON name every knob, with what its number does."""
    told = {knob["name"]: knob["formula"] for knob in _json(["knobs"], capsys)["knobs"]}
    assert told == {name: knob.formula for name, knob in KNOBS.items()}
    assert main(["knobs"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in KNOBS if name not in shown] == []


def test_one_knob_shows_default_and_source(capsys):
    """A short name is enough for one knob, told with default, version and source."""
    assert main(["knobs", "AdamW"]) == 0
    shown = capsys.readouterr().out
    for part in ("torch.optim.AdamW", "0.01", "torch 2.13.0", "torch/optim/adamw.py"):
        assert part in shown


@pytest.mark.parametrize(
    ("line", "near"),
    [("rules bengio", "bengio-map"), ("knobs torch.AdmW", "torch.optim.AdamW")],
)
def test_an_unknown_name_gets_the_nearest(line, near, capsys):
    """A name that is in no table is told the nearest ones, and exits with 2."""
    assert main(line.split()) == 2
    assert near in capsys.readouterr().err
    assert main([*line.split(), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "UnknownNameError"
    assert near in error["facts"]["nearest"]
