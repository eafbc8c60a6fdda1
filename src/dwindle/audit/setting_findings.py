"""What one setting does in its run, judged: the findings that need no optimizer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dwindle.audit.advice import advice_for, is_as_good_as_none
from dwindle.audit.findings import Finding, GroupLine
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.families import FAMILIES, STAYS, has_no_rate
from dwindle.decay.knobs import KNOBS
from dwindle.decay.remarks import Remark
from dwindle.decay.run import Run

_DATA = "dataset_size (--dataset-size) and batch_size (--batch-size)"
_LENGTH = f"steps (--steps), or epochs (--epochs) with {_DATA}"
_LOW_PRECISION = frozenset({"bfloat16", "float16"})
# A schedule has one shape at every length.
_SAMPLED_STEPS = 1000
_FADED = 0.1
# nanoGPT's weights remember 11,552 steps, 0.64 epochs of its data; TinyLlama's 17,328.
_REMEMBERED_STEPS = 1000

# Warnings of an explanation, by code; the others are no fault of a setting.
_CODES: Mapping[str, str] = {
    "dead-zone": "DW009",
    "stalls": "DW009",
    "longer-than-the-run": "DW010",
    "shorter-than-an-epoch": "DW011",
    "oscillation": "DW012",
    "second-decay": "DW013",
    "rounding": "DW023",
    "growth": "DW024",
    "swing": "DW024",
    "nothing-left": "DW024",
    # Where the number sets no rate: only a penalty has a decoupled twin to use.
    **{
        each.name: "DW008" if each.is_penalty else "DW025"
        for each in FAMILIES.values()
        if not each.has_half_life
    },
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A setting with what it does and what is to be said of it.

    Args:
        explanation: Half-life, shrink, e-folds and all else of :func:`explain`.
        findings: What was found.
        unchecked: Sentences that name the facts that would have told more.

    """

    explanation: Explanation
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]


def findings_of_setting(
    knob: str, value: float, run: Run, *, where: str = ""
) -> tuple[Finding, ...]:
    """Say what is wrong with a number, typed at a knob, in a run.

    Args:
        knob: Where it is typed, as ``dwindle knobs`` has it.
        value: The number; 0 gives no findings, for a group may well not decay.
        run: Facts of the training; what lacks a fact is not checked.
        where: What the findings call the place.

    Returns:
        Findings of size (dead zone, run, epoch, momentum) and of kind (adaptive).

    Raises:
        UnknownNameError: If the knob is not known; the nearest are offered.
        RangeError: If the value is impossible.

    Example:
        >>> run = Run(lr=1e-3, dtype="bfloat16")
        >>> [f.code for f in findings_of_setting("torch.AdamW", 0.1, run)]
        ['DW009']

    """
    return judge(knob, value, run, where=where).findings


def judge(knob: str, value: float, run: Run, *, where: str = "") -> Judged:
    """Explain a setting and say what is wrong with it.

    Raises:
        UnknownNameError: If the knob is not known; the nearest are offered.
        RangeError: If the value is impossible.

    Example:
        >>> judge("torch.AdamW", 0.1, Run()).unchecked
        ('Sizes of the decay were not checked: give lr (--lr).',)

    """
    told = explain(value, knob, run=run)
    family = FAMILIES.get(str(told.family))
    if value == 0 and not (family and family.always_on):
        return Judged(explanation=told, findings=(), unchecked=())
    found = dict(_evidence(told, run))
    if "DW012" in found:  # a weight that swings has an impossible size as well
        found.pop("DW024", None)
    if value == 0:  # only the second decay is left to be judged
        found = {code: each for code, each in found.items() if code == "DW013"}
    findings = tuple(
        finding_of(code, evidence, told, run, where=where)
        for code, evidence in found.items()
    )
    return Judged(
        explanation=told, findings=findings, unchecked=tuple(_unchecked(told))
    )


def finding_of(
    code: str, evidence: str, told: Explanation, run: Run, *, where: str = ""
) -> Finding:
    """Return what was found in a setting, with what to do about it.

    A half-life of many runs is a note: there is no decay that one could turn up. One
    below an epoch is a note where it has a thousand steps, as language models have.

    Args:
        code: What was found.
        evidence: What was seen.
        told: What the setting does.
        run: The run that it does it in.
        where: What to call the place.

    Example:
        >>> run = Run(lr=5e-5, steps=1000)
        >>> told = explain(0.01, "torch.AdamW", run=run)
        >>> finding_of("DW010", "", told, run).severity
        'note'

    """
    remedy, line = advice_for(code, told, run)
    return Finding(
        code=code,
        where=where,
        evidence=evidence,
        remedy=remedy,
        line=line,
        is_slight=_is_slight(code, told),
    )


def _is_slight(code: str, told: Explanation) -> bool:
    """Return whether recipes that are known to be good have it as well."""
    if code == "DW011":
        return (told.half_life["steps"] or 0.0) >= _REMEMBERED_STEPS
    return code == "DW010" and is_as_good_as_none(told)


def _unchecked(told: Explanation) -> Iterator[str]:
    """Yield what a missing fact kept from being checked."""
    if "missing-fact" not in {warning.code for warning in told.warnings}:
        return
    if told.shrink_per_step is None:
        if not has_no_rate(KNOBS[told.knob]):
            yield "Sizes of the decay were not checked: give lr (--lr)."
        return
    if told.e_folds is None:
        yield f"DW010 was not checked: give {_LENGTH}."
    if told.half_life["epochs"] is None:
        yield f"DW011 was not checked: give {_DATA}."


def line_of_setting(
    told: Explanation,
    run: Run,
    *,
    group: str,
    parameters: int | None = None,
    numbers: int | None = None,
) -> GroupLine:
    """Return the row of the table that an explanation fills.

    Example:
        >>> run = Run(lr=1e-3)
        >>> told = judge("torch.AdamW", 0.1, run).explanation
        >>> round(line_of_setting(told, run, group="0").half_life["steps"])
        6931

    """
    return GroupLine(
        group=group,
        parameters=parameters,
        numbers=numbers,
        lr=run.lr,
        weight_decay=told.value,
        family=told.family,
        half_life=told.half_life,
        shrink_per_step=told.shrink_per_step,
        kept=told.kept,
        e_folds=told.e_folds,
        dtype=run.dtype,
        knob=told.knob,
        run=run,
    )


def _evidence(told: Explanation, run: Run) -> Iterator[tuple[str, str]]:
    """Yield a code and what was seen; of warnings with one code the first counts."""
    seen: set[str] = set()
    for warning in told.warnings:
        code = _code_of(warning, told, run)
        if code is not None and code not in seen:
            seen.add(code)
            yield code, warning.seen  # what to do has a place of its own
    family = FAMILIES.get(str(told.family))
    if family is not None and family.course is STAYS and _falls(run):
        text = "Each step takes {:.3g} of a weight; the lr falls to {:g} of its peak."
        yield "DW026", text.format(told.value, run.schedule.final)


def _code_of(warning: Remark, told: Explanation, run: Run) -> str | None:
    # What a long run leaves may be unknown where a step's shrink is not: no fault.
    if warning.code == "impossible":
        return "DW024" if told.shrink_per_step is None else None
    if warning.code == "late-dead-zone":
        return "DW023" if run.dtype in _LOW_PRECISION else None
    return _CODES.get(warning.code)


def _falls(run: Run) -> bool:
    return run.schedule.multipliers(_SAMPLED_STEPS)[-1] < _FADED
