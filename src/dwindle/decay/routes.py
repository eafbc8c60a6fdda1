"""Routes: what to do where a conversion has no number, in lines to paste."""

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
from dwindle.decay.refusals import refused
from dwindle.decay.remarks import for_gradient_rms, instead_of
from dwindle.decay.run import Run
from dwindle.errors import DwindleError, RefusedError

# Given facts that the two lines of a route repeat.
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
    """Return the error for a number x where the knobs have no common coordinate."""
    for knob, run in pair.sides:
        if has_no_rate(knob) and not decays_by_size(knob, run):
            return _no_rate(pair, knob)
    given = Given(pair.before, pair.after)
    if has_shrink(pair.source, pair.before):
        return _to_penalty(x, pair.source, pair.target, given)
    return _from_penalty(x, pair.source, pair.target, given)


def _no_rate(pair: Pair, refusing: Knob) -> RefusedError:
    family, instead = family_of(refusing), instead_of(refusing)
    if refusing == pair.source and has_shrink(pair.target):
        # The usual remedy would name the target again; a first value of it helps more.
        first = f"A first value: dwindle suggest {pair.target.name}."
        instead = f"{for_gradient_rms(refusing)} {first}".lstrip()
    elif refusing == pair.source and refusing.penalty is not None:
        instead += " As a penalty it can be converted: --to torch.optim.SGD."
    why = family.reason(refusing.name, refusing) if family else ""
    request = f"{pair.source.name} as {pair.target.name}"
    return RefusedError(request, why, instead)


def _from_penalty(x: float, source: Knob, target: Knob, given: Given) -> RefusedError:
    return refused(
        "from-penalty",
        source=source.name,
        target=target.name,
        formula=source.formula,
        x=x,
        of_penalty=_facts_of_penalty(source, given),
        shown=_shown(x, source, given.before),
        lrs=_lrs(target, given),
        momentum=_momentum(given),
        of_rate=given.options(*_OF_A_RATE),
    )


def _facts_of_penalty(knob: Knob, given: Given) -> str:
    """Return the facts that a penalty stated for a sum or by layer needs."""
    convention = penalty_convention_of(knob)
    is_summed = "sum" in {given.before.loss, given.after.loss}
    plain = convention is None or (convention.is_plain and not is_summed)
    return "" if plain else given.options(*_OF_A_PENALTY)


def _momentum(given: Given) -> str:
    return given.options("momentum") or " --momentum MOMENTUM_OF_SGD"


def _shown(x: float, source: Knob, run: Run) -> str:
    """Return the result of the first line of the route, if it is one number."""
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
    lrs = given.options("lr") if given.before.lr != given.after.lr else ""
    if not lrs:
        lrs = " --lr LR" if source.is_rate else " --lr LR_NOW:LR_OF_SGD"
    return refused(
        "to-penalty",
        source=source.name,
        target=target.name,
        formula=target.formula,
        x=x,
        lrs=lrs,
        momentum=_momentum(given),
        of_rate=given.options(*_OF_A_RATE),
        of_penalty=_facts_of_penalty(target, given),
    )
