"""Weight decay, corrected for scale: convert it, explain it, carry it to a new scale.

Everything else is reached through its floor: ``dwindle.decay`` (standard library only),
``dwindle.study`` (trainings), ``dwindle.findings`` (what they showed).
"""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.decay.convert import Conversion as Conversion
    from dwindle.decay.convert import convert as convert
    from dwindle.decay.evidence.suggest import suggest as suggest
    from dwindle.decay.explain import Explanation as Explanation
    from dwindle.decay.explain import explain as explain
    from dwindle.decay.half_life import HalfLife as HalfLife
    from dwindle.decay.knobs import knobs as knobs
    from dwindle.decay.rescale import rescale as rescale
    from dwindle.decay.rescaling import Rescaling as Rescaling
    from dwindle.decay.rules import rules as rules
    from dwindle.decay.run import Run as Run
    from dwindle.decay.schedules import Schedule as Schedule
    from dwindle.errors.base import DwindleError as DwindleError
    from dwindle.finding.face import find as find
    from dwindle.fitting.fit import fit as fit
    from dwindle.tuning.face import predict as predict
    from dwindle.tuning.face import tune as tune

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

__all__, __getattr__, __dir__ = lazy_names(__name__, _HOMES)
