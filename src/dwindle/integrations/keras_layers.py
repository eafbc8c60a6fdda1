"""Which variables of a Keras model decay: by their layer, slot and shape."""

from typing import Any

from dwindle.decay.roles import (
    STRONGEST,
    TOKEN_DIMENSIONS,
    Role,
    decaying_roles,
    is_norm_by_name,
    wide,
)
from dwindle.errors import MissingLibraryError

try:
    import keras
except ImportError as error:
    raise MissingLibraryError("keras", "DecayCallback of Keras", "keras") from error

_NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)
# A slope is a gain, by any name; decayed to 0 it would switch its units off.
_LAYERS_OF_SLOPES = (keras.layers.PReLU,)
# What Keras calls the weights of its layers: whole names, also where one side is 1.
_KERNELS = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel")

# Any, here and below: without Keras its models and variables are Any to mypy.
Variable = Any


def decayed_variables(model: Any, *, embeddings: bool = False) -> list[Variable]:
    """Return the trainable variables that decay by default: kernels.

    Biases (also those of attention, which are matrices), normalization layers, slopes
    of PReLU, position embeddings and other vectors do not decay; embeddings by choice.

    Args:
        model: A built ``keras.Model``.
        embeddings: Whether embeddings, tokens and position embeddings decay too.

    Returns:
        Variables in the order of ``model.trainable_variables``.

    """
    decaying, roles = decaying_roles(embeddings=embeddings), roles_of(model)
    return [each for each in model.trainable_variables if roles[id(each)] in decaying]


def roles_of(model: Any) -> dict[int, Role]:
    """Return the role of each trainable variable, by its ``id``."""
    roles: dict[int, list[Role]] = {id(each): [] for each in model.trainable_variables}
    for layer in model._flatten_layers():  # noqa: SLF001 (model.layers shows the top only)
        below = layer._flatten_layers(include_self=False)  # noqa: SLF001
        inner = {id(each) for part in below for each in part.trainable_variables}
        # A variable counts where no layer in this one owns it.
        own = [each for each in layer.trainable_variables if id(each) not in inner]
        for variable in own:
            roles[id(variable)].append(_role(layer, variable, own))
    return {key: min(found, key=STRONGEST.index) for key, found in roles.items()}


def _role(layer: Any, variable: Variable, own: list[Variable]) -> Role:
    shape, shapes = tuple(variable.shape), [each.shape for each in own]
    # For layers of other people, whose classes cannot be imported here, by name.
    if isinstance(layer, _NORMS) or is_norm_by_name(type(layer).__mro__, shapes):
        return "norm"
    if variable.name == "bias" or getattr(layer, "bias", None) is variable:
        return "bias"
    if isinstance(layer, _LAYERS_OF_SLOPES):
        return "vector"
    if isinstance(layer, keras.layers.Embedding) and len(shape) > 1:
        return "embedding"
    is_kernel = variable.name in _KERNELS and len(shape) > 1
    if not is_kernel and len(shape) >= TOKEN_DIMENSIONS and shape[0] == 1:
        return "token"
    return "weight" if is_kernel or wide(shape) > 1 else "vector"
