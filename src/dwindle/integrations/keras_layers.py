"""Which variables of a Keras model decay: by their layer, slot and shape."""

import re
from typing import Any

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
# A hump of a class name: MyRMSNorm is My, RMS, Norm.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# For layers of other people, whose classes cannot be imported here.
_NORM_WORDS = {"Norm", "Normalization"}
# What Keras calls the weights of its layers: whole names, also where one side is 1.
_KERNELS = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel")
# Where one variable has several roles (an output tied to an embedding), the first.
_STRONGEST = ("embedding", "norm", "token", "bias", "weight", "vector")
# A position embedding or a class token: (1, length, width), the same for every sample.
_TOKEN_DIMENSIONS = 3

# Any, here and below: without Keras its models and variables are Any to mypy.
Variable = Any


def decayed_variables(model: Any, *, embeddings: bool = False) -> list[Variable]:
    """Return the trainable variables that decay where nobody says it: kernels.

    Biases (also those of attention, which are matrices), normalization layers, slopes
    of PReLU, position embeddings and other vectors do not decay; embeddings by choice.

    Args:
        model: A built ``keras.Model``.
        embeddings: Whether embeddings, tokens and position embeddings decay too.

    Returns:
        Variables in the order of ``model.trainable_variables``.

    """
    decaying = {"weight", "embedding", "token"} if embeddings else {"weight"}
    roles = roles_of(model)
    return [each for each in model.trainable_variables if roles[id(each)] in decaying]


def roles_of(model: Any) -> dict[int, str]:
    """Return the role of each trainable variable, by its ``id``."""
    roles: dict[int, list[str]] = {id(each): [] for each in model.trainable_variables}
    for layer in model._flatten_layers():  # noqa: SLF001 (model.layers shows the top only)
        below = layer._flatten_layers(include_self=False)  # noqa: SLF001
        inner = {id(each) for part in below for each in part.trainable_variables}
        # A variable counts where no layer in this one owns it.
        own = [each for each in layer.trainable_variables if id(each) not in inner]
        for variable in own:
            roles[id(variable)].append(_role(layer, variable, own))
    return {key: min(found, key=_STRONGEST.index) for key, found in roles.items()}


def _role(layer: Any, variable: Variable, own: list[Variable]) -> str:
    shape = tuple(variable.shape)
    if _is_norm(layer, own):
        return "norm"
    if variable.name == "bias" or getattr(layer, "bias", None) is variable:
        return "bias"
    if isinstance(layer, _LAYERS_OF_SLOPES):
        return "vector"
    if isinstance(layer, keras.layers.Embedding) and len(shape) > 1:
        return "embedding"
    is_kernel = variable.name in _KERNELS and len(shape) > 1
    if not is_kernel and len(shape) >= _TOKEN_DIMENSIONS and shape[0] == 1:
        return "token"
    return "weight" if is_kernel or _wide(shape) > 1 else "vector"


def _is_norm(layer: Any, own: list[Variable]) -> bool:
    if isinstance(layer, _NORMS):
        return True
    names = [cls.__name__ for cls in type(layer).__mro__]
    words = {word for name in names for word in _WORD.findall(name)}
    return bool(words & _NORM_WORDS) and all(_wide(each.shape) <= 1 for each in own)


def _wide(shape: tuple[int, ...]) -> int:
    return sum(size > 1 for size in shape)
