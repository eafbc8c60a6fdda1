"""The audit of a file of TrainingArguments: its setting, judged and laid out."""

import re
from dataclasses import replace

from dwindle.audit.change import compare_audits
from dwindle.audit.findings import Audit, Finding, GroupLine
from dwindle.audit.setting_findings import judge, line_of_setting
from dwindle.audit.settings_file import is_json, line_for
from dwindle.audit.trainer_names import meant_by
from dwindle.audit.trainer_setting import Given, TrainingSetting, read_setting_of
from dwindle.decay.convert import convert
from dwindle.errors import DwindleError

_NUMBER = re.compile(r"weight_decay=([0-9.e+-]+)(  # was .*)?")
# A larger number than this is no decay that anybody would type.
_SANE = 1.0
_DECOUPLED = "adamw_torch_fused"
_LOADED = "Keep the weights in float32; bf16: true is enough for the speed."
_WIDER = "Keep the weights in float32, and compute in 16 bits by autocast alone."
_ADAMW = "Take the decoupled optimizer of this trainer, AdamW."
_FLOAT32 = 'AutoModel.from_pretrained(name, dtype="float32")'


def audit_training_arguments(
    path: str, *, given: Given | None = None, world_size: int = 1
) -> Audit:
    """Say what a file of TrainingArguments decays, and what is wrong with it.

    Args:
        path: JSON or YAML file.
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
    if setting.knob is None:
        return _without_knob(setting)
    where = f"{setting.path}: {setting.decay_key}"
    judged = judge(setting.knob, setting.weight_decay, setting.run, where=where)
    findings = (
        *setting.findings,
        *(_in_file(each, setting) for each in judged.findings),
        *_nothing_decays(setting, where),
    )
    return Audit(
        target=setting.path,
        optimizer=_optimizer(setting),
        findings=findings,
        table=(line_of_setting(judged.explanation, setting.run, group="decayed"),),
        facts=setting.facts,
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
    """Say what went with a change from one file of TrainingArguments to another.

    Args:
        old: File before the change.
        new: File after it; may be the same, with other facts beside it.
        given_before: Facts beside the old file.
        given_after: Facts beside the new one.
        world_size: Devices that train together, on both sides.

    Raises:
        AuditTargetError: If a file cannot be read, or a value has a wrong type.
        UnknownNameError: If the Trainer has no such optimizer or schedule.
        RangeError: If a fact is impossible.

    """
    before = read_setting_of(old, given=given_before, world_size=world_size)
    setting = read_setting_of(new, given=given_after, world_size=world_size)
    found = compare_audits(_audit_of(before), _audit_of(setting))
    here = f"{new}: {setting.decay_key}"
    placed = (
        replace(each, where=here) if each.where.startswith("group ") else each
        for each in found.findings
    )
    return replace(found, findings=tuple(_in_file(each, setting) for each in placed))


def _without_knob(setting: TrainingSetting) -> Audit:
    line = GroupLine(
        group="decayed",
        lr=setting.run.lr,
        weight_decay=setting.weight_decay,
        dtype=setting.run.dtype,
        run=setting.run,
    )
    return Audit(
        target=setting.path,
        optimizer=setting.optim,
        findings=setting.findings,
        table=(line,),
        facts=setting.facts,
        unchecked=setting.unchecked,
    )


def _optimizer(setting: TrainingSetting) -> str:
    return f"{setting.optim} (decays as {setting.knob})"


def _in_file(found: Finding, setting: TrainingSetting) -> Finding:
    """Say the line of a remedy as the file has it, not as Python."""
    path, number = setting.path, _NUMBER.fullmatch(found.line)
    if number:
        # JSON has no comments, and a number that is multiplied was another one there.
        plain = is_json(path) or setting.decay_factor != 1
        was = "" if plain else number[2] or ""
        there = float(f"{float(number[1]) / setting.decay_factor:.6g}")
        return replace(found, line=line_for(path, setting.decay_key, there) + was)
    is_theirs = setting.is_of_transformers
    if found.code == "DW008":
        line = line_for(path, "optim", _DECOUPLED) if is_theirs else ""
        return replace(found, line=line, remedy=found.remedy if line else _ADAMW)
    if found.code == "DW009" and setting.run.dtype != "float32":
        line = _FLOAT32 if is_theirs else ""
        return replace(found, remedy=_LOADED if line else _WIDER, line=line)
    return found


def _nothing_decays(setting: TrainingSetting, where: str) -> list[Finding]:
    if setting.weight_decay or _is_misspelt(setting):
        return []
    said = "weight_decay is 0." if setting.is_typed else _UNSAID
    remedy, line = _a_decay_that_acts(setting)
    return [Finding(code="DW021", where=where, evidence=said, remedy=remedy, line=line)]


def _is_misspelt(setting: TrainingSetting) -> bool:
    """Tell whether a decay was typed, by a name that nobody reads: that is told."""
    if setting.is_typed:
        return False
    found = (each for each in setting.findings if each.code == "DW028")
    names = (each.where.rpartition(": ")[2] for each in found)
    return "weight_decay" in map(meant_by, names)


_UNSAID = "weight_decay is not in the file, and 0 is its default."


def _a_decay_that_acts(setting: TrainingSetting) -> tuple[str, str]:
    """Return what to write if a decay was meant, as far as the facts tell."""
    meant = "If a decay was meant, type one"
    try:
        there = convert(
            "20% of the run", "half-life", to=str(setting.knob), run=setting.run
        )
    except DwindleError:
        return f"{meant}: weight_decay.", ""
    value = there.value or 0.0
    if value > _SANE:
        remedy = (
            f"{meant}; but for a half-life of 20% of a run so short, or an lr so low, "
            f"it would have to be {value:.3g}: 0 is as good."
        )
        return remedy, ""
    typed = float(f"{value / setting.decay_factor:.2g}")
    line = line_for(setting.path, setting.decay_key, typed)
    return f"{meant}; for a half-life of 20% of the run:", line
