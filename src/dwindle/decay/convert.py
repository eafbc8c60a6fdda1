"""Convert: knob → coordinate → knob, with a label for what that keeps."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from dwindle.decay import assumptions, fidelity
from dwindle.decay.coordinates import (
    decays_by_size,
    e_folds_from_number,
    has_shrink,
    number_at_same_shrink,
    number_from_e_folds,
    number_from_shrink,
    shrink_from_number,
)
from dwindle.decay.families import has_momentum, has_no_rate
from dwindle.decay.fidelity import Fidelity, Keep
from dwindle.decay.formulas import shrink_formulas
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import (
    Given,
    facts_of,
    refuse_lacking,
    schedule_notes,
    scheduled,
)
from dwindle.decay.penalties import PENALTIES, Penalty, layer_coefficients
from dwindle.decay.python_inputs import (
    RunLike,
    read_input,
    read_target,
    runs_of_sides,
)
from dwindle.decay.readable import Readable, number
from dwindle.decay.refusals import no_step_to_keep, refusal
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, read_setting, target_knob
from dwindle.errors import MissingFactError, RangeError, RefusedError, UnknownNameError
from dwindle.plain import to_plain

Coordinate = Literal["penalty", "shrink", "total", "number"]

# Layers agree when rounding is all that separates them.
_AGREE = 1e-12


@dataclass(frozen=True, kw_only=True)
class LayerValue:
    """The number for one layer; ``shape`` is (fan_in, fan_out)."""

    layer: int
    shape: tuple[int, int]
    value: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Conversion:
    """What to type instead, and what typing it keeps.

    Args:
        knob: The knob that was given.
        value_from: Its number.
        to: The knob that was asked for.
        value: Its number; None where every layer has its own.
        unit: What the number is.
        fidelity: ``same-trajectory``, ``same-decay``, ``same-objective``,
            ``same-total-decay`` or ``approximate``, best first.
        assumptions: What must be true for that, and what to know besides.
        formula: How the number came about.
        layers: A number per layer, where a normalization makes them differ.
        coordinate: What was kept: the penalty, the shrink per step at the peak lr, the
            total decay of the run, or the number itself.
        keeps: The same in words, with the time that it is kept over.
        unused: Facts that were given and changed nothing, with their values.

    """

    knob: str
    value_from: float
    to: str
    value: float | None
    unit: str
    fidelity: Fidelity
    assumptions: tuple[str, ...]
    formula: str
    layers: tuple[LayerValue, ...] = ()
    coordinate: Coordinate
    keeps: str
    unused: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the conversion as JSON has it; an infinite number is null there."""
        plain: dict[str, Any] = to_plain(self)
        del plain["coordinate"]
        return {"from": plain.pop("knob")} | plain

    def _readable(self) -> Readable:
        is_one = self.value is not None or not self.layers
        there = number(self.value) if is_one else "one value per layer"
        rows = {"fidelity": self.fidelity, "unit": self.unit, "formula": self.formula}
        for each in self.layers if self.value is None else ():
            fan_in, fan_out = each.shape
            rows[f"layer {each.layer}, {fan_in} × {fan_out}"] = number(each.value)
        rows["given, not used"] = ", ".join(self.unused)
        return Readable(
            title=f"{self.knob} = {number(self.value_from)} → {self.to} = {there}",
            rows=rows,
            notes=self.assumptions,
        )

    def __repr__(self) -> str:
        return f"<Conversion: {self._readable().title}, {self.fidelity}>"

    def __str__(self) -> str:
        return self._readable().text()

    def __rich__(self) -> str:
        return self._readable().markup()

    def _repr_html_(self) -> str:
        return self._readable().html()


