"""A setting: a knob with its number, read from what a user typed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from dwindle.decay.coordinates import penalty_convention_of
from dwindle.decay.half_life import HalfLife
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.read_numbers import Clock, number_of, read_number
from dwindle.decay.run import Run
from dwindle.errors import RangeError

Value = float | str | HalfLife

_HALF_LIFE = "half-life"
_CLOCK_REMEDY = (
    'Write a number and a clock: half-life="3 epochs", "2e9 tokens", '
    '"20% of the run"; or a knob with its clock: half-life:steps=500.'
)


@dataclass(frozen=True)
class Setting:
    """A knob and the number that it is set to."""

    knob: Knob
    number: float


def read_setting(value: Value, knob_name: str) -> Setting:
    """Read a value for a knob; a half-life becomes a number on its own clock."""
    knob = resolve_knob(knob_name)
    is_plain = not isinstance(value, HalfLife)
    if isinstance(value, str):  # a percentage is one of the run
        is_plain = "%" not in value and read_number(value) is not None
    if knob.wants_clock or (knob.is_half_life and not is_plain):
        time = (
            HalfLife.parse(value) if isinstance(value, str) and not is_plain else value
        )
        if not isinstance(time, HalfLife):
            raise RangeError(knob.name, value, "a time with its clock", _CLOCK_REMEDY)
        if knob.clock not in {None, time.clock}:
            raise RangeError(knob.name, time, f"in {knob.clock}", _CLOCK_REMEDY)
        return Setting(_clocked(time.clock), time.value)
    number, (must, fits) = number_of(knob.name, value), _range_of(knob)
    if not fits(number):
        raise RangeError(knob.name, number, must, f"It is read as: {knob.formula}.")
    return Setting(knob, number)


def at_peak(setting: Setting, run: Run) -> Setting:
    """Return a setting with the larger end of its decay's schedule as the number.

    Of ``"cosine from 0.04 to 0.4"`` the number may be the first or the last. Where the
    ends are shares, the number is the peak already; a half-life is always that at the
    peak.

    Example:
        >>> run = Run(decay_schedule="cosine from 0.04 to 0.4")
        >>> at_peak(read_setting(0.04, "torch.optim.AdamW"), run).number
        0.4

    """
    schedule = run.decay_schedule
    peak = schedule.peak
    if peak is None or setting.knob.is_rate:
        return setting
    ends = (schedule.start * peak, schedule.final * peak)
    # Shares are rounded, and their products with the peak again.
    if any(math.isclose(setting.number, end, rel_tol=1e-9) for end in ends):
        return Setting(setting.knob, peak)
    typed, knob = f"{setting.number:g}", setting.knob.name
    must = f"from or to {typed}, the number at {knob}"
    remedy = f"Write {knob}={peak:g}, or the ends as shares of {typed}: from 10%."
    raise RangeError("decay_schedule", schedule.ends_of(peak), must, remedy)


def target_knob(name: str, run: Run, *, source: Knob | None = None) -> Knob:
    """Find the knob to convert to; a bare half-life gets a clock.

    That is epochs where an epoch is known, else steps. Of a name that several libraries
    have, the one in the library of the source is meant.
    """
    knob = resolve_knob(name, beside=source)
    if not knob.wants_clock:
        return knob
    epoch_is_known = None not in (run.batch_size, run.dataset_size)
    return _clocked("epochs" if epoch_is_known else "steps")


def _clocked(clock: Clock) -> Knob:
    return KNOBS[f"{_HALF_LIFE}:{clock}"]


def _range_of(knob: Knob) -> tuple[str, Callable[[float], bool]]:
    """Return the range of a knob's number, as text and as a check."""
    convention = penalty_convention_of(knob)
    if knob.clock is not None:
        return "above 0", lambda number: number > 0
    if knob.is_rate:
        return "a fraction of the weight in [0, 1)", lambda number: 0 <= number < 1
    # The formula divides by the width of a prior, so 0 is invalid.
    if convention is not None and convention.power < 0:
        return "a finite number above 0", lambda number: 0 < number < math.inf
    return "a finite number, 0 or more", lambda number: 0 <= number < math.inf
