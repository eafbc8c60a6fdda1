"""Watches over a held run: steps that never come, and a peak lr that is never reached.

Each warns once, through the logger ``dwindle``, where nothing else would.
"""

import logging
from collections.abc import Sequence
from typing import Any
from weakref import ReferenceType, ref

from torch import Tensor
from torch.optim import Optimizer

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.pytorch.holding.hold import GroupPlan, Hold
from dwindle.pytorch.holding.lr_peaks import left_by_schedulers, peaks_left_since
from dwindle.wording import count, number

_LOG = logging.getLogger("dwindle")
# GradScaler skips some ten steps at first; gradients may be accumulated for longer.
_MOST_ROUNDS = 20
_MOST_GRADIENTS = 1000  # of one weight: no accumulation is that long
_WATCHED = 8  # groups, by their first weight: a hook costs time in every step
# Peaks that are read may be off by a step of the schedule; a factor of two is no slip.
_FAR = 0.5
_IN_A_WARM_UP = " (If a warm-up is still going on, all is well.)"


class IdleWatch:
    """Counts how often new gradients came, on some weights, until the first step."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._name = type(optimizer).__name__
        self._last: dict[int, ReferenceType[Tensor]] = {}
        self._rounds: dict[int, int] = {}
        self._gradients: dict[int, int] = {}
        me = ref(self)  # the garbage collector cannot see hooks of a weight

        def count(weight: Tensor) -> None:
            if (watch := me()) is not None:
                watch.count(weight)

        # The first weight of each group that can get a gradient.
        firsts = (
            next((w for w in group["params"] if w.is_leaf and w.requires_grad), None)
            for group in optimizer.param_groups
        )
        watched: list[Any] = [w for w in firsts if w is not None][:_WATCHED]
        # Any here and above: torch annotates neither the method nor its handle
        self._handles: list[Any] = [
            weight.register_post_accumulate_grad_hook(count) for weight in watched
        ]

    @property
    def rounds(self) -> int:
        """How often gradients came anew; what is accumulated counts once."""
        return max(self._rounds.values(), default=0)

    def stop(self) -> None:
        """Take the hooks off the weights."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def count(self, weight: Tensor) -> None:
        """Count a gradient that a weight has got."""
        at, gradient = id(weight), weight.grad
        if gradient is None:
            return
        last = self._last.get(at)
        # A gradient that is added to stays the same object.
        if last is None or last() is not gradient:
            self._last[at] = ref(gradient)
            self._rounds[at] = self._rounds.get(at, 0) + 1
        self._gradients[at] = self._gradients.get(at, 0) + 1
        many = self._gradients[at] >= _MOST_GRADIENTS
        if self._rounds[at] >= _MOST_ROUNDS or many:
            self.stop()
            _LOG.warning(
                "gradients came %d times to the weights of %s, and this %s has made "
                "no step: nothing decays. Build the DecayController on the optimizer "
                "whose step() the loop calls; of a wrapper, on the one inside of it.",
                self._gradients[at],
                self._name,
                self._name,
            )


class PeakWatch:
    """Warns once where the lr of a run stays far below the peak of its half-life.

    It is checked where it can be known: at the last step of a run whose length was
    given, where the lr has fallen to half of its largest, where another scheduler was
    built, and, if the lr has not risen for half of the steps, at checkpoints and at
    the end.
    """

    def __init__(self, hold: Hold, *, steps: int | None, together: bool) -> None:
        self.steps, self.together = steps, together
        self._hold = hold
        self._has_warned = self._saw_fall = False
        self.schedulers_are_built()

    def schedulers_are_built(self) -> None:
        """Take the peaks in the groups now as those of the half-life."""
        self._left = left_by_schedulers(self._hold.optimizer.param_groups)

    def before_step(self) -> None:
        """Check for a missed peak, before a step."""
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
        """Check for it at a checkpoint, or at an end of unknown time.

        Of a run of known length this share must be over.
        """
        done = self._hold.steps_done
        if 2 * self._hold.rose_at <= done >= max(1, least_share * (self.steps or 0)):
            self._warn(self._hold.lr_seen, at_the_end=False)

    def _warn(self, lr_largest: Sequence[float], *, at_the_end: bool) -> None:
        if self._has_warned:
            return
        remark = _remark(
            self._hold.plans,
            lr_largest,
            together=self.together,
            at_the_end=at_the_end,
        )
        if remark:
            self._has_warned = True
            _LOG.warning("%s: %s", type(self._hold.optimizer).__name__, remark)


def _remark(
    plans: Sequence[GroupPlan],
    lr_largest: Sequence[float],
    *,
    together: bool,
    at_the_end: bool,
) -> str:
    """Return a warning where the largest lr is below half of the peak, else ""."""
    # Where one peak was given for all groups together, one that reaches it is enough;
    # at_the_end of the run no larger lr can come.
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
        f"the largest lr of group {at}{others} is {number(lr)}, and the half-life "
        f"belongs to a peak of {number(peak)}, {count(peak / lr)} times as much: at "
        f"{number(lr)} it is {count(half_life_steps)} steps instead of "
        f"{count(rate.half_life_steps)}. Give "
        "DecayController(lr_peak=...), the largest lr of the run, or its scheduler= "
        "and steps=; or set lr_peak of the controller now."
        + ("" if at_the_end else _IN_A_WARM_UP)
    )
