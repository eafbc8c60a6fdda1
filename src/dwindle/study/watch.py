"""When a model of a pack stopped being a number, and what its last good loss was."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Watch:
    """Finds the first batch loss of a model that is not finite, epoch by epoch.

    A loss that is not finite makes every weight of its model NaN one step later, and
    NaN stays: looking once per epoch finds the exact step.
    """

    def __init__(self, models: int, sizes: Sequence[int]) -> None:
        self._sizes = torch.tensor(sizes, dtype=torch.float64)
        self.diverged_at: list[int | None] = [None] * models
        self.last_finite: list[float | None] = [None] * models

    def look(self, steps_before: int, sums: Tensor) -> None:
        """Look at an epoch.

        Args:
            steps_before: Steps taken before it.
            sums: Σ log p(right class) over each batch, (steps, models).

        """
        steps = len(sums)
        losses = -sums.double().cpu() / self._sizes[:steps, None]
        finite = losses.isfinite()
        # The number of good steps before the first bad one.
        good = finite.long().cumprod(0).sum(0).tolist()
        for model, count in enumerate(good):
            if self.diverged_at[model] is not None:
                continue
            if count:
                self.last_finite[model] = float(losses[count - 1, model])
            if count < steps:
                self.diverged_at[model] = steps_before + count + 1

    def all_gone(self) -> bool:
        """Whether no model is left to train."""
        return all(step is not None for step in self.diverged_at)
