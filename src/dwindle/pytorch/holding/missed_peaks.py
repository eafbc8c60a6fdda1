"""What is said of a run that stays far below the peak lr of its half-life."""

from collections.abc import Sequence

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.pytorch.holding.group_plan import GroupPlan

# Peaks that are read may be off by a step of the schedule; a factor of two is no slip.
_FAR = 0.5
_IN_A_WARM_UP = " (If a warm-up is still going on, all is well.)"


def remark_on_missed_peak(
    plans: Sequence[GroupPlan],
    lr_largest: Sequence[float],
    *,
    together: bool,
    at_the_end: bool,
) -> str:
    """Return a warning where the largest lr is below half of the peak, else "".

    Args:
        plans: What is done to each group.
        lr_largest: The largest lr that each group has had; 0 before its first step.
        together: Whether one peak was given for all groups: then one group that
            reaches it is enough.
        at_the_end: Whether the run is over, so that no larger lr can come.

    """
    held = [
        (at, plan, lr)
        for at, (plan, lr) in enumerate(zip(plans, lr_largest, strict=False))
        if plan.lr_peak is not None and lr > 0
    ]
    far = [each for each in held if each[2] < _FAR * (each[1].lr_peak or 0.0)]
    if not far or (together and len(far) < len(held)):
        return ""
    at, plan, lr = min(far, key=lambda each: each[2] / (each[1].lr_peak or 1.0))
    rate, peak = plan.rate, plan.lr_peak or 0.0
    if rate is None or not rate.shrink_at_peak:
        return ""
    half_life_steps = half_life_from_shrink(rate.shrink_at(lr))
    others = f" (and {len(far) - 1} more)" if len(far) > 1 else ""
    return (
        f"the largest lr of group {at}{others} is {lr:.6g}, and the half-life belongs "
        f"to a peak of {peak:.6g}, {peak / lr:.3g} times as much: at {lr:.6g} it is "
        f"{half_life_steps:,.6g} steps instead of {rate.half_life_steps:,.6g}. Give "
        "DecayController(lr_peak=...), the largest lr of the run, or its scheduler= "
        "and steps=; or set lr_peak of the controller now."
        + ("" if at_the_end else _IN_A_WARM_UP)
    )
