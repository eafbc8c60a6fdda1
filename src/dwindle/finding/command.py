"""A training that is a command: filled in, run in a group, its metric read."""

import errno
import os
import re
import shlex
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from dwindle.errors import UsageError
from dwindle.errors.nearest import nearest_names, typing_mistakes
from dwindle.finding.group import Group, how_it_ended
from dwindle.finding.metric import (
    Metric,
    Scanner,
    Verdict,
    judged,
    names_with_numbers,
)
from dwindle.finding.output import Kept
from dwindle.finding.result_file import read_result_file, trainer_state_in
from dwindle.finding.training import Ask, Came
from dwindle.fitting.find_line import (
    OURS,
    PLACEHOLDER,
    names_in_braces,
    refuse_without_decay,
)
from dwindle.wording import listed

# A crash of Python then says where. PYTHONUNBUFFERED would save more of what was
# printed, but it writes each word by itself: lines of several processes would mix.
_HELPS_PYTHON = {"PYTHONFAULTHANDLER": "1"}
_MISTAKES = 1  # of typing: {sed}, {sede}
# What runs a script that is its first argument.
_INTERPRETER = re.compile(r"(python|bash|sh|zsh|Rscript|julia|node|perl|ruby)[\d.]*$")


@dataclass(frozen=True, kw_only=True)
class CommandRecipe:
    """What to run, with placeholders: ``python train.py --wd {weight_decay}``.

    No shell reads the ``words``. A UsageError where there is no such program or script,
    or the weight decay would not reach it.
    """

    words: tuple[str, ...]
    metric: Metric
    scale_names: tuple[str, ...] = ()
    keep_out: bool = False

    def __post_init__(self) -> None:
        _refuse_what_cannot_run(self.words)
        refuse_without_decay(self.words, self.replaced_names)
        self._refuse_mistyped_seed()

    def _refuse_mistyped_seed(self) -> None:
        """Refuse {sed}: the seeds would all be one, and nothing would say so."""
        # A scale that does not arrive is refused elsewhere; {part} may be no {port}.
        for name in () if self.has_seed else self.left_as_they_are:
            written = name.casefold()
            if "seed" in written or typing_mistakes(written, "seed") <= _MISTAKES:
                must = "A name in braces that means the seed must be {seed}."
                raise UsageError(must, f"{{{name}}}", "Write {seed}.")

    @property
    def replaced_names(self) -> tuple[str, ...]:
        """All names that would be replaced, whether they stand in the words or not."""
        return *OURS, *self.scale_names

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Which names are replaced, in the order in which they stand."""
        written = names_in_braces(self.words)
        return tuple(each for each in written if each in self.replaced_names)

    @property
    def left_as_they_are(self) -> tuple[str, ...]:
        """Names in braces that no placeholder has: they arrive as they stand."""
        written = names_in_braces(self.words)
        return tuple(each for each in written if each not in self.replaced_names)

    @property
    def has_seed(self) -> bool:
        """Whether a seed reaches the training; if not, there are plain replicates."""
        return "seed" in self.placeholders

    @property
    def shares_a_file(self) -> bool:
        """Whether trainings at the same time would write the same file of results."""
        return self.metric.file is not None and "out" not in self.placeholders

    @property
    def script_files(self) -> tuple[Path, ...]:
        """The files among the words: the script, settings; what a hash should cover."""
        paths = (Path(word) for word in self.words if "{" not in word)
        return tuple(path for path in paths if _is_file(path))

    def filled(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words with each known placeholder replaced; ``${seed}`` stays."""

        def value(match: re.Match[str]) -> str:
            return values.get(match[1], match[0])

        return tuple(PLACEHOLDER.sub(value, word) for word in self.words)

    def open(self) -> "CommandTraining":
        """Return something that runs it, one training at a time."""
        return CommandTraining(self)


def script_of(words: Sequence[str]) -> str:
    """Return what a command runs: itself, or what its interpreter or launcher runs."""
    if list(words[1:2]) == ["-m"] and len(words) > 2:  # noqa: PLR2004, a name behind it
        return words[2]
    first = Path(words[0])
    # python and torchrun are found on the PATH, or in a folder for programs.
    runs_another = _INTERPRETER.match(first.name) or first.parent.name == "bin"
    behind = words[1:] if runs_another or not _is_file(first) else ()
    return next((word for word in behind if _is_file(Path(word))), words[0])


