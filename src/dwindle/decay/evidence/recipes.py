"""Published training recipes as facts, and what their decay does by our arithmetic."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any, Literal

from dwindle.decay.coordinates import e_folds_from_number, shrink_from_number
from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.half_life import half_life_from_shrink
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.read_numbers import Clock
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.typed_facts import as_fields
from dwindle.errors import MissingFactError
from dwindle.plain import table_beside

Read = Literal["primary text", "secondary text", "from memory"]


@dataclass(frozen=True, kw_only=True)
class PublishedRecipe:
    """One published training: what was typed, and the facts that give it a meaning.

    ``optimizer`` names the weight_decay argument, ``lr`` is the peak that it gets,
    ``facts`` are the others of its run. ``source`` is a repository at a commit or a
    paper, ``read`` what of it was opened for these numbers. With ``lora`` it trains
    low-rank factors beside frozen weights.
    """

    name: str
    model: str
    data: str
    kind_of_run: KindOfRun
    domain: str
    optimizer: str
    weight_decay: float
    lr: float
    facts: Mapping[str, Any] = field(hash=False)  # Any: numbers, and schedules
    source: str
    read: Read
    lora: bool = False

    @property
    def knob(self) -> Knob:
        """The record of the weight_decay argument."""
        return resolve_knob(self.optimizer)

    @cached_property
    def run(self) -> Run:
        """The facts as a run."""
        return Run(lr=self.lr, **as_fields(self.facts))

    @cached_property
    def shrink(self) -> float:
        """Fraction that a step at the peak lr takes off a zero-gradient weight."""
        return shrink_from_number(self.knob, self.weight_decay, self.run)

    @cached_property
    def e_folds(self) -> float:
        """Total decay: -ln of what the run leaves of a zero-gradient weight."""
        return e_folds_from_number(self.knob, self.weight_decay, self.run)

    def half_life(self, clock: Clock) -> float | None:
        """Return the half-life at the peak lr; None where the clock is not known."""
        steps = half_life_from_shrink(self.shrink)
        try:
            return steps / self.run.steps_per(clock) if math.isfinite(steps) else None
        except MissingFactError:
            return None


@cache
def recipes() -> tuple[PublishedRecipe, ...]:
    """Return every recipe, in the order of the file."""
    return tuple(map(_recipe, table_beside(__file__)["recipe"]))


def _recipe(
    cells: dict[str, Any],
) -> PublishedRecipe:  # Any: texts, numbers and schedules
    own = {
        each.name: cells.pop(each.name)
        for each in fields(PublishedRecipe)
        if each.name in cells
    }
    for name in {"schedule", "decay_schedule"} & cells.keys():
        cells[name] = Schedule(**cells[name])
    return PublishedRecipe(**own, facts=cells)
