"""How long an epoch and a run of ``fit`` are, in real updates: plain numbers."""

from dataclasses import dataclass, replace

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """What the user says of a run, and what a loop over batches knows of itself.

    What the user says is believed; else the loop is asked.

    Args:
        said: Facts of the user; ``batch_size`` is that of one batch, ``steps`` are real
            updates.
        batches: Batches of an epoch, if the loop knows.
        epochs: Epochs of the run, if the loop knows.
        gathered: Batches whose gradients make one update, at least 1.

    """

    said: Run
    batches: int | None = None
    epochs: int | None = None
    gathered: int = 1

    def half_life_steps(self, half_life: HalfLife) -> float:
        """Return a half-life in real updates.

        Raises:
            MissingFactError: If neither user nor loop knows what the clock needs.

        Example:
            >>> facts = FitFacts(said=Run(), batches=100, epochs=10, gathered=4)
            >>> facts.half_life_steps(HalfLife.parse("3 epochs"))
            75.0
            >>> facts.half_life_steps(HalfLife.parse("20% of the run"))
            50.0

        """
        units = {"epochs": self._updates_of_epoch(), "run": self._updates_of_run()}
        unit = units.get(half_life.clock)
        return (
            half_life.in_steps(self._per_update)
            if unit is None
            else (half_life.value * unit)
        )

    @property
    def batches_of_run(self) -> int | None:
        """Batches of the whole run; None if nobody knows."""
        updates = self._updates_of_run()
        return None if updates is None else max(1, round(updates * self.gathered))

    @property
    def _per_update(self) -> Run:
        """The user's facts, with the examples of an update in place of a batch."""
        batch_size = self.said.batch_size
        if batch_size is None:
            return self.said
        return replace(self.said, batch_size=batch_size * self.gathered)

    def _updates_of_epoch(self) -> float | None:
        if None not in (self.said.batch_size, self.said.dataset_size):
            return self.said.steps_per_epoch / self.gathered
        return None if self.batches is None else self.batches / self.gathered

    def _updates_of_run(self) -> float | None:
        if self.said.steps is not None:
            return self.said.steps
        epochs = self.epochs if self.said.epochs is None else self.said.epochs
        updates = self._updates_of_epoch()
        return None if epochs is None or updates is None else epochs * updates