class CommandTraining:
    """Runs a command, one training at a time; owns the group of the one that runs."""

    def __init__(self, command: CommandRecipe) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._group: Group | None = None
        self._is_closed = False

    def train(self, ask: Ask) -> Came:
        """Run the command and wait for its end; what fails in it is an outcome."""
        uses = self._command.placeholders
        start = time.monotonic()
        try:
            with (
                _fresh_folder(ask, wanted="out" in uses) as out,
                _free_port(wanted="port" in uses) as port,
            ):
                values = _values(ask, out, port)
                came = self._run(ask, values, out)
                if came.status == "error" or self._command.keep_out:
                    out.keep()
                return came
        except OSError as error:  # no room, no processes, too many words
            why = f"it could not be started: {error.strerror or error}"
            return Came(status="error", seconds=time.monotonic() - start, error=why)

    def close(self) -> None:
        """End what is running, from any thread, and leave no process behind."""
        with self._lock:
            self._is_closed = True
            if self._group:
                self._group.end()

    def _run(self, ask: Ask, values: Mapping[str, str], out: "_Out") -> Came:
        command, words = self._command, self._command.filled(values)
        environment = {**_HELPS_PYTHON, **os.environ, **ask.environment}
        program, reason = _program(words[0], environment)
        if reason:
            why = f"it could not be started: {words[0]}: {os.strerror(reason)}"
            return Came(status="error", seconds=0.0, error=why)
        scanners = Scanner(command.metric), Scanner(command.metric)
        kept = Kept(
            ask.folder and ask.folder / f"{ask.number}.txt",
            [scanner.read for scanner in scanners],
        )
        results = _Results(command, out.path)
        start = time.monotonic()
        try:
            group = Group(program, words, environment)
        except OSError:
            kept.close()
            raise
        with self._lock:
            self._group = group
            if self._is_closed:
                group.end()
        until = None if ask.timeout_s is None else start + ask.timeout_s
        try:
            in_time = group.pump(kept.take, until)
            seconds = time.monotonic() - start
        finally:
            group.finish(kept.take)
            self._group = None
            output = kept.close()
        if not in_time:
            why = f"it was ended after {ask.timeout_s:g} s"
        elif group.exit_code != 0:
            why = how_it_ended(group)
        else:
            verdict = results.verdict() or _of_streams(scanners, kept)
            return Came(
                status=verdict.status,
                loss=verdict.loss,
                seconds=seconds,
                error=verdict.why,
                last_lines=() if verdict.status == "ok" else kept.last_lines(),
                output=output,
            )
        return Came(
            status="error",
            seconds=seconds,
            error=why,
            last_lines=kept.last_lines(),
            output=output,
            is_worth_another_try=group.errno is None and not self._is_closed,
        )


def _of_streams(scanners: Sequence[Scanner], kept: Kept) -> Verdict:
    """Return what stdout says, or else what stderr says."""
    out, err = (scanner.readings for scanner in scanners)
    # A progress bar on stderr rounds what a line on stdout has in full.
    readings = err if out.last is None else out
    return judged(readings, names_with_numbers(kept.ends()))


class _Results:
    """A file of results, if the metric stands in one: as it was before the training."""

    def __init__(self, command: CommandRecipe, out: Path | None) -> None:
        self._metric = command.metric
        self._file = command.metric.file
        if self._file is None:
            return
        # Relative to the fresh folder where there is one.
        name = self._file[0].replace("{out}", str(out))
        self._path = (out or Path()) / name
        self._before = _state_of(self._path)

    def verdict(self) -> Verdict | None:
        """Return what the file says now; that of an earlier training says nothing."""
        if self._file is None:
            return None
        path = self._path
        if path.name == "trainer_state.json":
            path = trainer_state_in(path.parent) or path
        now = _state_of(path)
        if now is None:
            return Verdict(status="error", why=f"it wrote no {path}")
        if path == self._path and now == self._before:
            return Verdict(
                status="error", why=f"it did not write {path}, which is older"
            )
        return read_result_file(self._metric, path)


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass
class _Out:
    """The fresh folder of a training, if it wants one."""

    path: Path | None
    is_kept: bool = False

    def keep(self) -> None:
        """Leave it where it is."""
        self.is_kept = True


