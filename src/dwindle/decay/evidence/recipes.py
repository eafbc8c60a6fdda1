"""Published training recipes as facts, and what their decay does by our arithmetic."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from dwindle.decay.coordinates import e_folds_from_number, shrink_from_number
from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.half_life import half_life_from_shrink
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.read_numbers import CLOCKS, Clock
from dwindle.decay.run import Run
from dwindle.decay.run_facts import ONE_TOKEN
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError
from dwindle.plain import table_beside

Read = Literal["primary text", "secondary text", "from memory"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One published training: what was typed, and the facts that give it a meaning.

    Args:
        name: What people call it.
        model: Kind of network, ``"language model"`` for example.
        data: What it was trained on.
        kind_of_run: Class that it is compared in.
        domain: ``"vision"``, ``"language"``, ``"detection"``, ...
        optimizer: Name of the weight_decay argument.
        lr: Peak lr that the optimizer gets.
        weight_decay: The number that was typed.
        schedule: How the lr goes; a counted warm-up waits for the run.
        decay_schedule: How the decay goes besides, as a multiple of ``weight_decay``.
        momentum: Momentum of SGD; None where it has none, or its library's default.
        nesterov: Whether that is Nesterov's.
        batch_size: Examples per step.
        dataset_size: Examples per epoch; tokens, where batches are counted in them.
        epochs: Length of the run; or
        steps: in steps; or
        tokens: in tokens, with ``batch_tokens``.
        batch_tokens: Tokens per step.
        tokens_per_example: Tokens of a sequence, where batches are counted in them.
        lora: Whether it trains low-rank factors beside frozen weights.
        source: Repository at a commit, or paper.
        read: What of the source was opened for these numbers.

    """

    name: str
    model: str
    data: str
    kind_of_run: KindOfRun
    domain: str
    optimizer: str
    lr: float
    weight_decay: float
    schedule: Schedule
    source: str
    read: Read
    decay_schedule: Schedule | None = None
    momentum: float | None = None
    nesterov: bool | None = None
    batch_size: int | None = None
    dataset_size: int | None = None
    epochs: float | None = None
    steps: int | None = None
    tokens: float | None = None
    batch_tokens: int | None = None
    tokens_per_example: int | None = None
    lora: bool = False

    @property
    def knob(self) -> Knob:
        """The record of the weight_decay argument."""
        return resolve_knob(self.optimizer)

    def run(self) -> Run:
        """Return the facts as a run."""
        facts: dict[str, Any] = {}  # Any: numbers of several kinds
        steps, length = self.steps, self.tokens_per_example
        if self.batch_tokens is not None and self.tokens is not None:
            steps = round(self.tokens / self.batch_tokens)
        if self.momentum is not None:
            facts |= {"momentum": self.momentum, "nesterov": self.nesterov}
        if self.decay_schedule is not None:
            facts |= {"decay_schedule": self.decay_schedule}
        return Run(
            lr=self.lr,
            schedule=self.schedule,
            batch_size=self.batch_tokens or self.batch_size,
            dataset_size=self.dataset_size,
            epochs=self.epochs,
            steps=steps,
            tokens_per_example=ONE_TOKEN if self.batch_tokens else length,
            **facts,
        )

    @cached_property
    def e_folds(self) -> float:
        """Total decay: -ln of what the run leaves of a zero-gradient weight."""
        return e_folds_from_number(self.knob, self.weight_decay, self.run())

    @cached_property
    def half_life(self) -> Mapping[Clock, float | None]:
        """Half-life at the peak lr on every clock; None where that is not known."""
        run = self.run()
        steps = half_life_from_shrink(
            shrink_from_number(self.knob, self.weight_decay, run)
        )
        return {clock: _on_clock(clock, steps, run) for clock in CLOCKS}


def _on_clock(clock: Clock, steps: float, run: Run) -> float | None:
    try:
        return steps / run.steps_per(clock) if math.isfinite(steps) else None
    except MissingFactError:
        return None


@cache
def recipes() -> tuple[Recipe, ...]:
    """Return every recipe, in the order of the file.

    Example:
        >>> deit = next(each for each in recipes() if each.name.startswith("DeiT"))
        >>> deit.knob.name, round(deit.e_folds, 1)
        ('torch.optim.AdamW', 9.5)

    """
    found: list[dict[str, Any]] = table_beside(__file__)["recipe"]  # Any: cells
    for each in found:
        for name in ("schedule", "decay_schedule"):
            if name in each:
                each[name] = Schedule(**each[name])
    return tuple(Recipe(**each) for each in found)
