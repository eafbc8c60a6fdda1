"""Strength: what a decay does to a weight over a run, in one line."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dwindle.decay.families import FAMILIES
from dwindle.wording import number, percent, time_on

# The half-life is given on the first clock that is known: most people count in epochs,
# and trainers of language models in tokens.
_CLOCKS = ("epochs", "tokens", "run")
# From two halvings on a half-life shows more than a share: "removes 75 %" and "removes
# 99.99 %" are hard to tell apart.
_HALVINGS = 2


class Strength(NamedTuple):
    """A degree of decay, from so many e-folds over the run on."""

    name: str
    least: float
    why: str


STRENGTHS = (
    Strength(
        "nothing", 0.0, "less than 1 %: rounding a weight to bfloat16 moves it so"
    ),
    Strength("next to nothing", 0.01, "less than 10 %: weights are where they were"),
    Strength("weak", 0.1, "the run ends within 1/s steps: weights keep their start"),
    Strength(
        "moderate", 1.0, "after one e-fold weights near where decay and noise meet"
    ),
    Strength("strong", -math.log(0.01), "under 1 % of the start is left"),
    # The longest of 16 published optima of repeated text is 123 (arXiv 2509.14786).
    Strength("very strong", 100.0, "weights remember a hundredth of the run"),
)
_WHY = "see the first note"
# By the code of a remark: the summary where there is no share and no half-life.
_INSTEAD: Mapping[str, str] = {
    "dead-zone": "is rounded away at every step: nothing",
    "stalls": "stops before a weight has halved: smaller steps are rounded away",
    "nothing-left": "leaves nothing of a weight: too strong",
    "swing": "swings a weight through zero: too strong",
    "growth": "makes a weight grow instead of decay: too strong",
    "oscillation": f"sets no half-life; {_WHY}",
    "impossible": f"sets no half-life; {_WHY}",
    "per-layer": "is another penalty for every layer",
    "no-optimizer": "is a term of the loss: an optimizer and its lr make it a decay",
    **{
        each.name: f"sets no half-life; {_WHY}"
        for each in FAMILIES.values()
        if not each.has_half_life
    },
}


def strength_of(e_folds: float) -> str:
    """Return the degree of a total decay."""
    return next(each.name for each in reversed(STRENGTHS) if e_folds >= each.least)


def decay_summary(
    half_life: Mapping[str, float | None],
    e_folds: float | None,
    *,
    at_peak: bool,
    codes: Iterable[str] = (),
    lacking: Iterable[str] = (),
) -> tuple[str, str | None]:
    """Return what a decay does, in a line, and how strong that is.

    Args:
        half_life: At the peak lr, on every clock; None where it is not known.
        e_folds: Total decay of the run, or None.
        at_peak: Whether the lr is lower at other times.
        codes: Of the remarks on the decay.
        lacking: Options of the facts that a half-life needs.

    Example:
        >>> decay_summary({"epochs": 3.546}, 19.5, at_peak=False)
        ('halves a weight every 3.55 epochs: strong', 'strong')
        >>> decay_summary({"run": 1700.0}, 4e-4, at_peak=False)
        ('removes 0.04 % of a weight over the run: nothing', 'nothing')

    """
    known = {clock: time for clock, time in half_life.items() if time is not None}
    # The number that is too small or too large may be another than the half-life.
    codes = set(codes) - ({"impossible"} if known else set())
    instead = next((text for code, text in _INSTEAD.items() if code in codes), "")
    if "no-decay" in codes or ("no-lr" in codes and not known):
        return "removes nothing of a weight: no decay", "nothing"
    if instead:
        return instead, "nothing" if "dead-zone" in codes else None
    strength = None if e_folds is None else strength_of(e_folds)
    if e_folds is not None and e_folds < _HALVINGS * math.log(2):
        share = percent(-math.expm1(-e_folds))
        return f"removes {share} of a weight over the run: {strength}", strength
    if known:
        clock = next((each for each in _CLOCKS if each in known), next(iter(known)))
        time = time_on(clock, known[clock])
        where = " at the peak lr" if at_peak else ""
        degree = (
            f": {strength}"
            if strength
            else "; the length of the run decides how strong that is"
        )
        return f"halves a weight every {time}{where}{degree}", strength
    facts = " and ".join(lacking)
    return f"how much of a weight goes is open{': give ' if facts else ''}{facts}", None


def times_grown(e_folds: float | None, kept: float | None) -> str:
    """Return by how much a run enlarges a weight; empty where it does not.

    Example:
        >>> times_grown(-1e4, None), times_grown(0.1, 0.9)
        ('10^4,343 times the weight', '')

    """
    if (e_folds or 0.0) >= 0 and abs(kept or 0.0) <= 1:
        return ""
    if kept is not None and math.isfinite(kept):
        return f"{number(kept)} times the weight"
    powers = -(e_folds or -math.inf) / math.log(10)  # what no float holds
    return "" if math.isinf(powers) else f"10^{powers:,.0f} times the weight"
