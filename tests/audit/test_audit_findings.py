"""An audit: its codes, its order, its JSON, and what a terminal shows of it."""

import io
import json
import re
from itertools import product

import pytest
from architecture.source import ROOT
from rich.console import Console

from dwindle.audit.codes import (
    CODES,
    SEVERITIES,
    codes_of,
    filled_in,
    resolve_code,
)
from dwindle.audit.findings import (
    Finding,
    GroupLine,
    Paste,
    Unchecked,
    number_line,
    typed,
)
from dwindle.audit.outcome import Audit
from dwindle.decay.run import Run
from dwindle.errors import UnknownNameError

LONG = "optimizer = torch.optim.AdamW(" + "x" * 120 + ")"
GROUP = GroupLine(
    group="0",
    parameters=54,
    numbers=25_557_032,
    lr=0.1,
    weight_decay=1e-4,
    family="coupled-sgd",
    half_life={"epochs": 1.386, "steps": 6931.0},
    kept=6e-8,
    dtype="float32",
    run=Run(lr=0.1),
)


def audit_of(*codes, **fields):
    """An audit that found these codes."""
    return Audit(
        target="train:make",
        findings=tuple(Finding(code=each) for each in codes),
        **fields,
    )


def codes(audit):
    return [each.code for each in audit.findings]


def test_errors_and_warnings_fail_and_notes_never_do():
    """The exit code is 1 exactly where something is no note; one may be slight here."""
    for code in CODES:
        assert audit_of(code).exit_code == int(CODES[code].severity != "note"), code
    slight = Finding(code="DW010", is_slight=True)
    assert slight.severity == "note"
    assert Audit(target="t", findings=(slight,)).exit_code == 0
    assert audit_of().exit_code == 0


def test_the_worst_comes_first():
    """By severity, in any order in which they were found; a change before all."""
    audit = audit_of("DW003", "DW001", "DW004", "DW030")
    assert codes(audit) == ["DW004", "DW030", "DW001", "DW003"]
    assert audit.counts == {"error": 1, "warning": 2, "note": 1}


def test_selecting_and_ignoring():
    """--select keeps, --ignore leaves out and wins; prefixes will do."""
    unchecked = (Unchecked("a", "DW010"), Unchecked("b", "DW01", "DW023"), "c")
    audit = audit_of("DW001", "DW002", "DW010", unchecked=unchecked, in_both=("DW021",))
    assert codes(audit.selected(["DW00"])) == ["DW001", "DW002"]
    assert codes(audit.selected([], ["DW00"])) == ["DW010"]
    assert codes(audit.selected(["DW001"], ["DW001"])) == []
    assert audit.selected() == audit
    # What was not checked goes with its codes; a sentence on no code always stays.
    assert audit.selected(["DW001"]).unchecked == ("c",)
    assert audit.selected(["DW023"]).unchecked == ("b", "c")
    assert audit.selected(["DW02"]).in_both == ("DW021",)
    with pytest.raises(UnknownNameError) as raised:
        audit.selected(["DW9"])
    assert raised.value.name == "DW9"


def test_a_sentence_without_its_values_is_left_out():
    """None is no value; 0 and no names are some."""
    sentences = ("{a:n} here.", "{b:number*}.", "{names:names}.")
    assert filled_in(sentences, {"a": 0.0, "b": None}) == "0 here."
    assert filled_in(sentences, {"names": ("x",), "b": 1}) == "1 number. x."


def test_the_json_has_the_documented_fields():
    """as_dict is JSON, with every field that docs/audit.md names, and all values."""
    values = {"tensors": (1, 16), "number": 0.0499613, "names": ("a", "b", "c", "d")}
    found = Finding(code="DW001", where="a", values=values)
    plain = Audit(target="t", findings=(found,), table=(GROUP,)).as_dict()
    read = json.loads(json.dumps(plain))
    fields = (
        "target optimizer facts groups among findings unchecked in_both counts "
        "exit_code"
    )
    assert list(read) == fields.split()
    fields = "code severity title where values evidence remedy line"
    assert list(read["findings"][0]) == fields.split()
    assert read["findings"][0]["values"]["number"] == 0.0499613
    assert read["findings"][0]["values"]["names"] == ["a", "b", "c", "d"]
    assert set(read["groups"][0]) == set(GroupLine.__dataclass_fields__) - {"run"}
    assert read["groups"][0]["numbers"] == 25_557_032


def test_numbers_to_type_have_three_digits():
    """The values keep all of them; a line of Python has a float."""
    assert number_line("alpha", 0.0499613, 0.1).text.startswith("alpha=0.05 ")
    numbers = {0: "0.0", 12: "12.0", 3.33333e-9: "3.33e-09"}
    assert {value: typed(value) for value in numbers} == numbers


def line(text, *names, **does):
    return Paste(text=text, optimizers=frozenset(names or ["optimizer"]), **does)


def setting(text, option, name="optimizer"):
    return line(text, name, sets=frozenset({(name, 0, option)}))


