"""A param group as an audit sees it: its peak lr, what it does there and in a run."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from torch import Tensor
from torch.optim import SGD, Optimizer

from dwindle.audit.findings import Finding
from dwindle.audit.setting_findings import (
    JudgedSetting,
    is_as_good_as_none,
    judge_explained,
)
from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.explain import Explanation, explain
from dwindle.decay.half_life import average_half_life_steps
from dwindle.decay.number_formats import DIGITS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError, RefusedError
from dwindle.pytorch.copying.toy import unwrapped
from dwindle.pytorch.follow_schedule import (
    Every,
    Follower,
    Pace,
    belongs_to,
    pace_of,
)
from dwindle.pytorch.holding.hold import is_held, rates_held
from dwindle.pytorch.holding.lr_peaks import (
    LEFT_BY_SCHEDULERS,
    largest_lr,
    peaks_read,
)
from dwindle.pytorch.options import KNOB, MARKER
from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.probe import GroupProbe, probe
from dwindle.pytorch.trials import Programme, Trials, rule_mould

# The kind of a decay shows at any lr; without a known lr no sizes are reported.
_ANY_LR = 1e-3
# What schedulers of torch that cycle the momentum leave in a group.
_CYCLED = frozenset({"base_momentum", "max_momentum"})
# How torch's own classes begin in a program.
TORCH_OPTIM = "torch.optim."
# Knobs whose numbers do what a copy was seen to do, under any name of the class.
DECOUPLED = "torch.optim.AdamW"
# The other rules: with the lr and momentum, through an adaptive step, free of the lr,
# and with its square.
_COUPLED = "torch.optim.SGD"
_ADAPTIVE = "torch.optim.Adam"
_CONSTANT = "optax.adafactor"
_CORRECTED = "timm.adamc"
_USUAL = 1e-3  # how near to lr·knob a share must be to be just that
# The part of a shrink that rounding must take away or add, as measured. A walk of
# some hundred steps measures narrow formats to a few percent.
_ROUNDED: Mapping[str, float] = {"DW009": 0.2, "DW023": 0.05}

# Given instead of a pace: the schedule of the run counts, and not the scheduler.
NEVER = "never"
# Two at once would need the order in which the loop calls them.
_SEVERAL = "The optimizer has several schedulers, and one is followed at a time."

Like = tuple[str, float]


@dataclass(frozen=True, kw_only=True)
class LrCourse:
    """The lr of one optimizer over a run, along its scheduler.

    ``scheduler`` is its class, empty where there is none that counts. Where it is not
    followed there are no pace and no e-folds, and ``why_not`` gives the reason.
    """

    scheduler: str = ""
    pace: Pace | None = None
    e_folds: tuple[float | None, ...]
    why_not: str = ""

    @property
    def moves(self) -> int:
        """Steps of the optimizer between two of the scheduler; 1 where not known."""
        return (self.pace.every if self.pace else None) or 1

    @property
    def is_guessed(self) -> bool:
        """Whether it is followed at a pace that was guessed."""
        return self.pace is not None and self.pace.is_guessed


def course_of(
    optimizer: Optimizer,
    schedulers: Sequence[object],
    run: Run,
    *,
    every: Every | None = None,
) -> LrCourse:
    """Return the course of the lr of an optimizer over the run, along its scheduler.

    It is followed on a copy. A schedule in the run counts instead of it.
    """
    unknown = LrCourse(e_folds=(None,) * len(optimizer.param_groups))
    mine = [each for each in schedulers if belongs_to(each, optimizer)]
    steps = run.quantities().get("steps")
    if not mine or steps is None or every == NEVER or run.schedule != Schedule():
        return unknown
    named = replace(unknown, scheduler=scheduler_name(mine[0]))
    if len(mine) > 1:
        return replace(named, why_not=_SEVERAL)
    steps_per_epoch = None
    if run.dataset_size is not None and run.batch_size is not None:
        steps_per_epoch = run.steps_per_epoch
    elif run.steps is not None and run.epochs is not None:
        steps_per_epoch = max(1, round(run.steps / run.epochs))
    try:
        pace = pace_of(
            Follower.of(rule_mould(optimizer), mine[0]),
            steps=int(steps),
            steps_per_epoch=steps_per_epoch,
            every=every,
        )
        seen = probe(optimizer, scheduler=mine[0], steps=int(steps), every=pace.every)
    except RefusedError as error:
        return replace(named, why_not=f"{error.why} {error.instead}")
    e_folds = tuple(group.e_folds for group in seen.groups)
    return replace(named, pace=pace, e_folds=e_folds)


def scheduler_name(scheduler: object) -> str:
    """Return the class of a scheduler, without the wrapper of accelerate."""
    return type(getattr(scheduler, "scheduler", scheduler)).__name__


def along(explanation: Explanation, e_folds: float | None, run: Run) -> Explanation:
    """Return an explanation with the e-folds that a scheduler was seen to make."""
    if e_folds is None:
        average = dict.fromkeys(explanation.half_life_average)
        return replace(explanation, e_folds=None, kept=None, half_life_average=average)
    steps = average_half_life_steps(max(e_folds, 0.0), run=run)
    times = {"steps": steps, "run": steps / run.total_steps}
    return replace(
        explanation,
        e_folds=e_folds,
        kept=math.exp(-e_folds),
        half_life_average={**explanation.half_life_average, **times},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditedGroup:
    """One param group: what is in it, and what its optimizer does to a weight there.

    ``number`` counts the groups of all optimizers, ``at`` those of its optimizer, and
    ``called`` is that optimizer in a line of Python. Its lr, its momentum and its
    probe are those at the peak lr. ``held`` has a parameter twice that it lists twice,
    and ``strangers`` counts those that the model does not have. With a controller it
    has a ``decay_scale`` and perhaps a ``held_rate``. It ``rests`` if its lr is 0 while
    other groups of its optimizer have one. ``judged`` is its decay as a knob that does
    the same; None where nothing decays, or by a rule that has no such number. It
    ``is_open`` where a guess of the scheduler's pace decides what the run leaves.
    """

    number: int
    at: int
    called: str
    optimizer: Optimizer
    options: Mapping[str, Any]
    held: tuple[ParameterRole, ...]
    strangers: int
    lr: float
    knob: float
    probe: GroupProbe
    course: LrCourse
    steps_without_gradient: bool = False
    decay_scale: float | None = None
    held_rate: DecayRate | None = None
    rests: bool = False
    judged: JudgedSetting | None = None
    is_open: bool = False

    @property
    def explanation(self) -> Explanation:
        """The explanation of its decay; only of a group that was judged."""
        if self.judged is None:
            raise RuntimeError  # Facts.judged are those that were
        return self.judged.explanation

    @property
    def found(self) -> tuple[Finding, ...]:
        """What is wrong with its decay; nothing where it was not judged."""
        return self.judged.findings if self.judged else ()

    @property
    def decays(self) -> bool:
        """Whether a step takes anything off a weight with zero gradient."""
        if self.rests and self.probe.lr_power != 0:
            return False
        if self.decay_scale is not None:
            return self.decay_scale > 0
        return self.probe.walk != "none"

    @property
    def moving(self) -> tuple[ParameterRole, ...]:
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
    def e_folds(self) -> float | None:
        """What the scheduler makes of the decay, where it was followed."""
        return self.course.e_folds[self.at]

    @property
    def class_path(self) -> str:
        """How the class of its optimizer is written in a program."""
        kind = type(self.optimizer)
        is_torchs = kind.__module__.startswith(TORCH_OPTIM)
        return f"{TORCH_OPTIM if is_torchs else ''}{kind.__name__}"

    @property
    def setting(self) -> tuple[float | None, float]:
        """Its weight_decay, None where a controller decays, and its lr."""
        return (self.knob if self.is_free else None), self.lr

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
    """Return the optimizers of a program, one or several, without their wrappers."""
    several = isinstance(optimizer, Iterable)
    return tuple(unwrapped(each) for each in (optimizer if several else (optimizer,)))  # type: ignore[attr-defined]  # checked just now


def groups_of(
    optimizer: object,
    held: Iterable[ParameterRole],
    run: Run,
    schedulers: Sequence[object] = (),
    *,
    every: Every | None = None,
) -> Iterator[AuditedGroup]:
    """Yield the param groups of all optimizers, probed at their peak lr and judged."""
    known = {id(each.parameter): each for each in held}
    explained: dict[tuple[Like, Run], Explanation] = {}
    number = 0
    for place, each in enumerate(optimizers_of(optimizer)):
        several = isinstance(optimizer, Iterable)
        called = f"optimizers[{place}]" if several else "optimizer"
        _check_numbers(each, called)
        # A copy lacks the controller that makes the decay: nothing to follow.
        followed = () if is_held(each) else schedulers
        course = course_of(each, followed, run, every=every)
        peaks = _peaks(each, schedulers, run, course)
        seen = _seen(each, peaks)
        for at, (probed, fills) in enumerate(seen):
            options = each.param_groups[at]
            listed = [known.get(id(parameter)) for parameter in options["params"]]
            there = options | _momentum_at(peaks[at], options)
            scale = float(options.get(MARKER, 0.0)) if is_held(each) else None
            group = AuditedGroup(
                number=number,
                at=at,
                called=called,
                optimizer=each,
                options=MappingProxyType(
                    {name: there[name] for name in there if name != "params"}
                ),
                held=tuple(held for held in listed if held is not None),
                strangers=listed.count(None),
                lr=peaks[at],
                knob=number_of(options.get(KNOB)),
                probe=probed,
                course=course,
                steps_without_gradient=fills,
                decay_scale=scale,
                held_rate=rates_held(each)[at],
                rests=not peaks[at] and any(peaks),
            )
            yield _judged(group, run, explained)
            number += 1


def _check_numbers(optimizer: Optimizer, called: str) -> None:
    """Refuse options that are no number, or negative: only constructors check them."""
    must = "a finite number, 0 or more"
    for at, group in enumerate(optimizer.param_groups):
        for name in ("lr", KNOB, *LEFT_BY_SCHEDULERS, *sorted(_CYCLED)):
            place, given = f'{called}.param_groups[{at}]["{name}"]', group.get(name)
            wrong = RangeError(place, repr(given), must, "Write one number.")
            # A decay that is the text of a number is a finding, DW020.
            if name != KNOB and isinstance(given, str):
                raise wrong
            try:
                value = number_of(given)
            except (TypeError, ValueError, OverflowError, RuntimeError):
                raise wrong from None
            if not 0 <= value < math.inf:
                meant = abs(value) if math.isfinite(value) and value else 0.0
                remedy = f"Write {place} = {meant:g}."
                raise RangeError(place, value, must, remedy)


def _peaks(
    optimizer: Optimizer, schedulers: Sequence[object], run: Run, course: LrCourse
) -> list[float]:
    """Return the highest lr of each group, as far as scheduler and groups show it."""
    mine = [each for each in schedulers if belongs_to(each, optimizer)]
    steps = run.quantities().get("steps")
    if steps is not None:
        steps = math.ceil(steps / course.moves)
    try:
        read = peaks_read(optimizer, scheduler=mine[0] if mine else None, steps=steps)
    except (RefusedError, MissingFactError):
        # An lr_scale that nothing applies is DW018; a scheduler that must be followed
        # over a run of unknown length shows nothing.
        read = [None] * len(optimizer.param_groups)
    found = zip(read, optimizer.param_groups, strict=True)
    peaks = [lr or largest_lr(group) or 0.0 for lr, group in found]
    # One group at 0 beside others is meant to rest; where all are, nothing is known.
    return peaks if any(peaks) else [run.lr or 0.0] * len(peaks)


def number_of(value: object) -> float:
    """Read an option: a number, a tensor of one, or the text of one; None is 0."""
    if value is None:
        return 0.0
    return float(value.item() if isinstance(value, Tensor) else value)  # type: ignore[arg-type]  # torch's own check has passed


def _seen(
    optimizer: Optimizer, peaks: Sequence[float]
) -> list[tuple[GroupProbe, bool]]:
    """Return what each group does at its peak, and if it steps with no gradient."""
    # Copies are made of the optimizer at its peak: its options are set meanwhile, and
    # put back.
    before = [dict(group) for group in optimizer.param_groups]
    try:
        for group, lr in zip(optimizer.param_groups, peaks, strict=True):
            group.update(_set_to(group, lr))
        walks = Trials.of(optimizer).walks(Programme(steps=1, gradients=(None,)))
        moved = [any(start != end for start, end in group) for group in walks]
        return list(zip(probe(optimizer).groups, moved, strict=True))
    finally:
        for group, options in zip(optimizer.param_groups, before, strict=True):
            group.update(options)


def _set_to(group: Mapping[str, Any], lr: float) -> dict[str, Any]:
    """Return the options that have to be changed for a probe at an lr."""
    wanted = {"lr": lr or _ANY_LR, KNOB: number_of(group.get(KNOB))}
    numbers = {
        name: value
        for name, value in wanted.items()
        if name in group
        and (isinstance(group[name], str | None) or number_of(group[name]) != value)
    }
    return numbers | _momentum_at(lr, group)


def _momentum_at(lr: float, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the momentum at the peak lr, where a scheduler cycles it."""
    # OneCycleLR and CyclicLR keep both ends of their momentum in the group, and pair
    # the lowest with the highest lr. At the lr of now it is that of now.
    if not group.keys() >= _CYCLED or number_of(group["lr"]) == lr:
        return {}
    lowest = number_of(group["base_momentum"])
    if "betas" in group:
        return {"betas": (lowest, *group["betas"][1:])}
    return {"momentum": lowest} if "momentum" in group else {}