def convert(  # noqa: PLR0913  # each is a question of its own
    value: object,
    knob: object = None,
    *,
    to: object,
    run: RunLike | None = None,
    run_after: RunLike | None = None,
    keep: Keep | None = None,
) -> Conversion:
    """Say a decay in another place's terms.

    Args:
        value: What is typed at ``knob``: a number, or a text such as ``"1e-3"``,
            ``"3 epochs"``, ``"0.1%"``.
        knob: Where it is typed, for example ``"torch.optim.SGD"``, or the class; it may
            come first. A live optimizer is knob, value and facts.
        to: Where it shall be typed instead; of a live optimizer the facts hold there.
        run: Facts of the training, also as a mapping; give those that the formulas ask
            for.
        run_after: Facts of the training at ``to``, where they differ.
        keep: What stays where the runs differ: the decay of a ``"step"``, of an
            ``"epoch"``, or of the whole ``"run"``. Without it two coefficients of an
            objective keep the objective, and all else keeps the decay of a step,
            averaged over the run where the two sides take different paths.

    Returns:
        The number to type, how faithful it is, and what it assumes.

    Raises:
        RefusedError: If no number says the same; the text says what to do instead.
        MissingFactError: If a formula needs a fact that was not given.
        RangeError: If the value or the result is impossible.
        UnknownNameError: If a knob is not known; the nearest are offered.
        AmbiguousNameError: If a short name fits several knobs.

    Example:
        >>> convert(5e-4, "keras.regularizers.L2", to="torch.optim.SGD").value
        0.001
        >>> run = Run(lr=1e-3, batch_size=100, dataset_size=50_000)
        >>> there = convert("2 epochs", "half-life", to="torch.optim.AdamW", run=run)
        >>> round(there.value, 6), there.fidelity
        (0.692907, 'same-decay')
        >>> run, longer = Run(lr=1e-3, steps=1000), Run(lr=1e-3, steps=2000)
        >>> adamw = "torch.optim.AdamW"
        >>> there = convert(0.1, adamw, to=adamw, run=run, run_after=longer, keep="run")
        >>> round(there.value, 5), there.fidelity
        (0.05, 'same-total-decay')

    """
    asked, place = read_input(value, knob), read_target(to)
    source = read_setting(asked.value, asked.knob)
    before, after, said = runs_of_sides(asked, place, run, run_after)
    target = target_knob(place.knob, after, source=source.knob)
    before, after = scheduled((source.knob, target), before, after)
    by_trainer = schedule_notes((source.knob, before), (target, after))
    if keep not in (None, *get_args(Keep)):
        raise UnknownNameError.among("keep", str(keep), get_args(Keep))
    refuse_lacking((source.knob, before), (target, after))
    try:
        found = _routed(source, target, before, after, keep)
        unused = _unused(found, source, target, before, after, keep)
        if by_trainer:  # nobody gave it
            unused.pop("schedule", None)
        said += by_trainer
        return replace(
            found,
            unused=tuple(f"{name} {value}" for name, value in unused.items()),
            assumptions=said + found.assumptions,
        )
    except OverflowError:
        must = "small enough, or large enough, for the result to be a finite number"
        raise RangeError(source.knob.name, source.number, must) from None


def _routed(
    source: Setting, target: Knob, before: Run, after: Run, keep: Keep | None
) -> Conversion:
    coordinate = _coordinate(source.knob, target, before, after, keep)
    if coordinate == "penalty":
        return _by_penalty(source, target, before, after)
    if coordinate is not None and after.lr == 0 and not target.is_rate:
        must = f"above 0 where {target.name} is to decay"
        remedy = "At an lr of 0 no number there does anything: give the lr at its peak."
        raise RangeError("lr", after.lr, must, remedy)
    if coordinate == "shrink":
        return _by_shrink(source, target, before, after, keep or "step")
    if coordinate == "total":
        return _by_total(source, target, before, after, keep or "step")
    if coordinate == "number":
        return _by_number(source, target, before)
    has_penalties = source.knob.penalty is not None and target.penalty is not None
    if has_penalties and None in {source.knob.family, target.family}:
        raise no_step_to_keep(source.knob, target, str(keep))
    raise refusal(source, target, before, after)


def _coordinate(
    source: Knob, target: Knob, before: Run, after: Run, keep: Keep | None
) -> Coordinate | None:
    """Return what both knobs can be said in; None if there is nothing."""
    if source.penalty is not None and target.penalty is not None and not keep:
        return "penalty"
    if has_shrink(source, before) and has_shrink(target, after):
        return _coordinate_of_shrinks(source, target, before, after, keep)
    known = bool(source.algorithm) and source.algorithm == target.algorithm
    no_rate = source.family == target.family and has_no_rate(source)
    return "number" if known and no_rate and before == after else None


def _coordinate_of_shrinks(
    source: Knob, target: Knob, before: Run, after: Run, keep: Keep | None
) -> Coordinate:
    alike = fidelity.are_alike(source, target, before, after)
    if keep == "run":
        return "shrink" if alike and fidelity.are_one_course(before, after) else "total"
    # A half-life or a shrink is said at the peak, so there only the peak counts.
    is_rate = source.is_rate or target.is_rate
    return "shrink" if alike or is_rate else "total"


