"""Hold: the two hooks around an optimizer's step, and what they remember."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor
from torch.optim import Optimizer

from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.number_formats import exact_shrink
from dwindle.errors import CheckpointError, RangeError
from dwindle.pytorch.options import KNOB
from dwindle.pytorch.refusals import refused
from dwindle.wording import number

_LOG = logging.getLogger("dwindle")
Mechanism = Literal["native", "multiply", "penalty", "left alone"]
# A peak read from a scheduler and the lr that it sets differ in their last digits.
_ROOM = 1 + 1e-6

# What the hook before a step leaves to the one after it, per group: the shrink due,
# the one that is exact in the group's numbers, whether we multiply the weights.
_GroupStep = tuple[float, float, bool]
# Of a group that does not decay in this step.
_REST: _GroupStep = (0.0, 0.0, False)
_IN_16_BITS = (torch.bfloat16, torch.float16)

# The hooks on the optimizer keep its Hold alive; here it must not keep the optimizer.
_HELD: WeakKeyDictionary[Optimizer, "ReferenceType[Hold]"] = WeakKeyDictionary()

# Weights that a tensor of one number, in their format, multiplies as a number does.
_QUICK = {(torch.nn.Parameter, dtype, True) for dtype in (torch.float32, torch.float64)}
# Half of the largest lr so far: a schedule that falls so far is past its peak.
_FALLEN = 0.5
# Names that Python and torch use.
_GETSTATE, _STATE_HOOKS = "__getstate__", "_optimizer_state_dict_post_hooks"
# torch.compile leaves its graph for the hooks: traced, they would write the first
# step's numbers into every step.
_WHY_NOT_TRACED = (
    "the decay of a step is a new number each time; compile without fullgraph=True"
)

# Version 1: the first. Plain numbers, texts and lists only: torch.load reads them with
# weights_only=True, and JSON can hold them.
VERSION = 1
# Compared in this order: the first that differs explains the others.
_WHAT = {
    "version": "The version of the controller's state",
    "optimizer": "The class of the optimizer",
    "groups": "The parameters of each group, their names, shapes and order,",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPlan:
    """What the controller does to one param group.

    ``rate`` is what a step takes, None where no half-life is held; ``decay_scale``
    multiplies the decay; ``knob`` is what ``weight_decay`` is set to where it
    stays the same. ``before`` has the options as they were, to be put back. ``factors``
    is how many factors the group's numbers can distinguish, as
    :mod:`dwindle.decay.number_formats` counts them. ``without_momentum``: the knob is
    used only in steps whose momentum is 0.
    """

    decay_scale: float
    before: dict[str, Any]  # Any: options of a param group are anything
    factors: float
    mechanism: Mechanism = "left alone"
    rate: DecayRate | None = None
    knob: float = 0.0
    without_momentum: bool = False

    @property
    def has_knob(self) -> bool:
        """Whether the group has a weight_decay at all."""
        return KNOB in self.before

    @property
    def lr_peak(self) -> float | None:
        """The lr that the half-life belongs to; None where it holds at every lr."""
        return None if self.rate is None else self.rate.lr_peak


class Hold:
    """All that changes from step to step while an optimizer is held.

    It owns each group's ``weight_decay`` in that time; checkpoints and copies of the
    optimizer have the one that the user gave. Per group it keeps the rounding residual
    (the part of the decay that the number format could not write yet, as ln), the
    e-folds that were due so far, and the largest lr seen. ``rose_at`` is the step at
    which one of the lrs last grew; ``has_fallen``, whether an lr has been below half of
    its largest since.
    """

    def __init__(self, optimizer: Optimizer, plans: Sequence[GroupPlan]) -> None:
        self.optimizer = optimizer
        self.plans: list[GroupPlan] = []
        self.residuals: list[float] = []
        self.e_folds: list[float] = []
        self.lr_seen: list[float] = []
        self.steps_done = self.rose_at = 0
        self.has_fallen = False
        self.owner: object = None
        self._group_steps: list[_GroupStep] | None = None
        self._handles: list[Any] = []  # Any: torch's handle, private by its name
        self._warned = False
        self._on_cuda = False
        self.take_plans(plans)

    def attach(
        self, before: Callable[[], None] = lambda: None, *, owner: object = None
    ) -> None:
        """Register the hooks around each step; ``before`` is called first.

        ``owner`` is the controller that attached it, if any.
        """
        optimizer, self.owner = self.optimizer, owner
        if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
            raise refused("no-hooks", optimizer=type(optimizer).__name__)

        def before_step(_: Optimizer, args: Any, kwargs: Any) -> None:  # Any: of step
            before()
            closures = (*args[1:], *kwargs.values())
            self.set_knobs(has_gradients=all(each is None for each in closures))

        def after_step(*_: object) -> None:
            self.take_step()

        # A checkpoint has the weight_decay of the user, not that of a step.
        def after_saving(_: Optimizer, state: dict[str, Any]) -> None:
            state["param_groups"] = self._as_before(state["param_groups"])

        self._handles = [
            optimizer.register_step_pre_hook(_untraced(before_step)),
            optimizer.register_step_post_hook(_untraced(after_step)),
        ]
        if hasattr(optimizer, _STATE_HOOKS):  # some wrappers of libraries lack them
            own = optimizer.register_state_dict_post_hook(after_saving)
            self._handles.append(own)
        # copy and pickle use that of the object before that of its class.
        vars(optimizer)[_GETSTATE] = self._copied_state
        _HELD[optimizer] = ref(self)

    def detach(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        vars(self.optimizer).pop(_GETSTATE, None)
        _HELD.pop(self.optimizer, None)

    def take_plans(self, plans: Sequence[GroupPlan]) -> None:
        """Change the plans; groups that are new have no past."""
        new = [0.0] * (len(plans) - len(self.plans))
        self.plans = list(plans)
        self.residuals += new
        self.e_folds += new
        self.lr_seen += new
        groups = self.optimizer.param_groups
        self._on_cuda = any(p.is_cuda for group in groups for p in group["params"])

    def set_knobs(self, *, has_gradients: bool = True) -> None:
        """Set the decay of this step in each group, before the optimizer takes it.

        Gradients that a closure makes are not there yet (``has_gradients``).

        Raises:
            RefusedError: While a CUDA graph is being captured.
            RangeError: If the lr is so far above its peak that no weight would be left.

        """
        if self._on_cuda and torch.cuda.is_current_stream_capturing():
            raise refused("cuda-graph")
        group_steps = []
        groups = self.optimizer.param_groups
        together = zip(self.plans, groups, self.residuals, strict=True)
        for at, (plan, group, residual) in enumerate(together):
            if plan.rate is None:
                if plan.has_knob:
                    group[KNOB] = plan.knob
                group_steps.append(_REST)
                continue
            lr = self._lr_now(at, plan, group)
            shrink = plan.rate.shrink_at(lr)
            taken = exact_shrink(residual + math.log1p(-shrink), plan.factors)
            # At lr 0 no knob decays anything; "constant" needs a decay even then.
            native = plan.mechanism == "native" and lr > 0
            if native and plan.without_momentum:
                native = _is_plain(group, has_gradients=has_gradients)
            if plan.has_knob:
                group[KNOB] = taken / lr if native else 0.0
            group_steps.append((shrink, taken, not native))
        self._group_steps = group_steps

    def _lr_now(self, at: int, plan: GroupPlan, group: Mapping[str, Any]) -> float:
        """Return the lr of a group for this step, and remember the largest."""
        lr = group.get("lr")
        lr = 0.0 if lr is None else float(lr)
        if lr > self.lr_seen[at]:
            self.lr_seen[at], self.rose_at = lr, self.steps_done
        elif lr < _FALLEN * self.lr_seen[at]:
            self.has_fallen = True
        top = math.inf if plan.lr_peak is None else plan.lr_peak * _ROOM
        if lr > top and not self._warned:  # it decays faster than requested
            self._warn(lr, plan)
        return lr

    def take_step(self) -> None:
        """Decay what the optimizer did not, and book the step.

        A step inside of a step (a subclass that calls the step of its parent) comes
        here twice; the first time counts. One that AMP skipped does not count.
        """
        group_steps, self._group_steps = self._group_steps, None
        if group_steps is None or was_skipped(self.optimizer):
            return
        groups = self.optimizer.param_groups
        for at, (shrink, taken, multiplied) in enumerate(group_steps):
            if multiplied and taken:
                multiply(groups[at]["params"], 1 - taken)
            if shrink:
                due = math.log1p(-shrink)
                self.residuals[at] += due - math.log1p(-taken)
                self.e_folds[at] -= due
        self.steps_done += 1

    def _copied_state(self) -> Any:  # Any: a class may keep any kind of state
        """Return the state that copies and pickles get, as checkpoints do."""
        state = type(self.optimizer).__getstate__(self.optimizer)
        if not isinstance(state, dict) or "param_groups" not in state:
            return state
        kept = {name: each for name, each in state.items() if name != _GETSTATE}
        return kept | {"param_groups": self._as_before(state["param_groups"])}

    def _as_before(self, groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        knobs = [
            {KNOB: plan.before[KNOB]} if plan.has_knob else {} for plan in self.plans
        ]
        knobs += [{}] * (len(groups) - len(knobs))  # added since the last step
        return [{**group, **own} for group, own in zip(groups, knobs, strict=False)]

    def _warn(self, lr: float, plan: GroupPlan) -> None:
        self._warned = True
        _LOG.warning(
            "the lr is %s, above the peak of %s that the half-life belongs to: these "
            "steps decay faster than requested. Give DecayController(lr_peak=...), the "
            "largest lr of the run.",
            # An lr a thousandth above the peak must not read as the peak.
            *(number(each, digits=6) for each in (lr, plan.lr_peak)),
        )


def _is_plain(group: Mapping[str, Any], *, has_gradients: bool) -> bool:
    """Return whether a coupled decay takes lr * weight_decay off in this step."""
    # Momentum would spread it over later steps, and to sparse gradients torch adds
    # none. Those that a closure will make are as those of the step before.
    if group.get("momentum"):
        return False
    gradients = [each.grad for each in group["params"]]
    return all(
        has_gradients if each is None else each.layout is torch.strided
        for each in gradients
    )


def _untraced(hook: Callable[..., None]) -> Callable[..., None]:
    disable: Any = torch.compiler.disable  # Any: torch annotates it nowhere
    untraced: Callable[..., None] = disable(hook, reason=_WHY_NOT_TRACED)
    return untraced


def is_held(optimizer: Optimizer) -> bool:
    """Return whether an optimizer is held."""
    return optimizer in _HELD


def hold_of(optimizer: Optimizer) -> Hold | None:
    """Return the Hold of an optimizer, if it has one."""
    found = _HELD.get(optimizer)
    return None if found is None else found()


def rates_held(optimizer: Optimizer) -> tuple[DecayRate | None, ...]:
    """Return the rate that is held in each group; none where nobody holds it."""
    hold = hold_of(optimizer)
    rates = [] if hold is None else [plan.rate for plan in hold.plans]
    missing = len(optimizer.param_groups) - len(rates)  # groups may be new
    return (*rates, *(None for _ in range(missing)))


@torch.no_grad()
def multiply(parameters: Sequence[Tensor], kept: float) -> None:
    """Multiply the weights that took part in the step: those with a gradient."""
    taking_part = [each for each in parameters if each.grad is not None]
    if not taking_part:
        return
    kinds = {(type(each), each.dtype, each.is_cpu) for each in taking_part}
    if any(is_cpu and dtype in _IN_16_BITS for _, dtype, is_cpu in kinds):
        # There the kernel for lists rounds the factor to 16 bits, and the one for a
        # tensor does not (torch 2.13): a half-life of 64 steps would be 57.
        for each in taking_part:
            each.mul_(kept)
        return
    # The same product: on a CPU a plain number is made a tensor for each weight, which
    # takes a µs each. Elsewhere a tensor would have to be on the device, or sharded.
    (kind, *others) = kinds
    quick = not others and kind in _QUICK
    factor = torch.tensor(kept, dtype=kind[1]) if quick else kept
    torch._foreach_mul_(taking_part, factor)


def was_skipped(optimizer: Optimizer) -> bool:
    """Return whether AMP skipped the step inside of the fused optimizer."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def saved(hold: Hold) -> dict[str, Any]:
    """Return the state of a controller as plain data."""
    return {
        **_identity(hold.optimizer),
        "lr_peaks": [plan.lr_peak for plan in hold.plans],
        "mechanisms": [plan.mechanism for plan in hold.plans],
        "decay_scales": [plan.decay_scale for plan in hold.plans],
        "steps_done": hold.steps_done,
        "e_folds": list(hold.e_folds),
        "owed": list(hold.residuals),
        "lr_seen": list(hold.lr_seen),
    }


