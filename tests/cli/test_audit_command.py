"""dwindle audit: files, functions, changes, codes, and the pace of a scheduler."""

import json
import math
import sys

import pytest
from cli.lines import as_json, run
from cli.programs import MODULES, write_programs

from dwindle.audit.codes import CODES
from dwindle.cli.main import main
from dwindle.cli.program import load_program
from dwindle.errors import AuditTargetError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with programs and sound files of settings, which one is in."""
    write_programs(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def audited(words, capsys, code=0):
    """The JSON of a line."""
    return as_json(f"audit {words}", capsys, code)


def codes(document):
    """The codes in the JSON of an audit."""
    return [found["code"] for found in document["findings"]]


def test_a_sound_file_passes(capsys):
    """A sound file is exit code 0, with a table of what decays."""
    code, out, err = run("audit args.json --dataset-size 1281167", capsys)
    assert (code, err) == (0, "")
    assert "1.38 epochs" in out
    document = audited("args.json --dataset-size 1281167", capsys)
    assert document["exit_code"] == 0
    assert document["findings"] == []
    assert document["groups"][0]["weight_decay"] == 0.05
    assert document["counts"] == {"error": 0, "warning": 0, "note": 0}


def test_findings_fail_the_command_and_can_be_ignored(capsys):
    """A warning is exit code 1; ignored, or not selected, it is 0."""
    line = "args.json --dataset-size 1281167 --epochs 1 --warmup 0"
    assert codes(audited(line, capsys, 1)) == ["DW010"]
    assert codes(audited(f"{line} --ignore DW010", capsys)) == []
    assert codes(audited(f"{line} --ignore DW01", capsys)) == []
    assert codes(audited(f"{line} --select DW011,DW02", capsys)) == []
    assert codes(audited(f"{line} --select DW010", capsys, 1)) == ["DW010"]


def test_facts_and_devices_reach_the_file(capsys):
    """Facts of the command line hold, and devices multiply the batch."""
    document = audited("args.json --dtype bfloat16 --world-size 8", capsys, 1)
    assert codes(document)[0] == "DW009"
    assert document["facts"]["batch"].startswith("1024 ")
    sharp = audited("args.json --lr 1e-2 --steps 9000", capsys)
    assert sharp["groups"][0]["lr"] == 0.01


def test_only_selected_codes_are_listed_as_unchecked(capsys):
    """Without facts DW011 is listed as unchecked, unless it was not selected."""
    line = "audit args.json"
    assert "DW011" in run(line, capsys)[1]
    assert "DW011" not in run(f"{line} --select DW001", capsys)[1]
    assert "DW011" not in run(f"{line} --ignore DW", capsys)[1]


def shown(words, capsys, code):
    """What a line prints, with one blank between words."""
    found, out, _ = run(f"audit {words}", capsys)
    assert found == code
    return " ".join(out.split())


def test_a_change_shows_its_facts_and_what_it_leaves_out(capsys):
    """The header has old and new, of a file or function; and codes of both sides."""
    line = "args.json --dataset-size 9999 --epochs 1 --batch-size 128:256"
    out = shown(line, capsys, 1)
    assert "128 → 256" in out
    assert out.count("DW010") == 1
    assert audited(line, capsys, 1)["in_both"] == ["DW010"]
    line = "train_it:make --dataset-size 9999 --epochs 1 --batch-size 8:16"
    assert "8 → 16" in shown(line, capsys, 1)
    assert codes(audited("args.json args.json --epochs 1", capsys)) == []


def test_a_change_of_facts_or_between_files(capsys):
    """before:after beside one file, and two files, show what the change does."""
    line = "args.json --dataset-size 1281167 --batch-size 256:2048"
    document = audited(line, capsys, 1)
    assert codes(document) == ["DW030", "DW010", "DW031"]
    # Eight times the batch, but for a last batch that is shorter.
    written = document["findings"][0]["line"]
    assert json.loads(f"{{{written}}}") == {"weight_decay": 0.4}
    number = document["findings"][0]["values"]["number"]
    shrink = -math.expm1(5005 / 626 * math.log1p(-0.05 * 1e-3))
    assert number == pytest.approx(shrink / 1e-3, rel=1e-9)
    assert f"            {written}\n" in run(f"audit {line}", capsys)[1]
    document = audited("args.json new.yaml --dataset-size 100000", capsys, 1)
    assert document["target"] == "args.json → new.yaml"
    assert document["findings"][0]["line"].startswith("weight_decay: ")


def test_a_function_is_audited(capsys):
    """module:function is called, and what it builds is audited by its parameters."""
    line = "audit train_it:make --batch-size 10 --dataset-size 1000 --epochs 60 --json"
    code, out, err = run(line, capsys)
    document = json.loads(out)  # what the code prints is no part of it
    assert code == 1
    assert "built" in err
    assert document["target"] == "train_it:make"
    assert codes(document) == ["DW010"]
    assert document["groups"][0]["numbers"] == 8
    assert document["groups"][0]["half_life"]["epochs"] == pytest.approx(69.3, rel=1e-3)
    assert "DW001" in codes(audited("train_it:biased", capsys, 1))


def test_a_change_between_functions_and_of_facts(capsys):
    """Two functions, or one with facts that change, are compared group by group."""
    facts = "--batch-size 10 --dataset-size 1000 --steps 9000"
    two = audited(f"train_it:make train_it:larger {facts}", capsys, 1)
    assert two["target"] == "train_it:make → train_it:larger"
    assert two["findings"][0]["code"] == "DW030"
    assert two["findings"][0]["line"].startswith("weight_decay=0.025 ")
    one = audited(f"train_it:make {facts} --lr 1e-3:4e-3", capsys, 1)
    assert one["findings"][0]["line"] == two["findings"][0]["line"]


def test_debug_shows_where_the_code_failed():
    """--debug lets the traceback through, with the line of the person's own code."""
    with pytest.raises(AuditTargetError) as raised:
        main(["audit", "train_it:raises", "--debug"])
    assert isinstance(raised.value.__cause__, KeyError)


