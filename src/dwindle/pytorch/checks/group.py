"""A param group as an audit sees it: its parameters, its peak lr, what it does."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.number_formats import DIGITS
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, RefusedError
from dwindle.pytorch.checks.along import Course, course_of
from dwindle.pytorch.copying.toy import unwrapped
from dwindle.pytorch.holding.hold import is_held, rates_held
from dwindle.pytorch.holding.lr_peaks import peaks_read
from dwindle.pytorch.options import KNOB, MARKER
from dwindle.pytorch.parameters.roles import Held
from dwindle.pytorch.probe import GroupProbe, probe
from dwindle.pytorch.probing.follower import belongs_to
from dwindle.pytorch.probing.pace import Every
from dwindle.pytorch.trials import rule_mould

# What kind of decay it is shows at any lr; sizes are not told where none is known.
_LR_OF_NOBODY = 1e-3
# Where a scheduler or a recipe keeps the highest lr of a group, best first.
_PEAKS = ("max_lr", "initial_lr", "lr")
# What schedulers of torch that cycle the momentum leave in a group.
_CYCLED = frozenset({"base_momentum", "max_momentum"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """One param group: what is in it, and what its optimizer does to a weight there.

    ``number`` counts the groups of all optimizers from 0; ``at`` is its place in those
    of its own, which a line of Python calls ``called``. ``held`` are its parameters
    as it lists them, twice where it lists one twice; ``strangers`` counts those that
    the model does not have. ``lr`` is the peak, and ``options`` have the momentum that
    goes with it; ``knob`` what ``weight_decay`` says.
    ``steps_without_gradient``: whether a weight whose gradient is None changes too.
    ``decay_scale``: its part of the decay that a DecayController holds; None without.
    ``held_rate``: what that controller takes off per step, where it holds a half-life.
    ``course``: how the scheduler at hand takes the lr over the run, and ``e_folds``:
    what it makes of the decay of this group. ``rests``: whether its lr is 0 while other
    groups of its optimizer have one.
    """

    number: int
    at: int
    called: str
    optimizer: Optimizer
    options: Mapping[str, Any]
    held: tuple[Held, ...]
    strangers: int
    lr: float
    knob: float
    probe: GroupProbe
    course: Course
    steps_without_gradient: bool = False
    decay_scale: float | None = None
    held_rate: DecayRate | None = None
    e_folds: float | None = None
    rests: bool = False

    @property
    def decays(self) -> bool:
        """Whether a step takes anything off a weight with zero gradient."""
        if self.rests and self.probe.lr_power != 0:
            return False
        if self.decay_scale is not None:
            return self.decay_scale > 0
        return self.probe.family != "none"

    @property
    def moving(self) -> tuple[Held, ...]:
        """Those of its parameters that a step can change: frozen ones rest."""
        return tuple(
            held
            for held in self.held
            if held.trainable
            or held.parameter.grad is not None
            or self.steps_without_gradient
        )

    @property
    def is_free(self) -> bool:
        """Whether its own knob decides the decay, and no controller does."""
        return self.decay_scale is None

    @property
    def is_sgd(self) -> bool:
        """Whether its knob is SGD's penalty, which without momentum decouples too."""
        if self.probe.decouples:
            return isinstance(self.optimizer, SGD) and not self.options["momentum"]
        return self.probe.coupled_sgd

    @property
    def half_life_steps(self) -> float | None:
        """Half-life of such a weight at the peak lr; None where there is none."""
        if self.held_rate is not None:
            return self.held_rate.half_life_steps
        return self.probe.half_life_steps if self.lr else None

    @property
    def is_frozen(self) -> bool:
        """Whether it has parameters of the model, and no step can change any."""
        return bool(self.held) and not self.moving

    @property
    def numbers(self) -> int:
        """Entries of all of its parameters that a step can change."""
        return sum(held.parameter.numel() for held in self.moving)

    def run(self, run: Run) -> Run:
        """Return the facts of a training with the group's own lr and momentum."""
        own: dict[str, Any] = {
            "lr": self.lr or None,
            "momentum": float(self.options.get("momentum", 0.0)),
            "dampening": float(self.options.get("dampening", 0.0)),
            "nesterov": bool(self.options.get("nesterov", False)),
        }
        betas = self.options.get("betas")
        if isinstance(betas, Sequence) and len(betas) == len(run.betas):
            own["betas"] = tuple(map(float, betas))
        if self.probe.dtype in DIGITS:
            own["dtype"] = self.probe.dtype
        return replace(run, **own)


