"""dwindle rules, knobs and evidence, and what a table does in a narrow terminal."""

import pytest
from architecture.source import ROOT
from cli.lines import as_json, run

from dwindle.cli.rules import law
from dwindle.decay import verified
from dwindle.decay.evidence.records import QUANTITIES, read_evidence
from dwindle.decay.knobs import KNOBS
from dwindle.decay.rules import RULES, resolve_rule
from dwindle.decay.verified import passed_checks


def test_rules_lists_every_rule(capsys):
    """The table and the JSON name every rule; one of them has source and evidence."""
    names = [rule["name"] for rule in as_json("rules", capsys)["rules"]]
    assert names == [rule.name for rule in RULES]
    shown = run("rules", capsys)[1]
    assert [name for name in names if name not in shown] == []
    rule = resolve_rule("neal")
    (found,) = as_json("rules neal", capsys)["rules"]
    assert found["exponents"] == dict(rule.exponents)
    assert found["families"] == list(rule.families)
    assert (found["source"], found["evidence"]) == (rule.source, rule.evidence)


def test_a_rule_reads_as_a_law():
    """A vector of exponents is shown as a proportionality."""
    laws = {
        "question-layer-mean": "λ ∝ 1 / weights",
        "neal": "λ ∝ width / dataset size",
        "loshchilov-hutter": "shrink ∝ 1 / steps^½",
        "nanochat-width": "shrink ∝ 1 / width²",
        "half-life-steps": "shrink does not depend on lr",
    }
    assert {name: law(resolve_rule(name)) for name in laws} == laws


@pytest.mark.parametrize("columns", ["60", "120"])
def test_no_name_and_no_number_to_type_is_cut(columns, monkeypatch, capsys):
    """Below 90 columns too, each name stands in one piece, and so does each number."""
    monkeypatch.setenv("COLUMNS", columns)
    shown = run("knobs", capsys)[1]
    assert [name for name in KNOBS if name not in shown] == []
    line = "convert torch.AdamW=0.0123 --to all --lr 1.07e-3"
    shown = run(line, capsys)[1]
    found = as_json(line, capsys)["conversions"]
    cut = [each["to"] for each in found if each["to"] not in shown]
    cut += [
        each["value"]
        for each in found
        if each["value"] is not None
        and f"{each['value']:.3g}" not in shown
        # A whole number keeps its digits.
        and f"{each['value']:.0f}" not in shown
    ]
    assert cut == []
    # A text is folded: only what may not be cut runs over the edge.
    rows = run("rules", capsys)[1].splitlines()
    assert max(map(len, rows)) <= int(columns)


def names_of(line, capsys):
    return [knob["name"] for knob in as_json(line, capsys)["knobs"]]


def test_knobs_lists_every_knob(capsys):
    """The JSON has every knob with what its number does; the options are in it too."""
    found = as_json("knobs", capsys)["knobs"]
    formulas = {name: knob.formula for name, knob in KNOBS.items()}
    assert {knob["name"]: knob["formula"] for knob in found} == formulas
    options = {"momentum", "dampening", "nesterov", "betas"}
    assert all(set(knob["options"]) >= options for knob in found)


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
    found = set(names_of(f"knobs {words}", capsys))
    assert found >= {name for name, knob in KNOBS.items() if meant(knob)} > set()
    assert found <= {
        name
        for name, knob in KNOBS.items()
        if meant(knob) or any(words in each for each in (name, *knob.aliases))
    }


def test_a_word_of_a_record_finds_it(capsys):
    """λ/(2m), a book, a library: what people call a number leads to its record."""
    first = {
        "2m": "mackay1992.alpha",
        "nielsen": "mackay1992.alpha",
        "ng": "mackay1992.alpha",
        "timescale": "wang-aitchison2024.tau-epoch",
        "caffe": "caffe.SolverParameter",
        "spacy": "thinc.optimizers.Adam",
        "AdamW8bit": "bitsandbytes.optim.AdamW",
    }
    found = {word: names_of(f"knobs {word}", capsys)[0] for word in first}
    assert found == first


def test_the_status_is_counted_from_what_passed(monkeypatch, capsys):
    """A knob is verified by a check that passed; without one it is from source."""
    name = "torch.optim.SGD"
    found = {knob["name"]: knob for knob in as_json("knobs", capsys)["knobs"]}
    for each in found.values():
        assert each["verification"].startswith("verified") is bool(each["checks"])
    assert found[name]["checks"][0]["library"] == "torch"
    assert found["tf.nn.l2_loss"]["checks"] == []
    others = tuple(each for each in passed_checks() if each.knob != name)
    monkeypatch.setattr(verified, "passed_checks", lambda: others)
    (there,) = as_json(f"knobs {name}", capsys)["knobs"]
    assert there["checks"] == []
    assert not there["verification"].startswith("verified")


def test_the_page_of_the_documentation_is_made_of_the_records(capsys):
    """docs/knobs.md is what ``dwindle knobs --markdown`` prints, to the letter."""
    written = (ROOT / "docs" / "knobs.md").read_text("utf-8")
    # If not: .venv/bin/dwindle knobs --markdown > docs/knobs.md
    page = run("knobs --markdown", capsys)[1]
    assert written == page
    ran = {check.knob for check in passed_checks()} & set(KNOBS)
    left = len(KNOBS) - len(ran)
    assert f"{len(KNOBS)} knobs: {len(ran)} verified by running, {left} from" in page


@pytest.mark.parametrize(("columns", "like"), [("0", "100"), ("1", "20"), ("19", "20")])
def test_a_terminal_of_no_or_little_width_shows_all(columns, like, monkeypatch, capsys):
    """0 is a width that nobody knows; below 20 the terminal folds by itself."""
    shown = []
    for width in (columns, like):
        monkeypatch.setenv("COLUMNS", width)
        shown.append(run("explain torch.AdamW=0.1 --lr 1e-3", capsys)[1])
    assert shown[0] == shown[1]
    assert "6,931" in shown[0]


def test_everything_that_is_known_is_in_the_json(capsys):
    """The JSON has every record and source, what to expect, and how well that does."""
    there, found = read_evidence(), as_json("evidence", capsys)
    assert len(found["records"]) == len(there.records)
    assert found["sources"].keys() == there.sources.keys()
    assert {each["quantity"] for each in found["expected"]} == set(QUANTITIES)
    assert all(
        each["low"] < each["exponent"] < each["high"] for each in found["expected"]
    )
    assert found["leave_one_source_out"].keys() == {"all", "measured"}


def test_what_nobody_measured_has_no_measured_record(capsys):
    """A gap is a quantity in a class and family without a record that was measured."""
    found = as_json("evidence", capsys)
    names = "kind_of_run", "family", "quantity"

    def cells(records):
        return {tuple(each[name] for name in names) for each in records}

    measured = cells(each for each in found["records"] if each["kind"] != "restated")
    gaps, everything = cells(found["nobody_measured"]), cells(found["expected"])
    assert gaps
    assert not gaps & measured
    assert everything == gaps | (everything & measured)


def test_one_quantity_is_shown_record_by_record(capsys):
    """With a quantity, its records are printed with their sources; others are not."""
    found = as_json("evidence batch", capsys)
    assert {each["quantity"] for each in found["records"]} == {"batch"}
    shown = run("evidence batch", capsys)[1]
    assert [name for name in found["sources"] if name not in shown] == []
    assert run("evidence", capsys)[1].count("\n") > len(QUANTITIES)
