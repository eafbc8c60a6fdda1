"""What a pack costs before it is trained, and how long the rest of a study takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.store.records import Trial

# Seconds of one thread, fitted to the packs of the digits studies on a processor of
# 2025 (they tell the seconds of a pack within 13 %, one standard deviation). Only their
# ratios matter in the end, since a study measures its own speed as it goes.
SECONDS_PER_FLOP = 5.4e-12
SECONDS_PER_WEIGHT_AND_STEP = 2e-10
SECONDS_PER_MODEL_AND_STEP = 1.5e-6
SECONDS_PER_PACK = 7e-3


def cost_of(trials: Sequence[Trial], layers: Sequence[tuple[int, int]]) -> float:
    """Return the seconds that a pack should take.

    A step of a model has a fixed part, three products of every layer (six operations
    per weight and sample) and a pass of the optimizer over the weights; a pack is set
    up and evaluated once.

    Args:
        trials: The models of the pack, all of one scale.
        layers: (fan_in, fan_out) of their weight matrices.

    """
    scale = trials[0].scale
    weights = sum(fan_in * fan_out for fan_in, fan_out in layers)
    # A short last batch costs less than a full one.
    samples = scale.dataset_size / scale.steps_per_epoch
    of_step = (
        6 * weights * samples * SECONDS_PER_FLOP
        + weights * SECONDS_PER_WEIGHT_AND_STEP
        + SECONDS_PER_MODEL_AND_STEP
    )
    return SECONDS_PER_PACK + len(trials) * scale.steps * of_step


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How far a study is, as the numbers that its remaining time follows from.

    Args:
        planned: Cost of all packs, by :func:`cost_of`.
        done: Cost of the packs that were trained in this session.
        skipped: Cost of the packs that an earlier session had trained.
        worked: Seconds that workers spent on the packs done.
        workers: How many train at a time.
        began: When the first pack of the session began, on a monotonic clock.

    """

    planned: float
    workers: int
    done: float = 0.0
    skipped: float = 0.0
    worked: float = 0.0
    began: float = 0.0

    def seconds_left(self, now: float) -> float | None:
        """Return the wall time that is left, None before anything was measured.

        The packs still to do cost what they should, times how much longer than that
        the packs done have taken; what workers have spent since on packs that are not
        done yet is off.
        """
        if not self.done:
            return None
        to_do = (self.planned - self.skipped - self.done) * self.worked / self.done
        in_flight = self.workers * (now - self.began) - self.worked
        return max(0.0, to_do - max(0.0, in_flight)) / self.workers

    @property
    def share_done(self) -> float:
        """Share of the planned cost that is behind."""
        return (self.done + self.skipped) / self.planned if self.planned else 1.0
