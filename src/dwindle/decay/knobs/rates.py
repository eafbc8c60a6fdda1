"""Rates as knobs: half-lives on every clock, and the shrink itself."""

from dwindle.decay.clocks import CLOCKS
from dwindle.decay.knob import Knob


def _half_life(name: str, clock: str | None) -> Knob:
    on_clock = "time" if clock is None else "share of the run"
    unit = on_clock if clock in {None, "run"} else str(clock)
    return Knob(
        name=name,
        symbol="h",
        formula="half of a weight with zero gradient is left after h, at the peak lr",
        unit=unit,
        clock=next((known for known in CLOCKS if known == clock), None),
        source="a definition",
    )


RATE_KNOBS = (
    _half_life("half-life", None),
    *(_half_life(f"half-life:{clock}", clock) for clock in CLOCKS),
    Knob(
        name="shrink",
        symbol="s",
        formula="w ← w − s·w at the peak lr",
        unit="fraction per step",
        source="a definition",
        note='may be written as a percentage: shrink="0.1%"',
    ),
)