def _judged(
    group: AuditedGroup, run: Run, explained: dict[tuple[Like, Run], Explanation]
) -> AuditedGroup:
    """Judge a group that decays by a rule that dwindle can compute."""
    like = same_decay(group)
    if like is None or not group.moving or group.rests:
        return group
    own = group.run(run)
    if (like, own) not in explained:  # many groups differ in their parameters alone
        knob, value = like
        explained[like, own] = explain(value, knob, run=own)
    explanation = explained[like, own]
    # No scheduler makes more of a decay than its peak lr would.
    is_open = group.course.is_guessed and not is_as_good_as_none(explanation)
    if group.course.scheduler:
        explanation = along(explanation, group.e_folds, own)
    judged = judge_explained(explanation, own, named=group.class_path)
    # Rounding is measured: some optimizers keep wider weights beside narrow ones, and a
    # controller refuses, or warns of, what its format cannot hold.
    nominal, seen = group.probe.shrink_per_step, group.probe.measured_shrink
    unseen = {
        code
        for code, part in _ROUNDED.items()
        if group.held_rate is not None
        or (nominal and seen is not None and abs(seen - nominal) <= part * nominal)
    }
    found = tuple(each for each in judged.findings if each.code not in unseen)
    return replace(group, judged=replace(judged, findings=found), is_open=is_open)


