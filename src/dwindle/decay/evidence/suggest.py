"""Suggest: a first value for those who have none, from published recipes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import Any, NamedTuple

from dwindle.decay.coordinates import (
    has_shrink,
    number_from_e_folds,
    number_from_shrink,
)
from dwindle.decay.evidence.peers import (
    ENOUGH,
    Peers,
    nearest_in_length,
    recipes_like,
)
from dwindle.decay.evidence.recipes import Recipe
from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.explain import Explanation, explain_setting
from dwindle.decay.families import family_of
from dwindle.decay.half_life import shrink_from_half_life
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import no_decay_at_lr_0, refuse_lacking, scheduled
from dwindle.decay.python_inputs import RunLike, read_target
from dwindle.decay.remarks import instead_of
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, target_knob
from dwindle.decay.strength import STRENGTHS
from dwindle.errors import RefusedError, UsageError
from dwindle.plain import to_plain
from dwindle.show import Line, Sheet, Shown, facts, pointed
from dwindle.wording import WHERE_ALL, first_notes, listed, number

# Total decay grows with the length of a run: recipes of another length say less.
_NEAREST = 5
# Less total decay than this is none: those who typed 1e-8 meant to switch it off.
_NONE_BELOW = STRENGTHS[1].least
# Where the range is wider than this, a second digit would be invented.
_ONE_DIGIT_FROM = 4.0
# A total decay is spread over the steps: recipes so many times longer say little of it.
_LONGER = 10.0
_KIND_REMEDY = "--epochs with --dataset-size and --batch-size, --tokens, or --regime"


class _Measure(NamedTuple):
    """What recipes of a kind may share: how it is taken of one, and typed at a knob."""

    unit: str
    of_recipe: Callable[[Recipe], float | None]
    to_number: Callable[[Knob, float, Run], float]


def _number_from_epochs(knob: Knob, epochs: float, run: Run) -> float:
    steps = epochs * run.steps_per("epochs")
    return number_from_shrink(knob, shrink_from_half_life(steps), run)


# Total decay first: where both lie as far apart, it needs fewer facts.
_MEASURES: Mapping[str, _Measure] = MappingProxyType(
    {
        "e_folds": _Measure(
            "e-folds",
            lambda recipe: recipe.e_folds,
            number_from_e_folds,
        ),
        "half_life_epochs": _Measure(
            "epochs of half-life",
            lambda recipe: recipe.half_life["epochs"],
            _number_from_epochs,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class RecipeReason:
    """A recipe that a suggestion rests on.

    Args:
        recipe: Its name.
        source: Where its numbers stand.
        e_folds: Its total decay.
        half_life_epochs: Its half-life at the peak lr, where its epochs are known.
        value: What decays as much in the training asked about; None where it decays
            nothing, or where no number does.

    """

    recipe: str
    source: str
    e_folds: float
    half_life_epochs: float | None
    value: float | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Suggestion(Shown):
    """A first value from recipes: where to begin, not what is best.

    Args:
        knob: Where it is typed.
        value: The median of the recipes, at this knob and in this training; 0 where
            most of them do without decay.
        low: What the recipe that decays least leads to, of those that decay.
        high: What the one that decays most leads to.
        measure: What the recipes share: a key of ``e_folds`` and ``half_life_epochs``.
        shared: The median of that.
        kind_of_run: Class of the recipes.
        title: What they are.
        reasons: Each of them.
        notes: What to know.
        explanation: What the value does.

    """

    knob: str
    value: float
    low: float
    high: float
    measure: str
    shared: float
    kind_of_run: KindOfRun
    title: str
    reasons: tuple[RecipeReason, ...]
    notes: tuple[str, ...]
    explanation: Explanation

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the suggestion as JSON has it."""
        return {
            "knob": self.knob,
            **to_plain(self, "value", "low", "high"),
            "reasons": to_plain(self.reasons),
            "class": self.kind_of_run,
            "measure": self.measure,
            "notes": list(self.notes),
        }

    def drawn(self, *, all_notes: bool = False) -> Sheet:
        """Return the drawing of a terminal and of a notebook.

        Args:
            all_notes: Whether each recipe and every note is in it.

        """
        digits = 1 if self.high > _ONE_DIGIT_FROM * self.low else 2
        low, value, high = (
            number(each, digits=digits) for each in (self.low, self.value, self.high)
        )
        span = f"{low} to {high}" if low != high else low
        beside = f"({span} in recipes of its kind)"
        if not self.value:
            beside = f"(others {span})" if self.high else ""
        title = f"type {value}   {beside}".rstrip()
        named = {"because": self._because(), "it": self.explanation.summary}
        notes = self.notes if all_notes else first_notes(self.notes, WHERE_ALL)
        return Sheet(
            parts=(
                Line(text=self.knob, style="bold cyan", indent=2, whole=True),
                Line(text=title, style="bold", indent=2),
                "",
                facts(named | self._recipes(all_notes=all_notes), indent=2),
                *(("", pointed(notes)) if notes else ()),
            )
        )

    _drawn = drawn

    def _because(self) -> str:
        decays = sorted(
            each.e_folds if self.measure == "e_folds" else each.half_life_epochs or 0.0
            for each in self.reasons
            if each.value is not None
        )
        whole = len(self.reasons)
        without = sum(each.e_folds < _NONE_BELOW for each in self.reasons)
        unknown = whole - without - len(decays)
        verb = "removes" if without == 1 < whole else "remove"
        parts = [
            f"{'all' if without == whole else without} {verb} under 1%"
            if without
            else "",
            f"{unknown} with no known epochs" if unknown else "",
        ]
        parts = list(filter(None, parts))
        if decays:
            low, middle, high = map(number, (decays[0], self.shared, decays[-1]))
            span = f"{low} to {high}" if low != high else low
            others = "the others " if parts else ""
            parts.append(f"{others}{span} {_MEASURES[self.measure].unit}")
            parts += [f"median {middle}"] if low != high else []
        return f"{whole} {self.title}: {', '.join(parts)}"

    def _recipes(self, *, all_notes: bool) -> dict[str, str]:
        if all_notes:
            return {
                each.recipe: f"{number(each.e_folds)} e-folds, {each.source}"
                for each in self.reasons
            }
        is_total = self.measure == "e_folds"
        shares = {
            each.recipe: each.e_folds if is_total else each.half_life_epochs
            for each in self.reasons
        }
        names = [f"{name} {number(of_it, digits=2)}" for name, of_it in shares.items()]
        return {"recipes": " · ".join(names[:_NEAREST])}

    def __repr__(self) -> str:
        return f"<Suggestion: {self.knob} = {number(self.value)}>"


