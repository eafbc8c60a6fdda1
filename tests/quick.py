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
    return pytest.mark.parametrize(
        names.split(),
        [
            pytest.param(
                *(each for _, each in chosen),
                marks=[pytest.mark.full]
                if sum(at for at, _ in chosen) % one_in
                else [],
                id="-".join(str(each) for _, each in chosen),
            )
            for chosen in product(*map(enumerate, lists))
        ],
    )
