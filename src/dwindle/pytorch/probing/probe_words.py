"""What was measured of a group, in plain words."""

from collections.abc import Callable, Iterator, Mapping

from dwindle.pytorch.probing.measured import Measured
from dwindle.pytorch.probing.turning import LONG

_UNDRIVEN = "a weight that nothing pulls at"
_MANY, _TOO_MANY = 1e3, 1e7
# Above this power of the knob, turning it changes a step by a third or more.
_FELT = 0.5
_SEEN = 0.02  # a rounding that changes the decay by less is not worth a word


def sentence_of(seen: Measured) -> str:
    """Say what a group does: its decay, its knob, what is hidden, rounded or left."""
    if not seen.dtype:
        return "It has no parameters."
    parts = (_of_knob, _of_hidden, _of_format, _of_run, _of_shapes)
    more = (sentence for part in parts for sentence in part(seen))
    return " ".join([_FAMILIES[seen.family](seen), *more])


def number(value: float | None) -> str:
    """Write a number as people read it.

    Example:
        >>> number(69314.37), number(1e-05), number(None)
        ('69,314', '1e-05', 'unknown')

    """
    if value is None:
        return "unknown"
    is_many = _MANY <= abs(value) < _TOO_MANY
    return f"{value:,.0f}" if is_many else f"{value:.4g}"


def _geometric(seen: Measured) -> str:
    return (
        f"Each step takes {number(seen.shrink_per_step)} of {_UNDRIVEN}: half is left "
        f"after {number(seen.half_life_steps)} steps."
    )


def _delayed(seen: Measured) -> str:
    return (
        f"Each step takes {number(seen.shrink_per_step)} of {_UNDRIVEN}, half in "
        f"{number(seen.half_life_steps)} steps, once the momentum has built up; the "
        f"first step takes {number(seen.first_step_shrink)}."
    )


def _oscillating(seen: Measured) -> str:
    return (
        f"Momentum makes {_UNDRIVEN} swing around zero, once in about "
        f"{number(seen.period_steps)} steps: there is no half-life."
    )


def _linear(seen: Measured) -> str:
    return (
        f"A step takes about {number(seen.amount_per_step)} of any weight that nothing "
        "pulls at, be it large or small: the decay is divided by its own size, so "
        "there is no half-life."
    )


def _periodic(seen: Measured) -> str:
    return (
        f"What a step takes comes again every {number(seen.period_steps)} steps; on "
        f"average it is {number(seen.shrink_per_step)} of {_UNDRIVEN}."
    )


def _power_law(seen: Measured) -> str:
    first, last = seen.first_step_shrink or 0.0, seen.last_step_shrink or 0.0
    fallen = f"{1 - last / first:.2g}" if first else "unknown"
    return (
        f"The first step takes {number(first)} of {_UNDRIVEN}, and every further one "
        f"a smaller share, whatever the lr does (less by {fallen} of it after "
        f"{LONG} steps): there is no half-life."
    )


def _none(seen: Measured) -> str:
    if seen.lr == 0:
        return "Nothing decays now: the lr is 0."
    if seen.knob is not None and seen.number == 0:
        return f"Nothing decays: {seen.knob} is 0."
    return "Nothing decays."


def _other(seen: Measured) -> str:
    if seen.adapts:
        return (
            f"What a step takes of {_UNDRIVEN} goes with the gradients of the other "
            "weights, from which the optimizer finds the size of its steps: it has no "
            "half-life before the run."
        )
    return f"What a step takes of {_UNDRIVEN} follows no rule that has a half-life."


_FAMILIES: Mapping[str, Callable[[Measured], str]] = {
    "geometric": _geometric,
    "delayed": _delayed,
    "oscillating": _oscillating,
    "linear": _linear,
    "periodic": _periodic,
    "power-law": _power_law,
    "none": _none,
    "other": _other,
}


def _of_knob(seen: Measured) -> Iterator[str]:
    knob = seen.knob
    if knob is None:
        yield "It has no option for a decay."
    elif not seen.works:
        yield f"Setting {knob} in a group changes nothing."
    elif seen.decouples:
        yield f"{knob} decouples: a step takes lr·{knob}."
    elif seen.coupled_sgd:
        yield f"{knob} is a penalty: {knob} times the weight joins the gradient."
    elif not seen.adapts:
        yield from _of_other_knob(seen, knob)


def _of_other_knob(seen: Measured, knob: str) -> Iterator[str]:
    if seen.knob_power == 0:
        yield f"{knob} nearly cancels: turning it changes next to nothing."
    elif seen.per_lr is None and (seen.knob_power or 0.0) > _FELT:
        less = f"{100 * (1 - 0.5 ** (seen.knob_power or 0.0)):.0f}%"
        yield f"Half this {knob} takes {less} less: its size matters."
    elif seen.lr_power == 0:
        yield f"{knob} is taken off as it is: the lr has no say."
    elif seen.lr_power is not None and seen.per_lr is not None:
        power = "" if seen.lr_power == 1 else f"^{number(seen.lr_power)}"
        yield (
            f"{knob} goes with lr{power}, and a first step takes {number(seen.per_lr)} "
            f"times lr·{knob}."
        )
    if seen.knob_family == "geometric" and not seen.driven:
        yield "A weight that gradients pull at decays by another amount."


def _of_hidden(seen: Measured) -> Iterator[str]:
    if seen.hidden and seen.knob is not None:
        by = f", by {seen.hidden_by}" if seen.hidden_by else ""
        share = number(seen.hidden)
        yield f"With {seen.knob} at 0 a first step still takes {share}{by}."


def _of_format(seen: Measured) -> Iterator[str]:
    meant, happens = seen.shrink_per_step, seen.measured_shrink
    if seen.breaks:
        yield f"In {seen.dtype} a weight without gradient becomes NaN: 0 divided by 0."
    if not meant or happens is None:
        return
    if happens == 0:
        yield f"In {seen.dtype} nothing of it happens: each step is rounded away."
    elif abs(happens - meant) > _SEEN * meant:
        yield f"In {seen.dtype} it is {number(happens)}, for steps are rounded."


def _of_run(seen: Measured) -> Iterator[str]:
    if seen.run_steps is None or seen.adapts:
        return
    steps = f"The {seen.run_steps:,} steps of the run"
    if (seen.scheduler_every or 1) > 1:
        steps += f", with one of the scheduler every {seen.scheduler_every:,},"
    if seen.kept is None or seen.e_folds is None:
        yield f"{steps} leave small and large weights other shares."
    else:
        yield (
            f"{steps} leave {number(seen.kept)} of it ({number(seen.e_folds)} e-folds)."
        )


def _of_shapes(seen: Measured) -> Iterator[str]:
    if seen.uneven:
        yield "Weights of fewer dimensions in this group decay differently."
