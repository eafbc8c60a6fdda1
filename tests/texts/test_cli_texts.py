"""The command line: every text that it prints; ``--snapshot-update`` rewrites them.

Numbers and kinds of errors are compared where they are made; here a person reads what
a line of each kind looks like, and how every kind of mistake is answered.
"""

import json
import os
import shlex
import subprocess
import sys

import pytest
from cli.programs import MODULES, WRONG_LINES, write_programs

from dwindle.cli.main import COMMANDS, main

SGD = (
    "torch.optim.SGD=5e-4 --lr 0.1 --momentum 0.9 --batch-size 128 "
    "--dataset-size 50000 --epochs 200 --schedule cosine --warmup 0.05"
)
IMAGENET = "--batch-size 256:2048 --dataset-size 1281167 --epochs 90:30"
SHOWN = {
    "overview": "--help",
    **{f"help of {command.name}": f"{command.name} --help" for command in COMMANDS},
    "explain": f"explain {SGD}",
    "explain: few facts": "explain torch.AdamW=0.1",
    "explain: six notes": "explain timm.adan=0.02 --lr 3e-4 --batch-size 512 "
    "--dataset-size 1281167 --epochs 90 --schedule cosine",
    "explain: nothing is left": "explain torch.AdamW=1 --lr 1 --steps 9",
    "explain: where weights end": "explain torch.AdamW=0.1 --lr 0.01 --steps 6000 "
    "--schedule wsd --decay-share 0.5",
    "convert": "convert keras.regularizers.L2=5e-4 --to torch.optim.SGD --epochs 3",
    "convert: layers": "convert question.l2:layer-mean=1 --to torch.SGD --units 6,4,2",
    "convert: everywhere": "convert torch.AdamW=0.1 --to all --lr 1e-3",
    "rescale": "rescale torch.AdamW=0.1 --lr 6e-4 --tokens 20e9:100e9 "
    "--batch-tokens 524288 --schedule linear:cosine",
    "rescale: nothing changes": "rescale torch.SGD=1e-4 --lr 0.1 --batch-size 64",
    "rescale: all": "rescale torch.AdamW=0.1 --lr 6e-4 --tokens 20e9:100e9 "
    "--batch-tokens 524288 --schedule linear:cosine --all",
    "rescale: of two kinds": f"rescale torch.optim.AdamW=0.1 --lr 3e-4:8e-4 {IMAGENET}",
    "rescale: not measured": "rescale torch.AdamW=0.1 --lr 1e-3 --batch-size 64:8192 "
    "--dataset-size 10000 --epochs 9:300 --depth 2:32",
    "rescale: no rate": f"rescale torch.optim.Adam=0.1 --lr 3e-4 {IMAGENET}",
    "rescale: repeated": "rescale torch.AdamW=0.1 --lr 1e-3 --batch-size 64 "
    "--dataset-size 50000 --epochs 1:8",
    "rescale: momentum": "rescale torch.SGD=5e-4 --lr 0.1 --momentum 0.9:0.95 "
    "--steps 9",
    "suggest": "suggest torch.AdamW --lr 3e-4 --tokens 20e9 --batch-tokens 524288",
    "suggest: none": "suggest torch.AdamW --lr 2e-5 --batch-size 16 "
    "--dataset-size 10000 --epochs 3",
    "rules": "rules",
    "one rule": "rules neal",
    "knobs": "knobs linear_model",
    "one knob": "knobs torch.SGD",
}
# Mistakes by command; every one is exit code 2.
EXPLAIN = """
    | SGD | 5e-4 --lr 0.1 | torch.AdamW 0.1 | zzz | torch.AdamW=-0.1 | AdmW=0.1
    | AdamW=0.1 | torch.AdamW=0.1 --lr 1e-3:2e-3 | torch.AdamW=0.1 --momentum 1
    | torch.AdamW=0.1 --epochs 0 | torch.AdamW=0.1 --lr inf | torch.AdamW=0.1 --ler 1
    | torch.AdamW=1 --epochs 1e308 --batch-size 1 --dataset-size 99
    | torch.AdamW=0.1 --batch-size 0 | torch.AdamW=0.1 --batch-size 1.5
    | torch.AdamW=0.1 --batch-size 9 --dataset-size 8 | torch.AdamW=0.1 --warmup 1
    | torch.AdamW=0.1 --warmup 500 | torch.AdamW=0.1 --warmup soon
    | torch.SGD=0.1 --nesterov --lr 1 | torch.SGD=0.1 --nesterov --no-nesterov
    | torch.AdamW=0.1 --schedule cosin | torch.AdamW=0.1 --learning-rate 1
    | torch.AdamW=0.1 --learning_rate 1 | torch.AdamW=0.1 --bs 1
    | torch.AdamW --weight-decay 0.1 | torch.AdamW=0.1 --max-steps 1
    | torch.AdamW=0.1 --seq-len 1 | torch.AdamW=0.1 --betas 0.9 0.95
    | torch.SGD=0.1 --momentum 0.9 --nesterov --dampening 0.1
    | torch.AdamW=0.1 --lr | torch.AdamW=0.1 --lr 1 --lr 2 | LogisticRegression=0
    | torch.AdamW=inf | MLP=1
"""
CONVERT = """
    torch.SGD --to torch.AdamW | =1 --to torch.AdamW | torch.SGD= --to torch.AdamW
    | torch.SGD=1e-3 | torch.SDG=1 --to torch.AdamW | torch.SGD=1 --to AdamWW
    | torch.SDG=1 --to all | torch.SGD=-1 --to all | torch.SGD=fast --to torch.AdamW
    | torch.SGD=nan --to keras.L2 | torch.SGD=1e-3 --to torch.AdamW
    | torch.AdamW=0.1 --to half-life:run --lr 1e-3
    | torch.SGD=1 --to torch.AdamW --lr 0 | torch.SGD=1 --to torch.AdamW --lr 1:2:3
    | torch.SGD=1 --to torch.AdamW --lr :2 | shrink=200% --to torch.AdamW --lr 1
    | half-life=3 --to torch.AdamW --lr 1 | half-life=3parsecs --to torch.AdamW --lr 1
    | torch.AdamW=1 --to torch.SGD --lr 1 --dtype flot
    | torch.AdamW=1 --to torch.SGD --units 784
    | torch.AdamW=1 --to torch.SGD --units 784,a,10 | question.l2=1e-3 --to torch.AdamW
    | torch.Adam=1e-3 --to half-life --lr 1 | torch.SGD=1e-4 --to torch.AdamW --lr 0.1:0
"""
RESCALE = """
    torch.AdamW | torch.AdamW=0.1 --lr 1:2:3 | torch.AdamW=0.1 --lr 1:
    | torch.AdamW=0.1 --lr 1:x | torch.AdamW=0.1 --lr 1:0
    | torch.AdamW=0.1 --batch-size 8:99 --dataset-size 80 | half-life=3 --lr 1:2
    | torch.AdamW=0.1 --tokens 1e9:2e9
    | torch.AdamW=0.1 --tokens 1e9 --batch-tokens 9 --steps 3
    | torch.AdamW=0.1 --batch-tokens 9 --batch-size 3
    | torch.AdamW=0.1 --tokens 10 --batch-tokens 99
    | torch.AdamW=0.1 --lr 1e-3:linear | torch.AdamW=0.1 --lr linear
"""
SUGGEST = """
    | torch.Adam --lr 1 --steps 9 --tokens-per-example 9 --batch-size 9 | keras.L2
    | torch.AdamW=0.1 | torch.AdamW --lr 1e-3 --steps 100 | torch.AdamW --lr 1:2
    | torch.AdamW --lr 1e-3 --steps 100 --regime often
    | torch.AdamW --lr 1e-3 --steps 100 --normalized perhaps
    | torch.AdamW --lr 1e-3 --epochs 9 --domain poetry
    | torch.AdamW --lr 0 --epochs 9 --batch-size 1 --dataset-size 9
"""
OTHERS = [
    "rescle", "--lr 0.1", "rules bengio", "knobs torch.AdmW", "knobs kers",
    "study absent.toml",
    "study s.toml --backend prcesses", "study s.toml --workers 0",
    "study s.toml --memory lots", "study s.toml --memory -4G",
    "study s.toml --memroy 4", "evidence epoch", "knobs decuopled",
    "suggest torch.optim.SGD --weightdecay 0.1", "suggest torch.optim.SGD --wd 0.1",
    "explain torch.optim.SGD --WEIGHT_DECAY 0.1", "audit train:make --lambda 0.1",
    "find", "find --low 1 mine:train", "tune --knob torch.AdamW mine:train",
    "tune --high 1 -- python train.py {weight_decay} {seed}",
]  # fmt: skip
ADAMW = "--knob torch.optim.AdamW --low 1e-3 --high 1"
TRAIN = "python3 train_it.py {weight_decay} {seed}"
# In a folder with programs; values of options are those of study files, which
# tests/cli/test_training_file.py tries.
SEARCHES = [
    f"find {ADAMW} --metric val_loss",
    f"find --low 1 --high 2 -- {TRAIN}",
    f"find {ADAMW} -- {TRAIN}",
    f"find {ADAMW} --metric val_loss mine:train -- {TRAIN}",
    f"find {ADAMW} mine:without",
    f"find {ADAMW} mine:number",
    f"find {ADAMW} mine:nothing",
    f"find {ADAMW} nowhere:train",
    f"find {ADAMW} --metric val_loss -- python3 train_it.py",
    f"find {ADAMW} --metric x -- no-such-program {{weight_decay}}",
    f"find {ADAMW} --maximize --minimize mine:train",
    "find --knob half-life --as torch.AdamW --low 1 --high 9 mine:train",
    "find --knob torch.AdamW --low 1 --high 1 mine:train",
    f"find {ADAMW} --trainings 2 mine:train",
    f"tune {ADAMW} --proxy width=1,2 --proxy width=3,4 --target width=9 mine:train",
]
WRONG = [
    *(f"explain {each.strip()}" for each in EXPLAIN.split("|")),
    *(f"convert {each.strip()}" for each in CONVERT.split("|")),
    *(f"rescale {each.strip()}" for each in RESCALE.split("|")),
    *(f"suggest {each.strip()}" for each in SUGGEST.split("|")),
    *OTHERS,
]