def optimizers_of(optimizer: object) -> tuple[Optimizer, ...]:
    """Return the optimizers of a program, one or several, without their wrappers.

    Raises:
        RefusedError: If something is no optimizer of torch's kind.

    """
    several = isinstance(optimizer, Iterable)
    return tuple(unwrapped(each) for each in (optimizer if several else (optimizer,)))  # type: ignore[attr-defined]  # told apart just now


def groups_of(
    optimizer: object,
    held: Iterable[Held],
    run: Run,
    schedulers: Sequence[object] = (),
    *,
    every: Every | None = None,
) -> Iterator[Group]:
    """Yield the param groups of all optimizers, each probed at its peak lr.

    Raises:
        RangeError: If the lr or weight_decay of a group is negative or not finite.
        RefusedError: If something is no optimizer of torch's kind.

    """
    known = {id(each.parameter): each for each in held}
    several, number = isinstance(optimizer, Iterable), 0
    for place, each in enumerate(optimizers_of(optimizer)):
        called = f"optimizers[{place}]" if several else "optimizer"
        yield from _groups(
            each,
            called=called,
            first=number,
            known=known,
            run=run,
            schedulers=schedulers,
            every=every,
        )
        number += len(each.param_groups)


def _groups(  # noqa: PLR0913 what one optimizer is seen with
    optimizer: Optimizer,
    *,
    called: str,
    first: int,
    known: Mapping[int, Held],
    run: Run,
    schedulers: Sequence[object],
    every: Every | None,
) -> Iterator[Group]:
    _check_numbers(optimizer, called)
    held_by_us = is_held(optimizer)
    # A copy goes without the controller that makes the decay: nothing to follow.
    followed = () if held_by_us else schedulers
    course = course_of(optimizer, followed, run, every=every)
    peaks = _peaks(optimizer, schedulers, run, course)
    view = _at_peak(optimizer, peaks)
    probes, filling = probe(view).groups, _steps_without_gradient(view)
    for at, (group, lr, measured, along, rate) in enumerate(
        zip(
            optimizer.param_groups,
            peaks,
            probes,
            course.e_folds,
            rates_held(optimizer),
            strict=True,
        )
    ):
        listed = [known.get(id(each)) for each in group["params"]]
        there = group | _momentum_at(lr, group)
        options = {name: each for name, each in there.items() if name != "params"}
        yield Group(
            number=first + at,
            at=at,
            called=called,
            optimizer=optimizer,
            options=MappingProxyType(options),
            held=tuple(each for each in listed if each is not None),
            strangers=listed.count(None),
            lr=lr,
            knob=number_of(group.get(KNOB)),
            probe=measured,
            course=course,
            steps_without_gradient=at in filling,
            decay_scale=_scale(group) if held_by_us else None,
            held_rate=rate,
            e_folds=along,
            rests=not lr and any(peaks),
        )


def _check_numbers(optimizer: Optimizer, called: str) -> None:
    """Refuse a negative number, which torch checks in the constructor alone."""
    must = "a finite number, 0 or more"
    for at, group in enumerate(optimizer.param_groups):
        for name in ("lr", KNOB):
            place, given = f'{called}.param_groups[{at}]["{name}"]', group.get(name)
            several = isinstance(given, Tensor) and given.numel() != 1
            # A decay that is a text has a finding of its own.
            if several or (name == "lr" and isinstance(given, str)):
                raise RangeError(place, repr(given), must, "Write one number.")
            value = number_of(given)
            if not 0 <= value < math.inf:
                meant = abs(value) if math.isfinite(value) and value else 0.0
                remedy = f"Write {place} = {meant:g}."
                raise RangeError(place, value, must, remedy)


