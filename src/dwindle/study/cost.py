"""What a pack costs in time and memory, its best size, and the rest of a study."""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer, Scale, Trial
from dwindle.study.problems import Problem

# Seconds of one thread, fitted to the packs of the digits studies on a processor of
# 2025 (they give the seconds of a pack within 13 %, one standard deviation). Only their
# ratios matter in the end, since a study measures its own speed as it goes.
SECONDS_PER_FLOP = 5.4e-12
SECONDS_PER_WEIGHT_AND_STEP = 2e-10
SECONDS_PER_MODEL_AND_STEP = 1.5e-6
SECONDS_PER_PACK = 7e-3

# In PyTorch's operations weights, momentum and gradients of a pack should stay in a
# core's second-level cache, yet a small pack leaves the cost of a call unshared.
# Measured on digits with 1 MB of that cache: up to this many weights per model, this
# many models, whole seeds of 13 λ and none. Compiled steps go model by model: the size
# of a pack is all the same to them.
_BEST_MODELS = ((3_000, 42), (12_000, 14), (40_000, 14), (120_000, 4))

# Tensors of the size of the weights: these, moments, gradients, and for a moment those
# of one layer in double precision. Compiled steps pad rows to whole vectors.
_STATES = {"sgd": 5, "adamw": 6, "adam": 6}
VECTOR_BYTES = 64  # rows are padded to whole cache lines, as LINE of vectors.h
EVALUATED = 128  # samples at a time: their activations stay in the cache


def cost_of(trials: Sequence[Trial], layers: Sequence[tuple[int, int]]) -> float:
    """Return the seconds that a pack should take, with (fan_in, fan_out) of its layers.

    A step of a model has a fixed part, three products of every layer (six operations
    per weight and sample) and a pass of the optimizer over the weights; a pack is set
    up and evaluated once.
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

    ``planned`` is the cost of all packs, by :func:`cost_of`, ``done`` that of those
    trained in this session and ``skipped`` of those before it. Workers spent ``worked``
    seconds on the packs done, so many at a time; ``began`` is when the first pack of
    the session began, on a monotonic clock.
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


def pack_size(
    scale: Scale, problem: Problem, optimizer: Optimizer, memory_ceiling: int
) -> int:
    """Return how many models train fastest as a pack that takes so many bytes at most.

    1 where models train faster one by one; refused where not even one fits.
    """
    shapes = problem.facts.layer_shapes(scale)
    weights = sum((n_in + 1) * n_out for n_in, n_out in shapes)
    best = next((models for most, models in _BEST_MODELS if weights <= most), 1)
    # One by one: the size that trains fastest is at most some tens.
    while pack_bytes(scale, problem, optimizer, models=best) > memory_ceiling:
        if best == 1:
            need = pack_bytes(scale, problem, optimizer, models=1)
            must = f"at least {need:,} bytes, what a single model of this scale takes"
            remedy = "Give more memory, or fewer workers that share it."
            name, got = "The memory of a worker", f"{memory_ceiling:,} bytes"
            raise RangeError(name, got, must, remedy)
        best -= 1
    return best


def pack_bytes(
    scale: Scale, problem: Problem, optimizer: Optimizer, *, models: int
) -> int:
    """Estimate the memory of a pack in training, from above.

    Counted are weights with moments and gradients, activations of a minibatch and of
    an evaluation, training sets (each model may have its own seed) and the data.
    """
    number = 4  # bytes of one in single precision
    lanes = VECTOR_BYTES // number
    shapes = problem.facts.layer_shapes(scale)
    weights = sum((n_in + 1) * padded(n_out, lanes) for n_in, n_out in shapes)
    # A LayerNorm keeps its outputs beside what the ReLU leaves of them.
    kept = 4 if problem.facts.layer_norm else 3
    units = sum(kept * fan_out + 2 for _, fan_out in shapes)
    activations = units * (padded(scale.batch_size, lanes) + 2 * EVALUATED)
    of_a_sample = problem.facts.inputs + problem.facts.classes + 1
    samples = 3 * (scale.dataset_size + scale.batch_size) * of_a_sample
    of_a_model = _STATES[optimizer.name] * weights + activations + samples
    # The pool is held once as float32 and its validation part once more as tensors.
    data = 3 * problem.pool_size * of_a_sample
    return number * (models * of_a_model + data)


def padded(units: int, lanes: int) -> int:
    """Return the length of a row that fills whole vectors of so many lanes."""
    return -(-units // lanes) * lanes
