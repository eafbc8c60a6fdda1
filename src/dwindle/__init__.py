"""Weight decay, corrected for scale: convert it, explain it, carry it to a new scale.

Everything else is reached through its floor: ``dwindle.decay`` (standard library only),
``dwindle.study`` (trainings), ``dwindle.findings`` (what they showed).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dwindle.decay.convert import Conversion, convert
    from dwindle.decay.explain import Explanation, explain
    from dwindle.decay.half_life import HalfLife
    from dwindle.decay.knobs import knobs
    from dwindle.decay.rescale import Rescaling, rescale
    from dwindle.decay.rules import predict, rules
    from dwindle.decay.run import Run
    from dwindle.decay.schedules import Schedule
    from dwindle.errors import DwindleError

__all__ = [
    "Conversion",
    "DwindleError",
    "Explanation",
    "HalfLife",
    "Rescaling",
    "Run",
    "Schedule",
    "convert",
    "explain",
    "knobs",
    "predict",
    "rescale",
    "rules",
]

# Where each name lives: it is imported when it is first asked for, so that
# ``import dwindle`` costs next to nothing.
_HOMES = {
    "Conversion": "dwindle.decay.convert",
    "DwindleError": "dwindle.errors.base",
    "Explanation": "dwindle.decay.explain",
    "HalfLife": "dwindle.decay.half_life",
    "Rescaling": "dwindle.decay.rescale",
    "Run": "dwindle.decay.run",
    "Schedule": "dwindle.decay.schedules",
    "convert": "dwindle.decay.convert",
    "explain": "dwindle.decay.explain",
    "knobs": "dwindle.decay.knobs",
    "predict": "dwindle.decay.rules",
    "rescale": "dwindle.decay.rescale",
    "rules": "dwindle.decay.rules",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'dwindle' has no attribute {name!r}"
        raise AttributeError(message)
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