def _peaks(
    optimizer: Optimizer, schedulers: Sequence[object], run: Run, course: Course
) -> list[float]:
    """Return the highest lr of each group, as far as scheduler and groups tell."""
    mine = [each for each in schedulers if belongs_to(each, optimizer)]
    steps = run.quantities().get("steps")
    if steps is not None:
        steps = math.ceil(steps / (course.moves or 1))
    try:
        read = peaks_read(optimizer, scheduler=mine[0] if mine else None, steps=steps)
    except (RefusedError, MissingFactError):
        # An lr_scale that nobody applies is told by another check; a scheduler that
        # must be followed over a run of unknown length tells nothing.
        read = [None] * len(optimizer.param_groups)
    told = zip(read, optimizer.param_groups, strict=True)
    peaks = [lr or peak_lr(group) for lr, group in told]
    # One group at 0 beside others is meant to rest; where all are, nothing is known.
    return peaks if any(peaks) else [run.lr or 0.0] * len(peaks)


def peak_lr(group: Mapping[str, Any]) -> float:
    """Return the highest lr that a group will have, as far as it tells; 0 without.

    A scheduler with a warm-up has set the lr to nearly 0 already; torch's schedulers
    keep the lr that was typed as ``initial_lr``, and OneCycleLR its ``max_lr``.

    Example:
        >>> peak_lr({"lr": 1e-6, "initial_lr": 1e-3})
        0.001

    """
    told = [number_of(group[name]) for name in _PEAKS if name in group]
    return next((lr for lr in told if lr > 0), 0.0)


def number_of(value: object) -> float:
    """Read an option: a number, a tensor of one, or the text of one; None is 0."""
    if value is None:
        return 0.0
    return float(value.item() if isinstance(value, Tensor) else value)  # type: ignore[arg-type]  # torch's own check has passed


def _scale(group: Mapping[str, Any]) -> float:
    return float(group.get(MARKER, 0.0))


def _at_peak(optimizer: Optimizer, peaks: Sequence[float]) -> Optimizer:
    """Return a view of the optimizer whose groups have another lr; it shares the rest.

    Only its own param_groups are new. It is probed, and never steps.
    """
    wanted = [
        _set_to(group, lr)
        for group, lr in zip(optimizer.param_groups, peaks, strict=True)
    ]
    if not any(wanted):
        return optimizer  # one that keeps another optimizer inside shares its groups
    view: Optimizer = object.__new__(type(optimizer))
    view.__dict__.update(vars(optimizer))
    groups = zip(optimizer.param_groups, wanted, strict=True)
    view.param_groups = [group | options for group, options in groups]
    return view


def _set_to(group: Mapping[str, Any], lr: float) -> dict[str, Any]:
    """Return the options that a probe needs otherwise than they are."""
    wanted = {"lr": lr or _LR_OF_NOBODY, KNOB: number_of(group.get(KNOB))}
    numbers = {
        name: value
        for name, value in wanted.items()
        if name in group
        and (isinstance(group[name], str | None) or number_of(group[name]) != value)
    }
    return numbers | _momentum_at(lr, group)


def _momentum_at(lr: float, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the option that a scheduler sets otherwise at the peak lr than now.

    OneCycleLR and CyclicLR keep both ends of their momentum in the group, and pair the
    lowest with the highest lr. The momentum of now goes with the lr of now.
    """
    if not group.keys() >= _CYCLED or number_of(group["lr"]) == lr:
        return {}
    lowest = number_of(group["base_momentum"])
    if "betas" in group:
        return {"betas": (lowest, *group["betas"][1:])}
    return {"momentum": lowest} if "momentum" in group else {}


def _steps_without_gradient(optimizer: Optimizer) -> frozenset[int]:
    """Return the places of groups that decay weights without a gradient."""
    toy = rule_mould(optimizer).toy()
    before = [[weight.detach().clone() for weight in group] for group in toy.weights]
    toy.step(gradient=None)
    return frozenset(
        at
        for at, (old, new) in enumerate(zip(before, toy.weights, strict=True))
        if any(not torch.equal(a, b) for a, b in zip(old, new, strict=True))
    )
