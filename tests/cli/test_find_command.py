"""dwindle find: one line before a command, and a value with its interval."""

import math
import re
import shlex
import sys
from pathlib import Path

import pytest
from cli.lines import as_json, error_of, run
from cli.programs import FILES
from finding.formula import BEST, SCRIPT

from dwindle.decay.run import Run
from dwindle.finding.found import found_of
from dwindle.finding.records import find_from_stored
from dwindle.finding.unit import Unit
from dwindle.store.store import read_store

SEARCH = "find --knob torch.optim.AdamW --low 1e-3 --high 1"
COMMAND = f"-- {sys.executable} -S train.py --weight-decay {{weight_decay}}"
SEEDED = f"{COMMAND} --seed {{seed}}"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILES["mine.py"])
    (tmp_path / "train.py").write_text(SCRIPT.read_text())
    return tmp_path


def test_a_command_is_searched_and_the_same_line_goes_on(here, capsys):
    """The answer first, then why; the same line again and report print the same."""
    line = f"{SEARCH} --metric val_loss --trainings 9 {SEEDED}"
    code, out, err = run(line, capsys)
    assert (code, err.count("warning")) == (0, 0)
    again = run(line, capsys)
    (store,) = here.glob("*.db")
    shown = run(f"report {store.name}", capsys)
    assert out == again[1] == shown[1]
    first = next(filter(None, out.splitlines())).strip()
    value = float(re.match(r"Set weight_decay = (\S+) in torch.optim.AdamW", first)[1])
    assert abs(math.log(value / BEST)) < math.log(2)
    assert max(map(len, out.splitlines())) <= 100


def test_json_has_the_fields_of_the_design(here, capsys):
    """The names and their types are what programs rely on."""
    run_facts = "--lr 1e-3 --batch-size 10 --dataset-size 100 --epochs 5"
    line = f"{SEARCH} {run_facts} --metric val_loss --trainings 9 {SEEDED}"
    found = as_json(line, capsys)
    assert list(found) == [
        *("knob", "value", "low", "high", "matters", "gain", "gain_low", "gain_high"),
        *("harms", "trainings", "seeds", "paired"),
        *("stopped_because", "curve", "why_null", "conditions", "half_life"),
        "e_folds",
        "former",
    ]
    assert (found["knob"], found["trainings"]) == ("torch.optim.AdamW", 9)
    assert (found["stopped_because"], found["matters"]) == ("trainings", "cannot tell")
    # One seed and a pair: the value has no interval yet, but a reason.
    assert (found["low"], found["high"]) == (None, None)
    assert found["value"]
    assert found["why_null"]
    assert set(found["curve"][0]) == {"weight_decay", "seed", "loss", "status"}
    assert len(found["curve"]) == 9
    facts = {"lr": 1e-3, "batch_size": 10, "dataset_size": 100, "epochs": 5.0}
    assert found["conditions"]["facts"] == facts
    # A step takes lr·λ: half of a weight is gone after ln 2 / (lr·λ) steps.
    steps = math.log(2) / (1e-3 * found["value"])
    assert found["half_life"]["epochs"] == pytest.approx(steps / 10, rel=1e-3)
    assert found["e_folds"] == pytest.approx(50 * 1e-3 * found["value"], rel=1e-3)
    assert as_json(f"report {next(here.glob('*.db')).name}", capsys) == found


def test_a_function_is_searched_by_its_name(capsys):
    """module:function finds the minimum of the formula, and so does a study file."""
    found = as_json(f"{SEARCH} mine:train --trainings 9", capsys)
    assert abs(math.log(found["value"] / BEST)) < math.log(1.5)
    assert found["conditions"]["training"] == ["mine:train"]
    Path("s.toml").write_text(
        '[find]\nfunction = "mine:train"\nknob = "torch.optim.AdamW"\nlow = 1e-3\n'
        'high = 1\ntrainings = 5\n[run]\nlr = "3e-4"\n'
    )
    # What is typed beside the file goes before it.
    of_file = as_json("find s.toml --trainings 9", capsys)
    assert of_file["value"] == found["value"]
    assert of_file["conditions"]["facts"] == {"lr": 3e-4}
    assert Path("s.db").is_file()


@pytest.mark.parametrize(
    ("ours", "theirs", "moved"),
    [
        ("find", "python train.py --weight-decay {weight_decay}", ""),
        ("tune --target width=9", "/usr/bin/python3 train.py", "--low 1 --high=2"),
        ("find --knob torch.AdamW", "./train.sh --wd {weight_decay} --lr 1", ""),
        ("find --low 1", "./train on --low 2", "--knob torch.AdamW"),
    ],
)
def test_a_command_without_its_dashes_is_written_with_them(ours, theirs, moved, capsys):
    """The line to write is whole: pasted, its command is read as one.

    Options of ours behind the command stand before it, unless they may be its own.
    """
    wrong = error_of(f"{ours} {theirs} {moved}", capsys)["facts"]
    assert shlex.split(wrong["got"]) == shlex.split(f"{theirs} {moved} --json")
    written = shlex.split(wrong["remedy"].partition(": ")[2])
    assert written == shlex.split(f"dwindle {ours} {moved} -- {theirs} --json")
    # What is no command stays an option that is misspelt, or another tool's.
    for line, meant in (
        ("find --lowe 1 mine:train", "--low"),
        ("find mine:train --minutes 5", "--time"),
        ("tune mine:train --n-trials 9", "--trainings"),
    ):
        assert error_of(line, capsys)["facts"]["nearest"][0] == meant


