"""How many models train best at once, and how much memory that takes."""

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer, Scale
from dwindle.study.problem import Problem, layer_shapes

# In PyTorch's operations weights, momentum and gradients of a pack should stay in a
# core's second-level cache, yet a small pack leaves the cost of a call unshared.
# Measured on digits with 1 MB of that cache: up to this many weights per model, this
# many models, whole seeds of 13 λ and none. Compiled steps go model by model: the size
# of a pack is all the same to them.
_BEST_MODELS = ((3_000, 42), (12_000, 14), (40_000, 14), (120_000, 4))

# Tensors of the size of the weights: these, moments, gradients, and for a moment those
# of one layer in double precision. Compiled steps pad rows to whole vectors.
_STATES = {"sgd": 5, "adamw": 6, "adam": 6}
_VECTOR_BYTES = 64
_EVALUATED = 128


def pack_size(
    scale: Scale, problem: Problem, optimizer: Optimizer, memory_ceiling: int
) -> int:
    """Return the number of models per pack that trains fastest below a ceiling.

    Args:
        scale: Shapes and sizes of the models.
        problem: What they train on.
        optimizer: How; Adam keeps more beside each weight than SGD.
        memory_ceiling: What one pack may take, in bytes.

    Returns:
        At least 1; 1 where models train faster one by one.

    Raises:
        RangeError: If not even a single model fits below the ceiling.

    """
    weights = _weights(scale, problem)
    best = next((models for most, models in _BEST_MODELS if weights <= most), 1)
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
    scale: Scale,
    problem: Problem,
    optimizer: Optimizer,
    *,
    models: int,
    dtype: str = "float32",
) -> int:
    """Estimate the memory of a pack in training, from above.

    Counted are weights with moments and gradients, activations of a minibatch and of
    an evaluation, training sets (each model may have its own seed) and the data.
    """
    number = 8 if dtype == "float64" else 4
    lanes = _VECTOR_BYTES // number
    shapes = layer_shapes(problem, scale)
    weights = sum((n_in + 1) * _padded(n_out, lanes) for n_in, n_out in shapes)
    units = sum(3 * fan_out + 1 for _, fan_out in shapes)
    activations = units * (_padded(scale.batch_size, lanes) + 2 * _EVALUATED)
    of_a_sample = problem.inputs + problem.classes + 1
    samples = 3 * (scale.dataset_size + scale.batch_size) * of_a_sample
    of_a_model = _STATES[optimizer.name] * weights + activations + samples
    # The pool is held once as float32 and its validation part once more as tensors.
    data = 3 * problem.pool_size * of_a_sample
    return number * (models * of_a_model + data)


def _padded(units: int, lanes: int) -> int:
    return -(-units // lanes) * lanes


def _weights(scale: Scale, problem: Problem) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in layer_shapes(problem, scale))
