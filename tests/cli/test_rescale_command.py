"""dwindle rescale: what to type now, if nothing is changed, and why not."""

import json
import shlex

import pytest

from dwindle.cli.main import main
from dwindle.decay.rescale import rescale
from dwindle.decay.rules import RULES
from dwindle.decay.run import Run

LINE = shlex.split(
    "rescale torch.optim.AdamW=0.1 --lr 3e-4:8e-4 --batch-size 256:2048 "
    "--dataset-size 1281167 --epochs 90:30"
)
FIELDS = {"rule", "value", "keeps", "half_life", "evidence", "applies", "why_not"}


def _json(words, capsys):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_json_has_the_documented_fields(capsys):
    """--json tells before, unchanged, and every rule with the documented fields."""
    told = _json(LINE, capsys)
    assert list(told) == ["knob", "before", "unchanged", "rules"]
    assert told["knob"] == "torch.optim.AdamW"
    assert told["before"]["value"] == told["unchanged"]["value"] == 0.1
    assert [rule["rule"] for rule in told["rules"]] == [rule.name for rule in RULES]
    assert [rule for rule in told["rules"] if not set(rule) >= FIELDS] == []


def test_facts_reach_both_sides(capsys):
    """before:after reaches the two runs: the numbers are those of Python's rescale."""
    before = Run(lr=3e-4, batch_size=256, dataset_size=1_281_167, epochs=90)
    after = Run(lr=8e-4, batch_size=2048, dataset_size=1_281_167, epochs=30)
    there = rescale(0.1, "torch.optim.AdamW", before=before, after=after).as_dict()
    assert _json(LINE, capsys) == json.loads(json.dumps(there))


def test_a_rule_that_is_silent_has_no_value(capsys):
    """What a rule does not speak of is null with a reason, never 0."""
    for rule in _json(LINE, capsys)["rules"]:
        assert (rule["value"] is None) is not rule["applies"]
        assert bool(rule["why_not"]) is not rule["applies"]


def test_the_table_shows_every_rule_once(capsys):
    """A person sees every rule, with what to type or with why not."""
    assert main(LINE) == 0
    shown = capsys.readouterr().out
    assert [rule.name for rule in RULES if rule.name not in shown] == []
    assert "lr 0.0003 → 0.0008" in shown
    assert "steps 450,450 → 18,780" in shown
    assert "if you change nothing" in shown
    assert "0.299789" in shown


def test_a_change_that_no_rule_speaks_of_is_shown(capsys):
    """Another schedule is a change too: it is named, for half-lives move with it."""
    line = "rescale torch.AdamW=0.1 --lr 1e-3 --steps 9 --schedule constant:cosine"
    assert main(shlex.split(f"{line} --warmup 0")) == 0
    assert "\n  schedule constant → cosine\n" in capsys.readouterr().out


def test_a_missing_fact_is_told_by_its_option(capsys):
    """A rule that lacks a fact names the option that gives it, in a few words."""
    line = "rescale torch.SGD=1e-4 --lr 0.1 --width 64:128"
    assert main(shlex.split(line)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "it needs dataset size: give it as --dataset-size" in shown


def test_nothing_changed_is_noted(capsys):
    """Without any before:after every rule keeps the value, and stderr says why."""
    line = shlex.split(
        "rescale torch.AdamW=0.1 --lr 1e-3 --batch-size 8 --dataset-size 80"
    )
    rules = _json(line, capsys)["rules"]
    assert {rule["value"] for rule in rules if rule["applies"]} == {0.1}
    assert main(line) == 0
    assert "Nothing changes: write a fact as before:after." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("torch.AdamW", "UsageError", "joined by ="),
        ("torch.AdamW=0.1 --lr 1:2:3", "RangeError", "one value, or before:after."),
        (
            "torch.AdamW=0.1 --lr 1:",
            "RangeError",
            "A change of scale is written before:aft",
        ),
        ("torch.AdamW=0.1 --lr 1:x", "RangeError", "must be a number. Got 'x'."),
        (
            "torch.AdamW=0.1 --lr 1:0",
            "RangeError",
            "lr must be a finite number above 0.",
        ),
        (
            "torch.AdamW=0.1 --batch-size 8:99 --dataset-size 80",
            "RangeError",
            "at most dat",
        ),
        ("torch.AdamW=-1 --lr 1:2", "RangeError", "0 or more. Got -1.0."),
        ("half-life=3 --lr 1:2", "RangeError", "3 epochs"),
        ("AdamV=1 --lr 1:2", "UnknownNameError", "torch.optim.AdamW"),
        ("torch.AdamW=1 --batchsize 1:2", "UnknownNameError", "--batch-size"),
    ],
)
def test_bad_input_is_told_what_to_write(line, kind, said, capsys):
    """Bad input of every kind exits with 2: words, and an object with --json."""
    words = ["rescale", *line.split()]
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert main([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == kind
    assert said in error["message"]
