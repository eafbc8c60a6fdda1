"""Known recipes in e-folds: what published runs leave of a weight, beside one's own."""

import math
from collections.abc import Mapping, Sequence

from dwindle.audit.findings import Finding
from dwindle.decay.evidence.kinds import regime_told
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


def recipes_like(family: str | None, model: str | None) -> list[Recipe]:
    """Return the recipes of a kind of optimizer and of network; none where unknown.

    All train from scratch, and decay.

    Args:
        family: Name of the update rule.
        model: Kind of network: ``convolutional network``, ``vision transformer``,
            ``language model``, ``recurrent language model``.

    Example:
        >>> [each.name for each in recipes_like("decoupled", "convolutional network")]
        ['ConvNeXt-T on ImageNet', 'ConvNeXt-B on ImageNet-22k']

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
    """Return whether a recipe of the same kind decays as little as this run, or less.

    Example:
        >>> from dwindle.decay.explain import explain
        >>> from dwindle.decay.run import Run
        >>> told = explain(0.1, "torch.AdamW", run=Run(lr=1e-3, steps=4000))
        >>> is_within_practice(told, "language model"), is_within_practice(told, None)
        (True, False)

    """
    alike = [each.e_folds for each in recipes_like(told.family, model)]
    return bool(alike) and told.e_folds is not None and told.e_folds >= min(alike)


def recipe_finding(
    told: Explanation, run: Run, *, model: str | None, where: str = ""
) -> Finding | None:
    """Return the note on a setting that is far from all recipes of its kind.

    Args:
        told: What the setting does.
        run: The run that it does it in, with its peak lr.
        model: Kind of network, as :func:`recipes_like` has it; None where it is not
            known, or goes on from trained weights: then there is nothing to compare.
        where: What the finding calls the place.

    Example:
        >>> from dwindle.decay.explain import explain
        >>> run = Run(lr=0.1, steps=60_000)
        >>> told = explain(1e-4, "torch.SGD", run=run)
        >>> recipe_finding(told, run, model="convolutional network").evidence
        'MobileNetV2 on ImageNet leaves 1.17% of a weight, this leaves 54.9%.'
        >>> recipe_finding(told, run, model="vision transformer")

    """
    alike = recipes_like(told.family, model)
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
            "half_life_share": recipe.half_life["run"],
            "source": recipe.source,
        },
    )


def is_a_training(run: Run, alike: Sequence[Recipe]) -> bool:
    """Return whether a run may be one from scratch, like some recipes.

    Args:
        run: With its peak lr and its steps; without them nothing is known.
        alike: Recipes of its kind.

    Example:
        >>> resnets = recipes_like("coupled-sgd", "convolutional network")
        >>> is_a_training(Run(lr=0.1, steps=64_000), resnets)
        True
        >>> is_a_training(Run(lr=0.001, steps=64_000), resnets)  # on from trained ones
        False

    """
    steps = run.quantities().get("steps")
    if run.lr is None or steps is None or not alike:
        return False
    if regime_told(alike[0].knob, run, regime=None, normalized=True) == "fine-tuning":
        return False
    hot = run.lr * _TIMES_LESS >= min(each.lr for each in alike)
    shortest = min(each.run().total_steps for each in alike)
    return hot and steps * _TIMES_LESS >= shortest