def suggest(
    knob: object,
    *,
    run: RunLike | None = None,
    regime: str | None = None,
    normalized: bool | None = None,
    domain: str | None = None,
) -> Suggestion:
    """Return a first value for a training, from the published recipes of its kind.

    Recipes of one class, optimizer family and domain share a total decay, or where
    data repeat a half-life in epochs: whichever they lie nearer to each other in. Its
    range among those that are nearest in length, converted exactly into the knob, is
    the answer.

    Args:
        knob: Where it is to be typed: a name, a class, or a live optimizer.
        run: Facts of the training, also as a mapping.
        regime: ``single-pass``, ``many-epochs``, ``fine-tuning`` or ``lora``, where the
            facts do not tell.
        normalized: Whether the network has normalization layers.
        domain: ``vision``, ``language``, ...; what has tokens is language.

    Returns:
        The value with its range, and the recipes that it rests on.

    Raises:
        UsageError: If the facts do not tell the class.
        MissingFactError: If a conversion needs a fact that was not given.
        RefusedError: If the knob sets no rate.
        UnknownNameError: If knob, regime or domain are not known.

    Example:
        >>> facts = {"lr": 1e-3, "batch_size": 1024, "dataset_size": 1_281_167}
        >>> there = suggest("torch.optim.AdamW", run=facts | {"epochs": 300})
        >>> there.low < there.value < there.high, there.reasons[0].recipe
        (True, 'DeiT-B on ImageNet')

    """
    asked = read_target(knob)
    own = asked.run(run)
    there = target_knob(asked.knob, own)
    (own,) = scheduled((there,), own)
    refuse_lacking((there, own))
    if not has_shrink(there, own):
        raise _without_rate(there)
    if own.lr == 0 and not there.is_rate:
        raise no_decay_at_lr_0(there)
    peers = recipes_like(
        there, own, regime=regime, normalized=normalized, domain=domain
    )
    if peers is None:
        must = "The facts must tell whether training sees its data once or often."
        got = "neither epochs of a dataset nor a length in tokens"
        raise UsageError(must, got, f"Give {_KIND_REMEDY}.")
    return _Suggester(there, own, peers).suggestion()


