"""Audit: whether a torch program decays what its author thinks it decays."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from dwindle.audit.findings import Audit, Finding, GroupLine
from dwindle.audit.run_facts import facts_of_run
from dwindle.audit.setting_findings import line_of_setting
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.pytorch.checks.along import MOST_STEPS
from dwindle.pytorch.checks.dataflow import normalized_in_a_pass
from dwindle.pytorch.checks.facts import Facts, gathered
from dwindle.pytorch.checks.group import Group, optimizers_of
from dwindle.pytorch.checks.normalized import (
    Normalized,
    normalized_by_declaration,
    normalized_by_themselves,
)
from dwindle.pytorch.checks.rates import Rate
from dwindle.pytorch.checks.table import CHECKS
from dwindle.pytorch.parameters.layers import class_of

_NO_EXAMPLE = (
    "Which weights a normalization follows was told by the order of declaration; "
    "example=inputs runs the model once and knows."
)

_NOT_FOLLOWED = (
    "The lr was taken to be constant, for the scheduler could not be followed (one of "
    f"torch's kind can, for {MOST_STEPS:,} steps): Run(schedule=Schedule(shape="
    '"cosine")) tells its shape.'
)
_HELD_FAMILY = "held"
_HELD = (
    "A DecayController sets the rate of this optimizer and follows its schedule; here "
    "it was judged as if the lr stayed at its peak."
)

_OTHER_LR = (
    "The lr that was given was not used: the optimizer or its scheduler has one."
)
_OTHER_SCHEDULE = (
    "The schedule that was given was not used: the program's own scheduler was "
    "followed."
)


def audit(  # noqa: PLR0913 the parts of a program
    model: nn.Module,
    optimizer: Any,
    *,
    scheduler: object | None = None,
    run: Run | None = None,
    example: object | None = None,
    target: str = "",
) -> Audit:
    """Find what decays that should not, is missing, doubled, or not what its name says.

    The optimizer is judged by what a copy of it does to a weight, the parameters by
    the layers that own them, a penalty in the loss (DW007) only while its ``L2Penalty``
    object is alive. Nothing of the program is changed: no parameter, gradient,
    option, state, mode, buffer or random generator.

    Args:
        model: The model, also wrapped (DDP, ``torch.compile``) or sharded (FSDP2).
        optimizer: A torch optimizer, wrapped or not, or a list of several.
        scheduler: The lr scheduler, if one was built.
        run: Facts of the training (batch_size, dataset_size, epochs or steps,
            schedule); what is missing is named in ``unchecked``. Peak lr and momentum
            are read from the optimizer.
        example: Inputs, to see which layers a normalization follows: a tensor, a tuple
            of arguments, or a mapping of named ones. The model then runs once, without
            gradients and on copies of its buffers.
        target: What to call the program.

    Returns:
        Findings, worst first, and a table of the param groups.

    Raises:
        RefusedError: If a copy of the optimizer cannot be made, the model is flattened
            by FSDP1, or one of the two is something else.
        RangeError: If the model cannot be called with the example.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.LayerNorm(16))
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)
        >>> there = audit(model, optimizer)
        >>> [found.code for found in there.findings]
        ['DW001', 'DW002']
        >>> print(there.findings[0].line)
        from dwindle.pytorch import decay_groups
        optimizer = torch.optim.AdamW(decay_groups(model, weight_decay=0.1), lr=0.0003)

    """
    facts = gathered(
        model,
        optimizer,
        scheduler=scheduler,
        run=Run() if run is None else run,
        normalized=_normalized(model, example),
    )
    return Audit(
        target=target or class_of(model),
        optimizer=" + ".join(type(each).__name__ for each in optimizers_of(optimizer)),
        findings=tuple(findings_of(facts)),
        table=tuple(_table(facts)),
        facts=facts_of_run(facts.run),
        unchecked=tuple(dict.fromkeys(_unchecked(facts))),
    )


def findings_of(facts: Facts) -> Iterator[Finding]:
    """Yield what all checks find in the facts of a program."""
    for check in CHECKS:
        yield from check.find(facts)


def _normalized(model: nn.Module, example: object | None) -> Iterator[Normalized]:
    yield from normalized_by_themselves(model)
    if example is None:
        yield from normalized_by_declaration(model)
    else:
        yield from normalized_in_a_pass(model, example)


def _table(facts: Facts) -> Iterator[GroupLine]:
    rates = {rate.group.number: rate for rate in facts.rates}
    for group in facts.groups:
        rate = rates.get(group.number)
        yield _bare_line(group) if rate is None else _line(facts, rate)


def _line(facts: Facts, rate: Rate) -> GroupLine:
    line = line_of_setting(
        rate.judged.explanation,
        rate.group.run(facts.run),
        group=str(rate.group.number),
        parameters=len(rate.group.held),
        numbers=rate.group.numbers,
    )
    if not rate.group.is_free:
        return replace(line, weight_decay=None, family=_HELD_FAMILY)
    # A knob that decays alike may count in other units than the one that is typed.
    return replace(line, weight_decay=rate.group.knob)


def _bare_line(group: Group) -> GroupLine:
    return GroupLine(
        group=str(group.number),
        parameters=len(group.held),
        numbers=group.numbers,
        lr=group.lr,
        weight_decay=group.knob,
        family=group.probe.family,
        half_life={"steps": group.half_life_steps},
        shrink_per_step=group.probe.shrink_per_step,
        dtype=group.probe.dtype,
    )


def _unchecked(facts: Facts) -> Iterable[str]:
    for rate in facts.rates:
        for text in rate.judged.unchecked:
            # Where the lr is known, a finding says why there was no size.
            if not (rate.group.lr and "--lr" in text):
                yield text
    if _is_not_followed(facts):
        yield _NOT_FOLLOWED
    if not all(group.is_free for group in facts.groups):
        yield _HELD
    yield from _unused(facts)
    if any(each.known_from == "declaration" for each in facts.normalized):
        yield _NO_EXAMPLE


def _unused(facts: Facts) -> Iterator[str]:
    """Yield what was given and is told better by the program."""
    if any(facts.run.lr not in (None, group.lr) for group in facts.groups):
        yield _OTHER_LR
    if facts.scheduler is not None and _has_schedule(facts) and not _is_used(facts):
        yield _OTHER_SCHEDULE


def _is_not_followed(facts: Facts) -> bool:
    """Whether there is a scheduler, and neither it nor the run tells its shape."""
    if facts.scheduler is None or facts.steps is None:
        return False
    return not _has_schedule(facts) and _is_used(facts)


def _has_schedule(facts: Facts) -> bool:
    return facts.run.schedule != Schedule()


def _is_used(facts: Facts) -> bool:
    """Whether the schedule of the run counts for a group: no scheduler tells more."""
    return any(rate.group.e_folds is None for rate in facts.rates)