def test_the_first_failure_prints_the_last_lines_of_the_training(here, capsys):
    """A wrong command costs one training; its own words are shown, harmless."""
    line = f"{SEARCH} --metric val_loss {SEEDED} --fail-above 0"
    code, out, err = run(line, capsys)
    assert (code, out) == (3, "")
    assert "RuntimeError: too much" in err
    assert "\x1b" not in err
    (store,) = here.glob("*.db")
    assert len(find_from_stored(read_store(store)).rows) == 1
    code, out, _ = run(f"report {store.name} --trial 1", capsys)
    assert "RuntimeError: too much" in out
    assert "\x1b" not in out
    files = [path for path in Path(f"{store}-output").iterdir() if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600]


def test_some_failures_leave_an_answer_and_exit_code_3(capsys):
    """Large decays crash: the rest is searched, and the failures are reported."""
    line = f"{SEARCH} --metric val_loss --trainings 9 {SEEDED} --fail-above 0.5"
    found = as_json(line, capsys, code=3)
    assert found["value"] is not None
    status = {each["weight_decay"]: each["status"] for each in found["curve"]}
    assert status[1.0] == "error"


def test_a_file_that_all_trainings_write_is_warned_of(capsys):
    """Two trainings at one path might resume each other; with {out} there is none."""
    line = f"{SEARCH} --metric val_loss --trainings 5 {SEEDED}"
    _, _, err = run(f"{line} --write model.ckpt", capsys)
    assert err.count("warning: ") == 1
    assert "model.ckpt" in err
    _, _, err = run(f"{line} --write {{out}}/model.ckpt", capsys)
    assert "warning: " not in err


def test_a_changed_script_is_refused_until_it_is_accepted(here, capsys):
    """The difference is shown; --accept-change keeps both apart."""
    script = here / "train.py"
    line = f"{SEARCH} --metric val_loss --trainings 5 {SEEDED}"
    run(line, capsys)
    script.write_text(script.read_text() + "# changed\n")
    error = error_of(line, capsys)
    assert error["kind"] == "StoreUnlikeError"
    ((name, _, _),) = error["facts"]["differences"]
    assert name == "contents of train.py"
    assert run(line.replace(" -- ", " --accept-change -- "), capsys)[0] == 0
    assert Path("train-find.db").is_file()


def test_a_dry_run_trains_nothing(here, capsys):
    """The plan, its limit, and the first command as it would be run."""
    line = f"{SEARCH} --metric val_loss --dry-run {SEEDED}"
    _, out, err = run(f"{line} --name {{run}}", capsys)
    assert "--weight-decay 0.001 --seed 0 --name '{run}'" in out
    # What is not replaced is warned of, with all that is.
    (text,) = (each for each in err.split("warning: ") if "{run}" in each)
    names = ("weight_decay", "seed", "out", "port")
    assert [name for name in names if f"{{{name}}}" not in text] == []
    plan = as_json(line, capsys)
    assert plan["first"][0] == 1e-3
    assert shlex.split(plan["training"])[-1] == "0"
    assert not list(here.glob("*.db*"))


@pytest.mark.parametrize(
    ("knob", "ends", "first"),
    [
        ("sklearn.linear_model.LogisticRegression", (1e-2, 10), {10.0, 1e-2, math.inf}),
        ("keras.regularizers.L2", (1e-5, 1e-2), {1e-5, 1e-2, 0.0}),
        ("gaussian-prior.sigma", (0.1, 10), {10.0, 0.1, math.inf}),
    ],
)
def test_a_number_is_proposed_in_the_unit_of_its_knob(knob, ends, first, capsys):
    """Ends are trained as they were typed; without decay is 0, or infinity."""
    line = f"find --knob {knob} --low {ends[0]} --high {ends[1]} mine:train --dry-run"
    plan = as_json(line, capsys)
    typed = {math.inf if each is None else each for each in plan["first"]}
    assert first <= typed


