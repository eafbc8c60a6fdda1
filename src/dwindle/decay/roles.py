"""Roles: what a layer uses its tensors for, and which of them decay, in any library.

The part that does not depend on the layers of a library.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

Role = Literal["weight", "bias", "norm", "embedding", "vector", "token"]
ROLES: tuple[Role, ...] = get_args(Role)
# Where one tensor has several roles (an output layer tied to the embedding), the first.
STRONGEST: tuple[Role, ...] = (
    "embedding",
    "norm",
    "token",
    "bias",
    "weight",
    "vector",
)
# A position embedding or a class token: (1, length, width), the same for every sample.
TOKEN_DIMENSIONS = 3
# A part of a class name: LlamaRMSNorm is Llama, RMS, Norm.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NORM_WORDS = frozenset({"Norm", "norm", "Normalization"})


def decaying_roles(*, embeddings: bool) -> frozenset[Role]:
    """Return the roles that decay by default, with or without embeddings."""
    own: tuple[Role, ...] = ("weight",)
    return frozenset((*own, "embedding", "token") if embeddings else own)


def wide(shape: Sequence[int]) -> int:
    """Count the dimensions that hold more than one number.

    Example:
        >>> wide((1, 64, 1, 1)), wide((64, 64))
        (1, 2)

    """
    return sum(size > 1 for size in shape)


def is_norm_by_name(classes: Iterable[type], shapes: Iterable[Sequence[int]]) -> bool:
    """Return whether a layer is a normalization, by the names of its classes.

    A layer with a matrix (``shapes``) is no normalization, under any name.
    """
    words = {word for cls in classes for word in _WORD.findall(cls.__name__)}
    return not words.isdisjoint(_NORM_WORDS) and all(wide(s) <= 1 for s in shapes)