def _unused(  # noqa: PLR0913, PLR0917  # the arguments of the conversion
    found: Conversion,
    source: Setting,
    target: Knob,
    before: Run,
    after: Run,
    keep: Keep | None,
) -> dict[str, str]:
    """Return the facts that were given and not used, with their values."""

    def number(before: Run, after: Run) -> object:
        if found.coordinate == "total":  # which takes a while, and rests on little
            return [
                _rests_on(knob, run, keep)
                for knob, run in ((source.knob, before), (target, after))
            ]
        there = _routed(source, target, before, after, keep)
        return there.coordinate, there.layers, there.value

    return Given(before, after).unused(number)


def _rests_on(knob: Knob, run: Run, keep: Keep | None) -> tuple[object, ...]:
    """Return all that a total decay may depend on; a knob of no sum or clock."""
    run = facts_of(knob, run)
    momentum = (run.momentum, run.dampening, run.nesterov)
    return (
        (run.lr, run.schedule, fidelity.steps_of(run)),
        momentum if has_momentum(knob) else None,
        run.gradient_rms if decays_by_size(knob, run) else None,
        (run.batch_size, run.dataset_size) if keep == "epoch" or knob.scale else None,
        run if knob.is_rate else None,
    )


def _by_penalty(source: Setting, target: Knob, before: Run, after: Run) -> Conversion:
    forward, inverse = (PENALTIES[str(each.penalty)] for each in (source.knob, target))
    penalty = forward.penalty_from_number(source.number, before)
    layers: tuple[LayerValue, ...] = ()
    if {forward.normalization, inverse.normalization} == {"none"}:
        value: float | None = inverse.number_from_penalty(penalty, after)
    else:
        shares = _layer_shares(forward, inverse, before, after)
        layers = _layer_values(penalty, shares, inverse, after)
        value = _common(layers)
    if value == math.inf:
        raise _no_finite_prior(target)
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=value,
        unit=target.unit,
        fidelity=fidelity.of_penalty(source.knob, target, before, after),
        assumptions=assumptions.of_penalty(source.knob, target, before, after)
        + assumptions.of_rounded_penalty(target, value, after),
        formula=_joined(
            forward.forward.format(x=source.knob.symbol), None if layers else penalty
        )
        + "; "
        + _joined(inverse.inverse.format(x=target.symbol), value),
        layers=layers,
        coordinate="penalty",
        keeps="the objective",
    )


def _layer_shares(
    forward: Penalty, inverse: Penalty, before: Run, after: Run
) -> tuple[float, ...]:
    """Return each layer's λ over that of the number to find, before and after."""
    shapes = [_layers(run) for run in (before, after)]
    if len(shapes[0]) != len(shapes[1]):
        must = "as many layers before as after, for a penalty that differs by layer"
        raise RangeError("units", after.units, must)
    given = layer_coefficients(forward.normalization, shapes[0])
    wanted = layer_coefficients(inverse.normalization, shapes[1])
    return tuple(here / there for here, there in zip(given, wanted, strict=True))


def _layers(run: Run) -> tuple[tuple[int, int], ...]:
    if run.layers is None:
        need = "A penalty that differs by layer"
        raise MissingFactError("units", need, "--units 784,256,10")
    return run.layers


def _layer_values(
    penalty: float, shares: tuple[float, ...], inverse: Penalty, after: Run
) -> tuple[LayerValue, ...]:
    return tuple(
        LayerValue(
            layer=number,
            shape=shape,
            value=inverse.number_from_penalty(penalty * share, after),
        )
        for number, (share, shape) in enumerate(
            zip(shares, _layers(after), strict=True)
        )
    )


def _common(layers: tuple[LayerValue, ...]) -> float | None:
    first = layers[0].value
    agree = all(math.isclose(each.value, first, rel_tol=_AGREE) for each in layers)
    return first if agree else None


def _no_finite_prior(target: Knob) -> RefusedError:
    why = f"There ({target.formula}) only an infinite number means no penalty."
    asked, instead = f"A penalty of 0 as {target.name}", "Leave the penalty out."
    return RefusedError(asked, why, instead)


def _by_number(source: Setting, target: Knob, run: Run) -> Conversion:
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=source.number,
        unit=target.unit,
        fidelity=fidelity.of_number(source.knob, target, run),
        assumptions=assumptions.of_number(source.knob, target, run),
        formula=_joined(f"{target.symbol} = {source.knob.symbol}", source.number),
        coordinate="number",
        keeps="the number: both sides run the same algorithm",
    )