SPLITS, FIRST = line("s", splits=True), line("f", "optimizers[0]", splits=True)
SETS, OTHER = (setting(name, "weight_decay", name) for name in ("optimizer", "o[1]"))
AFTER = [
    (SPLITS, SETS, "again"),  # its place counts other groups now
    (SPLITS, SPLITS, "above"),  # run twice it would hit the groups that it made
    (SETS, setting("l", "lr"), ""),
    (SETS, SPLITS, ""),
    (FIRST, OTHER, ""),
    (FIRST, SPLITS, "again"),
    (SETS, line("h", holds=True), "again"),
    (SETS, setting("w2", "weight_decay"), "again"),
    (SETS, SETS, ""),  # the same line is written, and shown once
]


def test_lines_of_a_report_can_be_pasted_in_their_order():
    """A line that hits other groups after those above it is replaced by an advice."""
    for first, second, advice in AFTER:
        found = (
            Finding(code="DW001", paste=first),
            Finding(code="DW002", paste=second),
        )
        audit = Audit(target="t", findings=found)
        last = audit.findings[-1]
        assert (last.advice, last.paste is None) == (advice, bool(advice)), last
        assert last.values.get("above") == ("DW001" if advice else None)
        # Alone it has its line.
        assert audit.selected(["DW002"]).findings[0].paste == second


def drawn(audit, width):
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(audit)
    return captured.get()


def test_nothing_is_cut_in_a_terminal():
    """In a terminal of any width no letter is lost: what is too long is folded."""
    found = Finding(code="DW001", paste=Paste(text=LONG))
    for width in (60, 80, 120):
        text = drawn(Audit(target="t", findings=(found,), table=(GROUP,)), width)
        assert max(map(len, text.splitlines())) <= width
        assert re.sub(r"\s", "", LONG) in re.sub(r"\s", "", text)
        for each in ("25.6M", "0.0001", "coupled-sgd", "1.39 epochs"):
            assert each in text, width
    # float32 needs no column; anything else does.
    assert "dtype" not in text
    narrow = GroupLine(group="1", dtype="bfloat16")
    assert "bfloat16" in str(Audit(target="t", table=(GROUP, narrow)))


def test_a_line_to_copy_is_whole_in_the_text():
    """It is one line, however long; a second finding with it names the first."""
    found = tuple(
        Finding(code=code, paste=Paste(text=LONG)) for code in ("DW001", "DW002")
    )
    audit = Audit(target="t", findings=found)
    assert str(audit).splitlines().count(f"            {LONG}") == 1
    assert [each["line"] for each in audit.as_dict()["findings"]] == [LONG, LONG]


def test_names_are_neither_markup_nor_tags():
    """Markup of rich, or of HTML, is shown as it is."""
    evil = "<script>[bold]x</script>"
    audit = Audit(
        target=evil,
        optimizer=evil,
        findings=(Finding(code="DW001", where=evil, paste=Paste(text=evil)),),
        table=(GroupLine(group=evil, lr=0.1),),
        facts={evil: evil},
    )
    assert str(audit).count(evil) == 7
    shown = audit._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 7


def test_every_code_has_a_whole_page():
    """Each has a title, why, how it is found, what to write, and the source."""
    wrong = [
        code
        for name, code in CODES.items()
        if not re.fullmatch(r"DW\d{3}", name)
        or code.severity not in SEVERITIES
        or not code.title[0].islower()
        or code.title.endswith((".", " "))
        or not all(text.endswith((".", "²")) for text in (code.why, code.found))
        or not code.source
        or "" not in code.cases
    ]
    assert wrong == []
    assert list(CODES) == sorted(CODES)
    assert len({code.title for code in CODES.values()}) == len(CODES)


def test_somebody_finds_each_code():
    """Each code, and each case of one, is given by some file of the audit."""
    folders = (ROOT / "src/dwindle/audit", ROOT / "src/dwindle/pytorch")
    text = "\n".join(
        file.read_text("utf-8") for folder in folders for file in folder.rglob("*.py")
    )
    assert [code for code in CODES if f'"{code}"' not in text] == []
    cases = {case for code in CODES.values() for case in code.cases if case}
    assert [case for case in cases if f'"{case}"' not in text] == []


def test_a_prefix_means_all_of_its_codes():
    """DW03 means DW030 to DW033, and lower case will do."""
    assert codes_of(["dw03"]) == {"DW030", "DW031", "DW032", "DW033"}
    assert codes_of(["DW"]) == set(CODES)
    assert codes_of([]) == frozenset()
    assert resolve_code(" dw001").code == "DW001"


def test_an_unknown_code_is_refused_with_the_nearest():
    """A code that no table has is an error that offers those that are near."""
    lookups = (
        resolve_code,
        lambda name: codes_of([name]),
        lambda name: Finding(code=name),
    )
    for name, look_up in product(("DW999", "", "WD001", "DW001x"), lookups):
        with pytest.raises(UnknownNameError) as raised:
            look_up(name)
        assert raised.value.name == name.upper()
        assert all(each.startswith("DW") for each in raised.value.nearest)
