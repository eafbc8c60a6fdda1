"""dwindle audit: whether a training decays what its author thinks it decays."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dwindle.audit.codes import CODES, codes_of, resolve_code
from dwindle.audit.settings_file import is_settings_file
from dwindle.cli.facts import FACT_OPTIONS, WrittenFacts
from dwindle.cli.options import Option, read_number, read_whole
from dwindle.cli.output import facts_table, print_json, stdout
from dwindle.cli.program import ITS_NUMBERS, is_program, load_program, remedy_for_module
from dwindle.errors import AuditTargetError, RangeError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from dwindle.audit.codes import Code
    from dwindle.audit.findings import Audit
    from dwindle.decay.run import Run

_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}


def _read_codes(_: str, text: str) -> frozenset[str]:
    # A comma at the end leaves a word over, which is then answered as such.
    return codes_of([part for part in text.split(",") if part.strip()] or [text])


def _read_devices(option: str, text: str) -> int:
    devices = read_whole(option, text)
    if devices < 1:
        raise RangeError(option, devices, "at least 1", f"Write {option} 8.")
    return devices


def _read_pace(option: str, text: str) -> str | int:
    if text in _PACES:
        return text
    try:
        steps = read_whole(option, text)
    except RangeError:
        steps = 0
    if steps < 1:
        must = "step, epoch, never, or a number of steps, at least 1"
        remedy = f"Write {option} epoch."
        raise RangeError(option, repr(text), must, remedy)
    return steps


_PACES = ("step", "epoch", "never")
_KEEP = "find only these: DW001,DW01 (a prefix will do)"
_DROP = "leave these out; it beats --select"
_DEVICES = "devices that train together, for a file"
_MEANT = "the number that was meant: find where a program's weights have another"
_EVERY = "how often a program's scheduler steps: step, epoch, N steps, never"
OPTIONS = (
    Option("TARGET", "module:function, or a settings file: .json, .yaml, .toml"),
    Option("NEW", "the same after a change, to be compared with TARGET"),
    Option("--explain", "tell what a code means: DW001, or all of them: all", "CODE"),
    Option("--select", _KEEP, "CODES", _read_codes),
    Option("--ignore", _DROP, "CODES", _read_codes),
    Option("--world-size", _DEVICES, "N", _read_devices),
    Option("--weight-decay", _MEANT, "NUMBER", read_number),
    Option("--scheduler-every", _EVERY, "PACE", _read_pace),
    *FACT_OPTIONS,
)


def command(  # noqa: PLR0913 one argument per option
    *,
    target: str | None,
    new: str | None,
    explain: str | None,
    select: frozenset[str] | None,
    ignore: frozenset[str] | None,
    world_size: int | None,
    weight_decay: float | None,
    scheduler_every: str | int | None,
    as_json: bool,
    **words: object,
) -> int:
    """Say whether a training decays what its author thinks it decays.

    TARGET is a function that returns (model, optimizer) or (model, optimizer,
    scheduler), written module:function as one imports it from here, or a settings file
    of Hugging Face's Trainer, or of another trainer that docs/audit.md names. With NEW,
    or facts written before:after, it says what a change does, and what to type to keep
    the decay.

    The scheduler is followed at the pace that --scheduler-every says, else at one that
    is guessed from its plan (T_max, milestones, step_size) beside the steps and epochs
    of the run; a line names the guess. --schedule counts instead of the scheduler.

    The exit code is 1 where there is an error or a warning, else 0; notes never count.
    """
    if explain is not None:
        _explain(explain, as_json=as_json)
        return 0
    facts = WrittenFacts.from_words(words)
    asked = _Asked(every=scheduler_every, meant=weight_decay)
    found = _audit(_required(target), new, facts, world_size, asked)
    found = found.selected(select or (), ignore or ())
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)
    return found.exit_code


def _required(target: str | None) -> str:
    if target is None:
        must = "dwindle audit must be told what to audit."
        remedy = (
            "Write dwindle audit train:make for a function that returns (model, "
            "optimizer), or dwindle audit training_args.json."
        )
        raise UsageError(must, "no target", remedy)
    return target


def _audit(
    target: str,
    new: str | None,
    facts: WrittenFacts,
    world_size: int | None,
    asked: "_Asked",
) -> "Audit":
    """Audit what was named, or what changes between two; both are of one kind."""
    for each in filter(None, (target, new)):
        _refuse_unreadable(each)
    if new is not None and is_settings_file(target) != is_settings_file(new):
        must = "TARGET and NEW must be two files, or two functions."
        raise UsageError(must, f"{target} and {new}", "Compare what is of one kind.")
    if is_settings_file(target):
        _refuse_of_programs(target, asked)
        return _files(target, new, facts, world_size)
    if world_size is not None:
        must = "--world-size multiplies the batch per device that a file has."
        remedy = "Write --batch-size with the examples of a whole step."
        raise UsageError(must, f"it for {target}", remedy)
    if asked.every is None and "shape" in facts.texts:
        # a schedule that was typed counts, a constant one as well
        asked = replace(asked, every="never")
    return _programs(target, new, facts, asked)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What only a program can be asked: the pace of its scheduler, a number meant."""

    every: str | int | None = None
    meant: float | None = None