@pytest.fixture(autouse=True)
def _columns(monkeypatch):
    """The width of a file, whatever the terminal of the tests is."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_line_prints(name, snapshot, capsys):
    """Help, tables and single records, at the width of a file."""
    assert main(shlex.split(SHOWN[name])) == 0
    out, err = capsys.readouterr()
    assert out + err == snapshot


def test_a_table_in_a_narrow_terminal_is_one_block_per_row(
    snapshot, capsys, monkeypatch
):
    """Sixty columns, as COLUMNS says for a pipe as well."""
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("explain", "convert: layers", "rescale", "one rule", "knobs"):
        assert main(shlex.split(SHOWN[name])) == 0
    assert capsys.readouterr().out == snapshot


def test_a_posix_locale_gets_ascii(snapshot):
    """Every sign has a name there, and tables stay straight."""
    code = "import sys; from dwindle.cli.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    printed = ""
    for name in ("explain", "rules"):
        done = subprocess.run(
            [sys.executable, "-c", code, *shlex.split(SHOWN[name])],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        printed += done.stdout
    assert printed.isascii()
    assert printed == snapshot


def answers_to(lines, capsys):
    """The kind and text of each refusal: exit code 2, on stderr and as an object."""
    answers, faults = {}, []
    for line in lines:
        ours, dashes, theirs = line.partition(" -- ")
        code = main(shlex.split(f"{ours} --json{dashes}{theirs}"))
        out, err = capsys.readouterr()
        error = json.loads(out)["error"]
        answers[line] = f"{error['kind']}: {error['message']}"
        if code != 2 or err.removeprefix("built\n") != f"error: {error['message']}\n":
            faults.append((line, code, err))
    assert faults == []
    return answers


def test_every_mistake_is_answered_with_what_to_write(snapshot, capsys):
    """Bad input of every kind, in every command; without --json stdout is empty."""
    assert answers_to(WRONG, capsys) == snapshot
    assert main(shlex.split(WRONG[1])) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: KNOB=VALUE must be")


@pytest.mark.parametrize(
    "lines",
    [[f"audit {line}" for line in WRONG_LINES], SEARCHES],
    ids=["audited", "searched"],
)
def test_what_cannot_be_used_is_answered(
    lines, snapshot, capsys, tmp_path, monkeypatch
):
    """Files and functions that are none, that fail, or that return something else."""
    write_programs(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        assert answers_to(lines, capsys) == snapshot
    finally:
        for name in MODULES:
            sys.modules.pop(name, None)
    assert not [*tmp_path.glob("*.db")]
