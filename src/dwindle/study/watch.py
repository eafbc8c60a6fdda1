"""When a model of a pack stopped being a number, and what its last good loss was."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dwindle.study.layout import Layout


class Watch:
    """Keeps the batch losses of an epoch and finds the first that is not finite.

    A loss that is not finite makes every weight of its model NaN one step later, and
    NaN stays: looking once per epoch finds the exact step.
    """

    def __init__(
        self, layout: Layout, groups: Sequence[slice], sizes: Sequence[int]
    ) -> None:
        self._sums = layout.full((len(sizes), layout.models))
        self._sizes = torch.tensor(sizes, dtype=layout.dtype, device=layout.device)
        self.rows = [[row[g] for g in groups] for row in self._sums]
        self.diverged_at: list[int | None] = [None] * layout.models
        self.last_finite: list[float | None] = [None] * layout.models

    def look(self, steps_before: int, steps: int) -> None:
        """Look at the losses of the ``steps`` that followed ``steps_before`` others."""
        losses = (-self._sums[:steps] / self._sizes[:steps, None]).double().cpu()
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


def columns(values: Tensor) -> list[list[float]]:
    """Return a (rows, models) tensor as one list of numbers per model."""
    return [[float(x) for x in row] for row in values.double().cpu().t()]