def _refuse_of_programs(target: str, asked: _Asked) -> None:
    if asked.every is not None:
        must = "--scheduler-every is the pace of a program's scheduler."
        remedy = "A file names its schedule, or give --schedule cosine."
        raise UsageError(must, f"it for {target}", remedy)
    if asked.meant is not None:
        must = "--weight-decay is the number that a program's groups should have."
        remedy = "A file has its own: write it there, or name a function."
        raise UsageError(must, f"it for {target}", remedy)


def _refuse_unreadable(target: str) -> None:
    if is_settings_file(target) or is_program(target):
        return
    must = "be module:function, or a settings file: .json, .yaml, .yml or .toml"
    module = target.strip(":").removesuffix(".py").replace("/", ".").strip(".")
    remedy = remedy_for_module(module or "train")
    if target.endswith(".bin"):
        remedy = _NO_PICKLE
    if target.casefold().endswith(_TEXTS):
        remedy = ITS_NUMBERS
    if _IS_CODE.fullmatch(target):
        remedy = _COMMAS
    raise AuditTargetError(target, must, target, remedy)


_IS_CODE = re.compile(r"DW\d*,?", re.IGNORECASE)
_TEXTS = (".sh", ".bash", ".cfg", ".ini", ".conf", ".txt", ".gin", ".slurm", ".env")
_COMMAS = "Codes have commas and no spaces between them: --select DW001,DW002."
_NO_PICKLE = (
    "training_args.bin is a pickle, which runs code when it is read, so it is not: "
    "save arguments.to_json_string() in a .json file."
)


def _files(
    target: str, new: str | None, facts: WrittenFacts, world_size: int | None
) -> "Audit":
    from dwindle.audit.settings_audit import (
        audit_changed_files,
        audit_training_arguments,
    )

    before, after, devices = facts.known(0), facts.known(-1), world_size or 1
    if new is None and not facts.is_change:
        return audit_training_arguments(target, given=before, world_size=devices)
    return audit_changed_files(
        target,
        new or target,
        given_before=before,
        given_after=after,
        world_size=devices,
    )


def _programs(
    target: str, new: str | None, facts: WrittenFacts, asked: _Asked
) -> "Audit":
    from dwindle.audit.change import audit_of_facts, compare_audits

    before, after = facts.runs()
    found = _audit_target(target, before, asked)
    if new is not None:
        return compare_audits(found, _audit_target(new, after, asked))
    return audit_of_facts(found, before, after) if facts.is_change else found


def _audit_target(text: str, run: "Run", asked: _Asked) -> "Audit":
    return audit_target(text, run=run, every=asked.every, meant=asked.meant)


def audit_target(
    text: str,
    *,
    run: "Run",
    every: str | int | None = None,
    meant: float | None = None,
) -> "Audit":
    """Audit what a function of a module builds.

    Args:
        text: ``module:function``.
        run: Facts of the training that no optimizer knows.
        every: How often its scheduler steps, as :func:`dwindle.pytorch.audit` has it.
        meant: The weight decay that was meant, where it is to be looked for.

    Raises:
        AuditTargetError: If the function cannot be called or returns something else.
        MissingLibraryError: If torch is not installed.

    """
    program = load_program(text)
    audit = _torch_audit()
    return audit(
        program.model,
        program.optimizer,
        scheduler=program.scheduler,
        run=run,
        example=program.example,
        every=every,
        weight_decay=meant,
        target=text,
    )


def _torch_audit() -> "Callable[..., Audit]":
    # torch is not imported before somebody's own code was: it has it already.
    from dwindle.pytorch.audit import audit

    return audit


def _show(found: "Audit") -> None:
    from dwindle.audit.show import as_rich

    # Uncropped: a line to copy may run over the edge, as the shell would wrap it.
    stdout().print(as_rich(found, whole_lines=True), crop=False)


def _explain(name: str, *, as_json: bool) -> None:
    chosen = [*CODES.values()] if name == "all" else [resolve_code(name)]
    if as_json:
        print_json({"codes": [code.as_dict() for code in chosen]})
    elif name == "all":
        stdout().print(_list_of_codes())
        stdout().print("\n[dim]dwindle audit --explain CODE tells more of one.[/]")
    else:
        stdout().print(_page(chosen[0]))


def _page(code: "Code") -> "Table":
    return facts_table(
        {
            "code": f"{code.code} ({code.severity})",
            "found": code.title,
            "why it matters": code.why,
            "how it is found": code.found,
            "what to write": code.write,
            "source": code.source,
        }
    )


def _list_of_codes() -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("code", "severity", "what is found", box=box.SIMPLE_HEAD)
    for code in CODES.values():
        severity = Text(code.severity, style=_STYLES[code.severity])
        table.add_row(code.code, severity, code.title)
    return table
