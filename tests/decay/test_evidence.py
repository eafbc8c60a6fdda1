"""What is known of others: recipes that compute, and measured exponents with errors."""

import math
from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest

from dwindle.decay.evidence.recipes import Read, recipes
from dwindle.decay.evidence.records import (
    BASES,
    KINDS,
    QUANTITIES,
    cell_of,
    read_evidence,
)

RECIPES = {each.name: each for each in recipes()}
# A step takes -ln(1 - s) off, not s, and momentum lags: by less than this.
CLOSE = 0.005


def dino(*, steps: int, warmup: int) -> float:
    """Σ lr·λ, step by step: the lr falls from 1e-3 while the decay rises to 0.4."""
    total = 0.0
    for step in range(steps):
        after = math.cos(math.pi * (step - warmup) / (steps - warmup))
        rate = step / warmup if step < warmup else 0.5005 + 0.4995 * after
        decay = 0.22 - 0.18 * math.cos(math.pi * step / steps)
        total += 1e-3 * rate * decay
    return total


# name: Σ lr·λ over the steps, with the lr's mean over the run worked out by hand.
BY_HAND = {
    # SGD's momentum 0.9 multiplies by 10; a cosine to 0 is half the peak on average.
    "ResNet-18 on CIFAR-10": 0.1 * 5e-4 * 10 * 0.5 * 391 * 200,
    # 5 epochs of warm-up at half the peak, then a cosine from 1 to 0.01.
    "DeiT-B on ImageNet": 1e-3 * 0.05 * 1252 * (5 * 0.5 + 295 * 0.505),
    "MAE ViT-L pre-training": 2.4e-3 * 0.05 * 313 * 800 * 0.5,
    # Outside of the lr: only the schedule multiplies it.
    "ViT-S/16 on ImageNet in 90 epochs": 1e-4 * 0.5 * 1239 * 90,
    "DeiT-B fine-tuned at 384 pixels": 5e-6 * 1e-8 * 2503 * 30,
    "nanoGPT's GPT-2 124M": 6e-4 * 0.1 * (2000 * 0.5 + 598_000 * 0.55),
    "Pythia 70M": 1e-3 * 0.1 * (1430 * 0.5 + 141_570 * 0.55),
    "OLMo 7B": 3e-4 * 0.1 * (5000 * 0.5 + (2e12 / 2**22 - 5000) * 0.55),
    "SmolLM3 3B": 2e-4 * 0.1 * (4_720_000 - 2000 / 2 - 522_000 / 2),
    "RoBERTa on RTE": 2e-5 * 0.1 * 2036 * 0.5,
    "Stable Diffusion 1.1": 1e-4 * 0.01 * (431_000 - 10_000 / 2),
    "Alpaca 7B": 0.0,
    "ResNet-50 on ImageNet": 0.1 * 1e-4 * 10 * 5005 * 30 * 1.11,
    "Wide ResNet on CIFAR": 0.1
    * 5e-4
    * 10
    * 391
    * (60 + 60 * 0.2 + 40 * 0.04 + 40 * 0.008),
    "Mask R-CNN R50-FPN on COCO, 1x": 0.02 * 1e-4 * 10 * (59_500 + 2000 + 100),
    # Cosines to a tenth over 260B and 5T tokens, cut after 300B and 3.9T.
    "GPT-3 175B": 6e-5 * 0.1 * 93_750 * (0.55 * 260 + 0.1 * 40 - 0.5 * 0.375) / 300,
    "OLMo 2 7B": 3e-4
    * 0.1
    * (
        0.55 * 928_646
        + 0.45 * 1_192_093 / math.pi * math.sin(math.pi * 928_646 / 1_192_093)
        - 1000
    ),
    "DINO ViT-S/16 pre-training": dino(steps=2503 * 100, warmup=2503 * 10),
    "OPT 125M": 6e-4 * 0.1 * (715 * 0.5 + (572_204 - 715) * 0.55),
    "DCLM 7B": 2e-3 * 0.05 * (5000 * 0.5 + (32_851 - 5000) * 0.5075),
    # A penalty of alpha/(2·B) on the mean loss of B examples, and Nesterov's 0.9.
    "scikit-learn's MLP on MNIST": 0.1 * 1e-4 / 200 * 10 * 300 * 10,
    "YOLOv7 on COCO": 0.01 * 5e-4 / 0.063 * 1849 * (3 * 0.5 + 297 * 0.55),
}