def test_the_path_is_left_as_it_was():
    """Loading a program leaves sys.path as it found it."""
    before = list(sys.path)
    assert load_program("train_it:biased").example is not None
    assert sys.path == before


def test_one_page_and_all_pages(capsys):
    """--explain prints one code in full, or lists all of them; as JSON too."""
    out = shown("--explain dw009", capsys, 0)
    page = CODES["DW009"]
    assert [
        text for text in (page.why, page.found, page.write) if text not in out
    ] == []
    listed = shown("--explain all", capsys, 0)
    assert [code for code in CODES if code not in listed] == []
    found = audited("--explain all", capsys)["codes"]
    assert [each["code"] for each in found] == [*CODES]


FACTS = "--batch-size 128 --dataset-size 50000 --epochs 30"
# No scheduler: 11,730 steps of the peak lr take 1e-4 each.
CONSTANT = (1 - 1e-4) ** 11_730


@pytest.mark.parametrize(
    ("words", "kept", "every"),
    [
        ("step", 0.648, "epoch (guessed)"),
        ("cosine", 0.545, "epoch (guessed)"),
        ("step --scheduler-every epoch", 0.648, "epoch"),
        ("step --scheduler-every 391", 0.648, "391 steps"),
        ("step --scheduler-every step", 0.999, "step"),
        ("step --scheduler-every never", CONSTANT, None),
        ("step --schedule constant", CONSTANT, None),
        ("step --schedule cosine", 0.556, None),
    ],
)
def test_a_pace_is_given_or_guessed_and_shown(words, kept, every, capsys):
    """In the facts of the JSON, which the header prints; a guess is a line as well."""
    code, out, _ = run(f"audit train_it:{words} {FACTS} --json", capsys)
    document = json.loads(out)
    assert code == document["exit_code"]
    assert document["groups"][0]["kept"] == pytest.approx(kept, abs=5e-4)
    assert document["facts"].get("scheduler_every") == every
    guessed = [text for text in document["unchecked"] if "was guessed" in text]
    assert len(guessed) == (every == "epoch (guessed)")
    given = [
        text for text in document["unchecked"] if "schedule that was given" in text
    ]
    assert len(given) == (every is None)


def test_what_is_not_followed_has_no_number(capsys):
    """A plateau waits for a metric; a scheduler of another optimizer is an error."""
    found = json.loads(run(f"audit train_it:plateau {FACTS} --json", capsys)[1])
    assert found["groups"][0]["kept"] is None
    (text,) = [text for text in found["unchecked"] if "not followed" in text]
    assert "--schedule cosine" in text
    assert codes(audited(f"train_it:another {FACTS}", capsys, 1)) == ["DW029"]
