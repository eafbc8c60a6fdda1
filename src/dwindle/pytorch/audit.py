"""The audit of a torch program: whether it decays what was meant to decay."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from dwindle.audit.codes import UNCHECKED
from dwindle.audit.findings import Finding, GroupLine, Unchecked
from dwindle.audit.outcome import Audit, facts_of_run
from dwindle.audit.setting_findings import SIZES, line_of_setting
from dwindle.decay.python_inputs import RunLike, run_of
from dwindle.decay.schedules import Schedule
from dwindle.pytorch.checks import (
    of_normalized,
    of_options,
    of_parameters,
    of_rates,
)
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import (
    NEVER,
    AuditedGroup,
    LrCourse,
    groups_of,
    optimizers_of,
    scheduler_name,
)
from dwindle.pytorch.checks.normalized import (
    normalized_by_declaration,
    normalized_by_themselves,
    normalized_in_a_pass,
)
from dwindle.pytorch.copying.copies import tensors_kept
from dwindle.pytorch.follow_schedule import Every, read_every
from dwindle.pytorch.options import check_not_negative
from dwindle.pytorch.parameters.layers import class_of
from dwindle.pytorch.parameters.roles import parameter_roles
from dwindle.pytorch.penalized.double_decay import penalties_of
from dwindle.pytorch.refusals import refused
from dwindle.wording import count, with_article

# Each finds its codes in the facts of a program. Findings of one code are shown in this
# order.
CHECKS = (
    of_parameters.decayed_vectors,
    of_parameters.in_no_group,
    of_parameters.in_two_groups,
    of_parameters.tied_by_storage,
    of_rates.penalty_and_decay,
    of_rates.penalty_through_adaptive,
    of_rates.sizes,
    of_rates.second_decay,
    of_rates.stretched_by_layer,
    of_parameters.idle_rows,
    of_parameters.idle_layers,
    of_normalized.size_divided_out,
    of_options.scale_that_nothing_applies,
    of_options.promise_not_kept,
    of_options.numbers_as_text,
    of_parameters.nothing_decays,
    of_parameters.frozen_that_decays,
    of_options.knob_without_effect,
    of_options.keys_that_nobody_reads,
    of_parameters.weights_out_of_reach,
    of_options.eps_like_a_decay,
    of_options.of_another_optimizer,
    of_rates.without_half_life,
)


def audit(  # noqa: PLR0913 the parts of a program
    model: nn.Module,
    optimizer: Any,
    *,
    scheduler: Any = None,
    run: RunLike | None = None,
    example: object | None = None,
    every: Every | None = None,
    weight_decay: float | None = None,
    target: str = "",
) -> Audit:
    """Find decay that is misplaced, missing, doubled, or not what its name promises.

    The optimizer is judged by what a copy of it does to a weight, the parameters by
    the layers that own them, a penalty in the loss (DW007) only while its ``L2Penalty``
    object is alive. Nothing of the program is changed.

    Args:
        model: The model, also wrapped (DDP, ``torch.compile``) or sharded (FSDP2).
        optimizer: A torch optimizer, wrapped or not, or a list of several.
        scheduler: The lr scheduler, of torch or timm, or a list where several
            optimizers have one each. A copy of it is followed over the run.
        run: Facts of the training (batch_size, dataset_size, epochs or steps), a Run
            or a mapping; what is missing is named in ``unchecked``. A schedule in it
            counts instead of the scheduler; peak lr and momentum are read from the
            optimizer.
        example: Inputs, a tensor, a tuple or a mapping of arguments, to see which
            layers a normalization follows. The model then runs once, without gradients
            and on copies of its buffers.
        every: How often the loop steps the scheduler: ``step``, ``epoch``, so many
            steps, or ``never`` to leave it out. Else it is guessed from the scheduler's
            plan and the length of the run; ``facts`` and ``unchecked`` name the guess.
        weight_decay: The number that was meant: what the groups of the weights have is
            compared with it (DW040).
        target: What to call the program.

    Returns:
        Findings, worst first, and a table of the param groups.

    Raises:
        RefusedError: If a copy of the optimizer cannot be made, the model is flattened
            by FSDP1, there is no param group, or one of the three is something else.
        UsageError: If the run is something else.
        RangeError: If the model cannot be called with the example, ``every`` is no
            pace, or the lr or weight_decay of a group is negative.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.LayerNorm(16))
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1)
        >>> there = audit(model, optimizer)
        >>> [found.code for found in there.findings]
        ['DW001', 'DW002']

    """
    if weight_decay is not None:
        check_not_negative("weight_decay", weight_decay)
    if every != NEVER:
        read_every(every, steps_per_epoch=1)  # refuses what is no pace
    run = run_of(run)
    several = isinstance(scheduler, list | tuple)
    schedulers = () if scheduler is None else scheduler if several else (scheduler,)
    for each in schedulers:
        if not callable(getattr(each, "step", None)):
            raise refused("no-scheduler", given=with_article(type(each).__name__))
    held = parameter_roles(model)
    normalized = (
        normalized_by_declaration(model)
        if example is None
        else normalized_in_a_pass(model, example)
    )
    groups = tuple(groups_of(optimizer, held, run, schedulers, every=every))
    if not groups:
        raise refused("no-group")
    facts = Facts(
        model=model,
        held=held,
        groups=groups,
        run=run,
        schedulers=tuple(schedulers),
        every=every,
        normalized=(*normalized_by_themselves(model), *normalized),
        penalties=penalties_of(each.parameter for each in held),
        meant=weight_decay,
    )
    return Audit(
        target=target or class_of(model),
        optimizer=" + ".join(type(each).__name__ for each in optimizers_of(optimizer)),
        findings=tuple(findings_of(facts)),
        table=tuple(_row(facts, group) for group in facts.groups),
        facts=facts_of_run(facts.run) | _paces(facts),
        unchecked=tuple(dict.fromkeys(_unchecked(facts))),
        # The e-folds are those along the scheduler, where one was followed.
        among=next(
            (
                replace(group.explanation.among, e_folds=group.explanation.e_folds)
                for group in facts.judged
                if group.decays
                and group.explanation.among
                and group.explanation.e_folds
            ),
            None,
        ),
    )


def findings_of(facts: Facts) -> Iterator[Finding]:
    """Yield what all checks find in the facts of a program."""
    # Tensors that an optimizer lists beside its groups would not fit new groups.
    listing = any(tensors_kept(group.optimizer) for group in facts.groups)
    for find in CHECKS:
        for found in find(facts):
            breaks = listing and found.paste is not None and found.paste.regroups
            yield found.without_line("unwrap") if breaks else found


def _row(facts: Facts, group: AuditedGroup) -> GroupLine:
    """Return the row of a group; one that is not judged has what its copy showed."""
    rests = not (group.decays and group.moving)
    if group.judged is not None:
        run = group.run(facts.run)
        line = line_of_setting(group.explanation, run, group=str(group.number))
    else:
        line = GroupLine(
            group=str(group.number),
            lr=group.lr,
            family="none" if rests else None,
            half_life={"steps": group.half_life_steps},
            shrink_per_step=0.0 if group.rests else group.probe.shrink_per_step,
            dtype=group.probe.dtype,
        )
    is_judged_as_held = group.judged is not None and not group.is_free
    return replace(
        line,
        parameters=len(group.moving),
        numbers=group.numbers,
        # The knob of the judgement may have other units than the one that is typed.
        weight_decay=None if is_judged_as_held else group.knob,
        walk="none" if rests else group.probe.walk,
        is_held=not group.is_free,
    )


def _unchecked(facts: Facts) -> Iterator[str]:
    for group in facts.groups:
        if group.judged and not group.lr:
            yield Unchecked(UNCHECKED["lr-of-0"], *SIZES)
        elif group.judged:
            yield from group.judged.unchecked
    for group in facts.groups:
        if group.held and not group.moving:
            yield UNCHECKED["frozen-group"].format(group=group.number)
    yield from _of_schedulers(facts)
    if not all(group.is_free for group in facts.groups):
        yield UNCHECKED["held"]
    yield from _unused(facts)
    if any(each.known_from == "declaration" for each in facts.normalized):
        yield UNCHECKED["no-example"]


def _of_schedulers(facts: Facts) -> Iterator[str]:
    """Yield that the pace of a scheduler was guessed, or why it was not followed."""
    for course in _courses(facts):
        if course.why_not:
            text = UNCHECKED["not-followed"].format(
                scheduler=course.scheduler, why=course.why_not
            )
            yield Unchecked(text, "DW010")
        elif course.pace and course.is_guessed:
            unit, why, known = course.pace.unit, course.pace.why, facts.run.quantities()
            length = f"{known['steps']:,.0f} steps"
            if "epochs" in known:
                length = f"{count(known['epochs'])} epochs and {length}"
            yield UNCHECKED["guessed-pace"].format(unit=unit, why=why, length=length)


def _unused(facts: Facts) -> Iterator[str]:
    """Yield sentences on given facts that were not used, or used for the program's."""
    if any(facts.run.lr not in {None, group.lr} for group in facts.groups):
        yield UNCHECKED["other-lr"]
    if facts.every is not None and not facts.schedulers:
        yield UNCHECKED["no-scheduler"]
    if facts.schedulers and (facts.run.schedule != Schedule() or facts.every == NEVER):
        names = dict.fromkeys(map(scheduler_name, facts.schedulers))
        yield UNCHECKED["other-schedule"].format(scheduler=", ".join(names))


def _courses(facts: Facts) -> list[LrCourse]:
    """Return the course of each optimizer that has a scheduler which counts."""
    courses = {id(group.course): group.course for group in facts.groups}
    return [course for course in courses.values() if course.scheduler]


def _paces(facts: Facts) -> dict[str, str]:
    """Return the schedulers that were followed, and how often they step."""
    followed = [course for course in _courses(facts) if course.pace]
    if not followed:
        return {}
    names = dict.fromkeys(course.scheduler for course in followed)
    every = dict.fromkeys(
        f"{course.pace.unit}{' (guessed)' if course.is_guessed else ''}"
        for course in followed
        if course.pace
    )
    return {"scheduler": ", ".join(names), "scheduler_every": ", ".join(every)}
