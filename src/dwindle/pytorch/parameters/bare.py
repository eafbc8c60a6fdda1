"""Parameters that a module keeps itself, without a layer that tells what they are for.

A matrix that is no layer's weight may be a table that all samples share (positions,
latents, prompts) or the logarithm of a rate. Nothing but the name under which its
module uses it tells: the last resort, where type and shape do not.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from torch import nn

from dwindle.pytorch.parameters.slots import Slot

BareRole = Literal["embedding", "token", "vector"]

# Names that their authors use for one thing alone, and what it is.
_KNOWN: Mapping[str, tuple[BareRole, str]] = MappingProxyType(
    {
        # state-spaces/mamba spares it, and D, by a mark that transformers leaves out.
        "A_log": ("vector", ", logarithms of rates"),
        # peft: (rank, tokens) beside an embedding, a column for each token.
        "lora_embedding_A": ("embedding", ", a column for each token"),
    }
)
_TABLE: tuple[BareRole, str] = ("token", ", a table that all samples share")
_ANYWHERE = frozenset({"pos", "position", "positional", "positions"})
_AT_THE_END = frozenset(
    {
        *("embed", "embeds", "embedding", "embeddings", "emb", "token", "tokens"),
        *("latents", "prompt", "prompts", "queries", "codebook", "codebooks"),
    }
)
# A tensor of these is multiplied with, also where the words before speak of positions.
_MULTIPLIED = frozenset({"weight", "proj", "projection", "kernel"})


def bare_role(slot: Slot) -> tuple[BareRole, str] | None:
    """Return the role of a matrix that is no layer's weight, and a remark, by its name.

    None where the name says nothing: then it is a matrix like others.

    Example:
        >>> from dwindle.pytorch.parameters.slots import slots_of
        >>> class Relative(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.rel_pos_h = nn.Parameter(nn.Linear(8, 27).weight)
        >>> bare_role(next(slots_of(Relative())))
        ('token', ', a table that all samples share')

    """
    name = _name(slot)
    if name in _KNOWN:
        return _KNOWN[name]
    words = name.casefold().split("_")
    if _MULTIPLIED & {*words}:
        return None
    is_table = bool(_ANYWHERE & {*words}) or words[-1] in _AT_THE_END
    return _TABLE if is_table else None


def _name(slot: Slot) -> str:
    """Return the name of the parameter, or of the list or dict that it is kept in."""
    parts = slot.name.split(".")
    if isinstance(slot.module, nn.ParameterList | nn.ParameterDict) and parts[1:]:
        return parts[-2]
    return slot.slot
