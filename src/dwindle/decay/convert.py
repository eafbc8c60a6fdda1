"""Convert: knob → coordinate → knob, with a label for what that keeps."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from dwindle.decay import fidelity
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
from dwindle.decay.fidelity import PROMISES, TOTAL, Fidelity, Keep, Pair, Promise
from dwindle.decay.formulas import shrink_formulas
from dwindle.decay.half_life import checked_shrink
from dwindle.decay.own_facts import (
    Given,
    facts_of,
    no_decay_at_lr_0,
    runs_at_knobs,
    schedule_notes,
)
from dwindle.decay.penalties import PENALTIES, Penalty, layer_coefficients
from dwindle.decay.python_inputs import (
    RunLike,
    read_input,
    read_target,
    runs_of_sides,
)
from dwindle.decay.refusals import refused
from dwindle.decay.routes import refusal
from dwindle.decay.setting import at_peak, read_setting, target_knob
from dwindle.errors import MissingFactError, RangeError, UnknownNameError
from dwindle.plain import Plain
from dwindle.show import Column, Line, Sheet, Shown, Table, facts
from dwindle.wording import TERMINAL, Face, first_notes, number

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
class Conversion(Shown, Plain):
    """What to type instead, and what typing it keeps.

    Args:
        knob: The knob that was given.
        value_from: Its number.
        to: The knob that the number is for.
        value: Its number; None where every layer has its own.
        unit: What the number is.
        fidelity: ``same-trajectory``, ``same-decay``, ``same-objective``,
            ``same-total-decay`` or ``approximate``, best first.
        assumptions: What must be true for that, and further remarks.
        formula: How the number was computed.
        layers: A number per layer, where a normalization makes them differ.
        coordinate: What was kept: the penalty, the shrink per step at the peak lr, the
            total decay of the run, or the number itself.
        keeps: The same as text, with the time over which it is kept.
        unused: Facts that were given and changed nothing, with their values.
        decay_schedule: Shape and ends of the number at ``to``, where it has a schedule.

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
    decay_schedule: str = ""

    IN_JSON = (
        *("from=knob", "value_from", "to", "value", "unit", "fidelity", "assumptions"),
        *("formula", "layers", "keeps", "unused", "decay_schedule"),
    )

    def drawn(self, *, all_notes: bool = False, face: Face = TERMINAL) -> Sheet:
        """Return the drawing of a terminal and of a notebook.

        Args:
            all_notes: Whether every assumption is in it, not the first three.
            face: Where it is read.

        """
        notes = self.assumptions
        shown = notes if all_notes else first_notes(notes, face.all_notes)
        named = {
            "unit": self.unit,
            "decay": self.decay_schedule,
            "keeps": self.keeps,
            "fidelity": f"{self.fidelity}: {PROMISES[self.fidelity]}",
            "formula": self.formula,
            "assumes": "\n".join(f"· {each}" for each in shown),
            "given, not used": ", ".join(self.unused),
        }
        columns = [Column(name, "number") for name in ("layer", "weights", self.to)]
        rows = [
            (str(each.layer), f"{each.shape[0]} × {each.shape[1]}", number(each.value))
            for each in self.layers
        ]
        layers = (Table(columns=columns, rows=rows, indent=2), "") if rows else ()
        title = Line(text=self._title, style="bold", indent=2, whole=True)
        return Sheet(parts=(title, "", *layers, facts(named, indent=2)))

    _drawn = drawn

    @property
    def _title(self) -> str:
        value = "one value per layer" if self.value is None else number(self.value)
        return f"{self.knob} = {number(self.value_from)}  →  {self.to} = {value}"

    def __repr__(self) -> str:
        return f"<Conversion: {self._title}, {self.fidelity}>"


