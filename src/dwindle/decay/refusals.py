"""Conversions that have no number: what the knob does, what to do instead."""

import math

from dwindle.decay.coordinates import (
    decays_by_size,
    has_shrink,
    penalty_convention_of,
)
from dwindle.decay.families import family_of, has_no_rate
from dwindle.decay.fidelity import Pair
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import Given
from dwindle.decay.remarks import for_gradient_rms, instead_of
from dwindle.decay.run import Run
from dwindle.errors import DwindleError, RefusedError

# What the two lines of a route repeat of what was given.
_OF_A_PENALTY = ("batch size", "dataset size", "units", "loss")
_OF_A_RATE = (
    "batch size",
    "dataset size",
    "epochs",
    "steps",
    "schedule",
    "decay schedule",
)


def refusal(x: float, pair: Pair) -> RefusedError:
    """Return the error for a number x at a knob that shares nothing with the other."""
    for knob, run in pair.sides:
        if has_no_rate(knob) and not decays_by_size(knob, run):
            return _no_rate(pair, knob)
    given = Given(pair.before, pair.after)
    if has_shrink(pair.source, pair.before):
        return _to_penalty(x, pair.source, pair.target, given)
    return _from_penalty(x, pair.source, pair.target, given)


def no_step_to_keep(source: Knob, target: Knob, keep: str) -> RefusedError:
    """Return the error for a keep between knobs that set no decay of a step."""
    bare = source if source.family is None else target
    asked = f"Keeping the decay of a {keep} from {source.name} to {target.name}"
    why = (
        f"{bare.name} is a coefficient of an objective; what a step takes off a weight "
        "is not set by its number alone."
    )
    return RefusedError(asked, why, "Leave keep (--keep) out: the objective is kept.")


def _asked(source: Knob, target: Knob) -> str:
    return f"{source.name} as {target.name}"


def _no_rate(pair: Pair, refusing: Knob) -> RefusedError:
    family, instead = family_of(refusing), instead_of(refusing)
    if refusing == pair.source and has_shrink(pair.target):
        # To name the target again would be no help: a first value of it is one.
        first = f"A first value: dwindle suggest {pair.target.name}."
        instead = f"{for_gradient_rms(refusing)} {first}".lstrip()
    elif refusing == pair.source and refusing.penalty is not None:
        instead += " As a penalty it can be converted: --to torch.optim.SGD."
    why = family.reason(refusing.name, refusing) if family else ""
    return RefusedError(_asked(pair.source, pair.target), why, instead)


def _from_penalty(x: float, source: Knob, target: Knob, given: Given) -> RefusedError:
    why = (
        f"{source.name} is a term of an objective ({source.formula}); how "
        "fast a weight decays under it depends on the optimizer that follows its "
        f"gradient and on that one's lr, while {target.name} sets the decay itself."
    )
    route = (
        f"dwindle convert {source.name}={x:g} --to torch.optim.SGD"
        f"{_facts_of_penalty(source, given)}{_shown(x, source, given.before)}, "
        f"then dwindle convert torch.optim.SGD=THAT --to {target.name}"
        f"{_lrs(target, given)}{_momentum(given)}{given.options(*_OF_A_RATE)}"
    )
    instead = f"Name the optimizer that it was tuned with, and every lr: {route}."
    return RefusedError(_asked(source, target), why, instead)


def _facts_of_penalty(knob: Knob, given: Given) -> str:
    """Return the facts that a penalty stated for a sum or by layer needs."""
    convention = penalty_convention_of(knob)
    is_summed = "sum" in {given.before.loss, given.after.loss}
    plain = convention is None or (convention.is_plain and not is_summed)
    return "" if plain else given.options(*_OF_A_PENALTY)


def _momentum(given: Given) -> str:
    return given.options("momentum") or " --momentum MOMENTUM_OF_SGD"


def _shown(x: float, source: Knob, run: Run) -> str:
    """Return what the first half of the route gives, where it is one number."""
    convention = penalty_convention_of(source)
    if convention is None or convention.normalization != "none":
        return ""
    try:
        penalty = convention.penalty_from_number(x, run)
    except (DwindleError, OverflowError):
        return ""
    return f" (it is {penalty:g})" if math.isfinite(penalty) else ""


def _lrs(target: Knob, given: Given) -> str:
    """Return both lrs; one alone might be either's."""
    if target.is_rate:
        return given.options("lr") or " --lr LR_OF_SGD"
    if given.before.lr == given.after.lr:
        return f" --lr LR_OF_SGD:LR_OF_{target.name.rpartition('.')[2].upper()}"
    return given.options("lr")


def _to_penalty(x: float, source: Knob, target: Knob, given: Given) -> RefusedError:
    why = (
        f"{source.name} sets how much of a weight one step takes off; "
        f"{target.name} is a term of an objective ({target.formula}). A decay is the "
        "gradient of a penalty only in an optimizer that takes plain gradients, and "
        "only at a known lr."
    )
    lr = given.options("lr") if given.before.lr != given.after.lr else ""
    if not lr:
        lr = " --lr LR" if source.is_rate else " --lr LR_NOW:LR_OF_SGD"
    instead = (
        "Go through SGD, where a number is both: dwindle convert "
        f"{source.name}={x:g} --to torch.optim.SGD{lr}"
        f"{_momentum(given)}{given.options(*_OF_A_RATE)}, then dwindle convert "
        f"torch.optim.SGD=THAT --to {target.name}{_facts_of_penalty(target, given)}."
    )
    return RefusedError(_asked(source, target), why, instead)