def _without_rate(knob: Knob) -> RefusedError:
    family = family_of(knob)
    asked = f"A first value of {knob.name} from recipes"
    if family is None:
        why = "It is a term of an objective: an optimizer and its lr make it a decay."
        instead = "Name the optimizer: dwindle suggest torch.optim.SGD, for example."
        return RefusedError(asked, why, instead)
    return RefusedError(asked, family.reason(knob.name, knob), instead_of(knob))


_FOR_A_CONSTANT_LR = (
    "No schedule is given, so the lr is read as constant: where it falls to 0 by a "
    "cosine or a line, twice the value removes as much."
)


class _Suggester:
    """Computes one suggestion; owns nothing but what it was given."""

    def __init__(self, knob: Knob, run: Run, peers: Peers) -> None:
        self._knob, self._run, self._peers = knob, run, peers

    def suggestion(self) -> Suggestion:
        """Return the suggestion."""
        near = nearest_in_length(self._peers.recipes, self._run, _NEAREST)
        deciding = [each for each in near if each.e_folds >= _NONE_BELOW]
        name = self._measure(deciding)
        of_recipe, to_number = _MEASURES[name].of_recipe, _MEASURES[name].to_number
        shares = {
            each.name: of_it
            for each in deciding
            if (of_it := of_recipe(each)) is not None
        }
        values = {
            recipe: to_number(self._knob, of_it, self._run)
            for recipe, of_it in shares.items()
        }
        none = number_from_e_folds(self._knob, 0.0, self._run)
        shared = median(shares.values()) if shares else 0.0
        # Most of them do without: then so does the answer.
        is_none = 2 * len(deciding) < len(near)
        value = none if is_none else to_number(self._knob, shared, self._run)
        return Suggestion(
            knob=self._knob.name,
            value=value,
            low=min(values.values(), default=none),
            high=max(values.values(), default=none),
            measure=name,
            shared=shared,
            kind_of_run=self._peers.kind_of_run,
            title=self._peers.title,
            reasons=tuple(
                RecipeReason(
                    recipe=each.name,
                    source=each.source,
                    e_folds=each.e_folds,
                    half_life_epochs=each.half_life["epochs"],
                    value=values.get(each.name),
                )
                for each in near
            ),
            notes=self._notes(near, is_total=name == "e_folds" and value != none),
            explanation=explain_setting(Setting(self._knob, value), self._run),
        )

    def _measure(self, recipes: list[Recipe]) -> str:
        """Return what the recipes lie nearer to each other in."""
        known = self._run.quantities()
        spreads = {}
        for name, measure in _MEASURES.items():
            if name == "half_life_epochs" and "epochs" not in known:
                continue
            values = [each for each in map(measure.of_recipe, recipes) if each]
            if values and len(values) >= min(ENOUGH, len(recipes)):
                spreads[name] = math.log(max(values) / min(values))
        return min(spreads, key=spreads.__getitem__, default="e_folds")

    def _notes(self, near: list[Recipe], *, is_total: bool) -> tuple[str, ...]:
        left = len(self._peers.recipes) - len(near)
        memory = [each.name for each in near if each.read == "from memory"]
        notes = [
            *self._peers.notes,
            self._shorter(near),
            _FOR_A_CONSTANT_LR
            if is_total and not self._run.is_given("schedule")
            else "",
            f"The {len(near)} nearest in length of {len(self._peers.recipes)}."
            if left
            else "",
            f"From memory, not read again: {listed(memory)}." if memory else "",
            "Recipes are habits, not optima: dwindle find measures yours.",
        ]
        return tuple(filter(None, notes))

    def _shorter(self, near: list[Recipe]) -> str:
        """Return a note where all of the recipes take many times as many steps."""
        here = self._run.quantities().get("steps")
        known = (each.run().quantities().get("steps") for each in near)
        least = min((each for each in known if each), default=None)
        if not here or least is None or least < _LONGER * here:
            return ""
        return (
            f"All take {int(least / here)} times as many steps or more: in so few such "
            "a value is untried, and perhaps far too large."
        )
