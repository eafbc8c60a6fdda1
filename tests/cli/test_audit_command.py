"""dwindle audit: files, functions, changes, codes, and every way to get it wrong."""

import json
import subprocess
import sys
import textwrap

import pytest

from dwindle.audit.codes import CODES
from dwindle.cli.main import main
from dwindle.cli.program import load_program
from dwindle.errors import AuditTargetError

SOUND = {
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "per_device_train_batch_size": 128,
    "num_train_epochs": 30,
}
PROGRAM = """
    import torch

    def make(weight_decay=0.1, lr=1e-3):
        print("built")
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2, bias=False)
        options = {"lr": lr, "weight_decay": weight_decay}
        return model, torch.optim.AdamW(model.parameters(), **options)

    def biased():
        model = torch.nn.Linear(4, 2)
        return {"model": model, "optimizer": torch.optim.SGD(model.parameters(),
                lr=0.1, weight_decay=1e-4), "example": torch.ones(1, 4)}

    def scheduled():
        model, optimizer = make()
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 10)

    def larger():
        return make(lr=4e-3)

    def raises():
        raise KeyError("first line\\nno such key")

    def deep():
        return torch.optim.SGD([torch.zeros(1)], lr=-1)

    def leaves():
        raise SystemExit(3)

    def wants(path):
        return path

    def number():
        return 3

    def nothing():
        pass

    def one():
        return (make()[0],)

    def swapped():
        return make()[::-1]

    def half():
        return {"model": make()[0]}

    value = 3.5
"""


