"""Momentum and betas as a knob's own library has them: defaults, and what it lacks."""

from dataclasses import replace

from dwindle.decay.families import has_momentum
from dwindle.decay.knob import Knob
from dwindle.decay.run import Run, nesterov_needs_momentum
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError

# Told by their identity: a schedule that was given is another object.
_BY_TRAINERS = {"linear": Schedule(shape="linear")}
_NEUTRAL = {"momentum": 0.0, "dampening": 0.0, "nesterov": False}


def resolved(knob: Knob, run: Run) -> Run:
    """Return the run as the knob's optimizer sees it.

    What nobody gave is the library's default; what the optimizer lacks is left out.

    Raises:
        RangeError: If nesterov was given, and there is no momentum by default.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> there = resolved(resolve_knob("MLPClassifier:sgd"), Run(lr=0.01))
        >>> there.momentum, there.nesterov
        (0.9, True)

    """
    own: dict[str, object] = {}
    if has_momentum(knob):
        for name, neutral in _NEUTRAL.items():
            default = getattr(knob.options, name)
            if default is None:
                own[name] = neutral
            elif not run.is_said(name):
                own[name] = default
        if not own.get("momentum", run.momentum):
            if run.nesterov and knob.options.momentum is not None:
                raise nesterov_needs_momentum(0.0)
            own["nesterov"] = False
    betas = knob.options.betas
    if betas is not None and len(betas) == len(run.betas) and not run.is_said("betas"):
        own["betas"] = betas
    changes = {name: each for name, each in own.items() if getattr(run, name) != each}
    return replace(run, **changes) if changes else run  # type: ignore[arg-type]  # by name


def facts_of(knob: Knob, run: Run) -> Run:
    """Return :func:`resolved`, where the optimizer can run at all.

    Raises:
        MissingFactError: If it does not run without a momentum and none was given.
        RangeError: If a momentum of 0 was given to it, or a dampening that it has not.

    """
    own = resolved(knob, run)
    if knob.options.needs_momentum and not own.momentum:
        if not run.is_said("momentum"):
            raise MissingFactError("momentum", knob.name, "--momentum")
        must = f"above 0: {knob.name} refuses to run without"
        raise RangeError("momentum", run.momentum, must)
    is_flag = has_momentum(knob) and knob.options.dampening_is_flag
    if is_flag and own.dampening not in {0.0, own.momentum}:
        must = f"0 or the momentum, {own.momentum:g}: in {knob.name} it is a flag"
        raise RangeError("dampening", own.dampening, must)
    return own


def scheduled(knobs: tuple[Knob, ...], *runs: Run) -> tuple[Run, ...]:
    """Return the runs with the schedule that a knob's trainer has by default.

    It is that of every side, where no side has one that was given.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> (run,) = scheduled((resolve_knob("TrainingArguments"),), Run(lr=1e-4))
        >>> run.schedule.shape
        'linear'

    """
    names = [each.options.schedule for each in knobs if each.options.schedule]
    if not names or any(run.is_said("schedule") for run in runs):
        return runs
    return tuple(replace(run, schedule=_BY_TRAINERS[names[0]]) for run in runs)


def schedule_said(knob: Knob, run: Run) -> str:
    """Say that the schedule is the one that the knob's trainer has by default."""
    shape = knob.options.schedule
    if shape is None or run.schedule is not _BY_TRAINERS[shape]:
        return ""
    return (
        f"{knob.name} was given no schedule: {shape}, the Trainer's default, is used."
    )


def schedules_said(*sides: tuple[Knob, Run]) -> tuple[str, ...]:
    """Say the same of each side that has such a schedule."""
    return tuple(filter(None, (schedule_said(*side) for side in sides)))


def default_said(knob: Knob, run: Run) -> str:
    """Say which defaults of the library stand in for what was not given.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> default_said(resolve_knob("torch.SGD"), Run(lr=0.1))
        "torch.optim.SGD: momentum was not given; its library's default, 0, is used."

    """
    own = knob.options
    if not has_momentum(knob) or own.momentum is None or own.needs_momentum:
        return ""
    taken = {} if run.is_said("momentum") else {"momentum": f"{own.momentum:g}"}
    if own.nesterov and resolved(knob, run).momentum and not run.is_said("nesterov"):
        taken["nesterov"] = "True"
    if not taken:
        return ""
    names, values = " and ".join(taken), " and ".join(taken.values())
    if len(taken) == 1:
        told = f"{names} was not given; its library's default, {values}, is used."
    else:
        told = f"{names} were not given; its library's defaults, {values}, are used."
    return f"{knob.name}: {told}"


def unused_facts(knob: Knob, run: Run) -> tuple[str, ...]:
    """Return the names of facts that were given and that the decay does not depend on.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> unused_facts(resolve_knob("torch.AdamW"), Run(momentum=0.9))
        ('momentum',)

    """
    given = [name for name in (*_NEUTRAL, "betas") if _is_given(name, run)]
    if has_momentum(knob):
        return tuple(name for name in given if name == "betas")
    has_betas = _has(knob, "betas")
    return tuple(name for name in given if name != "betas" or not has_betas)


def refuse_lacking(*sides: tuple[Knob, Run]) -> None:
    """Refuse a momentum that was given, where a decay goes through it and it is absent.

    A fact that was given once is for the side that has it; one that was given for each
    side has to be there on each.

    Raises:
        RangeError: For the first such fact, with what to write instead.

    """
    for knob, run in sides:
        for name in _NEUTRAL if has_momentum(knob) else ():
            if not _is_given(name, run) or _has(knob, name):
                continue
            others = [each for each, _ in sides if _has(each, name)]
            differs = len({getattr(each, name) for _, each in sides}) > 1
            if not others or differs:
                remedy = (
                    "Leave it out, or name an optimizer that has it: torch.optim.SGD."
                )
                must = f"left out: {knob.name} has none"
                raise RangeError(name, getattr(run, name), must, remedy)


def _is_given(name: str, run: Run) -> bool:
    # A momentum of 0 is what an optimizer without momentum has.
    is_neutral = name in _NEUTRAL and not getattr(run, name)
    return run.is_said(name) and not is_neutral


def _has(knob: Knob, name: str) -> bool:
    return getattr(knob.options, name) is not None
