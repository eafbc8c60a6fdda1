"""DecayController: holds a half-life in any torch training loop, by hooks alone."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.optim import Optimizer

from dwindle.decay.half_life import HalfLife, shrink_from_half_life
from dwindle.decay.held_rate import HeldRate, facts_asked_of, read_half_life
from dwindle.decay.owed import steps_between_factors
from dwindle.decay.run import Run
from dwindle.errors import UsageError
from dwindle.pytorch.adoption import MARKER, options_before, put_back, scales_of
from dwindle.pytorch.group_plan import GroupPlan, Mechanism
from dwindle.pytorch.hold import Hold
from dwindle.pytorch.lr_peaks import LrPeak, peak_read, peaks_given

_LOG = logging.getLogger("dwindle")


class DecayController:
    """Hold a half-life in a torch training loop, whatever lr, schedule and optimizer do.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        >>> optimizer = torch.optim.AdamW([weight], lr=1e-3)
        >>> controller = DecayController(optimizer, half_life="10 steps")
        >>> for _ in range(10):  # the loop stays as it is
        ...     weight.grad = torch.zeros_like(weight)
        ...     optimizer.step()
        >>> round(weight[0].item(), 12)
        0.5

    """

    def __init__(  # noqa: PLR0913 the facts of a run
        self,
        optimizer: Optimizer,
        *,
        half_life: str | HalfLife | None = None,
        penalty: float | None = None,
        batch_size: int | None = None,
        dataset_size: int | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        tokens_per_example: float | None = None,
        schedule: str = "follow-lr",
        lr_peak: LrPeak = None,
        scheduler: Any = None,
    ) -> None:
        self.optimizer = optimizer
        self.half_life = None if half_life is None else read_half_life(half_life)
        self.schedule = schedule
        self.penalty = penalty
        self._run = Run(
            batch_size=batch_size,
            dataset_size=dataset_size,
            epochs=epochs,
            steps=steps,
            tokens_per_example=tokens_per_example,
        )
        self._scheduler = scheduler
        if (half_life is None) == (penalty is None):
            raise UsageError(
                "A controller holds a half-life or a penalty.",
                "both" if penalty is not None else "neither",
                'Write DecayController(optimizer, half_life="3 epochs", ...).',
            )
        self._peaks = peaks_given(lr_peak, len(optimizer.param_groups))
        self._hold = Hold(optimizer, self._plans())
        for group, plan in zip(optimizer.param_groups, self._hold.plans, strict=True):
            group[MARKER] = plan.decay_scale
        self._handles = [
            optimizer.register_step_pre_hook(torch.compiler.disable(self._before)),
            optimizer.register_step_post_hook(torch.compiler.disable(self._after)),
        ]

    @property
    def half_life_steps(self) -> float:
        """The half-life in optimizer steps, at the peak lr."""
        with facts_asked_of("DecayController"):
            return read_half_life(self.half_life).in_steps(self._run)

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """How each param group is held: native, multiply, penalty, or left alone."""
        return tuple(plan.mechanism for plan in self._hold.plans)

    @property
    def steps_done(self) -> int:
        """Steps that decayed; those that AMP skipped are not counted."""
        return self._hold.steps_done

    @property
    def e_folds(self) -> tuple[float, ...]:
        """Per group: -ln of what is left of a weight whose gradient was zero."""
        return tuple(self._hold.e_folds)

    @property
    def batch_size(self) -> int | None:
        """Examples per optimizer step; set it when it changes."""
        return self._run.batch_size

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        self._run = replace(self._run, batch_size=batch_size)
        self._hold.plans = self._with_rates(self._hold.plans)

    def remove(self) -> None:
        """Take the hooks off and give each group the options back that it had."""
        for handle in self._handles:
            handle.remove()
        groups = self.optimizer.param_groups
        for group, plan in zip(groups, self._hold.plans, strict=True):
            put_back(group, plan.before)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"version": 1, "owed": list(self._hold.owed)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self._hold.owed = list(state["owed"])

    def _before(self, *_: object) -> None:
        self._hold.set_knobs()

    def _after(self, *_: object) -> None:
        self._hold.take_step()

    def _plans(self) -> list[GroupPlan]:
        groups = self.optimizer.param_groups
        return self._with_rates(
            [
                GroupPlan(
                    mechanism=self._mechanism(group) if scale else "left alone",
                    why="",
                    decay_scale=scale,
                    before=options_before(group),
                    factors=min(map(_factors, group["params"])),
                )
                for group, scale in zip(groups, scales_of(groups), strict=True)
            ]
        )

    def _mechanism(self, group: dict[str, Any]) -> Mechanism:
        decoupled = group.get("decoupled_weight_decay", False)
        return "native" if decoupled else "multiply"

    def _with_rates(self, plans: Sequence[GroupPlan]) -> list[GroupPlan]:
        half_life = self.half_life_steps
        return [
            plan
            if not plan.decay_scale
            else replace(
                plan,
                rate=HeldRate(
                    shrink_at_peak=shrink_from_half_life(half_life / plan.decay_scale),
                    schedule=self.schedule,
                    lr_peak=given or peak_read(group),
                ),
            )
            for plan, given, group in zip(
                plans, self._peaks, self.optimizer.param_groups, strict=True
            )
        ]


def _factors(parameter: torch.Tensor) -> float:
    return steps_between_factors(str(parameter.dtype).removeprefix("torch."))
