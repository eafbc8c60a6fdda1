"""Integrations: each imports its library only when it is used.

What holds a half-life has one module for each system; what finds the best decay of a
training in one of them is here by name.
"""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.integrations.estimators import find_for_estimator as find_for_estimator
    from dwindle.integrations.find_with import find_with_keras as find_with_keras
    from dwindle.integrations.find_with import (
        find_with_lightning as find_with_lightning,
    )
    from dwindle.integrations.find_with import find_with_trainer as find_with_trainer

_HOMES = {
    "find_for_estimator": "dwindle.integrations.estimators",
    "find_with_keras": "dwindle.integrations.find_with",
    "find_with_lightning": "dwindle.integrations.find_with",
    "find_with_trainer": "dwindle.integrations.find_with",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _HOMES)
