"""dwindle rescale: what to type now, if nothing is changed, and why not."""

import json
import math
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
    line = "rescale torch.SGD=1e-4 --lr 0.1 --batch-size 64:128"
    assert main(shlex.split(line)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "it needs tokens per example: give it as --tokens-per-example" in shown


@pytest.mark.parametrize(
    ("line", "rule", "expected"),
    [
        ("--batch-size 512:256 --tokens-per-example 1024:2048", "power-lines", 0.1),
        (
            "--batch-size 512:256 --tokens-per-example 1024:2048",
            "power-lines-batch",
            0.1,
        ),
        ("--batch-size 512 --tokens-per-example 1024:2048", "power-lines", 0.1441),
        # B/(lr·τ·D) with τ ∝ (D/P)^-0.527: 0.1 · (1.3e9/124e6)^-0.527.
        ("--parameters 124e6:1.3e9", "power-lines", 0.02898),
    ],
)
def test_a_language_model_grows(line, rule, expected, capsys):
    """The length of a sequence is part of the batch, and parameters can be stated."""
    facts = f"--lr 6e-4 --steps 10000 {line}"
    rules = _json(shlex.split(f"rescale torch.AdamW=0.1 {facts}"), capsys)["rules"]
    found = next(each for each in rules if each["rule"] == rule)
    # Four digits, by hand.
    assert found["value"] == pytest.approx(expected, rel=2e-4)


def test_nanochat_goes_with_its_lr(capsys):
    """Twice the length: lr times √2 and 0.0707, and at the old lr it does not apply."""
    facts = "--batch-size 512 --tokens-per-example 1024:2048 --steps 10000"
    for lr, expected in (("6e-4:8.4853e-4", 0.07071), ("6e-4", None)):
        line = f"rescale torch.AdamW=0.1 --lr {lr} {facts}"
        rules = _json(shlex.split(line), capsys)["rules"]
        found = next(each for each in rules if each["rule"] == "nanochat")
        assert found["value"] == (expected and pytest.approx(expected, rel=1e-4))


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
            "lr must be a number above 0",
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


@pytest.mark.parametrize(
    ("facts", "lr"),
    [
        ("--lr 1e-3:linear --batch-size 256:2048", 8e-3),
        ("--lr 1e-3:sqrt --batch-size 256:1024", 2e-3),
        ("--lr 1e-3:sqrt --batch-size 256 --tokens-per-example 8:32", 2e-3),
        ("--lr 1e-3:sqrt --batch-tokens 1e6:4e6", 2e-3),
    ],
)
def test_an_lr_goes_with_the_batch(facts, lr, capsys):
    """linear and sqrt stand for the lr after the change, with the batch in tokens."""
    written = _json(shlex.split(f"rescale torch.AdamW=0.1 {facts}"), capsys)
    as_number = facts.replace("linear", str(lr)).replace("sqrt", str(lr))
    assert written == _json(shlex.split(f"rescale torch.AdamW=0.1 {as_number}"), capsys)


def test_a_length_in_tokens(capsys):
    """Five times the tokens at one batch: steps follow, and the rules about tokens."""
    line = "rescale torch.AdamW=0.1 --lr 6e-4 --tokens 20e9:100e9 --batch-tokens 524288"
    found = _json(shlex.split(line), capsys)
    values = {rule["rule"]: rule["value"] for rule in found["rules"]}
    # D^-0.473 and D^-1/2 and 1/D, to the rounding of 38,147 steps.
    assert values["power-lines"] == pytest.approx(0.1 * 5**-0.473, rel=1e-4)
    assert values["loshchilov-hutter"] == pytest.approx(0.1 * 5**-0.5, rel=1e-4)
    assert values["nanochat"] == pytest.approx(0.02, rel=1e-4)
    half_life = found["before"]["half_life"]["tokens"]
    assert half_life == pytest.approx(math.log(2) / 6e-5 * 524288, rel=1e-4)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ("--tokens 1e9:2e9", "--tokens must come with the tokens in a step"),
        ("--tokens 1e9 --batch-tokens 9 --steps 3", "--tokens must stand without --st"),
        ("--batch-tokens 9 --batch-size 3", "--batch-tokens must stand without --bat"),
        ("--tokens 10 --batch-tokens 99", "--tokens must be at least the tokens in a"),
        ("--lr 1e-3:linear", "An lr that goes with the batch must come with the batch"),
        ("--lr linear", "--lr must be a number. Got 'linear'"),
    ],
)
def test_tokens_and_lr_that_say_nothing_are_refused(facts, told, capsys):
    """Facts that lack their other half, or contradict one, name what to write."""
    assert main(shlex.split(f"rescale torch.AdamW=0.1 {facts}")) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_what_was_measured_comes_first(capsys):
    """Of all answers, those that rest on a measurement are named with what it was."""
    line = "rescale torch.AdamW=0.1 --lr 6e-4 --tokens 20e9:100e9 --batch-tokens 524288"
    assert main(shlex.split(line)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    rows = shown.partition("tested on")[2]
    assert rows.index("power-lines") < rows.index("half-life-examples")
    told = shown.partition("Rules whose authors measured such a change")[2]
    assert "power-lines 0.0467076, language models of 111M to 3.3B" in told
    assert main(shlex.split("rescale torch.AdamW=0.1 --lr 1e-3:2e-3")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "none what applies is an argument, or practice" in shown
