"""Peers: the published recipes that a training may be compared with."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dwindle.decay.evidence.kinds import (
    TUNED_BY_ITS_LR,
    family_of_evidence,
    kinds_of_run,
    regime_told,
)
from dwindle.decay.evidence.recipes import Recipe, recipes
from dwindle.decay.evidence.records import FAMILIES_OF_EVIDENCE, KindOfRun
from dwindle.decay.knob import Knob
from dwindle.decay.run import Run
from dwindle.errors import UnknownNameError
from dwindle.wording import counted, number

# Fewer are no range: then the next wider group of recipes is taken.
ENOUGH = 3
# A regime, with low-rank factors beside frozen weights.
LORA = "lora"


@dataclass(frozen=True, kw_only=True)
class Peers:
    """Recipes of one kind.

    Args:
        kind_of_run: Their class.
        title: What they are, in plural.
        recipes: Those that decay, nothing or much.
        notes: How the kind was chosen, where nobody said it.

    """

    kind_of_run: KindOfRun
    title: str
    recipes: tuple[Recipe, ...]
    notes: tuple[str, ...] = ()


def recipes_like(
    knob: Knob,
    run: Run,
    *,
    regime: str | None = None,
    normalized: bool | None = None,
    domain: str | None = None,
) -> Peers | None:
    """Return the recipes that a run may be compared with.

    Its class decides, then optimizer family and domain, as long as three are left.
    A fine-tune has fine-tunes beside it only, and one of low-rank factors only those.

    Args:
        knob: Where the decay is typed.
        run: Facts of the training.
        regime: What kind of training it is, where the facts do not tell: also ``lora``.
        normalized: Whether the network has normalization layers.
        domain: ``vision``, ``language``; tokens are language.

    Returns:
        The recipes; None where the facts do not tell the class.

    Raises:
        UnknownNameError: If there is no such regime or domain.

    Example:
        >>> from dwindle.decay.knobs import KNOBS
        >>> there = recipes_like(KNOBS["torch.optim.AdamW"], Run(lr=1e-3, epochs=300))
        >>> there.title
        'runs over many epochs with AdamW and its kind'

    """
    domains = sorted({each.domain for each in recipes()})
    if domain is not None and domain not in domains:
        raise UnknownNameError.among("domain", domain, domains)
    kind, how = _kind(knob, run, regime, normalized=normalized)
    if kind is None:
        return None
    is_tuned, is_lora = kind == "fine-tuning", regime == LORA
    found = [each for each in recipes() if each.kind_of_run == kind]
    if is_tuned:
        found = [each for each in found if each.lora is is_lora]
    title, notes = "LoRA fine-tunes" if is_lora else _TITLES[kind], list(how)
    counts_examples = run.dataset_size is not None and not is_tuned
    if domain is None and run.tokens_per_example is not None:
        domain = "language"
    for words, fits in _filters(knob, domain, counts_examples=counts_examples):
        kept = [each for each in found if fits(each)]
        if len(kept) >= min(ENOUGH, len(found)):
            found, title = kept, f"{title} {words}"
        else:
            many = counted(len(kept), "recipe") if kept else "No recipe"
            notes.append(f"{many} {words} of this kind: others are beside it.")
    if knob.algorithm not in {"", *(each.knob.algorithm for each in found)}:
        notes.append(f"None of them trains by {knob.algorithm}, as {knob.name} does.")
    return Peers(kind_of_run=kind, title=title, recipes=tuple(found), notes=(*notes,))


def _filters(
    knob: Knob, domain: str | None, *, counts_examples: bool
) -> Iterator[tuple[str, Callable[[Recipe], bool]]]:
    """Yield what recipes should have in common with a run, and how to say it."""
    if domain is not None:
        yield f"in {domain}", lambda each: each.domain == domain
    elif counts_examples:
        # Who counts examples, not tokens, trains no language model.
        yield "outside of language", lambda each: each.domain != "language"
    if not knob.is_rate:
        family = family_of_evidence(knob)
        words = f"with {FAMILIES_OF_EVIDENCE[family]}"
        yield words, lambda each: family_of_evidence(each.knob) == family


_TITLES: Mapping[KindOfRun, str] = {
    "single-pass": "single-pass runs",
    "many-epochs-normalized": "runs over many epochs",
    "many-epochs-plain": "plain small networks",
    "fine-tuning": "fine-tunes",
}


def _kind(
    knob: Knob, run: Run, regime: str | None, *, normalized: bool | None
) -> tuple[KindOfRun | None, tuple[str, ...]]:
    if regime == LORA:
        return "fine-tuning", ()
    told = regime_told(knob, run, regime=regime, normalized=normalized)
    if told == "fine-tuning":
        return "fine-tuning", (TUNED_BY_ITS_LR,) if regime is None else ()
    kinds = kinds_of_run(run, regime=told, normalized=normalized)
    # One pass or many: the facts do not tell.
    if len({kind == "single-pass" for kind in kinds}) > 1:
        return None, ()
    return kinds[0], ()


def _nearest_in_length(found: tuple[Recipe, ...], run: Run) -> Recipe:
    """Return the recipe nearest in length, on the best clock that it has too."""
    # Of those that are as long, it is the one whose data are as many.
    here = run.quantities()
    for name in ("tokens", "epochs", "steps"):
        far = [
            (abs(_log(there[name]) - _log(here[name])), _other_data(there, here), at)
            for at, each in enumerate(found)
            if name in (there := each.run().quantities()) and name in here
        ]
        if far:
            return found[min(far)[-1]]
    return found[0]


def _other_data(there: Mapping[str, float], here: Mapping[str, float]) -> float:
    """Return how many times more or less data a recipe has, as a logarithm."""
    name = "dataset_size"
    if name not in there or name not in here:
        return math.inf
    return abs(_log(there[name]) - _log(here[name]))


def _log(length: float) -> float:
    """Return the log of a length, also of one that no float can hold."""
    return math.log(min(max(length, sys.float_info.min), sys.float_info.max))


def middle(values: Sequence[float]) -> list[float]:
    """Return values in order, of five or more without a tenth of them at each end.

    One published outlier, as DETR's decay of 1e-4, is then no end of a range.

    Example:
        >>> middle([3, 1, 2]), middle([5, 1, 4, 2, 3])
        ([1, 2, 3], [2, 3, 4])

    """
    ordered, few = sorted(values), 5
    ends = 0 if len(ordered) < few else math.ceil(len(ordered) / 10)
    return ordered[ends : len(ordered) - ends]


@dataclass(frozen=True, kw_only=True)
class Among:
    """Where a total decay lies among recipes of its kind.

    Args:
        e_folds: The total decay.
        title: What the recipes are.
        recipes: How many of them there are.
        low: Total decay of those that decay little, without the least tenth.
        high: Of those that decay much, without the tenth that decays most.
        nearest: Name of the one that is nearest in length.
        nearest_e_folds: Its total decay.
        source: Where its numbers stand.

    """

    e_folds: float
    title: str
    recipes: int
    low: float
    high: float
    nearest: str
    nearest_e_folds: float
    source: str

    @property
    def text(self) -> str:
        """It in a line."""
        low, high, near, here = (
            number(each, digits=2)
            for each in (self.low, self.high, self.nearest_e_folds, self.e_folds)
        )
        return (
            f"{self.nearest} {near} e-folds, yours {here} "
            f"({self.recipes} {self.title}: most {low} to {high})"
        )


def placed(e_folds: float, peers: Peers, run: Run) -> Among:
    """Return where a total decay lies among its peers."""
    decays = middle([each.e_folds for each in peers.recipes])
    nearest = _nearest_in_length(peers.recipes, run)
    return Among(
        e_folds=e_folds,
        title=peers.title,
        recipes=len(peers.recipes),
        low=decays[0],
        high=decays[-1],
        nearest=nearest.name,
        nearest_e_folds=nearest.e_folds,
        source=nearest.source,
    )
