"""Conversion between the number that a user types and the x of the search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from dwindle.decay.convert import convert
from dwindle.decay.coordinates import penalty_convention_of
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.python_inputs import RunLike, knob_name, run_of
from dwindle.decay.run import Run
from dwindle.errors import RangeError, UsageError
from dwindle.wording import quantity

# Six digits of a decay are more than any training can resolve, and they fit a line.
_DIGITS = 6
# Quantities of scale that a run has, too: what a half-life follows from.
_OF_RUN = ("lr", "batch_size", "dataset_size", "epochs", "steps")
# Names of knobs without a record: own:reg_lambda, own:SVC.C:inverse.
_OWN, _INVERSE = "own:", ":inverse"


@dataclass(frozen=True, kw_only=True)
class Typed:
    """An answer as a training gets it, where that is another number.

    ``low`` and ``high`` are the limits of ``value`` at ``knob``: None where there are
    none, 0 or infinity where they are open.
    """

    knob: Knob
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Unit:
    """How a decay is typed, in a range and an answer (``knob``) and in a training.

    The search runs over x, which grows with the decay: the logarithm of the number, or
    minus that of a knob that runs backwards (C, σ, a half-life). No decay is minus
    infinity. The training types its number at ``typed``, another place only for a
    half-life; the conversion may need facts of the ``run``.
    """

    knob: Knob
    typed: Knob
    run: Run

    @classmethod
    def from_given(cls, knob: object, typed: object, run: RunLike | None) -> Self:
        """Find the knobs from Python arguments: names, classes, facts as a mapping."""
        at = None if typed is None else knob_name(typed)
        return cls.from_names(knob_name(knob), at, run_of(run))

    @classmethod
    def from_names(cls, knob: str, typed: str | None, run: Run) -> Self:
        """Find the knobs; only a rate comes with the argument that is typed."""
        there = own_knob(knob) or resolve_knob(knob)
        if there.is_rate and typed is None:
            must = "A half-life or a shrink must come with the argument that is typed."
            remedy = "Add --as torch.optim.AdamW, and the facts --lr, --batch-size, ..."
            raise UsageError(must, f"--knob {there.name} without --as", remedy)
        if typed is not None and not there.is_rate:
            must = "--as belongs to a range in another unit, such as half-life:epochs."
            raise UsageError(
                must, f"--knob {there.name} --as {typed}", "Leave out --as."
            )
        if there.wants_clock:
            must = "The half-life of a range must have a clock."
            raise UsageError(must, f"--knob {knob}", "Write --knob half-life:epochs.")
        at = there if typed is None else resolve_knob(typed)
        if at.is_rate:
            must = "--as must name an argument that a training takes."
            raise UsageError(must, f"--as {at.name}", "Write --as torch.optim.AdamW.")
        return cls(knob=there, typed=at, run=run)

    def at(self, scale: Mapping[str, float]) -> Self:
        """Return the unit at a scale, of which a run has some quantities."""
        facts = {name: scale[name] for name in _OF_RUN if name in scale}
        for name, value in facts.items():
            if self.run.is_given(name) and getattr(self.run, name) is not None:
                must = f"The {quantity(name)} must be a fact or a scale, not both."
                got = f"{getattr(self.run, name):g} and {value:g}"
                raise UsageError(must, got, "Leave one of them out.")
        whole: dict[str, Any] = {
            name: int(value) if value == int(value) else value
            for name, value in facts.items()
        }
        return replace(self, run=replace(self.run, **whole)) if whole else self

    @property
    def runs_backwards(self) -> bool:
        """Whether a larger number is less decay."""
        return _runs_backwards(self.knob)

    @property
    def symbol(self) -> str:
        """The symbol of the number of the range and the answer."""
        return "half-life" if self.knob.is_half_life else self.knob.symbol

    @property
    def is_converted(self) -> bool:
        """Whether the training gets another number than the answer is in."""
        return self.knob is not self.typed

    def x_from_number(self, number: float) -> float:
        """Return the x of the search for a number of the range."""
        none = math.inf if self.runs_backwards else 0.0
        if number == none:
            return -math.inf
        return -math.log(number) if self.runs_backwards else math.log(number)

    def number_from_x(self, x: float) -> float:
        """Return the number of the range or the answer: inverse of the above."""
        return math.exp(-x) if self.runs_backwards else math.exp(x)

    def typed_from_x(self, x: float) -> float:
        """Return the number that the training gets, in six digits."""
        if x == -math.inf:
            return math.inf if _runs_backwards(self.typed) else 0.0
        number = self.number_from_x(x)
        if self.is_converted:
            number = self._converted(number, self.knob, self.typed)
        return float(f"{number:.{_DIGITS}g}")

    def x_from_typed(self, typed: float) -> float:
        """Return the x of the search for a number that a training got."""
        if typed == (math.inf if _runs_backwards(self.typed) else 0.0):
            return -math.inf
        if self.is_converted:
            typed = self._converted(typed, self.typed, self.knob)
        return self.x_from_number(typed)

    def typed_of(
        self, value: float | None, low: float | None, high: float | None
    ) -> Typed | None:
        """Return an answer with its limits as a training gets it, if that differs."""
        if value is None or not self.is_converted:
            return None
        there = self.typed_from_x(self.x_from_number(value))
        if low is None or high is None:
            return Typed(knob=self.typed, value=there, low=None, high=None)
        # A half-life of 0 is a decay without limit, which has no conversion.
        open_, limit = (
            0.0 if _runs_backwards(each) else math.inf
            for each in (self.knob, self.typed)
        )
        ends = sorted(
            limit if end == open_ else self.typed_from_x(self.x_from_number(end))
            for end in (low, high)
        )
        return Typed(knob=self.typed, value=there, low=ends[0], high=ends[1])

    def _converted(self, number: float, source: Knob, target: Knob) -> float:
        found = convert(number, source.name, to=target.name, run=self.run).value
        if found is None:
            must = f"one that {target.name} has a number for"
            raise RangeError(source.name, number, must)
        return found


def own_knob(name: str) -> Knob | None:
    """Return a knob without record: ``own:NAME``, or ``own:NAME:inverse``; else None.

    Its number can be searched over, and nothing is known of what it does: the answer
    converts to no other knob. An inverse one is less decay the larger it is.
    """
    plain = name.removeprefix(_OWN).removesuffix(_INVERSE)
    if not name.startswith(_OWN) or not plain:
        return None
    return Knob(
        name=name,
        symbol=plain.rpartition(".")[2],
        formula="",
        unit="a number of the user's",
        # What a C multiplies, beside 1/2 Σw².
        penalty="inverse-data-sum" if name.endswith(_INVERSE) else "canonical",
    )


def place_of(knob: str) -> str:
    """Return where a number is typed, without our prefix and suffix: SVC.C."""
    return knob.removeprefix(_OWN).removesuffix(_INVERSE) if own_knob(knob) else knob


def _runs_backwards(knob: Knob) -> bool:
    convention = penalty_convention_of(knob)
    return knob.clock is not None or (convention is not None and convention.power < 0)