def test_every_recipe_computes_and_names_its_source():
    """Total decay is finite, 0 exactly where nothing was typed, and a half-life is."""
    faults = {}
    for recipe in RECIPES.values():
        e_folds, steps = recipe.e_folds, recipe.half_life("steps")
        if recipe.weight_decay == 0:
            ok = e_folds == 0
        else:
            ok = e_folds is not None and 0 < e_folds < math.inf and steps is not None
        known = recipe.kind_of_run in KINDS
        if not (ok and known and recipe.read in get_args(Read) and recipe.source):
            faults[recipe.name] = (e_folds, steps, recipe.kind_of_run, recipe.read)
    assert faults == {}


def test_names_are_unique_and_few_numbers_come_from_memory():
    """A name picks one recipe; one in eight at most was not read for the table."""
    assert len(RECIPES) == len(recipes())
    unread = [each.name for each in recipes() if each.read == "from memory"]
    assert len(unread) <= len(RECIPES) / 8, unread


@pytest.mark.parametrize("name", BY_HAND)
def test_known_recipes_agree_with_a_sum_by_hand(name):
    """The arithmetic step by step is Σ lr·λ as one works it out on paper."""
    assert RECIPES[name].e_folds == pytest.approx(BY_HAND[name], rel=CLOSE)


def test_a_length_in_tokens_is_one_in_steps():
    """Tokens over tokens per step are the steps that the run has."""
    facts = RECIPES["OLMo 7B"]
    assert facts.run.total_steps == round(2e12 / 2**22)
    length = {"steps": 476_837, "batch_tokens": facts.facts["batch_tokens"]}
    schedule = facts.facts["schedule"]
    by_steps = replace(facts, facts=length | {"schedule": schedule})
    assert by_steps.e_folds == pytest.approx(facts.e_folds, rel=1e-12)


def test_repeated_text_is_halved_in_a_quarter_of_an_epoch():
    """Sixteen tuned decays of repeated text agree in epochs, not in total decay."""
    tuned = [each for each in recipes() if each.name.startswith("Kim et al.")]
    epochs = [each.half_life("epochs") for each in tuned]
    assert len(tuned) == 16
    assert 0.13 < min(epochs) < max(epochs) < 0.37
    e_folds = [each.e_folds for each in tuned]
    assert max(e_folds) / min(e_folds) > 10


def test_every_class_and_domain_that_people_need_is_there():
    """Each class has recipes with decay; LoRA is marked, and is fine-tuning."""
    assert {each.kind_of_run for each in recipes() if each.weight_decay} == set(KINDS)
    lora = [each for each in recipes() if each.lora]
    assert lora
    assert all(each.kind_of_run == "fine-tuning" for each in lora)


# What a record may claim: seeds that share one split understate an own study's error,
# and a restated rule has no curve that was seen (evidence.md in the design notes).
LEAST_SD = {"measured": 0.035, "restated": 0.2, "theory": 0.1}
LEAST_OWN_SD = 0.1


def test_every_record_can_be_used():
    """A record names known things, and its interval holds its exponent."""
    there = read_evidence()
    wrong = []
    for each in there.records:
        least = LEAST_SD[each.kind]
        is_own = there.sources[each.source].citation.startswith("our own")
        least = max(least, LEAST_OWN_SD) if is_own else least
        holds = (
            each.quantity in QUANTITIES
            and each.family in ("adaptive", "sgd")
            and each.kind_of_run in KINDS
            and each.tuned in ("joint", "axis")
            and each.metric in ("loss", "error")
            and each.read in ("primary text", "secondary text", "from memory")
            and each.low < each.exponent < each.high
            and each.sd >= least - 1e-3  # the ends are written with three digits
            and each.factor > 1
            and each.setting
        )
        if not holds:
            wrong.append(each)
    assert not wrong
    assert set(there.sources) == {each.source for each in there.records}


def test_correlations_are_of_records_that_exist():
    """Errors that go together belong to two records of one setting, and are below 1."""
    there = read_evidence()
    known = {(each.setting, each.quantity) for each in there.records}
    for each in there.correlations:
        assert {(each.setting, each.first), (each.setting, each.second)} <= known
        assert abs(each.r) < 1


def test_a_quantity_is_a_sum_of_base_exponents():
    """Every form is over the base exponents, and every base exponent is measured."""
    used = {base for each in QUANTITIES.values() for base in each.form}
    assert used == set(BASES)
    measured = {base for each in read_evidence().records for base in each.form}
    assert measured == set(BASES)


def test_every_cell_is_a_distribution():
    """Every class and family has exponents, and a covariance that can be one."""
    for kind, family in product(KINDS, ("adaptive", "sgd")):
        cell = cell_of(kind, family)
        covariance = np.array(cell.covariance)
        assert len(cell.mean) == len(BASES)
        assert (covariance == covariance.T).all()
        assert np.linalg.eigvalsh(covariance).min() > 0
