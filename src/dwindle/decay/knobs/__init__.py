"""The table of knobs: what each number means, its default, and where that was read."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from dwindle.decay.knob import Knob
from dwindle.decay.knobs.of_keras import KERAS_KNOBS
from dwindle.decay.knobs.of_optax import OPTAX_KNOBS
from dwindle.decay.knobs.of_others import OTHER_KNOBS
from dwindle.decay.knobs.of_papers import PAPER_KNOBS
from dwindle.decay.knobs.of_sklearn import SKLEARN_KNOBS
from dwindle.decay.knobs.of_timm import TIMM_KNOBS
from dwindle.decay.knobs.of_torch import TORCH_KNOBS
from dwindle.decay.knobs.of_torch_libraries import TORCH_LIBRARY_KNOBS
from dwindle.decay.knobs.of_trainers import TRAINER_KNOBS
from dwindle.decay.knobs.options import options_of
from dwindle.decay.knobs.rates import RATE_KNOBS
from dwindle.decay.resolve import resolve

__all__ = ["KNOBS", "Knob", "knobs", "resolve_knob"]

_ALL = (
    *TORCH_KNOBS,
    *KERAS_KNOBS,
    *SKLEARN_KNOBS,
    *OPTAX_KNOBS,
    *TIMM_KNOBS,
    *TORCH_LIBRARY_KNOBS,
    *TRAINER_KNOBS,
    *OTHER_KNOBS,
    *RATE_KNOBS,
    *PAPER_KNOBS,
)

KNOBS: Mapping[str, Knob] = MappingProxyType(
    {knob.name: replace(knob, options=options_of(knob.name)) for knob in _ALL}
)


def knobs(words: str | None = None) -> tuple[Knob, ...]:
    """Return every knob that dwindle can read, or those that a filter means.

    Args:
        words: A name, a part of one, a library, or a family; as ``dwindle knobs`` has
            it.

    Raises:
        UnknownNameError: If the filter means none; the nearest are offered.

    Example:
        >>> [knob.name for knob in knobs("lars")]
        ['optax.lars', 'timm.lars', 'pytorch_optimizer.LARS']
        >>> [knob.name for knob in knobs() if knob.family == "asgd"]
        ['torch.optim.ASGD']

    """
    if words is None:
        return tuple(KNOBS.values())
    # That module groups what this one has.
    from dwindle.decay.libraries import matching_knobs

    return matching_knobs(words)


def resolve_knob(name: str, *, beside: Knob | None = None) -> Knob:
    """Find a knob by its name, or by a short name that only one has.

    A word that several libraries have, such as ``AdamW``, needs its library. The class
    and its argument may be written as one name.

    Args:
        name: What was typed.
        beside: The other knob of a conversion: where its library has the name, and only
            once, that one is meant.

    Raises:
        AmbiguousNameError: If the short name fits several knobs; they are listed.
        UnknownNameError: If it fits none; the nearest are offered.

    Example:
        >>> resolve_knob("torch.AdamW").name
        'torch.optim.AdamW'
        >>> resolve_knob("lion", beside=KNOBS["optax.adamw"]).name
        'optax.lion'
        >>> resolve_knob("sklearn.Ridge.alpha").name
        'sklearn.linear_model.Ridge'

    """
    return resolve(name, KNOBS, beside=beside)