def check_belongs(state: object, optimizer: Optimizer) -> None:
    """Refuse the state of another optimizer, or of parameters in another order."""
    if not isinstance(state, Mapping):
        remedy = (
            "Write load_state_dict(checkpoint[...]), of what state_dict() returned."
        )
        raise RangeError("state", repr(state), "a dict of a controller", remedy)
    here = _identity(optimizer)
    for name, what in _WHAT.items():
        if state.get(name) != here[name]:
            there, ours = state.get(name), here[name]
            # The first items of two nested lists that differ.
            while isinstance(there, list) and isinstance(ours, list):
                if len(there) != len(ours):
                    there, ours = f"{len(there)} of them", len(ours)
                else:
                    both = zip(there, ours, strict=True)
                    there, ours = next((a, b) for a, b in both if a != b)
            raise CheckpointError(what, str(there), str(ours))


def take_saved(state: Mapping[str, Any], hold: Hold) -> None:
    """Put the numbers of a checkpoint into a hold."""
    hold.steps_done = hold.rose_at = int(state["steps_done"])
    hold.e_folds = [float(each) for each in state["e_folds"]]
    hold.residuals = [float(each) for each in state["owed"]]
    # Older states do not have it.
    hold.lr_seen = [float(each) for each in state.get("lr_seen", hold.lr_seen)]


def _identity(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "version": VERSION,
        "optimizer": type(optimizer).__name__,
        "groups": [_parameters(group) for group in optimizer.param_groups],
    }


def _parameters(group: Mapping[str, Any]) -> list[str]:
    """Return the shape of each parameter, with its name if the optimizer knows it."""
    names: Sequence[str] = group.get("param_names") or [""] * len(group["params"])
    pairs = zip(names, group["params"], strict=True)
    return [f"{name} {tuple(each.shape)}".strip() for name, each in pairs]