def same_decay(group: AuditedGroup) -> Like | None:
    """Return a knob and the number at which it decays as the group was seen to.

    None where nothing decays, or by a rule that has no such number.
    """
    seen, held = group.probe, group.held_rate
    if held is not None:
        power, shrink = held.power, held.shrink_at_peak
        lr = held.lr_peak or group.lr or 1.0
    elif not group.decays or not group.is_free:
        return None
    elif group.is_sgd or seen.decouples or seen.walk == "linear":
        by_rule = DECOUPLED if seen.decouples else _ADAPTIVE
        return _COUPLED if group.is_sgd else by_rule, group.knob
    else:
        if seen.walk != "geometric" or seen.shrink_per_step is None or not group.lr:
            return None
        # Under a trust ratio the number cancels where only the decay acts, or lr·knob
        # holds at a zero gradient and not beside one. A factor other than lr·knob is
        # that of another rule, such as a share of the schedule.
        usual = seen.per_lr is not None and math.isclose(seen.per_lr, 1, rel_tol=_USUAL)
        if seen.knob_power != 1 or (usual and not seen.driven):
            return None
        power, shrink, lr = round(seen.lr_power or 0), seen.shrink_per_step, group.lr
    of_power = {
        0: (_CONSTANT, shrink),
        1: (DECOUPLED, shrink / lr),
        2: (_CORRECTED, shrink / lr),
    }
    return of_power.get(power)
