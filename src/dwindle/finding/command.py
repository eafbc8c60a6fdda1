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
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from dwindle.errors import UsageError
from dwindle.errors.nearest import typing_mistakes
from dwindle.finding.group import Group, how_it_ended
from dwindle.finding.metric import (
    Metric,
    Scanner,
    judged,
    names_with_numbers,
)
from dwindle.finding.output import Kept
from dwindle.finding.result_file import read_result_file, trainer_state_in
from dwindle.finding.training import Request, Result, nearest_file, not_started
from dwindle.fitting.find_line import (
    OURS,
    PLACEHOLDER,
    names_in_braces,
    refuse_without_decay,
)

# A crash of Python then prints where. PYTHONUNBUFFERED would save more of what was
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
        # With {sed} all trainings would have one seed, unnoticed. A scale that does not
        # arrive is refused elsewhere; {part} need not mean {port}.
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
        """Names in braces that are no placeholders: they stay as they are."""
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
        """The files among the words (script, settings), whose contents are hashed."""
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
    """Return the script of a command, behind its interpreter or launcher if any."""
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

    def train(self, request: Request) -> Result:
        """Run the command and wait for it to end; a failure is a result."""
        uses, start = self._command.placeholders, time.monotonic()
        out: Path | None = None
        is_kept = False
        try:
            out = _fresh_folder(request) if "out" in uses else None
            with _free_port(wanted="port" in uses) as port:
                result = self._run(request, _values(request, out, port), out)
            is_kept = result.status == "error" or self._command.keep_out
        except OSError as error:  # no room, no processes, too many words
            result = not_started(error, seconds=time.monotonic() - start)
        finally:
            if out is not None and not is_kept:
                shutil.rmtree(out, ignore_errors=True)
        return result

    def close(self) -> None:
        """End what is running, from any thread, and leave no process behind."""
        with self._lock:
            self._is_closed = True
            if self._group:
                self._group.end()

    def _run(
        self, request: Request, values: Mapping[str, str], out: Path | None
    ) -> Result:
        command, words = self._command, self._command.filled(values)
        environment = {**_HELPS_PYTHON, **os.environ, **request.environment}
        program, reason = _program(words[0], environment)
        if reason:
            why = f"it could not be started: {words[0]}: {os.strerror(reason)}"
            return Result(status="error", error=why)
        scanners = Scanner(command.metric), Scanner(command.metric)
        kept = Kept(
            request.folder and request.folder / f"{request.number}.txt",
            [scanner.read for scanner in scanners],
        )
        file = _ResultFile(command, out)
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
        try:
            in_time = group.pump(kept.take, request.timeout_s)
            seconds = time.monotonic() - start
        finally:
            group.finish(kept.take)
            self._group = None
            output = kept.close()
        if in_time and group.exit_code == 0:
            result = file.read()
            if result is None:
                stdout, stderr = (scanner.readings for scanner in scanners)
                # A progress bar on stderr rounds what a line on stdout has in full.
                readings = stderr if stdout.last is None else stdout
                result = judged(readings, names_with_numbers(kept.ends()))
            lines = () if result.status == "ok" else kept.last_lines()
            return replace(result, seconds=seconds, last_lines=lines, output=output)
        return Result(
            status="error",
            seconds=seconds,
            error=how_it_ended(group) if in_time else request.is_over,
            last_lines=kept.last_lines(),
            output=output,
            is_worth_another_try=group.errno is None and not self._is_closed,
        )


class _ResultFile:
    """The file of results, if the metric is in one, and its state before training."""

    def __init__(self, command: CommandRecipe, out: Path | None) -> None:
        self._metric = command.metric
        self._file = command.metric.file
        if self._file is None:
            return
        # Relative to the fresh folder where there is one.
        name = self._file[0].replace("{out}", str(out))
        self._path = (out or Path()) / name
        self._before = _state_of(self._path)

    def read(self) -> Result | None:
        """Return the result in the file; one of an earlier training does not count."""
        if self._file is None:
            return None
        path = self._path
        if path.name == "trainer_state.json":
            path = trainer_state_in(path.parent) or path
        now = _state_of(path)
        if now is None:
            return Result(status="error", error=f"it wrote no {path}")
        if path == self._path and now == self._before:
            why = f"it did not write {path}, which is older"
            return Result(status="error", error=why)
        return read_result_file(self._metric, path)


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _fresh_folder(request: Request) -> Path:
    if request.folder is None:
        return Path(tempfile.mkdtemp(prefix="dwindle-"))
    # Absolute: the training may change its folder.
    path = (request.folder / f"{request.number}.out").absolute()
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, parents=True)
    return path


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


def _values(request: Request, out: Path | None, port: int | None) -> dict[str, str]:
    values = {name: typed(value) for name, value in request.scale.items()}
    values["weight_decay"] = typed(request.weight_decay)
    may_be = {"seed": request.seed, "out": out, "port": port}
    given = {name: str(each) for name, each in may_be.items() if each is not None}
    return values | given


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
        return  # checked when it is started
    path, reason = _program(words[0], os.environ)
    if reason:
        must = "The first word of a command must be a program that can be run."
        other = "Is it installed, and spelled so?"
        executable = f"Make it executable: chmod +x {shlex.quote(words[0])}."
        remedy = executable if reason == errno.EACCES else other
        if words[0].endswith(".py"):
            remedy = f"Write the Python that runs it, too: python {words[0]}."
        raise UsageError(must, f"{words[0]}: {os.strerror(reason)}", remedy)
    if len(words) > 1 and _INTERPRETER.match(Path(path).name):
        script, name = Path(words[1]), words[1]
        if name.startswith("-") or PLACEHOLDER.search(name) or script.exists():
            return
        must = "The script of a command must be a file that is there."
        got = f"{name}: no such file in {Path.cwd()}"
        raise UsageError(must, got, nearest_file(script))


def _program(word: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the path of a program and 0, or why there is none as an errno."""
    path = shutil.which(word, path=environment.get("PATH"))
    if path is not None:
        return path, 0
    return word, errno.EACCES if _is_file(Path(word)) else errno.ENOENT