def test_a_half_life_is_typed_as_the_number_of_an_optimizer(capsys):
    """Range and answer are in epochs; the training gets what AdamW needs for them."""
    facts = "--lr 1e-2 --batch-size 10 --dataset-size 100 --epochs 5"
    knob = "--knob half-life:epochs --as torch.optim.AdamW --low 1 --high 1000"
    found = as_json(f"find {knob} {facts} mine:train --store it.db", capsys)
    tried = sorted(each["weight_decay"] for each in found["curve"])
    assert tried[0] == 0
    # ln 2 / (lr·λ) steps of 10 an epoch, up to the step's own rounding.
    assert tried[-1] == pytest.approx(1 - 2 ** (-1 / 10), rel=1e-4) or (
        tried[-1] * 1e-2 == pytest.approx(1 - 2 ** (-1 / 10), rel=1e-4)
    )
    best = math.log(2) / (1e-2 * BEST) / 10
    assert abs(math.log(found["value"] / best)) < math.log(1.5)
    assert found["half_life"]["epochs"] == pytest.approx(found["value"])
    # An interval is typed as its value is: the longest half-life is the least decay.
    there = found_of(find_from_stored(read_store(Path("it.db"))))
    for here_, typed in (("value", "value"), ("high", "low"), ("low", "high")):
        steps = 10 * getattr(there, here_)
        decay = -math.expm1(-math.log(2) / steps) / 1e-2
        assert getattr(there.typed, typed) == pytest.approx(decay, rel=1e-3)
    # A plan has both numbers of each training, and no decay is a half-life without end.
    plan = as_json(f"find {knob} {facts} mine:train --dry-run", capsys)
    assert (plan["knob"], plan["typed"]) == ("half-life:epochs", "torch.optim.AdamW")
    assert plan["first_at_knob"][-1] is None
    assert plan["first"][-1] == 0
    for there, here_ in zip(
        plan["first"][:-1], plan["first_at_knob"][:-1], strict=True
    ):
        steps = math.log(2) / -math.log1p(-1e-2 * there)
        assert steps / 10 == pytest.approx(here_, rel=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "there"),
    [(0.0, math.inf, (0.0, math.inf)), (None, None, (None, None))],
)
def test_open_ends_of_a_half_life_are_open_ends_of_a_decay(low, high, there):
    """A half-life of 0 is decay without limit; what has no interval has none there."""
    run_facts = Run(lr=1e-3, batch_size=10, dataset_size=100, epochs=5)
    unit = Unit.from_names("half-life:epochs", "torch.optim.AdamW", run_facts)
    typed = unit.typed_of(10.0, low, high)
    assert (typed.low, typed.high) == there


def test_a_page_and_a_picture_are_written(capsys):
    """Both show the curve; neither takes the place of a store."""
    line = f"{SEARCH} mine:train --trainings 9 --html p.html --png p.png"
    assert run(line, capsys)[0] == 0
    page = Path("p.html").read_text()
    assert page.count("<svg") >= 2  # for wide and for narrow screens
    assert "dwindle report mine-find.db --html p.html" in page
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    refused = error_of(f"{SEARCH} mine:train --html mine-find.db", capsys)
    assert refused["kind"] == "OutputExistsError"


def test_a_slot_reaches_each_training(here, capsys):
    """Every training of a slot gets its device; what is no slot is refused."""
    (here / "device.py").write_text(
        "import os, train\nassert os.environ['CUDA_VISIBLE_DEVICES'] in '24'\n"
    )
    rest = SEEDED.replace("train.py", "device.py")
    found = as_json(
        f"{SEARCH} --metric val_loss --trainings 6 --slots cuda:2,cuda:4 {rest}", capsys
    )
    assert found["trainings"] == 6
    wrong = f"{SEARCH} --slots gpu0 mine:train"
    assert error_of(wrong, capsys)["kind"] == "UsageError"


def test_a_penalty_that_cannot_be_none_is_no_failure(here, capsys):
    """C = inf that cannot train leaves its question open, and the code is 0."""
    (here / "svc.py").write_text(
        "import math\n"
        "def train(weight_decay, seed):\n"
        "    if math.isinf(weight_decay):\n"
        "        raise ValueError('C must be finite')\n"
        "    return 1 + math.log(weight_decay / 20) ** 2 / 50 + seed / 100\n"
    )
    line = "find svc:train --knob own:SVC.C:inverse --low 1 --high 1e3 --trainings 14"
    found = as_json(line, capsys)
    status = [(each["weight_decay"], each["status"]) for each in found["curve"]]
    assert [at for at, what in status if what == "error"] == [None]
    assert found["matters"] == "cannot tell"
    # Its column is called by the number that it gets.
    there = found_of(find_from_stored(read_store(Path("svc-find.db"))))
    assert (there.place, there.table().columns[1].name) == ("SVC.C", "C")


def test_a_scale_reaches_commands_and_functions(here, capsys):
    """A placeholder, a declared argument; what does not reach it is refused."""
    (here / "wide.py").write_text(
        "def train(weight_decay, seed, width):\n"
        "    assert width == 64 and type(width) is int\n"
        "    return 1 + (weight_decay - 0.1 - seed / 1000) ** 2\n"
    )
    scale = "--trainings 5 --scale width=64"
    found = as_json(f"{SEARCH} wide:train {scale}", capsys)
    assert found["conditions"]["scale"] == {"width": 64}
    words = (
        f"{SEARCH} {scale} --metric loss --dry-run -- echo {{width}}{{weight_decay}}"
    )
    plan = as_json(words, capsys)
    assert plan["training"].startswith("echo 64")
    for training in ("mine:train", f"--metric val_loss {COMMAND}"):
        refused = error_of(f"{SEARCH} {scale} {training}", capsys)
        assert refused["kind"] == "UsageError"
    for bad in ("width", "width=0", "seed=3", "width=3,width=4"):
        assert error_of(f"{SEARCH} --scale {bad} mine:train", capsys)
