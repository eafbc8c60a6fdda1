"""dwindle rules and dwindle knobs: the tables and their single entries."""

import json
import os
import subprocess
import sys

import pytest
from architecture.source import ROOT

from dwindle.cli.main import main
from dwindle.cli.rules import law
from dwindle.decay import verified
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rules import RULES, resolve_rule
from dwindle.decay.verified import passed_checks


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


def test_names_of_knobs_are_whole_in_a_narrow_terminal():
    """On 80 columns each name stands in one piece, to be copied."""
    environment = os.environ | {"COLUMNS": "80", "FORCE_COLOR": "1"}
    code = "from dwindle.cli.main import main; main(['knobs'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert [name for name in KNOBS if name not in done.stdout] == []


def test_one_knob_shows_default_and_source(capsys):
    """A short name is enough for one knob, told with default, version and source."""
    assert main(["knobs", "torch.AdamW"]) == 0
    shown = capsys.readouterr().out
    for part in ("torch.optim.AdamW", "0.01", "torch 2.13.0", "torch/optim/adamw.py"):
        assert part in shown


def test_a_name_that_many_share_lists_them(capsys):
    """AdamW is a filter for every knob with that name, PyTorch's first."""
    assert main(["knobs", "AdamW"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("torch.optim.AdamW") < shown.index("keras.optimizers.AdamW")
    assert "torch/optim/adamw.py" not in shown
    told = [knob["name"] for knob in _json(["knobs", "AdamW"], capsys)["knobs"]]
    assert told[0] == "torch.optim.AdamW"
    assert {"timm.adamw", "optax.adamw", "tfa.optimizers.AdamW"} <= set(told)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("timm", lambda knob: knob.name.startswith("timm.")),
        ("trust-ratio", lambda knob: knob.family == "trust-ratio"),
        ("prior", lambda knob: knob.penalty == "prior"),
        ("TF.KERAS", lambda knob: any("tf.keras" in name for name in knob.aliases)),
        ("linear_model", lambda knob: "linear_model" in knob.name),
    ],
)
def test_a_filter_lists_what_matches(words, meant, capsys):
    """Libraries, families, penalties and parts of names and aliases choose knobs."""
    told = {knob["name"] for knob in _json(["knobs", words], capsys)["knobs"]}
    assert told >= {name for name, knob in KNOBS.items() if meant(knob)} > set()
    assert told <= {
        name
        for name, knob in KNOBS.items()
        if meant(knob) or any(words in each for each in (name, *knob.aliases))
    }


def test_the_status_is_counted_from_what_passed(monkeypatch, capsys):
    """A knob is verified by a check that passed; without one it is from source."""
    name = "torch.optim.SGD"
    told = {knob["name"]: knob for knob in _json(["knobs"], capsys)["knobs"]}
    assert set(told) == set(KNOBS)
    for each in told.values():
        assert each["verification"].startswith(
            "verified by running" if each["checks"] else "from source"
        )
    assert told[name]["checks"][0]["library"] == "torch"
    assert told["tf.nn.l2_loss"]["checks"] == []
    assert main(["knobs", name]) == 0
    assert "from source" not in capsys.readouterr().out
    others = tuple(each for each in passed_checks() if each.knob != name)
    monkeypatch.setattr(verified, "passed_checks", lambda: others)
    assert main(["knobs", name]) == 0
    assert "verified  from source" in capsys.readouterr().out
    assert _json(["knobs", name], capsys)["knobs"][0]["checks"] == []


def test_the_page_of_the_documentation_is_what_the_records_say(capsys):
    """docs/knobs.md is what ``dwindle knobs --markdown`` prints, to the letter."""
    assert main(["knobs", "--markdown"]) == 0
    written = (ROOT / "docs" / "knobs.md").read_text("utf-8")
    # If not: .venv/bin/dwindle knobs --markdown > docs/knobs.md
    assert written == capsys.readouterr().out


def test_the_page_has_every_knob_and_the_count(capsys):
    """Every name stands in the page, which counts what was verified by running."""
    assert main(["knobs", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert [name for name in KNOBS if f"`{name}`" not in page] == []
    ran = {check.knob for check in passed_checks()} & set(KNOBS)
    assert (
        f"{len(KNOBS)} knobs: {len(ran)} verified by running, "
        f"{len(KNOBS) - len(ran)} from source." in page
    )


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("rules bengio", "bengio-map"),
        ("knobs torch.AdmW", "torch.optim.AdamW"),
        ("knobs kers", "keras"),
        ("knobs decuopled", "decoupled"),
    ],
)
def test_an_unknown_name_gets_the_nearest(line, near, capsys):
    """A name that is in no table is told the nearest ones, and exits with 2."""
    assert main(line.split()) == 2
    assert near in capsys.readouterr().err
    assert main([*line.split(), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "UnknownNameError"
    assert near in error["facts"]["nearest"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("2m", "mackay1992.alpha"),
        ("nielsen", "mackay1992.alpha"),
        ("ng", "mackay1992.alpha"),
        ("timescale", "wang-aitchison2024.tau-epoch"),
        ("caffe", "caffe.SolverParameter"),
        ("spacy", "thinc.optimizers.Adam"),
        ("AdamW8bit", "bitsandbytes.optim.AdamW"),
    ],
)
def test_a_word_of_a_record_finds_it(words, name, capsys):
    """λ/(2m), a book, a library: what people call a number leads to its record."""
    assert main(["knobs", words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["knobs"]
    assert found[0]["name"] == name
    assert set(found[0]["options"]) >= {"momentum", "dampening", "nesterov", "betas"}
