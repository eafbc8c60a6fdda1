"""Known recipes in e-folds: what published runs leave of a weight, beside one's own."""

import math
from collections.abc import Mapping, Sequence

from dwindle.audit.findings import Finding
from dwindle.decay.evidence.peers import regime_told
from dwindle.decay.evidence.recipes import Recipe, recipes
from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.explain import Explanation
from dwindle.decay.families import FAMILIES
from dwindle.decay.run import Run

# So far beyond the least and the most decay of its kind a setting is told.
_MARGIN = 2.0
# A run at so many times less lr, or steps, than all recipes of its kind goes on from
# weights that were trained before, or is a trial: it is compared with none.
_TIMES_LESS = 10
# Those of networks with normalization layers.
_OF_TODAY: tuple[KindOfRun, ...] = ("single-pass", "many-epochs-normalized")
# The kinds of runs from scratch that are a network's practice: convolutions without
# normalization layers, as AlexNet has, are history, and recurrent layers have none.
_FROM_SCRATCH: Mapping[str, tuple[KindOfRun, ...]] = {
    "convolutional network": _OF_TODAY,
    "vision transformer": _OF_TODAY,
    "language model": _OF_TODAY,
    "recurrent language model": ("many-epochs-plain",),
}
# Detectors begin with a trained backbone.
_DOMAINS = ("vision", "language")


def recipes_of_practice(family: str | None, model: str | None) -> list[Recipe]:
    """Return the recipes of a kind of optimizer and of network; none where unknown.

    All train from scratch, and decay.
    """
    record, kinds = FAMILIES.get(str(family)), _FROM_SCRATCH.get(str(model), ())
    if record is None or not record.practice:
        return []
    return [
        each
        for each in recipes()
        if each.model == model
        and each.kind_of_run in kinds
        and each.domain in _DOMAINS
        and FAMILIES[str(each.knob.family)].practice == record.practice
        and each.weight_decay
    ]


def is_within_practice(told: Explanation, model: str | None) -> bool:
    """Return whether a recipe of its kind decays as little as this run, or less."""
    alike = [each.e_folds for each in recipes_of_practice(told.family, model)]
    return bool(alike) and told.e_folds is not None and told.e_folds >= min(alike)


def recipe_finding(
    told: Explanation, run: Run, *, model: str | None, where: str = ""
) -> Finding | None:
    """Return the note on a setting that is far from all recipes of its kind.

    A network that is not known, or goes on from trained weights, is compared with none.
    """
    alike = recipes_of_practice(told.family, model)
    known = told.e_folds is not None and told.kept is not None
    # A weight that swings has e-folds too, but no half-life to compare.
    if not (alike and known and told.shrink_per_step) or not is_a_training(run, alike):
        return None
    e_folds = told.e_folds or 0.0
    if not 0 < e_folds < math.inf:
        return None
    least, most = (pick(each.e_folds for each in alike) for pick in (min, max))
    if least / _MARGIN <= e_folds <= most * _MARGIN:
        return None
    recipe = min(alike, key=lambda each: abs(math.log(each.e_folds / e_folds)))
    return Finding(
        code="DW017",
        where=where,
        values={
            "recipe": recipe.name,
            "recipe_keeps": math.exp(-recipe.e_folds),
            "keeps": told.kept,
            "half_life_share": recipe.half_life("run"),
            "source": recipe.source,
        },
    )


def is_a_training(run: Run, alike: Sequence[Recipe]) -> bool:
    """Return whether a run may be one from scratch, like some recipes."""
    steps = run.quantities().get("steps")
    if run.lr is None or steps is None or not alike:
        return False
    if regime_told(alike[0].knob, run, regime=None, normalized=True) == "fine-tuning":
        return False
    hot = run.lr * _TIMES_LESS >= min(each.lr for each in alike)
    shortest = min(each.run.total_steps for each in alike)
    return hot and steps * _TIMES_LESS >= shortest
