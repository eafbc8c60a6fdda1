"""What is said of a run that stays far below the peak lr of its half-life."""

import logging
from collections.abc import Sequence

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.pytorch.holding.hold import GroupPlan, Hold
from dwindle.pytorch.holding.lr_peaks import left_by_schedulers, peaks_left_since

_LOG = logging.getLogger("dwindle")
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


class PeakWatch:
    """Warns once where the lr of a run stays far below the peak of its half-life.

    It is looked for where it can be known: at the last step of a run whose length was
    given, where the lr has fallen to half of its largest, where another scheduler was
    built, and, if the lr has not risen for half of the steps, at checkpoints and at
    the end.

    Args:
        hold: What knows the plans and the largest lr seen.
        steps: Length of the run, if it was given.
        together: Whether one peak was given for all groups.

    """

    def __init__(self, hold: Hold, *, steps: int | None, together: bool) -> None:
        self.steps, self.together = steps, together
        self._hold = hold
        self._has_warned = self._saw_fall = False
        self.schedulers_are_built()

    def schedulers_are_built(self) -> None:
        """Take what is in the groups now for what the half-life belongs to."""
        self._left = left_by_schedulers(self._hold.optimizer.param_groups)

    def before_step(self) -> None:
        """Look for a peak that was missed, before a step."""
        hold = self._hold
        if hold.steps_done + 1 == self.steps or (hold.has_fallen > self._saw_fall):
            self._saw_fall = hold.has_fallen
            self._warn(hold.lr_seen, at_the_end=True)
        if not hold.steps_done:
            return
        left = peaks_left_since(self._left, hold.optimizer.param_groups)
        if left is not None:
            self.schedulers_are_built()
            self._has_warned = False
            self._warn(left, at_the_end=True)

    def at_a_pause(self, *, least_share: float = 0.0) -> None:
        """Look for it at a checkpoint or an end that nobody announced.

        Args:
            least_share: How much of a run of known length must be over.

        """
        done = self._hold.steps_done
        if 2 * self._hold.rose_at <= done >= max(1, least_share * (self.steps or 0)):
            self._warn(self._hold.lr_seen, at_the_end=False)

    def _warn(self, lr_largest: Sequence[float], *, at_the_end: bool) -> None:
        if self._has_warned:
            return
        remark = remark_on_missed_peak(
            self._hold.plans,
            lr_largest,
            together=self.together,
            at_the_end=at_the_end,
        )
        if remark:
            self._has_warned = True
            _LOG.warning("%s: %s", type(self._hold.optimizer).__name__, remark)
