"""DecayController: holds a half-life in any torch training loop, by hooks alone."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from torch.optim import Optimizer

from dwindle.decay.decay_rate import missing_facts_of, read_half_life
from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run, RunFacts, run_with
from dwindle.pytorch.copying.toy import checked, unwrapped
from dwindle.pytorch.holding.hold import (
    Hold,
    Mechanism,
    check_belongs,
    hold_of,
    is_held,
    saved,
    take_saved,
)
from dwindle.pytorch.holding.lr_peaks import (
    LrPeak,
    peaks_given,
    peaks_read,
    peaks_read_again,
)
from dwindle.pytorch.holding.plan_groups import check_rounding, plan_groups, rated
from dwindle.pytorch.holding.target import Target, table_of
from dwindle.pytorch.holding.watches import IdleWatch, PeakWatch
from dwindle.pytorch.options import MARKER, check_batch_size, scales_changed
from dwindle.pytorch.refusals import refused
from dwindle.show import Table, as_text

_LOG = logging.getLogger("dwindle")
_CALLER = "DecayController"


class DecayController:
    """Hold a half-life in a torch training loop, at any lr and in any optimizer.

    Hooks are registered with the optimizer; the loop stays as it is. A weight whose
    gradient is zero decays exactly as requested, in one of two ways, chosen per
    param group by trying them on a copy: where the group's ``weight_decay`` takes
    ``lr * weight_decay`` off a weight at every lr, it is set before each step (native);
    everywhere else it is set to 0 (with a warning of the logger ``dwindle`` if it was
    not), and the weights are multiplied once after each step. A weight whose
    gradient is None rests, as torch's optimizers let it. Checkpoints and copies of the
    optimizer have the ``weight_decay`` that you gave it.

    On a CPU a native step takes some 20 µs more, however large the model is: nothing
    beside a step of milliseconds, and a quarter of one of a toy network. To multiply
    takes two more passes over the weights: 40 % of a fused SGD step with momentum, 29 %
    of a fused Adam step; and, where tensors are small, half a µs for each of them (some
    70 µs with 100 tensors).

    A group is held if it has a ``decay_scale`` (as :func:`decay_groups` writes it; 0 is
    left alone, 2 decays twice as fast); else, if its ``weight_decay`` is not 0; and if
    nothing decays yet, every group is. ``half_life``, ``batch_size`` and ``lr_peak`` of
    the controller, and ``decay_scale`` of a group, may be set in mid-run: they hold
    from the next step on. A run whose lr never comes near the peak is warned of once.

    Args:
        optimizer: Any ``torch.optim.Optimizer``, or one wrapped by Accelerate or
            Lightning. In a distributed program every process builds a controller.
        half_life: "3 epochs", "500 steps", "2e9 tokens", "20% of the run", or a
            HalfLife; what its clock needs is in ``run`` or the facts.
        penalty: Instead of a half-life: the coefficient λ of ``loss + λ/2 Σ w²``, held
            by the knob of SGD and its like.
        schedule: ``follow-lr`` (the half-life is the one at the peak lr, and decay goes
            with lr/peak, as AdamW behaves), ``constant`` (it holds at every lr), or
            ``lr-squared``.
        lr_peak: Largest lr of the run, for all groups or for each: the lr at which a
            weight has the requested half-life; at a lower one it decays slower. None
            reads it from ``scheduler``, or at the first step from what schedulers write
            into the groups (``max_lr``, ``initial_lr``), or takes the lr of now. A
            printed controller has it beside the largest lr seen.
        scheduler: The lr scheduler, if its peak is not the ``initial_lr``; it is read,
            never stepped. One that may go anywhere (LambdaLR, a custom class) is
            followed over the run, on a copy: that needs ``steps``.
        run: The facts of the run as one record; its ``lr`` is the peak.
        **facts: Those facts one by one: ``batch_size`` (examples of one optimizer step:
            over all processes, and over the batches whose gradients are accumulated),
            ``dataset_size`` (examples of an epoch), ``epochs`` or ``steps`` (length of
            the run), ``tokens_per_example``.

    Raises:
        MissingFactError: If the clock of the half-life, the schedule, or the peak of
            the scheduler needs a fact.
        RefusedError: If the optimizer itself decays or averages weights, if the
            number format would round the decay away, if it is held already, or if the
            run has a ``decay_schedule``: set ``half_life`` before each step then.
        RangeError: If a number is out of its range.
        UsageError: If not exactly one of half-life and penalty is given.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
        >>> optimizer = torch.optim.AdamW([weight], lr=1e-3)
        >>> scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5)
        >>> controller = DecayController(
        ...     optimizer,
        ...     half_life="1 epoch",
        ...     batch_size=100,
        ...     dataset_size=1000,
        ...     schedule="constant",
        ... )
        >>> for _ in range(10):  # an epoch, in which nothing pulls at the weight
        ...     weight.grad = torch.zeros_like(weight)
        ...     optimizer.step()
        ...     scheduler.step()
        >>> round(weight[0].item(), 12)
        0.5
        >>> controller
        DecayController of AdamW: a half-life of 1 epoch, constant
        group  weights  mechanism  half-life  in epochs     at lr
            0        2  native      10 steps          1  every lr

    """

    # Without a __dict__, so that a slip (controller.half_lif = …) is an error.
    __slots__ = (
        "__weakref__",
        "_begun_with",
        "_given",
        "_half_life_begun_with",
        "_hold",
        "_idle",
        "_one_peak",
        "_peak_watch",
        "_peaks_are_open",
        "_scheduler",
        "_target",
        "optimizer",
    )

    def __init__(  # noqa: PLR0913 (what is held, each by its name)
        self,
        optimizer: Any,  # Any: wrappers of other libraries are no Optimizer
        *,
        half_life: str | HalfLife | None = None,
        penalty: float | None = None,
        schedule: str = "follow-lr",
        lr_peak: LrPeak = None,
        scheduler: Any = None,  # Any: torch's, or another library's
        run: Run | None = None,
        **facts: Unpack[RunFacts],
    ) -> None:
        self.optimizer: Optimizer = checked(optimizer)
        run = run_with(run, **facts)
        check_batch_size(run.batch_size)
        lr_peak = run.lr if lr_peak is None else lr_peak
        read = None if half_life is None else read_half_life(half_life)
        self._target = Target(
            half_life=read, penalty=penalty, schedule=schedule, run=run
        )
        self._begun_with = run.batch_size
        self._half_life_begun_with = self._target.as_dict()["half_life"]
        self._scheduler = scheduler
        groups = self.optimizer.param_groups
        self._given = peaks_given(lr_peak, len(groups))
        self._one_peak = lr_peak if isinstance(lr_peak, float | int) else None
        if is_held(self.optimizer):
            raise refused("held-already", optimizer=type(self.optimizer).__name__)
        with missing_facts_of(_CALLER, has_epochs=True):
            _ = self.half_life_steps  # its facts first, then those of the scheduler
            plans = plan_groups(self.optimizer, self._target, self._peaks())
        self._hold = Hold(self.optimizer, plans)
        # A scheduler that is built after this writes its peak into the groups.
        self._peaks_are_open = scheduler is None
        self._peak_watch = PeakWatch(
            self._hold, steps=self._length(), together=self._one_peak is not None
        )
        self._mark()
        self._hold.attach(self._settle, owner=self)
        self._idle: IdleWatch | None = IdleWatch(self.optimizer)

    @classmethod
    def of(cls, optimizer: Any) -> "DecayController":  # Any: wrappers, too
        """Return the controller that holds an optimizer, if nobody kept it.

        Raises:
            RefusedError: If none does.

        Example:
            >>> import torch
            >>> adamw = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
            >>> _ = DecayController(adamw, half_life="10 steps")
            >>> DecayController.of(adamw).half_life
            HalfLife(value=10.0, clock='steps')

        """
        bare = unwrapped(optimizer)
        hold = hold_of(bare)
        if hold is None or not isinstance(hold.owner, cls):
            raise refused("not-held", optimizer=type(bare).__name__)
        return hold.owner

    @property
    def half_life(self) -> HalfLife | None:
        """The half-life as it was given; to be set when it changes.

        The next step is the first with the new one: what the steps before have taken
        and the residuals of rounding stay. None with a penalty.
        """
        return self._target.half_life

    @half_life.setter
    def half_life(self, half_life: str | HalfLife) -> None:
        """Hold another half-life from the next step on."""
        if self._target.half_life is None:
            raise refused("holds-a-penalty")
        target = replace(self._target, half_life=read_half_life(half_life))
        peaks = [plan.lr_peak for plan in self._hold.plans]
        with missing_facts_of(_CALLER, has_epochs=True):
            plans = rated(self._hold.plans, target, peaks)
        check_rounding(self.optimizer, plans)
        self._target = target
        self._hold.take_plans(plans)

    @property
    def lr_peak(self) -> tuple[float | None, ...]:
        """Per group the lr that the half-life belongs to; may be set, as one or each.

        None where a group has none, for it is left alone or decays alike at every lr.
        """
        return tuple(plan.lr_peak for plan in self._hold.plans)

    @lr_peak.setter
    def lr_peak(self, lr_peak: float | Sequence[float]) -> None:
        """Let the half-life belong to another lr from the next step on."""
        given = peaks_given(lr_peak, len(self._hold.plans))
        plans = rated(self._hold.plans, self._target, given)
        self._one_peak = lr_peak if isinstance(lr_peak, float | int) else None
        self._peak_watch.together = self._one_peak is not None
        self._given, self._peaks_are_open = given, False
        self._hold.take_plans(plans)

    @property
    def half_life_steps(self) -> float | None:
        """The half-life in optimizer steps at the peak lr; None with a penalty."""
        return self._target.half_life_steps

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """How each param group is held: native, multiply, penalty, or left alone."""
        return tuple(plan.mechanism for plan in self._hold.plans)

    @property
    def steps_done(self) -> int:
        """Steps that were held; those that AMP skipped are not counted."""
        return self._hold.steps_done

    @property
    def e_folds(self) -> tuple[float, ...]:
        """Per group: -ln of what is left of a weight whose gradient was always zero."""
        return tuple(self._hold.e_folds)

    @property
    def batch_size(self) -> int | None:
        """Examples per optimizer step; to be set when it changes."""
        return self._target.run.batch_size

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        """Let steps have so many examples from now on; the half-life stays."""
        target = self._target.with_batch_size(batch_size)
        check_batch_size(target.run.batch_size)
        self._target = target
        self._peak_watch.steps = self._length()
        self._rate_anew([plan.lr_peak for plan in self._hold.plans])

    def remove(self) -> None:
        """Take the hooks off and give each group the options back that it had."""
        if hold_of(self.optimizer) is not self._hold:
            return
        self._peak_watch.at_a_pause()
        self._hold.detach()
        if self._idle is not None:
            self._idle.stop()
        groups = self.optimizer.param_groups
        # A group that was added since the last step has no plan yet.
        for group, plan in zip(groups, self._hold.plans, strict=False):
            group.pop(MARKER, None)
            group.update(plan.before)

    def state_dict(self) -> dict[str, Any]:  # JSON-like
        """Return what a checkpoint needs, as plain numbers, texts and lists."""
        self._peak_watch.at_a_pause(least_share=0.5)
        sizes = {
            "begun_with": self._begun_with,
            "batch_size": self.batch_size,
            "half_life_begun_with": self._half_life_begun_with,
        }
        return {**saved(self._hold), **self._target.as_dict(), **sizes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written; load the optimizer's before or after.

        A batch size or half-life that was set in mid-run goes on. Else, what the
        constructor was given counts; where that is not what the checkpoint has, a
        warning of the logger ``dwindle`` names both.

        Raises:
            CheckpointError: If it is of another optimizer class, or of parameters of
                other names, shapes or order.

        """
        check_belongs(state, self.optimizer)
        # What was set in mid-run goes on where the run began as this one did.
        if state["begun_with"] == self._begun_with != state["batch_size"]:
            self._target = self._target.with_batch_size(state["batch_size"])
            self._peak_watch.steps = self._length()
        # Older states do not have it.
        begun = state.get("half_life_begun_with", state["half_life"])
        if begun == self._half_life_begun_with != state["half_life"]:
            half_life = HalfLife.parse(state["half_life"])
            self._target = replace(self._target, half_life=half_life)
        for name, now in self._target.as_dict().items():
            if state[name] != now:
                _LOG.warning(
                    "%s is %s now, and was %s in the checkpoint", name, now, state[name]
                )
        take_saved(state, self._hold)
        self._rate_anew(self._unless_given(state["lr_peaks"]))
        self._peaks_are_open = self._peaks_are_open and not self._hold.steps_done

    def __repr__(self) -> str:
        return as_text(self.__rich__())

    def __rich__(self) -> Table:
        title = f"DecayController of {type(self.optimizer).__name__}: {self._target}"
        rounds = 0 if self._idle is None else self._idle.rounds
        if rounds and not self.steps_done:
            title += "; 0 steps held"
        groups = self.optimizer.param_groups
        numbers = [sum(each.numel() for each in group["params"]) for group in groups]
        plans, seen = self._hold.plans, self._hold.lr_seen
        return table_of(title, plans, self._target, numbers, lr_seen=seen)

    def _repr_html_(self) -> str:
        return self.__rich__().html()

    def __reduce__(self) -> Any:  # Any: never returns
        raise refused("copy-of-a-controller")

    def _peaks(self) -> list[float | None]:
        """The largest lr of each group: as given, or read."""
        if not self._target.needs_peak or None not in self._given:
            return self._given
        steps = self._target.run.quantities().get("steps")
        read = peaks_read(self.optimizer, scheduler=self._scheduler, steps=steps)
        return self._unless_given(read)

    def _unless_given(self, peaks: Sequence[float | None]) -> list[float | None]:
        both = zip(self._given, peaks, strict=True)
        return [found if given is None else given for given, found in both]

    def _settle(self) -> None:
        """Take in what changed since the last step: late schedulers, groups, marks."""
        if self._idle is not None:  # steps have come: there is nothing to wait for
            self._idle.stop()
            self._idle = None
        groups, plans = self.optimizer.param_groups, self._hold.plans
        if len(groups) < len(plans):
            raise refused("fewer-groups")
        if self._target.needs_peak:
            self._peak_watch.before_step()
        scales = scales_changed(groups, [plan.decay_scale for plan in plans])
        if len(groups) == len(plans) and not self._peaks_are_open and not scales:
            return
        with missing_facts_of(_CALLER, has_epochs=True):
            peaks = [plan.lr_peak for plan in plans]
            if self._peaks_are_open and self._target.needs_peak:
                peaks = peaks_read_again(groups[: len(plans)], peaks)
                self._peak_watch.schedulers_are_built()
            if scales or len(groups) > len(plans):
                peaks = self._plan_anew(peaks, scales)
            self._rate_anew(self._unless_given(peaks))
        self._peaks_are_open = False

    def _plan_anew(
        self, peaks: Sequence[float | None], scales: Mapping[int, float]
    ) -> list[float | None]:
        """Plan groups that are new, or whose decay_scale is; return all peaks."""
        groups, known = self.optimizer.param_groups, self._hold.plans
        self._given = self._given[: len(known)]  # an earlier try may have been refused
        self._given += [self._one_peak] * (len(groups) - len(known))
        read = self._peaks()
        peaks = [
            *(old or new for old, new in zip(peaks, read, strict=False)),
            *read[len(known) :],
        ]
        known = [
            replace(plan, decay_scale=scales.get(at, plan.decay_scale))
            for at, plan in enumerate(known)
        ]
        self._hold.take_plans(plan_groups(self.optimizer, self._target, peaks, known))
        self._mark()
        self._peak_watch.schedulers_are_built()
        return peaks

    def _length(self) -> int | None:
        """How many steps the run has; None if that was not given."""
        if not self._target.needs_peak:
            return None
        steps = self._target.run.quantities().get("steps")
        return None if steps is None else int(steps)

    def _rate_anew(self, peaks: list[float | None]) -> None:
        self._hold.take_plans(rated(self._hold.plans, self._target, peaks))

    def _mark(self) -> None:
        """Write into the groups how they are held, for optimizer.state_dict()."""
        groups = self.optimizer.param_groups
        for group, plan in zip(groups, self._hold.plans, strict=True):
            group[MARKER] = plan.decay_scale
