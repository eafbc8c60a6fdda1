"""Hold: the two hooks around an optimizer's step, and what they remember between steps."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from dwindle.decay.owed import exact_shrink
from dwindle.pytorch.group_plan import KNOB, GroupPlan

# What the hook before a step tells the one after it, per group: the shrink asked, the
# shrink that is exact in the group's numbers, whether the weights are multiplied by us.
_Asked = tuple[float, float, bool]
_REST: _Asked = (0.0, 0.0, False)


class Hold:
    """The only thing of the controller that changes from step to step.

    It owns the group's ``weight_decay`` while it is held, and per group what is owed
    and how much has decayed.
    """

    def __init__(self, optimizer: Optimizer, plans: Sequence[GroupPlan]) -> None:
        self.optimizer = optimizer
        self.plans = list(plans)
        self.owed = [0.0] * len(self.plans)
        self.e_folds = [0.0] * len(self.plans)
        self.steps_done = 0
        self._asked: list[_Asked] | None = None

    def set_knobs(self) -> None:
        """Ask each group for its decay of this step, before the optimizer takes it."""
        asked = []
        groups = self.optimizer.param_groups
        for plan, group, owed in zip(self.plans, groups, self.owed, strict=True):
            if plan.rate is None:
                if plan.has_knob:
                    group[KNOB] = plan.knob
                asked.append(_REST)
                continue
            lr = float(group["lr"])
            shrink = plan.rate.shrink_at(lr)
            taken = exact_shrink(owed + math.log1p(-shrink), plan.factors)
            # At lr 0 no knob decays anything; under "constant" that step still owes.
            native = plan.mechanism == "native" and lr > 0
            if plan.has_knob:
                group[KNOB] = taken / lr if native else 0.0
            asked.append((shrink, taken, not native))
        self._asked = asked

    def take_step(self) -> None:
        """Decay what the optimizer did not, and book the step.

        A step inside of a step (a subclass that calls the step of its parent) comes
        here twice; the first time counts. One that AMP skipped does not count.
        """
        asked, self._asked = self._asked, None
        if asked is None or was_skipped(self.optimizer):
            return
        for index, (shrink, taken, multiplied) in enumerate(asked):
            if multiplied and taken:
                multiply(self.optimizer.param_groups[index]["params"], 1 - taken)
            owed = math.log1p(-shrink)
            self.owed[index] += owed - math.log1p(-taken)
            self.e_folds[index] -= owed
        self.steps_done += 1


@torch.no_grad()
def multiply(parameters: Sequence[torch.Tensor], kept: float) -> None:
    """Multiply the weights that took part in the step; one without a gradient did not."""
    taking_part = [p for p in parameters if p.grad is not None]
    if taking_part:
        torch._foreach_mul_(taking_part, kept)  # noqa: SLF001 torch's optimizers use it


def was_skipped(optimizer: Optimizer) -> bool:
    """Whether AMP skipped the step inside of the fused optimizer (infinite gradients)."""
    found: Any = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)