def convert(  # noqa: PLR0913  # each is another question
    value: object,
    knob: object = None,
    *,
    to: object,
    run: RunLike | None = None,
    run_after: RunLike | None = None,
    keep: Keep | None = None,
) -> Conversion:
    """Return the number to type at another knob for the same decay.

    Args:
        value: What is typed at ``knob``: a number, or a text such as ``"1e-3"``,
            ``"3 epochs"``, ``"0.1%"``.
        knob: Where it is typed, for example ``"torch.optim.SGD"``, or the class; it may
            come first. A live optimizer is knob, value and facts.
        to: The knob to convert to; facts of a live optimizer hold on that side.
        run: Facts of the training, also as a mapping; give those that the formulas
            need.
        run_after: Facts of the training at ``to``, where they differ.
        keep: What stays where the runs differ: the decay of a ``"step"``, of an
            ``"epoch"``, or of the whole ``"run"``. Without it two coefficients of an
            objective keep the objective, and all else keeps the decay of a step,
            averaged over the run where the two sides follow different schedules.

    Returns:
        The number to type, how faithful it is, and what it assumes.

    Raises:
        RefusedError: If no number means the same; it has what to do instead.
        MissingFactError: If a formula needs a fact that was not given.
        RangeError: If the value or the result is impossible.
        UnknownNameError: If a knob is not known; the nearest are offered.
        AmbiguousNameError: If a short name fits several knobs.

    Example:
        >>> convert(5e-4, "keras.regularizers.L2", to="torch.optim.SGD").value
        0.001
        >>> from dwindle import Run
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
    given, place = read_input(value, knob), read_target(to)
    before, after, overruled = runs_of_sides(given, place, run, run_after)
    source = at_peak(read_setting(given.value, given.knob), before)
    target = target_knob(place.knob, after, source=source.knob)
    before, after = runs_at_knobs((source.knob, before), (target, after))
    pair = Pair(source.knob, target, before, after)
    if keep not in (None, *get_args(Keep)):
        raise UnknownNameError.among("keep", str(keep), get_args(Keep))
    by_trainer = schedule_notes(*pair.sides)
    try:
        found = _routed(source.number, pair, keep)
        unused = Given(before, after).unused(
            lambda before, after: _rests_on(
                found, source.number, replace(pair, before=before, after=after), keep
            )
        )
    # math.pow and math.exp raise where a result is too large for a float.
    except OverflowError:
        must = "small enough, or large enough, for the result to be a finite number"
        raise RangeError(source.knob.name, source.number, must) from None
    if by_trainer:  # then no schedule was given
        unused.pop("schedule", None)
    ends = "" if target.is_rate else after.decay_schedule.ends_of(found.value)
    if ends:  # the answer has them
        unused.pop("decay schedule", None)
    notes = (*overruled, *by_trainer, *found.assumptions)
    return replace(
        found,
        unused=tuple(f"{name} {given}" for name, given in unused.items()),
        assumptions=notes,
        decay_schedule=ends,
    )


def _routed(x: float, pair: Pair, keep: Keep | None) -> Conversion:
    """Convert the number x by a coordinate that both knobs have."""
    source, target, after = pair.source, pair.target, pair.after
    coordinate = _coordinate(pair, keep)
    if coordinate == "penalty":
        return _by_penalty(x, pair)
    if coordinate is not None and after.lr == 0 and not target.is_rate:
        raise no_decay_at_lr_0(target)
    if coordinate == "shrink":
        return _by_shrink(x, pair, keep or "step")
    if coordinate == "total":
        return _by_total(x, pair, keep or "step")
    if coordinate == "number":
        return _by_number(x, pair)
    has_penalties = source.penalty is not None and target.penalty is not None
    if has_penalties and None in {source.family, target.family}:
        names = {"source": source.name, "target": target.name}
        names["bare"] = names["source" if source.family is None else "target"]
        raise refused("no-step-to-keep", keep=keep, **names)
    raise refusal(x, pair)


def _coordinate(pair: Pair, keep: Keep | None) -> Coordinate | None:
    """Return the coordinate that both knobs have, or None."""
    source, target = pair.source, pair.target
    if source.penalty is not None and target.penalty is not None and not keep:
        return "penalty"
    if all(has_shrink(knob, run) for knob, run in pair.sides):
        if keep == "run":
            return "shrink" if pair.keeps_run else "total"
        # A half-life or a shrink is stated at the peak lr, so only the peak counts.
        is_rate = source.is_rate or target.is_rate
        return "shrink" if pair.are_alike or is_rate else "total"
    known = bool(source.algorithm) and source.algorithm == target.algorithm
    no_rate = source.family == target.family and has_no_rate(source)
    return "number" if known and no_rate and pair.before == pair.after else None


def _rests_on(
    found: Conversion, x: float, pair: Pair, keep: Keep | None
) -> tuple[object, ...]:
    """Return values that change with every fact that the conversion uses."""
    if found.coordinate != "total":
        there = _routed(x, pair, keep)
        return there.coordinate, there.layers, there.value
    # To solve again takes a while, and a total decay depends on few facts.
    facts: list[object] = []
    for knob, given in pair.sides:
        run = facts_of(knob, given)
        momentum = (run.momentum, run.dampening, run.nesterov)
        per_example = keep == "epoch" or knob.scale
        facts += [
            (run.lr, run.schedule, run.decay_schedule, fidelity.steps_of(run)),
            momentum if has_momentum(knob) else None,
            run.gradient_rms if decays_by_size(knob, run) else None,
            (run.batch_size, run.dataset_size) if per_example else None,
            run if knob.is_rate else None,
        ]
    return tuple(facts)


def _conversion(x: float, pair: Pair, promise: Promise, **found: Any) -> Conversion:
    # Any: the other fields, of many types.
    return Conversion(
        knob=pair.source.name,
        value_from=x,
        to=pair.target.name,
        unit=pair.target.unit,
        fidelity=promise.fidelity,
        assumptions=promise.assumptions,
        **found,
    )


def _by_penalty(x: float, pair: Pair) -> Conversion:
    source, target = pair.source, pair.target
    forward, inverse = (PENALTIES[str(knob.penalty)] for knob, _ in pair.sides)
    penalty = forward.penalty_from_number(x, pair.before)
    layers: tuple[LayerValue, ...] = ()
    # One λ for all layers needs no sizes of layers, only the number of weights.
    spread = {forward.normalization, inverse.normalization}
    if spread == {"none"}:
        value: float | None = inverse.number_from_penalty(penalty, pair.after)
    elif spread <= {"none", "global-mean"} and None in [
        run.layers for _, run in pair.sides
    ]:
        # What each is divided by: all weights, or nothing.
        need = "A penalty divided by the number of weights"
        given, wanted = (
            1.0 if each.normalization == "none" else run.require("weights", need)
            for each, run in ((forward, pair.before), (inverse, pair.after))
        )
        value = inverse.number_from_penalty(penalty / given * wanted, pair.after)
    else:
        layers = _layer_values(penalty, forward, inverse, pair)
        first = layers[0].value
        agree = all(math.isclose(each.value, first, rel_tol=_AGREE) for each in layers)
        value = first if agree else None
    if value == math.inf:
        raise refused("no-penalty", knob=target.name, formula=target.formula)
    to_penalty = forward.written(source.symbol, pair.before).forward
    from_penalty = inverse.written(target.symbol, pair.after).inverse
    return _conversion(
        x,
        pair,
        fidelity.of_penalty(pair, value=value),
        value=value,
        formula=f"{_joined(to_penalty, None if layers else penalty)}; "
        + _joined(from_penalty, value),
        coordinate="penalty",
        keeps="the objective",
        layers=layers,
    )


def _layer_values(
    penalty: float, forward: Penalty, inverse: Penalty, pair: Pair
) -> tuple[LayerValue, ...]:
    """Return the number for each layer, from its λ before and after normalization."""
    shapes = [run.layers for _, run in pair.sides if run.layers is not None]
    if len(shapes) < len(pair.sides):
        need = "A penalty that differs by layer"
        raise MissingFactError("units", need, "--units 784,256,10")
    if len(shapes[0]) != len(shapes[1]):
        must = "as many layers before as after, for a penalty that differs by layer"
        raise RangeError("units", pair.after.units, must)
    given = layer_coefficients(forward.normalization, shapes[0])
    wanted = layer_coefficients(inverse.normalization, shapes[1])
    values = (
        inverse.number_from_penalty(penalty * (here / there), pair.after)
        for here, there in zip(given, wanted, strict=True)
    )
    return tuple(
        LayerValue(layer=layer, shape=shape, value=value)
        for layer, (shape, value) in enumerate(zip(shapes[1], values, strict=True))
    )


def _by_number(x: float, pair: Pair) -> Conversion:
    return _conversion(
        x,
        pair,
        fidelity.of_number(pair),
        value=x,
        formula=_joined(f"{pair.target.symbol} = {pair.source.symbol}", x),
        coordinate="number",
        keeps="the number: both sides run the same algorithm",
    )


def _by_shrink(x: float, pair: Pair, keep: Keep) -> Conversion:
    source, target = pair.source, pair.target
    shrink = shrink_from_number(source, x, pair.before)
    longer = _epochs_ratio(pair) if keep == "epoch" else 1.0
    if longer == 1:
        value = number_at_same_shrink(
            source, x, pair.before, target=target, after=pair.after
        )
    else:
        # (1 − s)^longer by its logarithm: both are within a rounding of 1.
        there = -math.expm1(math.log1p(-checked_shrink(shrink)) * longer)
        value = number_from_shrink(target, there, pair.after)
    forward, inverse = _formulas(pair)
    # Six digits, as in ``_joined``.
    then = "; " if longer == 1 else f", (1 − s)^{longer:.6g} after; "
    promise = fidelity.of_shrink(pair, value=value, shrink=shrink)
    return _conversion(
        x,
        pair,
        promise if longer == 1 else promise._replace(fidelity="approximate"),
        value=value,
        formula=f"{_joined(forward, shrink)}{then}{_joined(inverse, value)}",
        coordinate="shrink",
        keeps=f"the decay of {_A[keep]}, at the peak lr",
    )


_A = {"step": "a step", "epoch": "an epoch", "run": "every step, and so of the run"}


def _epochs_ratio(pair: Pair) -> float:
    """Return the steps of an epoch before over those after."""
    before, after = pair.before, pair.after
    if None in (before.dataset_size, after.dataset_size):
        # Data of unknown size on both sides: a larger batch means fewer steps.
        return after.examples_per_step / before.examples_per_step
    return before.steps_per_epoch / after.steps_per_epoch


def _by_total(x: float, pair: Pair, keep: Keep) -> Conversion:
    """Keep the e-folds of the run, or of its average step or epoch."""
    long = _with_length(pair, keep)
    # E-folds also exist for weights that swing through zero; this refuses those.
    shrink = shrink_from_number(pair.source, x, long.before)
    e_folds = e_folds_from_number(pair.source, x, long.before)
    longer = 1.0
    if keep != "run":
        longer = long.after.total_steps / long.before.total_steps
    if keep == "epoch":
        longer *= _epochs_ratio(pair)
    is_whole = math.isclose(longer, 1, rel_tol=_AGREE)
    wanted = e_folds if is_whole else e_folds * longer
    value = number_from_e_folds(pair.target, wanted, long.after)
    shrink_from_number(pair.target, value, long.after)
    average = None if is_whole else f"the decay of {_A[keep]}, averaged over the run"
    promise = fidelity.of_total(
        long, value=value, shrink=shrink, as_given=pair, kept=average
    )
    forward, inverse = _formulas(pair)
    # Six digits, as in ``_joined``.
    sums = f"{e_folds:.6g} on both" if is_whole else f"{e_folds:.6g}, then {wanted:.6g}"
    return _conversion(
        x,
        pair,
        promise if is_whole else promise._replace(fidelity="approximate"),
        value=value,
        formula=f"e-folds Σ −ln(1 − s_t) = {sums}, with {forward} at the peak; "
        f"{_joined(pair.target.symbol, value)} (solved; {inverse} at the peak)",
        coordinate="total",
        keeps=average or TOTAL,
    )


def _with_length(pair: Pair, keep: Keep) -> Pair:
    """Return the runs; of an assumed length where none is given and any would do."""
    needs_its_own = any(
        knob.scale == "/√steps" or fidelity.falls_by_itself(knob)
        for knob, _ in pair.sides
    )
    known = [fidelity.steps_of(run) for _, run in pair.sides]
    if keep == "run" or needs_its_own or known != [None, None]:
        return pair
    before, after = (
        replace(run, steps=fidelity.ASSUMED_STEPS, epochs=None) for _, run in pair.sides
    )
    return replace(pair, before=before, after=after)


def _formulas(pair: Pair) -> tuple[str, str]:
    forward, _ = shrink_formulas(pair.source, pair.before)
    _, inverse = shrink_formulas(pair.target, pair.after)
    return forward, inverse


def _joined(formula: str, value: float | None) -> str:
    # Six digits, so that a formula computed by hand gives the three of the answer.
    return formula if value is None else f"{formula} = {value:.6g}"
