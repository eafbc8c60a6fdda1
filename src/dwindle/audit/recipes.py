"""Known recipes in e-folds: what published runs leave of a weight, beside one's own."""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from dwindle.audit.findings import Finding
from dwindle.decay.explain import Explanation
from dwindle.decay.families import FAMILIES
from dwindle.decay.run import Run

# So far beyond the least and the most decay of its kind a setting is told.
_MARGIN = 2.0
# A run at so many times less lr, or steps, than all recipes of its kind goes on from
# weights that were trained before, or is a trial: it is compared with none.
_TIMES_LESS = 10
# Language models are fine-tuned at this lr or below, and trained from scratch above.
_FINE_TUNING_LR = 5e-5


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One published setting.

    Args:
        name: What people call it.
        kind: ``sgd`` (coupled) or ``adamw`` (decoupled).
        model: Kind of network: ``convolutional network``, ``vision transformer`` or
            ``language model``, ``recurrent language model``. All recipes train one
            from scratch.
        lr: Peak learning rate.
        weight_decay: The number that was typed.
        steps: Length of the run.
        schedule: How the lr went.
        half_life_share: Half-life at the peak lr as a share of the run.
        e_folds: -ln of what the run leaves of a weight with zero gradient.
        source: Paper or repository.

    """

    name: str
    kind: str
    model: str
    lr: float
    weight_decay: float
    steps: int
    schedule: str
    half_life_share: float
    e_folds: float
    source: str

    @property
    def kept(self) -> float:
        """What the run leaves of a weight with zero gradient."""
        return math.exp(-self.e_folds)


_FILE = files("dwindle.audit").joinpath("recipes.toml").read_text("utf-8")
RECIPES = tuple(Recipe(**each) for each in tomllib.loads(_FILE)["recipe"])


def recipes_like(family: str | None, model: str | None) -> list[Recipe]:
    """Return the recipes of a kind of optimizer and of network; none where unknown.

    Example:
        >>> [each.name for each in recipes_like("decoupled", "vision transformer")]
        ['DeiT on ImageNet']

    """
    record = FAMILIES.get(str(family))
    kind = record.practice if record else ""
    return [each for each in RECIPES if each.kind == kind and each.model == model]


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
        model: Kind of network, as :class:`Recipe` has it; None where it is not known,
            or goes on from trained weights: then there is nothing to compare.
        where: What the finding calls the place.

    Example:
        >>> from dwindle.decay.explain import explain
        >>> run = Run(lr=0.1, steps=60_000)
        >>> told = explain(1e-4, "torch.SGD", run=run)
        >>> recipe_finding(told, run, model="convolutional network").evidence
        'MobileNetV2 on ImageNet leaves 1.12% of a weight, this leaves 54.9%.'
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
            "recipe_keeps": recipe.kept,
            "keeps": told.kept,
            "half_life_share": recipe.half_life_share,
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
    if run.lr is None or steps is None or not alike or run.lr <= _FINE_TUNING_LR:
        return False
    hot = run.lr * _TIMES_LESS >= min(each.lr for each in alike)
    return hot and steps * _TIMES_LESS >= min(each.steps for each in alike)
