"""dwindle audit: whether a training decays what its author thinks it decays."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dwindle.audit.codes import CODES, codes_of, resolve_code
from dwindle.audit.settings_file import is_settings_file
from dwindle.cli.facts import FACT_OPTIONS, OF_A_DECAY, WrittenFacts
from dwindle.cli.options import Option, read_count, read_number, read_whole
from dwindle.cli.output import answer
from dwindle.cli.program import ITS_NUMBERS, is_program, load_program, remedy_for_module
from dwindle.decay.run import Run
from dwindle.errors import AuditTargetError, RangeError, UsageError
from dwindle.show import Column, Line, Styled, Table, facts

if TYPE_CHECKING:
    from dwindle.audit.outcome import Audit

_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}
_MOST_DEVICES = 1_000_000  # more than any cluster has is a slip
_PACES = ("step", "epoch", "never")
# A target that is a code, typed behind a space instead of a comma.
_IS_CODE = re.compile(r"DW\d*,?", re.IGNORECASE)
# Files in which people keep settings, and that no trainer reads.
_TEXTS = (".sh", ".bash", ".cfg", ".ini", ".conf", ".txt", ".gin", ".slurm", ".env")
_COMMAS = "Codes have commas and no spaces between them: --select DW001,DW002."
_NO_PICKLE = (
    "training_args.bin is a pickle, which runs code when it is read, so it is not: "
    "save arguments.to_json_string() in a .json file."
)
_NO_TARGET = (
    "Write dwindle audit train:make for a function that returns (model, optimizer), or "
    "dwindle audit training_args.json."
)


def _read_codes(_: str, text: str) -> frozenset[str]:
    # A comma at the end leaves a word over, which is then answered as such.
    return codes_of([part for part in text.split(",") if part.strip()] or [text])


def _read_pace(option: str, text: str) -> str | int:
    if text in _PACES:
        return text
    try:
        steps = read_whole(option, text)
    except RangeError:
        steps = 0
    if steps < 1:
        must = "step, epoch, never, or a number of steps, at least 1"
        raise RangeError(option, repr(text), must, f"Write {option} epoch.")
    return steps


_KEEP = "find only these: DW001,DW01 (a prefix will do)"
_DROP = "leave these out; it beats --select"
_DEVICES = "devices that train together, for a file"
_MEANT = "the number that was meant: find where a program's weights have another"
_EVERY = "how often a program's scheduler steps: step, epoch, N steps, never"
OPTIONS = (
    Option("TARGET", "module:function, or a settings file: .json, .yaml, .toml"),
    Option("NEW", "the same after a change, to be compared with TARGET"),
    Option("--explain", "print what a code means: DW001, or all of them: all", "CODE"),
    Option("--select", _KEEP, "CODES", _read_codes),
    Option("--ignore", _DROP, "CODES", _read_codes),
    Option("--world-size", _DEVICES, "N", read_count(_MOST_DEVICES)),
    Option("--weight-decay", _MEANT, "NUMBER", read_number, also=OF_A_DECAY),
    Option("--scheduler-every", _EVERY, "PACE", _read_pace),
    *FACT_OPTIONS,
)


# Options that one kind of target has: what they are, and what to write for the other.
_OF_PROGRAMS = {
    "scheduler_every": (
        "--scheduler-every is the pace of a program's scheduler.",
        "A file names its schedule, or give --schedule cosine.",
    ),
    "weight_decay": (
        "--weight-decay is the number that a program's groups should have.",
        "A file has its own: write it there, or name a function.",
    ),
}
_OF_FILES = {
    "world_size": (
        "--world-size multiplies the batch per device that a file has.",
        "Write --batch-size with the examples of a whole step.",
    ),
}


def command(
    *,
    target: str | None,
    explain: str | None,
    select: frozenset[str] | None,
    ignore: frozenset[str] | None,
    as_json: bool,
    **arguments: Any,
) -> int:
    """Report whether a training decays what its author thinks it decays.

    TARGET is a function that returns (model, optimizer) or (model, optimizer,
    scheduler), written module:function as one imports it from here, or a settings file
    of Hugging Face's Trainer, or of another trainer that docs/audit.md names. With NEW,
    or facts written before:after, it reports what a change does, and what to type to
    keep the decay.

    The scheduler is followed at the pace of --scheduler-every, else at one that is
    guessed from its plan (T_max, milestones, step_size) beside the steps and epochs
    of the run; a line names the guess. --schedule counts instead of the scheduler.

    The exit code is 1 where there is an error or a warning, else 0; notes never count.
    """
    if explain is not None:
        _explain(explain, as_json=as_json)
        return 0
    written = WrittenFacts.from_arguments(arguments)
    if target is None:
        must = "dwindle audit needs something to audit."
        raise UsageError(must, "no target", _NO_TARGET)
    _refuse_unreadable(target, arguments["new"])
    is_file = is_settings_file(target)
    for name, (must, remedy) in (_OF_PROGRAMS if is_file else _OF_FILES).items():
        if arguments[name] is not None:
            raise UsageError(must, f"it for {target}", remedy)
    found = (_files if is_file else _programs)(target, written, arguments)
    found = found.selected(select or (), ignore or ())
    answer(found.as_dict(), found.sheet(), as_json=as_json)
    return found.exit_code


def _refuse_unreadable(target: str, new: str | None) -> None:
    """Refuse what is neither file nor function, and two of unlike kinds."""
    for each in filter(None, (target, new)):
        if is_settings_file(each) or is_program(each):
            continue
        must = "be module:function, or a settings file: .json, .yaml, .yml or .toml"
        if _IS_CODE.fullmatch(each):
            remedy = _COMMAS
        elif each.endswith(".bin"):
            remedy = _NO_PICKLE
        elif each.casefold().endswith(_TEXTS):
            remedy = ITS_NUMBERS
        else:
            module = each.strip(":").removesuffix(".py").replace("/", ".").strip(".")
            remedy = remedy_for_module(module or "train")
        raise AuditTargetError(each, must, each, remedy)
    if new is not None and is_settings_file(target) != is_settings_file(new):
        must = "TARGET and NEW must be two files, or two functions."
        raise UsageError(must, f"{target} and {new}", "Compare what is of one kind.")


def _files(target: str, written: WrittenFacts, arguments: Mapping[str, Any]) -> "Audit":
    from dwindle.audit.settings_audit import (
        audit_changed_files,
        audit_training_arguments,
    )

    before, after = written.known(0), written.known(-1)
    new, devices = arguments["new"], arguments["world_size"] or 1
    # One file with before:after is compared with itself under the other facts.
    if new is None and not written.is_change:
        return audit_training_arguments(target, given=before, world_size=devices)
    return audit_changed_files(
        target,
        new or target,
        given_before=before,
        given_after=after,
        world_size=devices,
    )


def _programs(
    target: str, written: WrittenFacts, arguments: Mapping[str, Any]
) -> "Audit":
    from dwindle.audit.change import audit_of_facts, compare_audits

    every, new = arguments["scheduler_every"], arguments["new"]
    if every is None and "shape" in written.texts:
        # A schedule that was typed counts, a constant one as well.
        every = "never"

    def audited(text: str, run: Run) -> "Audit":
        program = load_program(text)
        # Imported after the user's code, which has imported torch already.
        from dwindle.pytorch.audit import audit

        return audit(
            program.model,
            program.optimizer,
            scheduler=program.scheduler,
            run=run,
            example=program.example,
            every=every,
            weight_decay=arguments["weight_decay"],
            target=text,
        )

    before, after = written.runs()
    found = audited(target, before)
    if new is not None:
        return compare_audits(found, audited(new, after))
    return audit_of_facts(found, before, after) if written.is_change else found


def _explain(name: str, *, as_json: bool) -> None:
    chosen = [*CODES.values()] if name == "all" else [resolve_code(name)]
    document = {"codes": [code.as_dict() for code in chosen]}
    if name == "all":
        columns = (Column("code", "name"), Column("severity", "name"), "what is found")
        rows = [
            (code.code, Styled(code.severity, _STYLES[code.severity]), code.title)
            for code in chosen
        ]
        last = "dwindle audit --explain CODE prints one in full."
        table = Table(columns=columns, rows=rows, indent=2)
        below = Line(text=last, style="dim")
        answer(document, table, "", below, as_json=as_json)
    else:
        code = chosen[0]
        page = {
            "code": f"{code.code} ({code.severity})",
            "found": code.title,
            "why it matters": code.why,
            "how it is found": code.found,
            "what to write": code.write,
            "source": code.source,
        }
        answer(document, facts(page, indent=2), as_json=as_json)
