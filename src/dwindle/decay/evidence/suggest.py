"""Suggest: a first value for those who have none, from published recipes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

from dwindle.decay.coordinates import has_shrink, number_from_shrink
from dwindle.decay.evidence.change import parts_of_change, summed
from dwindle.decay.evidence.peers import Peers, family_of_evidence, middle, peers_of
from dwindle.decay.evidence.recipes import PublishedRecipe
from dwindle.decay.evidence.records import KindOfRun, cell_of
from dwindle.decay.explain import Explanation, explain_setting
from dwindle.decay.families import family_of
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import no_decay_at_lr_0, runs_at_knobs
from dwindle.decay.python_inputs import RunLike, read_target
from dwindle.decay.refusals import refused
from dwindle.decay.remarks import instead_of
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, target_knob
from dwindle.decay.strength import STRENGTHS
from dwindle.errors import OscillationError, RefusedError, UsageError
from dwindle.plain import Plain
from dwindle.show import Line, Sheet, Shown, facts, pointed
from dwindle.wording import TERMINAL, Face, first_notes, listed, number

# A recipe counts by a normal curve whose width is the doubt of the fifth nearest, so
# that none comes in or drops out with a jump. With the recipes of one source left out,
# what it types is missed by a factor of 3.6 (mean of logs, 74 recipes; a test counts
# it). With 87 records it was 3.55; with the doubt of the third 3.64, of the ninth 3.59;
# by the median of five, which jumps, 3.63.
_DECIDING = 5
# How far apart, in logarithms, two values are one habit: 0.1 for who types 0.15. At
# half of it the same miss is 3.62.
_HABIT = NormalDist(sigma=0.4)
# Their range is that of all but a fifth at each end, which one outlier does not reach.
# As each is blurred by that habit, it may end above the largest or below the least: it
# predicts a further recipe. Of the recipes left out 64 % lie in it (47 of 74; a test
# counts them), and it spans a factor of 11.
_RANGE = (0.2, 0.8)
_HELD = "6 in 10"
# So many are listed.
_NEAREST = 10
# Less total decay than this is none: those who typed 1e-8 meant to switch it off.
_NONE_BELOW = STRENGTHS[1].least
# More in one step is no decay that anybody types, and SGD with momentum has none.
_MOST_PER_STEP = 0.1
_KIND_REMEDY = "--epochs with --dataset-size and --batch-size, --tokens, or --regime"


@dataclass(frozen=True, kw_only=True)
class RecipeReason:
    """A recipe that a suggestion rests on.

    Args:
        recipe: Its name.
        source: Where its numbers stand.
        weight_decay: What it types, at its own knob.
        e_folds: Its total decay.
        half_life_epochs: Its half-life at the peak lr, where its epochs are known.
        value: What that is in the training at hand, by the exponents that were
            measured; None where it decays nothing, or where no number does.

    """

    recipe: str
    source: str
    weight_decay: float
    e_folds: float
    half_life_epochs: float | None
    value: float | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Suggestion(Shown, Plain):
    """A first value from recipes: where to begin, not what is best.

    Args:
        knob: Where it is typed.
        value: The median of the recipes, the nearest counting most, at this knob and
            in this training; 0 where most of them do without decay.
        low: Lower end of the range that would hold about six in ten further recipes:
            weighted like ``value``, and blurred by what separates habits, so that it
            is not that of ``reasons``.
        high: Upper end; where ``value`` is 0, what most of those that decay lie below.
        carried: What ``value`` would be, did the recipes not end below it: at
            their own lr none of them types more than ``value``. Else None.
        kind_of_run: Class of the recipes.
        title: What they are.
        reasons: The nearest of them, in order.
        notes: What to know.
        explanation: What the value does.

    """

    _WHY = ("reasons", "class=kind_of_run", "notes")
    IN_JSON = ("knob", "value", "low", "high", "carried", *_WHY)

    knob: str
    value: float
    low: float
    high: float
    carried: float | None
    kind_of_run: KindOfRun
    title: str
    reasons: tuple[RecipeReason, ...]
    notes: tuple[str, ...]
    explanation: Explanation

    def drawn(self, *, all_notes: bool = False, face: Face = TERMINAL) -> Sheet:
        """Return the drawing of a terminal and of a notebook."""
        span = self._span((self.low, self.high))
        beside = f"({span} would hold {_HELD} further recipes)"
        if not self.value:
            beside = (
                f"(others mostly up to {self._typed(self.high)})" if self.high else ""
            )
        title = f"type {self._typed(self.value)}   {beside}".rstrip()
        named = {
            "because": self._because(),
            "no more": self._cut(),
            "it": self.explanation.summary,
        }
        notes = self.notes if all_notes else first_notes(self.notes, face.all_notes)
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
        whole = len(self.reasons)
        without = sum(each.e_folds < _NONE_BELOW for each in self.reasons)
        known = sorted(each.value for each in self.reasons if each.value is not None)
        parts = []
        if without:
            verb = "removes" if without == 1 < whole else "remove"
            parts.append(f"{'all' if without == whole else without} {verb} under 1 %")
        if known:
            few = ("the other comes", "it comes"), ("the others come", "they come")
            those = few[len(known) > 1][not without]
            inner = middle(known)
            parts.append(f"{those} to {self._span(known)} here by measured exponents")
            if len(inner) < len(known):
                parts.append(f"the middle {len(inner)} to {self._span(inner)}")
        return f"{whole} {self.title}: {', '.join(parts)}"

    def _cut(self) -> str:
        if self.carried is None:
            return ""
        value, carried = map(self._typed, (self.value, self.carried))
        return (
            f"none of them types more than {value} at its lr; the {carried} that the "
            "exponents come to is untried"
        )

    def _recipes(self, *, all_notes: bool) -> dict[str, str]:
        if all_notes:
            return {
                each.recipe: f"{self._here(each)}, {number(each.e_folds)} e-folds, "
                f"{each.source}"
                for each in self.reasons
            }
        shown = self.reasons[:_DECIDING]
        here = " · ".join(f"{each.recipe} {self._here(each)}" for each in shown)
        return {"recipes": here}

    def _typed(self, value: float) -> str:
        return KNOBS[self.knob].typed(value, digits=2)

    def _span(self, values: Sequence[float]) -> str:
        ends = map(self._typed, (values[0], values[-1]))
        return " to ".join(dict.fromkeys(ends))

    def _here(self, reason: RecipeReason) -> str:
        typed, here = number(reason.weight_decay, digits=2), reason.value
        return typed if here is None else f"{typed} → {self._typed(here)}"

    def __repr__(self) -> str:
        return f"<Suggestion: {self.knob} = {self._typed(self.value)}>"


def suggest(
    knob: object,
    *,
    run: RunLike | None = None,
    regime: str | None = None,
    normalized: bool | None = None,
    domain: str | None = None,
) -> Suggestion:
    """Return a first value for a training, from the published recipes of its kind.

    Each recipe of one class, optimizer family and domain is carried to the training by
    the exponents of lr·λ that :func:`dwindle.rescale` goes by. Those that come there
    with the least doubt count most. Nothing above the largest λ of all of them is
    suggested: longer carries than that were never tried.

    Args:
        knob: Where it is to be typed: a name, a class, or a live optimizer.
        run: Facts of the training, also as a mapping.
        regime: ``single-pass``, ``many-epochs``, ``fine-tuning`` or ``lora``, where the
            facts leave it open.
        normalized: Whether the network has normalization layers.
        domain: ``vision``, ``language``, ...; what has tokens is language.

    Returns:
        The value with its range, and the recipes that it rests on.

    Raises:
        UsageError: If the facts leave the class open.
        MissingFactError: If a conversion needs a fact that was not given.
        RefusedError: If the knob sets no rate.
        UnknownNameError: If knob, regime or domain are not known.

    Example:
        >>> facts = {"lr": 1e-3, "batch_size": 1024, "dataset_size": 1_281_167}
        >>> there = suggest("torch.optim.AdamW", run=facts | {"epochs": 300})
        >>> there.low < there.value < there.high, there.reasons[0].recipe
        (True, 'DeiT-B on ImageNet')

    """
    target = read_target(knob)
    own = target.run(run)
    there = target_knob(target.knob, own)
    (own,) = runs_at_knobs((there, own))
    if not has_shrink(there, own):
        family = family_of(there)
        if family is None:
            raise refused("no-first-value", knob=there.name)
        what, why = f"A first value of {there.name} from recipes", family.reason
        raise RefusedError(what, why(there.name, there), instead_of(there))
    if own.lr == 0 and not there.is_rate:
        raise no_decay_at_lr_0(there)
    peers = peers_of(there, own, regime=regime, normalized=normalized, domain=domain)
    if peers is None:
        must = "The facts must show whether training sees its data once or often."
        got = "neither epochs of a dataset nor a length in tokens"
        raise UsageError(must, got, f"Give {_KIND_REMEDY}.")
    return _Suggester(there, own, peers).suggestion()


class _Carried(NamedTuple):
    """A recipe in the training at hand: its shrink there, and how sure that is."""

    recipe: PublishedRecipe
    shrink: float
    doubt: float
    as_typed: float  # the shrink of the same λ, as AdamW has it, at the lr of here


def _weights(doubts: Sequence[float]) -> list[float]:
    """Return how much recipes count, by how sure it is what they are here."""
    known = sorted(filter(math.isfinite, doubts))[:_DECIDING] or [1.0]
    # Beyond 30 widths it is nothing, and still something where all are so far.
    width = known[-1] or math.ulp(1.0)
    return [math.exp(-(min(doubt / width, 30) ** 2) / 2) for doubt in doubts]


def _quantile(shrinks: Sequence[tuple[float, float]], share: float) -> float:
    """Return the shrink that this share of the weights lies below, smoothly."""
    # At an lr of 1e-300 what a step takes is below the smallest float.
    logs = [(math.log(shrink or math.ulp(0.0)), weight) for shrink, weight in shrinks]
    wanted = share * math.fsum(weight for _, weight in logs)
    low, high = min(logs)[0] - 1, max(logs)[0] + 1
    for _ in range(60):  # to the last bit of a float
        there = (low + high) / 2
        below = math.fsum(weight * _HABIT.cdf(there - log) for log, weight in logs)
        low, high = (there, high) if below < wanted else (low, there)
    return math.exp(low)


class _Suggester:
    """Computes one suggestion; owns nothing but what it was given."""

    def __init__(self, knob: Knob, run: Run, peers: Peers) -> None:
        self._knob, self._run, self._peers = knob, run, peers

    def suggestion(self) -> Suggestion:
        """Return the suggestion."""
        carried = sorted(map(self._carry, self._peers.recipes), key=lambda it: it.doubt)
        near = carried[:_NEAREST]
        weights = _weights([each.doubt for each in carried])
        deciding = [
            (each, weight)
            for each, weight in zip(carried, weights, strict=True)
            if each.recipe.e_folds >= _NONE_BELOW
        ]
        values = {each.recipe.name: self._tried(each.shrink) for each, _ in deciding}
        # Where none has a number in a run as short as this one, all count nevertheless.
        known = [each for each in deciding if values[each[0].recipe.name] is not None]
        counted, first, ends = known or deciding, 0.0, [0.0, 0.0]
        if counted:
            shrinks = [(each.shrink, weight) for each, weight in counted]
            first = _quantile(shrinks, 0.5)
            ends = [_quantile(shrinks, share) for share in _RANGE]
        value = first
        typed = [each.as_typed for each in carried if self._run.lr]
        if typed and max(typed) < first:
            value = max(typed)
            # Both ends go along, and what the exponents come to stays within.
            low, high = (end * value / first for end in ends)
            ends = [low, max(high, first)]
        # Most of them do without: so does the answer.
        if 2 * math.fsum(weight for _, weight in deciding) < math.fsum(weights):
            value = ends[0] = 0.0
        low, high = sorted(map(self._number, ends))
        at_knob = self._number(value)
        explained = explain_setting(Setting(self._knob, at_knob), self._run)
        return Suggestion(
            knob=self._knob.name,
            value=at_knob,
            low=low,
            high=high,
            carried=self._number(first) if 0 < value < first else None,
            kind_of_run=self._peers.kind_of_run,
            title=self._peers.title,
            reasons=tuple(
                RecipeReason(
                    recipe=each.name,
                    source=each.source,
                    weight_decay=each.weight_decay,
                    e_folds=each.e_folds,
                    half_life_epochs=each.half_life("epochs"),
                    value=values.get(each.name),
                )
                for each, *_ in near
            ),
            notes=self._notes([each.recipe for each in near], explained),
            explanation=explained,
        )

    def _number(self, shrink: float) -> float:
        return number_from_shrink(self._knob, shrink, self._run)

    def _tried(self, shrink: float) -> float | None:
        try:
            return self._number(shrink)
        except OscillationError:
            return None

    def _carry(self, recipe: PublishedRecipe) -> _Carried:
        """Return what a recipe's shrink is here, by the exponents of its class."""
        there, kind, shrink = recipe.run, self._peers.kind_of_run, recipe.shrink
        typed = min(shrink * (self._run.lr or recipe.lr) / recipe.lr, _MOST_PER_STEP)
        known, here = there.quantities(), self._run.quantities()
        length, batch = "tokens_per_example", "batch_size"
        if (length in known) != (length in here) or (batch in here) > (batch in known):
            # Examples are no tokens, nor of an unknown batch: λ as it is, and last.
            return _Carried(recipe, typed, math.inf, typed)
        cell = cell_of(kind, family_of_evidence(self._knob))
        mean, doubt = cell.of(summed(parts_of_change(there, self._run, kind)))
        shrink = min(shrink * math.exp(mean), _MOST_PER_STEP)
        return _Carried(recipe, shrink, doubt, typed)

    def _notes(
        self, near: Sequence[PublishedRecipe], explained: Explanation
    ) -> tuple[str, ...]:
        left = len(self._peers.recipes) - len(near)
        memory = [each.name for each in near if each.read == "from memory"]
        notes = [
            *self._peers.notes,
            f"The {len(near)} nearest of {len(self._peers.recipes)}." if left else "",
            f"From memory, not read again: {listed(memory)}." if memory else "",
            "Recipes are habits, not optima: dwindle find measures yours.",
            *(each.text for each in explained.warnings if each.code == "unused-fact"),
        ]
        return tuple(filter(None, notes))
