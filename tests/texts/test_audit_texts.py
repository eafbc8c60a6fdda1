"""All texts of an audit in one snapshot: a change of wording is seen here alone.

``pytest tests/texts --snapshot-update`` writes it anew.
"""

from string import Formatter

from dwindle.audit.codes import CODES, REMEDIES
from dwindle.audit.findings import Finding, GroupLine, Paste, Unchecked
from dwindle.audit.outcome import Audit
from dwindle.audit.setting_findings import judge
from dwindle.decay.run import Run

# One value for each name that a template has.
SAMPLES = {
    **dict.fromkeys(("lost", "times", "weights", "found", "more"), 2),
    **dict.fromkeys(("trainable", "strangers", "steps", "decaying"), 1662),
    **dict.fromkeys(("names", "copies"), ("a.weight", "b.weight", "c.bias", "d.bias")),
    **dict.fromkeys(("settings", "their_settings"), ((0.05, 3e-4), (None, 0.1))),
    **dict.fromkeys(("share", "keeps", "then_keeps", "half_life_share"), 0.0123456),
    **dict.fromkeys(("recipe_keeps", "now_keeps"), 6.02e-8),
    "tensors": (53, 26_560),
    "numbers": 4096,
    "groups": (0, 2),
    "lrs": (1e-3, 1e-4),
    "changes": (("batch", "256", "2048"), ("lr", "0.1", "0.2"), ("", "SGD", "AdamW")),
    "idle": (("wte.weight", 16, 20),),
    "padding": (("wte.weight", 0, 3.5678),),
}


def sample(field, spec):
    """Return a value for a field: of its name, or of how it is formatted."""
    if field == "groups" and spec == "group*":
        return 3
    if field == "decaying" and spec == "groups":
        return (1, 3, 4, 5)
    known = SAMPLES.get(field)
    if known is not None:
        return known
    return 0.0123456 if spec else f"<{field}>"


def values_of(sentences):
    return {
        field: sample(field, spec)
        for sentence in sentences
        for _, field, spec, _ in Formatter().parse(sentence)
        if field
    }


def test_every_code_says_what_it_found(snapshot):
    """Evidence and remedy of every case of every code, with all of its values."""
    texts = {}
    for code, record in CODES.items():
        for case, templates in record.cases.items():
            found = Finding(
                code=code,
                case=case,
                values=values_of((*templates.evidence, *templates.remedy)),
            )
            texts[f"{code} {case}".strip()] = [
                f"{found.severity}: {found.title}",
                found.evidence,
                found.remedy,
            ]
    for advice in REMEDIES:
        found = Finding(code="DW001", advice=advice, values={"above": "DW003"})
        texts[advice] = [found.remedy]
    assert texts == snapshot


def test_a_whole_report(snapshot):
    """Facts, groups, findings, lines to copy, and what was not checked."""
    values = {"tensors": (1, 16), "groups": (0,), "settings": ((0.1, 3e-4),)}
    line = Paste(text="optimizer.param_groups[0]['weight_decay'] = 0.0")
    found = Finding(
        code="DW001",
        where="fc.bias",
        values={**values, "first": "bias of a Linear"},
        paste=line,
    )
    group = GroupLine(
        group="0",
        parameters=54,
        numbers=25_557_032,
        lr=0.1,
        weight_decay=1e-4,
        family="coupled-sgd",
        half_life={"epochs": 1.386, "steps": 6931.0},
        kept=6e-8,
        dtype="bfloat16",
    )
    rest = GroupLine(group="1", parameters=9, numbers=0, lr=0.1, weight_decay=0.0)
    audit = Audit(
        target="train:make",
        optimizer="SGD",
        findings=(found, Finding(code="DW021", where="SGD", paste=line)),
        table=(group, rest),
        facts={"batch_size": "256", "steps": "450,450"},
        unchecked=(Unchecked("DW010 was not checked.", "DW010"),),
        in_both=("DW010", "DW023"),
    )
    assert str(audit) == snapshot
    assert [
        str(Audit(target="t")),
        str(Audit(target="t", in_both=("DW010",))),
    ] == snapshot


def test_what_a_missing_fact_keeps_from_being_checked(snapshot):
    """The fact is named beside the code that wants it."""
    knob = "sklearn.neural_network.MLPClassifier:sgd"
    runs = [Run(), Run(lr=1e-3), Run(lr=1e-3, steps=20_000)]
    texts = [judge("torch.AdamW", 0.1, run).unchecked for run in runs]
    texts.append(judge(knob, 1e-4, Run(lr=0.1)).unchecked)
    assert texts == snapshot
