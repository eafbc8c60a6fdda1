"""The audit of a trainer's settings file, with lines as the file has them."""

from dataclasses import replace

from dwindle.audit.change import compare_audits
from dwindle.audit.findings import Finding, GroupLine, Paste
from dwindle.audit.outcome import Audit
from dwindle.audit.setting_findings import (
    SHARE_THAT_ACTS,
    judge,
    line_of_setting,
    number_for,
)
from dwindle.audit.settings_file import is_json, line_for
from dwindle.audit.trainer_setting import Given, TrainingSetting, read_setting_of
from dwindle.audit.trainers import TRANSFORMERS, meant_by

# No usual weight decay is larger than this.
_SANE = 1.0
# The Trainer's own default.
_DECOUPLED = "adamw_torch_fused"
_FLOAT32 = 'AutoModel.from_pretrained(name, dtype="float32")'


def audit_training_arguments(
    path: str, *, given: Given | None = None, world_size: int = 1
) -> Audit:
    """Find what a trainer's settings file decays, and what is wrong with it.

    Args:
        path: JSON, YAML or TOML file.
        given: Facts that the file lacks, above all ``dataset_size``; fields of
            :class:`~dwindle.decay.run.Run`, and ``shape``, ``warmup`` and ``final``.
        world_size: Devices that train together.

    Raises:
        AuditTargetError: If the file cannot be read, or a value has a wrong type.
        UnknownNameError: If the Trainer has no such optimizer or schedule.
        RangeError: If a fact is impossible.

    """
    return _audit_of(read_setting_of(path, given=given, world_size=world_size))


def _audit_of(setting: TrainingSetting) -> Audit:
    reading, run, decay = setting.reading, setting.run, setting.weight_decay
    line = GroupLine(
        group="decayed", lr=run.lr, weight_decay=decay, dtype=run.dtype, run=run
    )
    bare = Audit(
        target=setting.path,
        optimizer=reading.optimizer,
        findings=setting.findings,
        table=(line,),
        facts=setting.facts,
        unchecked=setting.unchecked,
    )
    # A decay whose rule is not known is shown, and not judged.
    if reading.knob is None:
        return bare
    where = f"{setting.path}: {reading.decay_key}"
    judged = judge(reading.knob, decay, run, where=where)
    seen = (_in_file(each, setting) for each in judged.findings)
    return replace(
        bare,
        optimizer=f"{reading.optimizer} (decays as {reading.knob})",
        findings=(*setting.findings, *seen, *_nothing_decays(setting, where)),
        table=(line_of_setting(judged.explanation, run, group="decayed"),),
        among=judged.explanation.among,
        unchecked=(*judged.unchecked, *setting.unchecked),
    )


def audit_changed_files(
    old: str,
    new: str,
    *,
    given_before: Given | None = None,
    given_after: Given | None = None,
    world_size: int = 1,
) -> Audit:
    """Find what a change from one settings file to another, or of its facts, moved.

    Args:
        old: File before the change.
        new: File after it; may be the same, with other facts beside it.
        given_before: Facts beside the old file.
        given_after: Facts beside the new one.
        world_size: Devices that train together, on both sides.

    Raises:
        DwindleError: As of :func:`audit_training_arguments`.

    """
    before = read_setting_of(old, given=given_before, world_size=world_size)
    setting = read_setting_of(new, given=given_after, world_size=world_size)
    there = _audit_of(setting)
    found = compare_audits(_audit_of(before), there)
    where = f"{new}: {setting.reading.decay_key}"
    placed = (
        each
        if each in there.findings
        else _in_file(replace(each, where=where), setting)
        for each in found.findings
    )
    return replace(found, findings=tuple(placed))


def _in_file(found: Finding, setting: TrainingSetting) -> Finding:
    """Return a finding with its line as the file has it, not as Python."""
    path, values = setting.path, found.values
    if "number" in values:
        line = _line(setting, values["number"])
        # JSON has no comments; a trainer that multiplies had another number there.
        if not is_json(path) and setting.reading.decay_factor == 1:
            own = setting.run.decay_schedule
            # The ends of its schedule move with the number.
            ends = own.ends_of(values["number"]) if own.peak else ""
            note = f"was {values['was']:g}{'; now ' if ends else ''}{ends}"
            line = replace(line, text=f"{line.text}  # {note}")
        return replace(found, paste=line)
    is_theirs = setting.trainer is TRANSFORMERS
    if found.code == "DW008":
        if not is_theirs:
            return replace(found, case="trainer", paste=None)
        text = line_for(path, "optim", _DECOUPLED)
        return replace(found, paste=Paste(text=text))
    if found.code == "DW009" and setting.run.dtype != "float32":
        if is_theirs:
            return replace(found, case="loaded", paste=Paste(text=_FLOAT32))
        return replace(found, case="wider", paste=None)
    return found


def _line(setting: TrainingSetting, value: float) -> Paste:
    """Return the line that types a decay in the file, with three digits at most."""
    # Rounded after the division: the file has the number that it multiplies.
    number = float(f"{value / setting.reading.decay_factor:.3g}")
    return Paste(text=line_for(setting.path, setting.reading.decay_key, number))


def _nothing_decays(setting: TrainingSetting, where: str) -> list[Finding]:
    # A decay that was typed under a misspelt key is a finding already.
    keys = (each.values["key"] for each in setting.findings if each.code == "DW028")
    is_misspelt = not setting.is_typed and "weight_decay" in map(meant_by, keys)
    if setting.weight_decay or is_misspelt:
        return []
    values = {"typed" if setting.is_typed else "unsaid": 0.0}
    found = Finding(code="DW021", case="file", where=where, values=values)
    value = number_for(SHARE_THAT_ACTS, str(setting.reading.knob), setting.run)
    if value is None:
        return [found.having(key=setting.reading.decay_key)]
    if value > _SANE:
        return [found.having(needed=value)]
    found = found.having(number=value, asked=SHARE_THAT_ACTS)
    return [replace(found, paste=_line(setting, value))]