def _by_shrink(
    source: Setting, target: Knob, before: Run, after: Run, keep: Keep
) -> Conversion:
    shrink = shrink_from_number(source.knob, source.number, before)
    longer = _epochs_ratio(before, after) if keep == "epoch" else 1.0
    if longer == 1:
        value = number_at_same_shrink(
            source.knob, source.number, before, target=target, after=after
        )
    else:
        there = -math.expm1(math.log1p(-shrink) * longer)
        value = number_from_shrink(target, there, after)
    forward, inverse = _formulas(source.knob, target, before, after)
    rounding = assumptions.of_rounding(
        source.knob, target, value, before, after, shrink
    )
    label = fidelity.of_shrink(
        source.knob, target, before, after, is_rounded=bool(rounding)
    )
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=value,
        unit=target.unit,
        fidelity=label if longer == 1 else "approximate",
        assumptions=assumptions.of_shrink(source.knob, target, before, after)
        + rounding,
        formula=_joined(forward, shrink)
        + ("; " if longer == 1 else f", (1 − s)^{longer:.6g} after; ")
        + _joined(inverse, value),
        coordinate="shrink",
        keeps=f"the decay of {_A[keep]}, at the peak lr",
    )


_A = {"step": "a step", "epoch": "an epoch", "run": "every step, and so of the run"}


def _epochs_ratio(before: Run, after: Run) -> float:
    """Return the steps of an epoch before over those after."""
    if None in (before.dataset_size, after.dataset_size):
        # The same data, however many: an epoch has fewer steps of more examples.
        return after.examples_per_step / before.examples_per_step
    return before.steps_per_epoch / after.steps_per_epoch


def _by_total(
    source: Setting, target: Knob, before: Run, after: Run, keep: Keep
) -> Conversion:
    """Keep the e-folds of the run, or of its average step or epoch."""
    first, then = _with_length(source.knob, target, before, after, keep)
    # Weights that swing through zero have e-folds too: both sides must truly decay.
    shrink = shrink_from_number(source.knob, source.number, first)
    e_folds = e_folds_from_number(source.knob, source.number, first)
    longer = 1.0
    if keep != "run":
        longer = then.total_steps / first.total_steps
    if keep == "epoch":
        longer *= _epochs_ratio(before, after)
    if math.isclose(longer, 1, rel_tol=_AGREE):
        longer = 1.0
    value = number_from_e_folds(target, e_folds * longer, then)
    shrink_from_number(target, value, then)
    forward, inverse = _formulas(source.knob, target, before, after)
    rounding = assumptions.of_rounding(source.knob, target, value, first, then, shrink)
    label = fidelity.of_total(
        source.knob, target, before, after, is_rounded=bool(rounding)
    )
    told = "e-folds Σ −ln(1 − s_t) = " + (
        f"{e_folds:.6g} on both"
        if longer == 1
        else f"{e_folds:.6g}, then {e_folds * longer:.6g}"
    )
    kept = f"the decay of {_A[keep]}, averaged over the run"
    if longer == 1:
        kept = assumptions.WHOLE
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=value,
        unit=target.unit,
        fidelity=label if longer == 1 else "approximate",
        assumptions=assumptions.of_total(source.knob, target, before, after, kept)
        + rounding,
        formula=f"{told}, with {forward} at the peak; "
        f"{_joined(target.symbol, value)} (solved; {inverse} at the peak)",
        coordinate="total",
        keeps=kept,
    )


def _with_length(
    source: Knob, target: Knob, before: Run, after: Run, keep: Keep
) -> tuple[Run, Run]:
    """Return the runs, of a usual length where none is given and any does as well."""
    needs_its_own = any(
        knob.scale == "/√steps" or fidelity.falls_by_itself(knob)
        for knob in (source, target)
    )
    known = [fidelity.steps_of(run) for run in (before, after)]
    if keep == "run" or needs_its_own or known != [None, None]:
        return before, after
    first, then = (
        replace(run, steps=fidelity.ASSUMED_STEPS, epochs=None)
        for run in (before, after)
    )
    return first, then


def _formulas(source: Knob, target: Knob, before: Run, after: Run) -> tuple[str, str]:
    return shrink_formulas(source, before)[0], shrink_formulas(target, after)[1]


def _joined(formula: str, value: float | None) -> str:
    return formula if value is None else f"{formula} = {value:.6g}"
