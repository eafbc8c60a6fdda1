"""An audit: its order, its exit code, its JSON, and how it looks."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from dwindle.audit.codes import CODES
from dwindle.audit.findings import Audit, Finding, GroupLine
from dwindle.audit.show import as_html, as_rich, as_text, columns_of
from dwindle.decay.run import Run
from dwindle.errors import UnknownNameError

LONG = "optimizer = torch.optim.AdamW(" + "x" * 120 + ")"
LINE = GroupLine(
    group="0",
    parameters=54,
    numbers=25_500_000,
    lr=0.1,
    weight_decay=1e-4,
    family="coupled-sgd",
    half_life={"epochs": 1.386, "steps": 6931.0},
    kept=6e-8,
    dtype="float32",
    run=Run(lr=0.1),
)


def found(code, **words):
    """A finding with words in all of its places."""
    told = {"where": "fc.bias", "evidence": "seen", "remedy": "do this:"} | words
    return Finding(code=code, **told)


def audit_of(*codes):
    """An audit that found these codes."""
    return Audit(
        target="train:make", optimizer="SGD", findings=tuple(map(found, codes))
    )


@pytest.mark.parametrize("code", CODES)
def test_errors_and_warnings_fail_and_notes_never_do(code):
    """The exit code is 1 exactly where something is no note."""
    assert audit_of(code).exit_code == int(CODES[code].severity != "note")


def test_an_audit_without_findings_passes():
    """Nothing found is exit code 0, and it is said."""
    assert audit_of().exit_code == 0
    assert "Nothing was found." in str(audit_of())


def test_the_worst_comes_first():
    """Findings are told by severity, whatever the order in which they were found."""
    told = [each.code for each in audit_of("DW003", "DW001", "DW004").findings]
    assert told == ["DW004", "DW001", "DW003"]
    assert audit_of(*told).counts == {"error": 1, "warning": 1, "note": 1}


def test_selecting_and_ignoring():
    """--select keeps, --ignore leaves out and wins; prefixes will do."""
    audit = audit_of("DW001", "DW002", "DW010")
    assert [f.code for f in audit.selected(["DW00"]).findings] == ["DW001", "DW002"]
    assert [f.code for f in audit.selected([], ["DW00"]).findings] == ["DW010"]
    assert audit.selected(["DW001"], ["DW001"]).findings == ()
    assert audit.selected().findings == audit.findings
    with pytest.raises(UnknownNameError, match="Got 'DW9'"):
        audit.selected(["DW9"])


def test_what_was_not_checked_is_told_of_selected_codes_only():
    """A sentence on a code goes with the code; one that names none always stays."""
    told = (
        "DW010 was not checked: give steps.",
        "Sizes of the decay were not checked: give lr.",
        "Weights are taken to be float32.",
        "deepspeed is not read.",
    )
    audit = replace(audit_of(), unchecked=told, in_both=("DW010", "DW021"))
    assert audit.selected(["DW001"]).unchecked == told[3:]
    assert audit.selected(["DW010"]).unchecked == (*told[:2], told[3])
    assert audit.selected([], ["DW"]).unchecked == told[3:]
    assert audit.selected().unchecked == told
    assert audit.selected(["DW01"]).in_both == ("DW010",)


def test_a_slight_finding_is_a_note():
    """What is slight here never fails, whatever the severity of its code."""
    slight = Finding(code="DW010", where="", evidence="", remedy="", is_slight=True)
    audit = Audit(target="t", findings=(slight,))
    assert (slight.severity, audit.exit_code) == ("note", 0)
    assert slight.as_dict()["severity"] == "note"


def test_a_change_says_what_it_leaves_out():
    """What both sides have is named, so that nothing new is not taken for nothing."""
    quiet = str(replace(audit_of(), in_both=("DW010", "DW023")))
    told = "Nothing new was found. Left out, for both have it: DW010, DW023."
    assert told in quiet
    loud = str(replace(audit_of("DW001"), in_both=("DW010",)))
    assert "1 warning. Left out, for both have it: DW010." in loud


def test_a_finding_has_a_code_that_is_known():
    """A finding cannot have a code without a page."""
    with pytest.raises(UnknownNameError, match="Got 'DW999'"):
        found("DW999")


def test_the_json_has_the_documented_fields():
    """as_dict is JSON, with every field that docs/audit.md names."""
    plain = Audit(target="t", findings=(found("DW001"),), table=(LINE,)).as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == [
        "target",
        "optimizer",
        "facts",
        "groups",
        "findings",
        "unchecked",
        "in_both",
        "counts",
        "exit_code",
    ]
    assert list(plain["findings"][0]) == [
        "code",
        "severity",
        "title",
        "where",
        "evidence",
        "remedy",
        "line",
    ]
    assert set(plain["groups"][0]) == set(GroupLine.__dataclass_fields__) - {"run"}


def test_the_text_tells_everything():
    """A reader of the text sees table, findings, remedies and what was not checked."""
    audit = Audit(
        target="train:make",
        optimizer="SGD",
        findings=(found("DW001", line="weight_decay=0.3"),),
        table=(LINE,),
        facts={"batch": "256"},
        unchecked=("DW010 was not checked.",),
    )
    shown = str(audit)
    for text in (
        "train:make · SGD",
        "batch 256",
        "25.5M",
        "1.39 epochs",
        "6e-08",
        "DW001 warning  a bias decays",
        "fc.bias",
        "seen",
        "do this:",
        "            weight_decay=0.3\n",
        "1 warning.",
        "DW010 was not checked.",
        "dwindle audit --explain DW001",
    ):
        assert text in shown


def test_a_line_to_copy_is_whole():
    """The line to write is one line in the text, however long it is."""
    audit = Audit(target="t", findings=(found("DW001", line=LONG),))
    assert f"            {LONG}" in as_text(audit).splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_cut_in_a_terminal(width):
    """In a terminal of any width no letter is lost: what is too long is folded."""
    audit = Audit(target="t", findings=(found("DW001", line=LONG),), table=(LINE,))
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(as_rich(audit))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    letters = re.sub(r"\s", "", captured.get())
    assert re.sub(r"\s", "", LONG) in letters


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (0, "0"),
        (9999, "9,999"),
        (25_557_032, "25.6M"),
        (12_345, "12.3k"),
        (7 * 10**9, "7B"),
    ],
)
def test_counts_are_as_people_say_them(numbers, told):
    """Large counts are short in the table; JSON has them whole."""
    audit = Audit(target="t", table=(replace(LINE, numbers=numbers),))
    assert columns_of(audit)["numbers"] == [told]
    assert audit.as_dict()["groups"][0]["numbers"] == numbers


def test_a_usual_table_fits_a_terminal():
    """Groups of a usual model fit 80 columns without a word broken in two."""
    plain = replace(LINE, group="before 0", family="decoupled", weight_decay=0.05)
    audit = Audit(target="t", table=(plain, replace(plain, weight_decay=0, lr=3e-4)))
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(as_rich(audit))
    for word in ("before 0", "25.5M", "0.05", "decoupled", "1.39 epochs", "6e-08"):
        assert word in captured.get()


def test_the_dtype_is_told_where_it_is_unusual():
    """float32 needs no column; anything else does."""
    assert "dtype" not in columns_of(Audit(target="t", table=(LINE,)))
    other = (LINE, replace(LINE, dtype="bfloat16"))
    assert columns_of(Audit(target="t", table=other))["dtype"][1] == "bfloat16"


def test_markup_is_text():
    """What looks like markup of rich is shown as it is."""
    audit = Audit(target="[red]t[/]", findings=(found("DW001", where="[bold]x"),))
    assert "[red]t[/]" in str(audit)
    assert "[bold]x" in str(audit)


def test_html_is_escaped():
    """No name of a parameter becomes a tag in a notebook."""
    evil = "<script>alert(1)</script>"
    words = {"where": evil, "evidence": evil, "remedy": evil, "line": evil}
    audit = Audit(
        target=evil,
        optimizer=evil,
        findings=(found("DW001", **words),),
        table=(GroupLine(group=evil, lr=0.1),),
        facts={evil: evil},
    )
    shown = as_html(audit)
    assert audit._repr_html_() == shown
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 9


def test_a_line_that_mends_several_findings_is_shown_once():
    """The second finding names the code that the line stands under; JSON has both."""
    line = "optimizer.param_groups[0]['weight_decay'] = 0.0"
    findings = tuple(found(code, line=line) for code in ("DW001", "DW002"))
    audit = Audit(target="train:make", findings=findings)
    for text in (as_text(audit), as_html(audit)):
        assert text.replace("&#x27;", "'").count(line) == 1
        assert "The line under DW001 does it." in text
    assert [each["line"] for each in audit.as_dict()["findings"]] == [line, line]
