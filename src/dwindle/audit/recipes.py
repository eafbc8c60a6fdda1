"""Known recipes in e-folds: what published runs leave of a weight, beside one's own."""

import math
from dataclasses import dataclass

from dwindle.audit.findings import Finding
from dwindle.audit.show import share_text
from dwindle.decay.explain import Explanation

# So far beyond the least and the most decay of its kind a setting is told.
_MARGIN = 2.0
# Recipes are compared by what carries the decay: the gradient, or a step beside it.
_KINDS = {
    "coupled-sgd": "sgd",
    **dict.fromkeys(("decoupled", "schedule-only", "corrected", "proximal"), "adamw"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One published setting.

    Args:
        name: What people call it.
        kind: ``sgd`` (coupled) or ``adamw`` (decoupled).
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


RECIPES = (
    Recipe(
        name="ResNet-50 on ImageNet",
        kind="sgd",
        lr=0.1,
        weight_decay=1e-4,
        steps=450_450,
        schedule="a tenth after 30 and 60 of 90 epochs; momentum 0.9, batch 256",
        half_life_share=0.0154,
        e_folds=16.7,
        source="He et al. 2016 (arXiv 1512.03385)",
    ),
    Recipe(
        name="a ResNet on CIFAR-10",
        kind="sgd",
        lr=0.1,
        weight_decay=5e-4,
        steps=78_200,
        schedule="cosine; momentum 0.9, batch 128, 200 epochs",
        half_life_share=0.0177,
        e_folds=19.6,
        source="usual since Zagoruyko & Komodakis 2016 (arXiv 1605.07146)",
    ),
    Recipe(
        name="DeiT on ImageNet",
        kind="adamw",
        lr=1e-3,
        weight_decay=0.05,
        steps=375_600,
        schedule="cosine; batch 1024, 300 epochs",
        half_life_share=0.0369,
        e_folds=9.4,
        source="Touvron et al. 2021 (arXiv 2012.12877)",
    ),
    Recipe(
        name="BERT-base",
        kind="adamw",
        lr=1e-4,
        weight_decay=0.01,
        steps=1_000_000,
        schedule="linear",
        half_life_share=0.693,
        e_folds=0.5,
        source="Devlin et al. 2019 (arXiv 1810.04805)",
    ),
    Recipe(
        name="GPT-3 175B",
        kind="adamw",
        lr=6e-5,
        weight_decay=0.1,
        steps=93_750,
        schedule="cosine to a tenth; 3.2M tokens a step, 300B tokens",
        half_life_share=1.23,
        e_folds=0.31,
        source="Brown et al. 2020 (arXiv 2005.14165)",
    ),
    Recipe(
        name="LLaMA 7B",
        kind="adamw",
        lr=3e-4,
        weight_decay=0.1,
        steps=250_000,
        schedule="cosine to a tenth; 4M tokens a step, 1T tokens",
        half_life_share=0.0924,
        e_folds=4.1,
        source="Touvron et al. 2023 (arXiv 2302.13971)",
    ),
    Recipe(
        name="LLaMA 65B",
        kind="adamw",
        lr=1.5e-4,
        weight_decay=0.1,
        steps=350_000,
        schedule="cosine to a tenth; 4M tokens a step, 1.4T tokens",
        half_life_share=0.132,
        e_folds=2.9,
        source="Touvron et al. 2023 (arXiv 2302.13971)",
    ),
    Recipe(
        name="nanoGPT's GPT-2 124M",
        kind="adamw",
        lr=6e-4,
        weight_decay=0.1,
        steps=600_000,
        schedule="cosine to a tenth; half a million tokens a step",
        half_life_share=0.0193,
        e_folds=19.8,
        source="karpathy/nanoGPT@3adf61e1, config/train_gpt2.py",
    ),
)


def nearest_recipe(family: str | None, e_folds: float | None) -> Recipe | None:
    """Return the recipe of the same kind with the nearest e-folds, by ratio.

    Args:
        family: Update rule of the setting; None and families without a recipe of
            their kind give None.
        e_folds: What the setting does over its run.

    Example:
        >>> nearest_recipe("coupled-sgd", 0.5).name
        'ResNet-50 on ImageNet'

    """
    kind = _KINDS.get(str(family))
    if kind is None or e_folds is None or not 0 < e_folds < math.inf:
        return None
    alike = [recipe for recipe in RECIPES if recipe.kind == kind]
    return min(alike, key=lambda recipe: abs(math.log(recipe.e_folds / e_folds)))


def _is_among(e_folds: float, kind: str) -> bool:
    """Tell whether recipes of a kind decay both less and more."""
    known = [recipe.e_folds for recipe in RECIPES if recipe.kind == kind]
    return min(known) <= e_folds <= max(known)


def recipe_finding(told: Explanation, *, where: str = "") -> Finding | None:
    """Return the note on a setting that is far from all recipes of its kind.

    Example:
        >>> from dwindle.decay.explain import explain
        >>> from dwindle.decay.run import Run
        >>> told = explain(1e-4, "torch.SGD", run=Run(lr=0.1, steps=60_000))
        >>> recipe_finding(told).evidence
        'ResNet-50 on ImageNet leaves 6e-08 of a weight, this leaves 54.9%.'

    """
    recipe = nearest_recipe(told.family, told.e_folds)
    if recipe is None or told.e_folds is None or told.kept is None:
        return None
    # A weight that swings has e-folds too, but no half-life to compare.
    if told.shrink_per_step is None:
        return None
    if 1 / _MARGIN <= told.e_folds / recipe.e_folds <= _MARGIN or _is_among(
        told.e_folds, recipe.kind
    ):
        return None
    return Finding(
        code="DW017",
        where=where,
        evidence=f"{recipe.name} leaves {share_text(recipe.kept)} of a weight, this "
        f"leaves {share_text(told.kept)}.",
        remedy=f"Its half-life is {share_text(recipe.half_life_share)} of the run "
        f"({recipe.source}). No law; the nearest of its kind.",
    )
