"""Commands: their arguments, their metric, and that no process is left."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest
from finding.programs import alive, recipe, run
from study.processes import wait_until

from dwindle.errors import UsageError
from dwindle.finding import group
from dwindle.finding.command import CommandRecipe, script_of, typed
from dwindle.finding.metric import Metric
from dwindle.finding.training import Request

LOSS = Metric(text="loss")
PRINT_WORDS = "import sys; print(sys.argv[1:]); print('loss=1')"


def command_of(*words):
    return CommandRecipe(words=words, metric=LOSS)


def test_words_arrive_as_they_are(tmp_path):
    """No shell: quotes, blanks, stars and line breaks arrive; placeholders filled."""
    words = ("a b", '"', "'", "$HOME", "*", "`id`", "\n", "", "é", "; ls", "--x={seed}")
    others = ('{"wd": {weight_decay}}', "${seed}", "{{seed}}", "{lr}", "{}", "{width}")
    at = {"scale_names": ("width",), "scale": {"width": 64.0}, "folder": tmp_path}
    printed = run(PRINT_WORDS, *words, *others, **at).output.read_text()
    found = eval(printed.splitlines()[0])  # noqa: S307 our own list
    filled = ('{"wd": 0.1}', "${seed}", "{{seed}}", "{lr}", "{}", "64", "0.1")
    assert found == [*words[:-1], "--x=3", *filled]


def test_a_training_is_called_as_its_script_and_not_as_its_data(tmp_path, monkeypatch):
    """A program that runs another is skipped; a file that runs itself is not."""
    monkeypatch.chdir(tmp_path)
    Path("bin").mkdir()
    for name in ("train.py", "train.sh", "d.csv", "bin/torchrun"):
        Path(name).touch()
    scripts = {
        "python train.py --data d.csv": "train.py",
        "python -m nets.train {weight_decay}": "nets.train",
        "/usr/bin/python3.12 train.py": "train.py",
        "torchrun train.py d.csv": "train.py",
        "bin/torchrun train.py d.csv": "train.py",
        "./train.sh --data d.csv": "./train.sh",
        "gone --data x": "gone",
    }
    assert {line: script_of(line.split()) for line in scripts} == scripts


def test_numbers_are_read_back_exactly():
    """All digits, no exponent, no point in whole numbers."""
    for value in (0.1, 1e-5, 1 / 3, 5e-324, 1.7976931348623157e308, 2e9, 0.0, 123.456):
        text = typed(value)
        assert float(text) == value
        assert "e" not in text
        assert value != int(value) or text.isdigit()


def test_what_comes_out_is_read(tmp_path):
    """A loss is ok, NaN a divergence; the kept output is for the owner alone.

    A bar on stderr rounds what stdout has in full; it counts where it is alone.
    """
    result = run("print('loss 0.25')", folder=tmp_path / "out")
    assert (result.status, result.loss, result.error) == ("ok", 0.25, None)
    assert result.output == tmp_path / "out" / "1.txt"
    assert result.output.read_text() == "loss 0.25\n"
    assert stat.S_IMODE(result.output.stat().st_mode) == 0o600
    assert 0 < result.seconds < 30
    assert run("print('loss nan')").status == "diverged"
    on_stderr = "import sys; print('loss=0.3', file=sys.stderr)"
    assert run(f"{on_stderr}; print('loss=0.25')").loss == 0.25
    assert run(on_stderr).loss == 0.3


FAILURES = {
    "import sys; print('bye'); sys.exit(4)": "exit code 4",
    "import os; print('bye', flush=True); os.abort()": "SIGABRT",
    "for n in range(99): print(n)\nprint('bye'); 1 / 0": "exit code 1",
}


def test_what_fails_is_an_outcome():
    """Exit codes and signals are named, last lines kept, and it may be tried again."""
    for code, why in FAILURES.items():
        result = run(code)
        assert (result.status, result.loss) == ("error", None)
        assert why in result.error
        assert "bye" in result.last_lines
        assert result.is_worth_another_try
    # A traceback is not hidden by what Python still had to write of stdout.
    assert result.last_lines[-1].startswith("ZeroDivisionError")
    missing = run("print('val_loss: 3')")
    assert "val_loss" in missing.error
    assert (missing.status, missing.is_worth_another_try) == ("error", False)


def test_a_training_that_hangs_is_ended_with_all_that_it_started(monkeypatch):
    """At the time-out the whole group is ended, also where it ignores SIGTERM."""
    monkeypatch.setattr(group, "GRACE_S", 0.3)
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "os.fork(); print('started', flush=True); time.sleep(600)"
    )
    start = time.monotonic()
    result = run(code, timeout_s=0.5, environment={"DWINDLE_TEST_HANG": "yes"})
    assert result.status == "error"
    assert "0.5 s" in result.error
    assert result.last_lines == ("started", "started")
    assert time.monotonic() - start < 20
    assert alive("DWINDLE_TEST_HANG") == []


def test_what_stays_in_the_background_is_ended():
    """Children that keep the pipes open are not waited for, in the group or not.

    What comes within a moment of the end of the main process counts.
    """
    code = (
        "import os, time; print('loss 1', flush=True);"
        "os.fork() or (time.sleep(0.2), print('loss 2', flush=True), time.sleep(600));"
        "os.fork() or (os.setsid(), time.sleep(600))"
    )
    start = time.monotonic()
    result = run(code, environment={"DWINDLE_TEST_LEFT": "yes"})
    assert (result.status, result.loss) == ("ok", 2)
    assert result.seconds < time.monotonic() - start < 20
    assert alive("DWINDLE_TEST_LEFT") == []


def test_nobody_types_into_a_training():
    """Its stdin is at its end; interrupts that we ignore reach it."""
    code = (
        "import sys, signal; print('loss', len(sys.stdin.read()));"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = run(code + "; 1 / 0")
    finally:
        signal.signal(signal.SIGINT, before)
    assert {"loss 0", "True"} < set(result.last_lines)


def test_each_training_has_a_fresh_folder(tmp_path):
    """{out} is empty, removed after success, kept after a failure or by keep_out.

    {port} is a number that can be listened at.
    """
    code = (
        "import os, socket, sys; out = sys.argv[1]; assert os.listdir(out) == [];"
        "open(out + '/model', 'w').close(); print(out); print('loss', sys.argv[2]);"
        "socket.socket().bind(('127.0.0.1', int(sys.argv[3])))"
    )
    for text, is_kept, keep_out in (
        ("1", False, False),
        ("nan", False, False),
        ("?", True, False),
        ("1", True, True),
    ):
        result = run(code, "{out}", text, "{port}", folder=tmp_path, keep_out=keep_out)
        out, loss = result.output.read_text().splitlines()
        assert loss == f"loss {text}"
        assert Path(out).parent == tmp_path
        assert Path(out).exists() == is_kept


def test_a_file_of_results_in_the_folder_is_read(tmp_path):
    """A relative file is read from {out}; one that was there before is not."""
    write = "import sys; open(sys.argv[1] + '/m.json', 'w').write('{\"loss\": 0.5}')"
    result = run(write, "{out}", metric="m.json:loss", folder=tmp_path)
    assert (result.status, result.loss) == ("ok", 0.5)
    assert run("1", "{out}", metric="m.json:loss", folder=tmp_path).status == "error"
    older = tmp_path / "older.json"
    older.write_text('{"loss": 0.1}')
    assert run("1", metric=f"{older}:loss").status == "error"
    rewrite = f"open({str(older)!r}, 'w').write('{{\"loss\": 0.2}}')"
    assert run(rewrite, metric=f"{older}:loss").loss == 0.2


def test_hostile_output_is_read_and_shown_harmless():
    """Bytes that are no text, escapes and marks of direction: read, made visible."""
    hostile = (
        "import sys; sys.stdout.buffer.write("
        "b'\\xff\\xfe\\x00 \\x1b]0;title\\x07\\x1b[2J caf\\xe9'"
        "b' \\xe2\\x80\\xae loss: 0.5\\n')"
    )
    assert run(hostile).loss == 0.5
    shown = run(hostile + "; 1 / 0").last_lines[0]
    assert shown == r"\xff\xfe\x00  caf\xe9 \u202e loss: 0.5"


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000


@pytest.mark.parametrize("megabytes", [200, pytest.param(1000, marks=pytest.mark.full)])
def test_gigabytes_of_output_cost_no_memory(tmp_path, megabytes):
    """The first MB and the last four are kept, the cut is marked, the loss found."""
    code = (
        "import sys; print('first', flush=True); block = (b'x' * 99 + b'\\n') * 10**4\n"
        f"for _ in range({megabytes}): sys.stdout.buffer.write(block)\n"
        "sys.stdout.flush(); print('loss: 2')"
    )
    before = resident_mb()
    result = run(code, folder=tmp_path)
    assert result.loss == 2
    assert resident_mb() - before < 30
    kept = result.output.read_bytes()
    left_out = megabytes * 1_000_000 + len(b"first\nloss: 2\n") - 5_000_000
    assert kept.startswith(b"first\nxxx")
    assert kept.endswith(b"x\nloss: 2\n")
    assert b"[... %d bytes are left out here ...]" % left_out in kept
    assert 5_000_000 < len(kept) < 5_000_100


def test_what_lies_where_the_output_goes_costs_no_training(tmp_path):
    """Without a folder there is none; a link there is replaced, not written through."""
    target = tmp_path / "precious"
    target.write_text("as it was")
    result = run("print('loss 1')", folder=target)
    assert (result.loss, result.output) == (1, None)
    (tmp_path / "1.txt").symlink_to(target)
    assert run("print('loss 1')", folder=tmp_path).output.read_text() == "loss 1\n"
    assert target.read_text() == "as it was"


PYTHON = (sys.executable, "-c", "", "{weight_decay}")
# What cannot train, or not as it was meant -> what the error names.
REFUSED = {
    (): "command",
    ("echo", "{wd}"): "{wd}",
    ("echo", "${weight_decay}"): "weight_decay",
    ("no-such-program", "{weight_decay}"): "no-such-program",
    (__file__, "{weight_decay}"): "Permission denied",
    ("python", "tran.py", "{weight_decay}"): "train.py",
    ("echo", "a\0b", "{weight_decay}"): "NUL",
    # All trainings would have one seed.
    **{
        (*PYTHON, f"{{{name}}}"): "{seed}"
        for name in ("sed", "sede", "Seed", "seeds", "random_seed")
    },
}


def test_what_cannot_train_is_refused(tmp_path, monkeypatch):
    """No decay, no program, no script, a mistyped seed: before anything runs.

    What else is in braces is somebody's own: JSON and Jinja are no names, {step} is.
    """
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("")
    for words, what in REFUSED.items():
        with pytest.raises(UsageError) as raised:
            command_of(*words)
        assert what in str(raised.value)
    command_of(*PYTHON, "{sed}", "{seed}")
    found = command_of("python", "train.py", "{weight_decay}")
    assert found.script_files == (Path("train.py"),)
    assert not found.has_seed
    others = ('{"seed": 1}', "{step}", "{{sed}}", "${sed}", "{}", "{part}")
    assert command_of(*PYTHON, *others).left_as_they_are == ("step", "part")


def test_what_goes_wrong_at_the_start_is_an_outcome(tmp_path):
    """A program without a first line, a program that is gone, too many words."""
    program = tmp_path / "program"
    program.write_text("echo loss 1")
    program.chmod(0o755)
    training = command_of(str(program), "{weight_decay}").open()
    assert "Exec format" in training.train(Request(weight_decay=1)).error
    program.unlink()
    assert "No such file" in training.train(Request(weight_decay=1)).error
    result = run("print('loss 1')", "x" * 200_000)
    assert result.status == "error"
    assert "too long" in result.error


def test_a_training_that_is_closed_ends():
    """From another thread: within seconds, and with all that it started."""
    training = recipe("import os, time; os.fork(); time.sleep(600)").open()
    Timer(0.3, training.close).start()
    start = time.monotonic()
    environment = {"DWINDLE_TEST_CLOSED": "yes"}
    result = training.train(Request(weight_decay=1, environment=environment))
    assert (result.status, result.is_worth_another_try) == ("error", False)
    assert time.monotonic() - start < 20
    assert alive("DWINDLE_TEST_CLOSED") == []


DRIVER = """
import sys
sys.path[:0] = {path!r}
from finding.programs import run
run("import os, sys, time; os.fork(); os.fork() or os.setsid();"
    "open(sys.argv[1] + str(os.getpid()), 'w').close(); time.sleep(600)", {marks!r})
"""


@pytest.mark.parametrize("victim", ["driver", "parent"])
def test_kill_9_leaves_no_process(tmp_path, victim):
    """If the driver or the small parent is killed, the training's group is ended."""
    marks, mark = tmp_path / "marks", f"DWINDLE_TEST_KILL={tmp_path}"
    marks.mkdir()
    path = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    code = DRIVER.format(path=path, marks=f"{marks}/")
    environment = {**os.environ, "DWINDLE_TEST_KILL": str(tmp_path)}
    driver = subprocess.Popen([sys.executable, "-c", code], env=environment)
    assert wait_until(lambda: len(list(marks.iterdir())) == 4)
    there = alive(mark)
    assert len(there) == 6  # the driver, the parent, the training and three children
    if victim == "driver":
        driver.kill()
    else:
        lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in there}
        (parent,) = (pid for pid, line in lines.items() if b"parent.py" in line)
        os.kill(parent, signal.SIGKILL)
    driver.wait(60)
    # What left its group survives only its adoptive parent's death by force.
    left = 0 if victim == "driver" else 2
    try:
        assert wait_until(lambda: len(alive(mark)) <= left)
    finally:
        for pid in alive(mark):
            os.kill(pid, signal.SIGKILL)
