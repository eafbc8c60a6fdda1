"""Conversions without an honest answer: what the knob does, what to do instead."""

import math

from dwindle.decay.coordinates import has_shrink, penalty_convention_of
from dwindle.decay.knob import Knob
from dwindle.decay.no_rate import NO_RATE
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting
from dwindle.errors import DwindleError, RefusedError


def refusal(source: Setting, target: Knob, run: Run) -> RefusedError:
    """Return the error for two knobs that share no coordinate."""
    for knob in (source.knob, target):
        if knob.family in NO_RATE:
            return _no_rate(source.knob, target, knob)
    if has_shrink(source.knob):
        return _to_penalty(source, target)
    return _from_penalty(source, target, run)


def _asked(source: Knob, target: Knob) -> str:
    return f"{source.name} as {target.name}"


def _no_rate(source: Knob, target: Knob, refusing: Knob) -> RefusedError:
    reason = NO_RATE[str(refusing.family)]
    instead = reason.instead
    if refusing.penalty is not None and refusing == source:
        instead += (
            " As a penalty the number still has a meaning, so --to torch.optim.SGD or "
            "--to question.l2 can be answered."
        )
    why = reason.why.format(name=refusing.name)
    return RefusedError(_asked(source, target), why, instead)


def _from_penalty(source: Setting, target: Knob, run: Run) -> RefusedError:
    why = (
        f"{source.knob.name} is a term of an objective ({source.knob.formula}); how "
        "fast a weight decays under it depends on the optimizer that follows its "
        f"gradient and on that one's lr, while {target.name} sets the decay itself."
    )
    name, number = source.knob.name, source.number
    route = (
        f"dwindle convert {name}={number:g} --to torch.optim.SGD{_shown(source, run)}, "
        f"then dwindle convert torch.optim.SGD=THAT --to {target.name} "
        f"{_lr_options(target)}"
    )
    instead = f"Name the optimizer that it was tuned with, and every lr: {route}."
    return RefusedError(_asked(source.knob, target), why, instead)


def _shown(source: Setting, run: Run) -> str:
    """Return what the first half of the route gives, where one number can say it."""
    convention = penalty_convention_of(source.knob)
    if convention is None or convention.normalization != "none":
        return ""
    try:
        penalty = convention.penalty_from_number(source.number, run)
    except (DwindleError, OverflowError):
        return ""
    return f" (it is {penalty:g})" if math.isfinite(penalty) else ""


def _lr_options(target: Knob) -> str:
    if target.is_rate:
        return "--lr LR_OF_SGD --momentum MOMENTUM_OF_SGD"
    return f"--lr LR_OF_SGD:LR_OF_{target.name.rpartition('.')[2].upper()}"


def _to_penalty(source: Setting, target: Knob) -> RefusedError:
    why = (
        f"{source.knob.name} sets how much of a weight one step takes off; "
        f"{target.name} is a term of an objective ({target.formula}). A decay is the "
        "gradient of a penalty only in an optimizer that takes plain gradients, and "
        "only at a known lr."
    )
    lr = "--lr LR" if source.knob.is_rate else "--lr LR_NOW:LR_OF_SGD"
    instead = (
        "Go through SGD, where a number is both: dwindle convert "
        f"{source.knob.name}={source.number:g} --to torch.optim.SGD {lr}, then dwindle "
        f"convert torch.optim.SGD=THAT --to {target.name}."
    )
    return RefusedError(_asked(source.knob, target), why, instead)
