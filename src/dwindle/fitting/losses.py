"""The losses of one cell by decay and seed, whichever way its knob runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from dwindle.fitting.trainings import CellRows
from dwindle.stats.curve import lost_seeds

MOST_DECAYS = 1000  # of a random search; beyond, those a percent apart are merged
_LAST_DIGITS = 1e-9  # exp(ln 0.1) is 0.10000000000000002


@dataclass(kw_only=True, eq=False)
class CellLosses:
    """Losses by decay (0 without any) and seed, on the scale that is read.

    Those of ``lost`` seeds, which diverged at most of their decays, are left out.
    """

    rows: CellRows
    log_scale: bool
    is_reversed: bool
    by_decay: dict[float, dict[str, list[float]]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    _given: dict[float, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        typed = {training.weight_decay for training in self.rows.trainings}
        decay_of = {each: self.typed(each) for each in typed}
        # As it was typed: a reciprocal of a reciprocal may differ in its last digit.
        self._given = {decay: each for each, decay in decay_of.items()}
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
        self.lost = lost_seeds(
            {
                decay: {
                    seed: list(map(math.isfinite, x)) for seed, x in of_seed.items()
                }
                for decay, of_seed in self.by_decay.items()
            }
        )
        for decay, of_seed in list(self.by_decay.items()):
            kept = {seed: x for seed, x in of_seed.items() if seed not in self.lost}
            if kept:
                self.by_decay[decay] = kept
            else:
                del self.by_decay[decay]

    @property
    def positive(self) -> list[float]:
        """The decays above 0, rising."""
        return [decay for decay in self.by_decay if decay > 0]

    def means(self) -> tuple[tuple[float, float | None, int], ...]:
        """Return every decay as typed, its mean and the number of losses in that."""
        found = []
        for decay, of_seed in self.by_decay.items():
            ended = [x for each in of_seed.values() for x in each if math.isfinite(x)]
            mean = sum(ended) / len(ended) if ended else None
            found.append((self.typed(decay), mean, len(ended)))
        return tuple(found)

    def share_diverged(self, decay: float) -> float:
        """Return the share of the trainings of a decay that diverged."""
        losses = [x for each in self.by_decay[decay].values() for x in each]
        return sum(map(math.isinf, losses)) / len(losses)

    def walls(
        self, log_best: float, log_decays: Sequence[float]
    ) -> tuple[float | None, float | None]:
        """Return the nearest decays below and above the best one that diverge.

        Most trainings diverged there; or one did, outside of those that may be best,
        as at a wall of a search. ``log_decays`` are ln λ of the latter, in any order.
        """
        best = math.exp(log_best)
        first, last = (
            self.tried_near(math.exp(end)) for end in (min(log_decays), max(log_decays))
        )
        walls = [
            decay
            for decay in self.positive
            if (share := self.share_diverged(decay)) > 1 / 2
            or (share and not first <= decay <= last)
        ]
        under = max((decay for decay in walls if decay < best), default=None)
        return under, min((decay for decay in walls if decay > best), default=None)

    def tried_near(self, decay: float) -> float:
        """Return the decay that was tried where this is one but for its last digits."""
        nearest = min(self.positive, key=lambda each: abs(each - decay))
        return nearest if math.isclose(nearest, decay, rel_tol=_LAST_DIGITS) else decay

    def typed(self, decay: float) -> float:
        """Return a decay as the user types it, and what was typed as a decay."""
        if decay in self._given:
            return self._given[decay]
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
        """Return whether each of these seeds has the same loss at every decay."""
        found: dict[str, set[float]] = {}
        for of_decay in self.by_decay.values():
            for seed, losses in of_decay.items():
                found.setdefault(seed, set()).update(losses)
        return all(len(found[seed]) == 1 for seed in seeds)
