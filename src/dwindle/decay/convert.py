"""Convert: knob → coordinate → knob, with an honest word on what that keeps."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from dwindle.decay import assumptions, paths
from dwindle.decay.coordinates import (
    e_folds_from_number,
    has_shrink,
    number_at_same_shrink,
    number_from_e_folds,
    shrink_formulas,
    shrink_from_number,
)
from dwindle.decay.knob import Knob
from dwindle.decay.penalties import PENALTIES, Penalty, layer_coefficients
from dwindle.decay.refusals import refusal
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, Value, read_setting, target_knob
from dwindle.errors import MissingFactError, RangeError, RefusedError

Coordinate = Literal["penalty", "shrink", "total"]
Fidelity = Literal[
    "same-trajectory", "same-objective", "same-total-decay", "approximate"
]

# Layers agree when rounding is all that separates them.
_AGREE = 1e-12


@dataclass(frozen=True, kw_only=True)
class LayerValue:
    """The number for one layer; ``shape`` is (fan_in, fan_out)."""

    layer: int
    shape: tuple[int, int]
    value: float


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What to type instead, and what typing it keeps.

    Args:
        knob: The knob that was given.
        value_from: Its number.
        to: The knob that was asked for.
        value: Its number; None where every layer has its own.
        unit: What the number is.
        fidelity: ``same-trajectory``, ``same-objective``, ``same-total-decay`` or
            ``approximate``, best first.
        assumptions: What must be true for that, and what to know besides.
        formula: How the number came about.
        layers: A number per layer, where a normalization makes them differ.
        coordinate: What was kept: the penalty, the shrink per step at the peak lr, or
            the total decay of the run.

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

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the conversion as JSON has it; an infinite number is null there."""
        return {
            "from": self.knob,
            "value_from": _finite(self.value_from),
            "to": self.to,
            "value": _finite(self.value),
            "unit": self.unit,
            "fidelity": self.fidelity,
            "assumptions": list(self.assumptions),
            "formula": self.formula,
            "layers": [
                {"layer": each.layer, "shape": list(each.shape), "value": each.value}
                for each in self.layers
            ],
        }


def convert(
    value: Value,
    knob: str,
    *,
    to: str,
    run: Run | None = None,
    run_after: Run | None = None,
) -> Conversion:
    """Say a decay in another place's terms.

    Args:
        value: What is typed at ``knob``: a number, or a text such as ``"1e-3"``,
            ``"3 epochs"``, ``"0.1%"``.
        knob: Where it is typed, for example ``"torch.optim.SGD"``.
        to: Where it shall be typed instead.
        run: Facts of the training; give those that the formulas ask for.
        run_after: Facts of the training at ``to``, where they differ.

    Returns:
        The number to type, how faithful it is, and what it assumes.

    Raises:
        RefusedError: If no honest answer exists; the text says what to do instead.
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
        (0.692907, 'same-trajectory')

    """
    before = Run() if run is None else run
    after = before if run_after is None else run_after
    source = read_setting(value, knob)
    target = target_knob(to, after)
    try:
        return _routed(source, target, before, after)
    except OverflowError:
        must = "small enough, or large enough, for the result to be a finite number"
        raise RangeError(source.knob.name, source.number, must) from None


def _routed(source: Setting, target: Knob, before: Run, after: Run) -> Conversion:
    coordinate = _coordinate(source.knob, target, before, after)
    if coordinate == "penalty":
        return _by_penalty(source, target, before, after)
    if coordinate == "shrink":
        return _by_shrink(source, target, before, after)
    if coordinate == "total":
        return _by_total(source, target, before, after)
    raise refusal(source, target, before)


def _coordinate(
    source: Knob, target: Knob, before: Run, after: Run
) -> Coordinate | None:
    """Return what both knobs can be said in; None if there is nothing."""
    if source.penalty is not None and target.penalty is not None:
        return "penalty"
    if not (has_shrink(source) and has_shrink(target)):
        return None
    # A half-life or a shrink is said at the peak, so there only the peak counts.
    is_rate = source.is_rate or target.is_rate
    alike = paths.are_alike(source, target, before, after)
    return "shrink" if alike or is_rate else "total"


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
    same = source.knob == target and before == after
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=value,
        unit=target.unit,
        fidelity="same-trajectory" if same else "same-objective",
        assumptions=assumptions.of_penalty(source.knob, target, before, after),
        formula=_joined(source.knob.said(forward.forward), None if layers else penalty)
        + "; "
        + _joined(target.said(inverse.inverse), value),
        layers=layers,
        coordinate="penalty",
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


def _by_shrink(source: Setting, target: Knob, before: Run, after: Run) -> Conversion:
    shrink = shrink_from_number(source.knob, source.number, before)
    value = number_at_same_shrink(
        source.knob, source.number, before, target=target, after=after
    )
    exact = assumptions.is_exact(source.knob, target, before, after)
    forward, inverse = _formulas(source.knob, target, before, after)
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=value,
        unit=target.unit,
        fidelity="same-trajectory" if exact else "approximate",
        assumptions=assumptions.of_shrink(source.knob, target, before, after),
        formula=_joined(forward, shrink) + "; " + _joined(inverse, value),
        coordinate="shrink",
    )


def _by_total(source: Setting, target: Knob, before: Run, after: Run) -> Conversion:
    # Weights that swing through zero have e-folds too: both sides must truly decay.
    shrink_from_number(source.knob, source.number, before)
    e_folds = e_folds_from_number(source.knob, source.number, before)
    value = number_from_e_folds(target, e_folds, after)
    shrink_from_number(target, value, after)
    forward, inverse = _formulas(source.knob, target, before, after)
    return Conversion(
        knob=source.knob.name,
        value_from=source.number,
        to=target.name,
        value=value,
        unit=target.unit,
        fidelity="same-total-decay",
        assumptions=assumptions.of_total(
            source.knob, target, (paths.path_of(source.knob), paths.path_of(target))
        ),
        formula=f"e-folds Σ −ln(1 − s_t) = {e_folds:.6g} on both, with {forward} "
        f"at the peak; {_joined(target.symbol, value)} (solved; {inverse} at the peak)",
        coordinate="total",
    )


def _formulas(source: Knob, target: Knob, before: Run, after: Run) -> tuple[str, str]:
    return (
        source.said(shrink_formulas(source, before)[0]),
        target.said(shrink_formulas(target, after)[1]),
    )


def _joined(formula: str, value: float | None) -> str:
    return formula if value is None else f"{formula} = {value:.6g}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
