"""How long a run of ``fit`` is in real updates, and what its lr does meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError

# A schedule is evaluated at every step of a run up to this long; of a longer one, at
# so many, and around the steps that its configuration names, where it may turn.
_POINTS = 4096


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """The facts of a run that the user gave, which count, and those of the loop.

    ``run`` is the user's; its ``batch_size`` is that of one batch, its ``steps`` are
    real updates. The loop has so many ``batches`` of an epoch and ``epochs``, if it
    knows; those that are ``gathered``, at least 1, make one update.
    """

    run: Run
    batches: int | None = None
    epochs: int | None = None
    gathered: int = 1

    def half_life_steps(self, half_life: HalfLife) -> float:
        """Return a half-life in real updates."""
        units = {"epochs": self._updates_of_epoch(), "run": self._updates_of_run()}
        unit = units.get(half_life.clock)
        if unit is not None:
            return half_life.value * unit
        run, examples = self.run, self.run.batch_size
        if examples is not None:  # of an update, in place of those of a batch
            run = replace(run, batch_size=examples * self.gathered)
        return half_life.in_steps(run)

    @property
    def batches_of_run(self) -> int | None:
        """Batches of the whole run; None if nobody knows."""
        updates = self._updates_of_run()
        return None if updates is None else max(1, round(updates * self.gathered))

    def _updates_of_epoch(self) -> float | None:
        if None not in (self.run.batch_size, self.run.dataset_size):
            return self.run.steps_per_epoch / self.gathered
        return None if self.batches is None else self.batches / self.gathered

    def _updates_of_run(self) -> float | None:
        if self.run.steps is not None:
            return self.run.steps
        epochs = self.epochs if self.run.epochs is None else self.run.epochs
        updates = self._updates_of_epoch()
        return None if epochs is None or updates is None else epochs * updates


def lr_range(
    optimizer: Any, *, batches: int | None, is_new: bool, peak_is_given: bool
) -> tuple[float, float] | None:
    """Return the least and the largest lr of the run; None if it cannot be known.

    A number is taken to be the peak, since most callbacks that set the lr start or end
    there; once the optimizer has made steps (``is_new``), it may be anything.

    Raises:
        MissingFactError: If the peak of a schedule is needed, and neither it nor the
            length of the run is known.

    """
    lr = optimizer._learning_rate  # noqa: SLF001 (the property evaluates a schedule)
    if hasattr(lr, "get_config"):
        if batches is None and peak_is_given:
            return None
        if batches is None:
            need = "The peak of a LearningRateSchedule, where lr_peak is not given,"
            raise MissingFactError("steps", need, "--steps")
        lrs = _lrs_at(lr, _steps(lr, batches))
        return min(lrs), max(lrs)
    if callable(lr) or not is_new:
        return None
    now = current_lr(optimizer)
    return now, now


def current_lr(optimizer: Any) -> float:
    """Return the lr of the next step."""
    return as_number(optimizer.learning_rate)


def _lrs_at(schedule: Any, steps: list[int]) -> list[float]:
    import keras

    if keras.backend.backend() != "jax":
        return [as_number(schedule(step)) for step in steps]
    # Outside of a trace, JAX takes some fifty milliseconds for each: all at once.
    at_once = keras.ops.vectorized_map(
        schedule, keras.ops.convert_to_tensor(steps, dtype="int32")
    )
    return [float(each) for each in keras.ops.convert_to_numpy(at_once)]


def as_number(value: Any) -> float:
    """Return the number of a variable or a tensor of any backend."""
    from keras import ops

    # A Keras variable as it is makes numpy 2 warn.
    return float(ops.convert_to_numpy(getattr(value, "value", value)))


def _steps(schedule: Any, batches: int) -> list[int]:
    if batches <= _POINTS:
        return list(range(batches))
    evenly = {round(at * (batches - 1) / _POINTS) for at in range(_POINTS + 1)}
    named = {round(each) for each in _numbers(schedule.get_config())}
    turns = {named_step + by for named_step in named for by in (-1, 0, 1)}
    return sorted(evenly | {step for step in turns if 0 <= step < batches})


def _numbers(config: Any) -> Iterator[float]:
    """Yield every number of a nested configuration."""
    if isinstance(config, dict):
        config = list(config.values())
    if isinstance(config, list | tuple):
        for each in config:
            yield from _numbers(each)
    elif isinstance(config, int | float):
        yield config
