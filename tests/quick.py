"""Combinations of lists: all of them at full size, some of them in the quick run."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest


def combined(names: str, *lists: Sequence[Any], one_in: int) -> pytest.MarkDecorator:
    """Parametrize by every combination of lists; the quick run has one in some.

    It has those whose places in the lists sum to a multiple of ``one_in``, so that each
    value is there with every ``one_in``-th of another list.
    """
    places = product(*(range(len(each)) for each in lists))
    return pytest.mark.parametrize(
        names.split(),
        [
            pytest.param(
                *values,
                marks=[pytest.mark.full] if sum(at) % one_in else [],
                id="-".join(getattr(each, "__name__", str(each)) for each in values),
            )
            for at, values in zip(places, product(*lists), strict=True)
        ],
    )