MODELS = """
    import torch

    class Net(torch.nn.Linear):
        def __init__(self):
            super().__init__(2, 2)

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def build():
        return net, optimizer
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a program and a sound file of settings, which one is in."""
    (tmp_path / "train_it.py").write_text(textwrap.dedent(PROGRAM))
    (tmp_path / "broken_it.py").write_text("1 / 0\n")
    (tmp_path / "syntax_it.py").write_text("import sys\nsys.exit(\n")
    (tmp_path / "models_it.py").write_text(textwrap.dedent(MODELS))
    (tmp_path / "imports_it.py").write_text("import no_such_library\n")
    (tmp_path / "leaves_it.py").write_text("import sys\nsys.exit('usage: ...')\n")
    (tmp_path / "args.json").write_text(json.dumps(SOUND))
    monkeypatch.chdir(tmp_path)
    for name in ("train_it", "broken_it", "imports_it", "leaves_it"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    sys.modules.pop("train_it", None)


def said(words, capsys, code):
    """What a line prints, with its exit code checked."""
    assert main(["audit", *words.split()]) == code
    return capsys.readouterr()


def as_json(words, capsys, code):
    """The JSON of a line."""
    return json.loads(said(f"{words} --json", capsys, code).out)


def codes(plain):
    """The codes in the JSON of an audit."""
    return [found["code"] for found in plain["findings"]]


@pytest.mark.usefixtures("folder")
def test_a_sound_file_passes(capsys):
    """A sound file is exit code 0, with a table of what decays."""
    shown = said("args.json --dataset-size 1281167", capsys, 0)
    assert "Nothing was found." in shown.out
    assert "1.38 epochs" in shown.out
    assert shown.err == ""


@pytest.mark.usefixtures("folder")
def test_the_json_of_a_file(capsys):
    """--json has the documented fields, and the exit code in it."""
    plain = as_json("args.json --dataset-size 1281167", capsys, 0)
    assert plain["exit_code"] == 0
    assert plain["findings"] == []
    assert plain["groups"][0]["weight_decay"] == 0.05
    assert plain["counts"] == {"error": 0, "warning": 0, "note": 0}


@pytest.mark.usefixtures("folder")
def test_findings_fail_the_command_and_can_be_ignored(capsys):
    """A warning is exit code 1; ignored, or not selected, it is 0."""
    line = "args.json --dataset-size 1281167 --epochs 1 --warmup 0"
    assert codes(as_json(line, capsys, 1)) == ["DW010"]
    assert codes(as_json(f"{line} --ignore DW010", capsys, 0)) == []
    assert codes(as_json(f"{line} --ignore DW01", capsys, 0)) == []
    assert codes(as_json(f"{line} --select DW011,DW02", capsys, 0)) == []
    assert codes(as_json(f"{line} --select DW010", capsys, 1)) == ["DW010"]


@pytest.mark.usefixtures("folder")
def test_facts_and_devices_reach_the_file(capsys):
    """Facts of the command line hold, and devices multiply the batch."""
    plain = as_json("args.json --dtype bfloat16 --world-size 8", capsys, 1)
    assert codes(plain)[0] == "DW009"
    assert plain["facts"]["batch"] == "1024 (128 per device × 8 devices)"
    sharp = as_json("args.json --lr 1e-2 --steps 9000", capsys, 0)
    assert sharp["groups"][0]["lr"] == 0.01


@pytest.mark.usefixtures("folder")
def test_only_selected_codes_are_said_to_be_unchecked(capsys):
    """Without facts DW010 is not checked: told, but not to who asked for DW001."""
    assert "DW011 was not checked" in said("args.json", capsys, 0).out
    assert "not checked" not in said("args.json --select DW001", capsys, 0).out
    assert "not checked" not in said("args.json --ignore DW", capsys, 0).out


@pytest.mark.usefixtures("folder")
def test_a_change_shows_its_facts_and_what_it_leaves_out(capsys):
    """The header has old and new, of a file or function; and codes of both sides."""
    line = "args.json --dataset-size 9999 --epochs 1 --batch-size 128:256"
    shown = " ".join(said(line, capsys, 1).out.split())
    assert "batch 128 → 256" in shown
    assert "Left out, for both have it: DW010" in shown
    line = "train_it:make --dataset-size 9999 --epochs 1 --batch-size 8:16"
    shown = " ".join(said(line, capsys, 1).out.split())
    assert "batch_size 8 → 16" in shown
    assert "dataset_size 9,999 ·" in shown
    same = " ".join(said("args.json args.json --epochs 1", capsys, 0).out.split())
    assert "Nothing was found." in same


@pytest.mark.usefixtures("folder")
def test_a_change_of_facts_on_one_file(capsys):
    """before:after beside one file says what the change does."""
    line = "args.json --dataset-size 1281167 --batch-size 256:2048"
    plain = as_json(line, capsys, 1)
    assert codes(plain) == ["DW030", "DW010", "DW031"]
    assert "batch 256 to 2048" in plain["findings"][0]["evidence"]
    # Eight times the batch, but for a last batch that is shorter.
    assert plain["findings"][0]["line"] == '"weight_decay": 0.3997'
    shown = said(line, capsys, 1).out
    assert "before" in shown
    assert '            "weight_decay": 0.3997\n' in shown


def test_a_change_between_files(folder, capsys):
    """Two files are compared, and the line is one of the new file."""
    (folder / "new.yaml").write_text("learning_rate: 0.002\nweight_decay: 0.05\n")
    plain = as_json("args.json new.yaml --dataset-size 100000", capsys, 1)
    assert plain["target"] == "args.json → new.yaml"
    assert plain["findings"][0]["line"].startswith("weight_decay: ")


@pytest.mark.usefixtures("folder")
def test_a_function_is_audited(capsys):
    """module:function is called, and what it builds is audited by its parameters."""
    line = "train_it:make --batch-size 10 --dataset-size 1000 --epochs 60"
    shown = said(f"{line} --json", capsys, 1)
    plain = json.loads(shown.out)  # what the code prints is no part of it
    assert "built" in shown.err
    assert plain["target"] == "train_it:make"
    assert codes(plain) == ["DW010"]
    assert plain["groups"][0]["numbers"] == 8
    assert plain["groups"][0]["half_life"]["epochs"] == pytest.approx(69.3, rel=1e-3)
    biased = as_json("train_it:biased", capsys, 1)
    assert "DW001" in codes(biased)
    assert as_json("train_it:scheduled --select DW001", capsys, 0)["groups"]


@pytest.mark.usefixtures("folder")
def test_a_change_between_functions_and_of_facts(capsys):
    """Two functions, or one with facts that change, are compared group by group."""
    facts = "--batch-size 10 --dataset-size 1000 --steps 9000"
    two = as_json(f"train_it:make train_it:larger {facts}", capsys, 1)
    assert two["target"] == "train_it:make → train_it:larger"
    assert two["findings"][0]["code"] == "DW030"
    assert two["findings"][0]["line"] == "weight_decay=0.025  # was 0.1"
    one = as_json(f"train_it:make {facts} --lr 1e-3:4e-3", capsys, 1)
    assert one["findings"][0]["line"] == two["findings"][0]["line"]


WRONG = {
    "no target": ("", "must be told what to audit"),
    "neither": ("train_it.py", "Write train_it:make, train_it:"),
    "a module": ("train_it", "Write train_it:make, train_it:"),
    "no file of it": ("train_that.py", "write train_that:make"),
    "no function in it": ("broken_it.py", "broken_it.py has no function without"),
    "a model": ("models_it:net", "Got net, which is a model. Functions there: build"),
    "a class": ("models_it:Net", "Got Net, which is a class of models"),
    "an optimizer": ("models_it:optimizer", "Got optimizer, which is an optimizer"),
    "a number meant": ("args.json --weight-decay 0.1", "A file has its own"),
    "a number below 0": ("train_it:make --weight-decay -0.1", "0 or more"),
    "a pickle": ("out/training_args.bin", "save arguments.to_json_string()"),
    "only a colon": (":", "write train:make"),
    "a path": ("train_it.py:make", "Write train_it:make"),
    "no module": ("train_ti:make", "Here are: train_it"),
    "no package": ("no.such.module:make", "name a module that Python finds"),
    "no function": ("train_it:mak", "It has make"),
    "no method": ("train_it:make.nothing", "no nothing"),
    "a value": ("train_it:value", "value, which is of type float"),
    "arguments": ("train_it:wants", "needs no arguments"),
    "raises": ("train_it:raises", r"Got KeyError: 'first line\nno such key', in"),
    "raises early": ("train_it:raises", "must return, but raised before it did"),
    "its own line": ("train_it:raises", "in train_it.py line 24"),
    "a torch error": ("train_it:deep", "in train_it.py line 27"),
    "a syntax error": (
        "syntax_it:make",
        "Got SyntaxError: '(' was never closed, in syntax_it.py line 2.",
    ),
    "a space": ("args.json --select DW001 DW002", "--select DW001,DW002"),
    "a space before": ("--ignore DW001, dw01 args.json", "commas and no spaces"),
    "leaves": ("train_it:leaves", "SystemExit: 3"),
    "a number": ("train_it:number", "Got something of type int"),
    "None": ("train_it:nothing", "Got None"),
    "one thing": ("train_it:one", "Got 1 things (Linear)"),
    "swapped": ("train_it:swapped", "Got AdamW as model"),
    "half a dict": ("train_it:half", "Got a dict with model"),
    "broken": (
        "broken_it:make",
        "ZeroDivisionError: division by zero, in broken_it.py",
    ),
    "an import inside": ("imports_it:make", "No module named 'no_such_library'"),
    "leaves at once": ("leaves_it:make", '__name__ == "__main__"'),
    "no file": ("absent.json", "must be a readable file"),
    "mixed": ("args.json train_it:make", "two files, or two functions"),
    "devices of a function": ("train_it:make --world-size 2", "that a file has"),
    "no devices": ("args.json --world-size 0", "--world-size must be at least 1"),
    "an unknown code": ("args.json --select DW999", "Nearest: DW0"),
    "an unknown page": ("--explain DW9", "Nearest: DW0"),
    "an unknown ignore": ("args.json --ignore DW001,X", "Got 'X'"),
    "an unknown option": ("args.json --sekect DW001", "Nearest: --select"),
    "a dtype": ("args.json --dtype int8", "The dtype must be one"),
}


@pytest.mark.parametrize(("words", "told"), WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("folder")
def test_a_mistake_is_told_in_words(words, told, capsys):
    """Every mistake is exit code 2 and a sentence that helps, never a traceback."""
    shown = said(words, capsys, 2)
    assert told in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


@pytest.mark.usefixtures("folder")
def test_an_error_is_an_object_in_json(capsys):
    """With --json the error is an object on stdout too."""
    shown = said("train_it:number --json", capsys, 2)
    assert json.loads(shown.out)["error"]["kind"] == "AuditTargetError"


@pytest.mark.usefixtures("folder")
def test_debug_shows_where_the_code_failed():
    """--debug lets the traceback through, with the line of the person's own code."""
    with pytest.raises(AuditTargetError, match="must return") as caught:
        main(["audit", "train_it:raises", "--debug"])
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.usefixtures("folder")
def test_the_path_is_left_as_it_was():
    """Loading a program leaves sys.path as it found it."""
    before = list(sys.path)
    assert load_program("train_it:biased").example is not None
    assert sys.path == before


def test_one_page_and_all_pages(capsys):
    """--explain tells one code whole, or lists all of them; as JSON too."""
    shown = said("--explain dw009", capsys, 0).out
    words = " ".join(shown.split())
    for text in (CODES["DW009"].why, CODES["DW009"].found, CODES["DW009"].write):
        assert text in words
    listed = said("--explain all", capsys, 0).out
    assert [code for code in CODES if code not in listed] == []
    assert [each["code"] for each in as_json("--explain all", capsys, 0)["codes"]] == [
        *CODES
    ]


@pytest.mark.parametrize(
    "line", ["audit --explain DW001", "audit args.json --dataset-size 9999", "audit -h"]
)
def test_files_and_pages_need_no_torch(line, folder):
    """The audit of a file and the pages of the codes load neither torch nor numpy."""
    code = (
        f"import sys; from dwindle.cli.main import main; main({line.split()!r})\n"
        "print('HEAVY', *({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert done.stdout.rpartition("HEAVY")[2].strip() == ""
