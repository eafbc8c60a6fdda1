"""The losses of one cell by decay and seed, whichever way its knob runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from dwindle.fitting.trainings import CellRows

MOST_DECAYS = 1000  # of a random search; beyond, what cannot be told apart is one


@dataclass(kw_only=True, eq=False)
class CellLosses:
    """Losses by decay (0 without any) and seed, on the scale that is read."""

    rows: CellRows
    log_scale: bool
    is_reversed: bool
    by_decay: dict[float, dict[str, list[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        typed = {training.weight_decay for training in self.rows.trainings}
        decay_of = {each: self.typed(each) for each in typed}
        if len(typed) > MOST_DECAYS:
            # A percent apart are one: no curve of losses shows the difference.
            decay_of = {
                each: decay and math.exp(round(math.log(decay), 2))
                for each, decay in decay_of.items()
            }
        for at, training in enumerate(self.rows.trainings):
            decay = decay_of[training.weight_decay]
            seed = f"#{at}" if training.seed is None else training.seed
            self.by_decay.setdefault(decay, {}).setdefault(seed, []).append(
                training.loss
            )
        self.by_decay = dict(sorted(self.by_decay.items()))

    @property
    def positive(self) -> list[float]:
        """The decays above 0, rising."""
        return [decay for decay in self.by_decay if decay > 0]

    def ruined_above(self, best: float) -> float | None:
        """Return the lowest decay above one of which most trainings diverged."""
        for decay in self.positive:
            losses = [x for each in self.by_decay[decay].values() for x in each]
            if decay > best and 2 * sum(map(math.isfinite, losses)) < len(losses):
                return decay
        return None

    def typed(self, decay: float) -> float:
        """Return a decay as the user types it, and what was typed as a decay."""
        if not self.is_reversed:
            return decay
        return 1 / decay if decay else math.inf

    def seeds_of_several(self) -> list[str]:
        """Return seeds that were trained with several decays: they pair."""
        counts: dict[str, int] = {}
        for of_decay in self.by_decay.values():
            for seed in of_decay:
                counts[seed] = counts.get(seed, 0) + 1
        return [seed for seed, count in counts.items() if count > 1]

    def are_alike(self, seeds: Sequence[str]) -> bool:
        """Return whether each of these seeds has one loss, whatever the decay."""
        found: dict[str, set[float]] = {}
        for of_decay in self.by_decay.values():
            for seed, losses in of_decay.items():
                found.setdefault(seed, set()).update(losses)
        return all(len(found[seed]) == 1 for seed in seeds)
