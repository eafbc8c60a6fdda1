"""Weight decay, corrected for scale: convert it, explain it, carry it to a new scale.

Everything else is reached through its floor: ``dwindle.decay`` (standard library only),
``dwindle.study`` (trainings), ``dwindle.findings`` (what they showed).
"""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.decay.convert import Conversion, convert
    from dwindle.decay.evidence.suggest import suggest
    from dwindle.decay.explain import Explanation, explain
    from dwindle.decay.half_life import HalfLife
    from dwindle.decay.knobs import knobs
    from dwindle.decay.rescale import rescale
    from dwindle.decay.rescaling import Rescaling
    from dwindle.decay.rules import rules
    from dwindle.decay.run import Run
    from dwindle.decay.schedules import Schedule
    from dwindle.errors.base import DwindleError
    from dwindle.finding.face import find
    from dwindle.fitting.fit import fit
    from dwindle.tuning.face import predict, tune

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
    "find",
    "fit",
    "knobs",
    "predict",
    "rescale",
    "rules",
    "suggest",
    "tune",
]

# Where each name lives: it is imported when it is first used, so that
# ``import dwindle`` costs next to nothing.
_HOMES = {
    "Conversion": "dwindle.decay.convert",
    "DwindleError": "dwindle.errors.base",
    "Explanation": "dwindle.decay.explain",
    "HalfLife": "dwindle.decay.half_life",
    "Rescaling": "dwindle.decay.rescaling",
    "Run": "dwindle.decay.run",
    "Schedule": "dwindle.decay.schedules",
    "convert": "dwindle.decay.convert",
    "explain": "dwindle.decay.explain",
    "find": "dwindle.finding.face",
    "fit": "dwindle.fitting.fit",
    "knobs": "dwindle.decay.knobs",
    "predict": "dwindle.tuning.face",
    "rescale": "dwindle.decay.rescale",
    "rules": "dwindle.decay.rules",
    "suggest": "dwindle.decay.evidence.suggest",
    "tune": "dwindle.tuning.face",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