@contextmanager
def _fresh_folder(ask: Ask, *, wanted: bool) -> Iterator[_Out]:
    if not wanted:
        yield _Out(None)
        return
    if ask.folder is None:
        path = Path(tempfile.mkdtemp(prefix="dwindle-"))
    else:
        # Absolute: the training may change its folder.
        path = (ask.folder / f"{ask.number}.out").absolute()
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700, parents=True)
    out = _Out(path)
    try:
        yield out
    finally:
        if not out.is_kept:
            shutil.rmtree(path, ignore_errors=True)


_ports_lock = threading.Lock()
_ports: set[int] = set()


@contextmanager
def _free_port(*, wanted: bool) -> Iterator[int | None]:
    """Yield a port of loopback that is free, and that no training of ours has now."""
    if not wanted:
        yield None
        return
    with _ports_lock:
        port = None
        while port is None or port in _ports:
            with socket.socket() as tried:
                tried.bind(("127.0.0.1", 0))
                port = tried.getsockname()[1]
        _ports.add(port)
    try:
        yield port
    finally:
        _ports.discard(port)


def _values(ask: Ask, out: _Out, port: int | None) -> dict[str, str]:
    values = {name: typed(value) for name, value in ask.scale.items()}
    values["weight_decay"] = typed(ask.weight_decay)
    if ask.seed is not None:
        values["seed"] = str(ask.seed)
    if out.path is not None:
        values["out"] = str(out.path)
    if port is not None:
        values["port"] = str(port)
    return values


def typed(value: float) -> str:
    """Return a number as any program reads it back: all of its digits, no exponent.

    A whole number has no point: ``type=int`` takes it. An exponent is no number to YAML
    (1e-05 is a text there) nor to some shells.
    """
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 NaN
        return str(value)
    text = format(Decimal(repr(float(value))), "f")
    return text.removesuffix(".0") if "." in text else text


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def _refuse_what_cannot_run(words: Sequence[str]) -> None:
    if not words:
        remedy = "Write it behind two dashes: -- python train.py --wd {weight_decay}."
        must = "A training must have a command."
        raise UsageError(must, "none", remedy)
    if any("\0" in word for word in words):
        must, remedy = "A command must have no NUL character.", "Leave it out."
        raise UsageError(must, repr(" ".join(words)), remedy)
    if PLACEHOLDER.search(words[0]):
        return  # found out when it is started
    path, reason = _program(words[0], os.environ)
    if reason:
        must = "The first word of a command must be a program that can be run."
        got = f"{words[0]}: {os.strerror(reason)}"
        raise UsageError(must, got, _remedy_for_program(words[0], reason))
    if len(words) > 1 and _INTERPRETER.match(Path(path).name):
        _refuse_missing_script(Path(words[1]))


def _program(word: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the path of a program and 0, or why there is none as an errno."""
    path = shutil.which(word, path=environment.get("PATH"))
    if path is not None:
        return path, 0
    return word, errno.EACCES if _is_file(Path(word)) else errno.ENOENT


def _remedy_for_program(word: str, reason: int) -> str:
    if word.endswith(".py"):
        return f"Write the Python that runs it, too: python {word}."
    if reason == errno.EACCES:
        return f"Make it executable: chmod +x {shlex.quote(word)}."
    return "Is it installed, and spelled so?"


def _refuse_missing_script(script: Path) -> None:
    """Refuse the script of an interpreter that is not there: python tran.py."""
    name = str(script)
    if name.startswith("-") or PLACEHOLDER.search(name) or script.exists():
        return
    there = [str(each) for each in script.parent.glob(f"*{script.suffix}")]
    near = nearest_names(name, there, 3)
    remedy = f"Nearest: {listed(near)}." if near else "Is it in this folder?"
    must = "The script of a command must be a file that is there."
    raise UsageError(must, f"{name}: no such file in {Path.cwd()}", remedy)
