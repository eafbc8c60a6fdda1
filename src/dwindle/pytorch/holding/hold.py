"""Hold: the two hooks around an optimizer's step, and what they remember."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor
from torch.optim import Optimizer

from dwindle.decay.held_rate import HeldRate
from dwindle.decay.owed import exact_shrink
from dwindle.errors import RefusedError
from dwindle.pytorch.holding.group_plan import KNOB, GroupPlan

_LOG = logging.getLogger("dwindle")

# What the hook before a step tells the one after it, per group: the shrink asked, the
# shrink that is exact in the group's numbers, whether the weights are multiplied by us.
_Asked = tuple[float, float, bool]
_REST: _Asked = (0.0, 0.0, False)

# The hooks on the optimizer keep its Hold alive; here it must not keep the optimizer.
_HELD: WeakKeyDictionary[Optimizer, "ReferenceType[Hold]"] = WeakKeyDictionary()

# torch.compile leaves its graph for the hooks: traced, they would write the first
# step's numbers into every step.
_WHY_NOT_TRACED = (
    "the decay of a step is a new number each time; compile without fullgraph=True"
)


class Hold:
    """All that changes from step to step while an optimizer is held.

    It owns each group's ``weight_decay`` in that time. Per group it knows what is
    owed (the part of the decay that the number format could not write yet, as ln), how
    many e-folds have been asked for so far, and the largest lr seen.

    Args:
        optimizer: Whose steps it goes along with.
        plans: What is done to each of its groups.

    """

    def __init__(self, optimizer: Optimizer, plans: Sequence[GroupPlan]) -> None:
        self.optimizer = optimizer
        self.plans: list[GroupPlan] = []
        self.owed: list[float] = []
        self.e_folds: list[float] = []
        self.lr_seen: list[float] = []
        self.steps_done = 0
        self._asked: list[_Asked] | None = None
        self._handles: list[Any] = []  # Any: torch's handle, private by its name
        self._warned = False
        self._on_cuda = False
        self.take_plans(plans)

    def attach(self, before: Callable[[], None] = lambda: None) -> None:
        """Go along with every step from now on.

        Args:
            before: Called first at every step.

        """

        def before_step(*_: object) -> None:
            before()
            self.set_knobs()

        def after_step(*_: object) -> None:
            self.take_step()

        self._handles = [
            self.optimizer.register_step_pre_hook(_untraced(before_step)),
            self.optimizer.register_step_post_hook(_untraced(after_step)),
        ]
        _HELD[self.optimizer] = ref(self)

    def detach(self) -> None:
        """Leave the steps alone from now on."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        _HELD.pop(self.optimizer, None)

    def take_plans(self, plans: Sequence[GroupPlan]) -> None:
        """Change the plans; groups that are new have no past."""
        new = [0.0] * (len(plans) - len(self.plans))
        self.plans = list(plans)
        self.owed += new
        self.e_folds += new
        self.lr_seen += new
        groups = self.optimizer.param_groups
        self._on_cuda = any(p.is_cuda for group in groups for p in group["params"])

    def set_knobs(self) -> None:
        """Ask each group for its decay of this step, before the optimizer takes it.

        Raises:
            RefusedError: While a CUDA graph is being captured.
            RangeError: If the lr is so far above its peak that no weight would be left.

        """
        if self._on_cuda and torch.cuda.is_current_stream_capturing():
            raise _refused_capture()
        asked, seen = [], self.lr_seen
        groups = self.optimizer.param_groups
        together = zip(self.plans, groups, self.owed, strict=True)
        for at, (plan, group, owed) in enumerate(together):
            if plan.rate is None:
                if plan.has_knob:
                    group[KNOB] = plan.knob
                asked.append(_REST)
                continue
            lr = group.get("lr")
            lr = 0.0 if lr is None else float(lr)
            seen[at] = max(seen[at], lr)
            if lr > plan.lr_top and not self._warned:
                self._warn(lr, plan)
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
        groups = self.optimizer.param_groups
        for at, (shrink, taken, multiplied) in enumerate(asked):
            if multiplied and taken:
                multiply(groups[at]["params"], 1 - taken)
            if shrink:
                due = math.log1p(-shrink)
                self.owed[at] += due - math.log1p(-taken)
                self.e_folds[at] -= due
        self.steps_done += 1

    def _warn(self, lr: float, plan: GroupPlan) -> None:
        self._warned = True
        _LOG.warning(
            "the lr is %g, above the peak of %.6g that the half-life belongs to: these "
            "steps decay faster than asked. Give DecayController(lr_peak=...), the "
            "largest lr of the run.",
            lr,
            plan.lr_top,
        )


def _untraced(hook: Callable[..., None]) -> Callable[..., None]:
    disable: Any = torch.compiler.disable  # Any: torch annotates it nowhere
    untraced: Callable[..., None] = disable(hook, reason=_WHY_NOT_TRACED)
    return untraced


def is_held(optimizer: Optimizer) -> bool:
    """Tell whether hooks of ours go along with the steps of an optimizer."""
    return optimizer in _HELD


def rates_held(optimizer: Optimizer) -> tuple[HeldRate | None, ...]:
    """Return the rate that is held in each group; none where nobody holds it."""
    found = _HELD.get(optimizer)
    hold = found() if found is not None else None
    rates = [] if hold is None else [plan.rate for plan in hold.plans]
    missing = len(optimizer.param_groups) - len(rates)  # groups may be new
    return (*rates, *(None for _ in range(missing)))


@torch.no_grad()
def multiply(parameters: Sequence[Tensor], kept: float) -> None:
    """Multiply the weights that took part in the step: those with a gradient."""
    taking_part = [each for each in parameters if each.grad is not None]
    if taking_part:
        torch._foreach_mul_(taking_part, kept)


def was_skipped(optimizer: Optimizer) -> bool:
    """Tell whether AMP skipped the step inside of the fused optimizer."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def _refused_capture() -> RefusedError:
    return RefusedError(
        "A half-life inside of a CUDA graph",
        "A captured step replays the decay of the moment of its capture, whatever the "
        "lr does later.",
        "Capture forward and backward only, and call optimizer.step() outside.",
    )
