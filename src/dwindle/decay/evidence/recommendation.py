"""What to type after a change of scale, how sure that is, and what would decide it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dwindle.decay.evidence.records import KindOfRun
from dwindle.plain import Plain

# The ends of a wider range than this have one digit that means something.
_ONE_DIGIT = 4.0
# Beyond this ratio of its ends, a range says that nobody has measured the change.
UNDECIDED = 10.0


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One part of a change of scale, and what measurements make of it.

    Args:
        quantity: What changed: ``batch``, ``lr``, ``dataset``, ``epochs``, ``tokens``,
            ``examples``, ``steps``, ``width``, ``parameters``, ``depth``; or the class,
            where the value is that of recipes, as text comes to be repeated.
        ratio: After over before.
        beside: What changed with it, and is only known together with it; its ratios.
        exponent: Power of the ratio that lr·λ goes with; None where the regime changes:
            the value then starts anew, from published ones.
        low: Lower end of its 90 % range, in a new setting.
        high: Upper end.
        factor: What this part multiplies λ by: that power, over the ratio of the lr
            where the lr belongs to the part.
        factor_low: Lower end of its 90 % range.
        factor_high: Upper end.
        records: Measurements of it in this class, with this family of optimizers; of a
            change of regime, how many published values the new one rests on.
        restated: Rules for it there that were restated, without curves that were seen.

    """

    quantity: str
    ratio: float
    beside: Mapping[str, float] = field(default_factory=dict, hash=False)
    exponent: float | None
    low: float | None
    high: float | None
    factor: float
    factor_low: float
    factor_high: float
    records: int
    restated: int = 0

    @property
    def is_assumed(self) -> bool:
        """Whether nobody has measured it in this class with this family."""
        return not self.records


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one rule makes of the change.

    Args:
        rule: Its name; ``unchanged`` where the number stays.
        value: The number to type.

    """

    rule: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The measurement that would shrink the range most.

    Args:
        quantity: What to give two values: ``lr``, ``batch``, ``dataset``, ``epochs``,
            ``width``, ``parameters`` or ``depth``.
        low: Its value before the change; None where it is not known.
        high: Its value after.
        decays: Values of the weight decay to try at each.
        seeds: Trainings at each of them.

    """

    quantity: str
    low: float | None
    high: float | None
    decays: int
    seeds: int

    @property
    def trainings(self) -> int:
        """How many trainings that takes."""
        return 2 * self.decays * self.seeds


@dataclass(frozen=True, kw_only=True)
class Recommendation(Plain):
    """What to type after a change of scale, in one class of trainings.

    Args:
        value: The number to type; None where the knob sets no rate.
        low: Lower end of its 90 % range.
        high: Upper end.
        reasons: Why, part by part.
        kind_of_run: Class of the training.
        candidates: What two rules make of it, where the range is undecided.
        experiment: What would decide it, where it is undecided.
        why_null: Why there is no value; empty where there is one.
        others: The same for the other classes that the training may belong to.

    """

    _WHY = ("reasons", "candidates", "experiment", "why_null")
    IN_JSON = ("value", "low", "high", *_WHY, "others", "class=kind_of_run")

    value: float | None
    low: float | None
    high: float | None
    reasons: tuple[Reason, ...] = ()
    kind_of_run: KindOfRun
    candidates: tuple[Candidate, ...] = ()
    experiment: Experiment | None = None
    why_null: str = ""
    others: tuple["Recommendation", ...] = ()

    @property
    def spread(self) -> float:
        """Upper over lower end of the range; 1 where it is not known."""
        return self.high / self.low if self.high and self.low else 1.0

    @property
    def digits(self) -> int:
        """How many digits of the ends of the range mean something."""
        return 1 if self.spread > _ONE_DIGIT else 2

    @property
    def is_undecided(self) -> bool:
        """Whether the range is so wide that nobody has measured such a change.

        Or whether it lies so far from the number before that two values stand.
        """
        return self.spread > UNDECIDED or bool(self.candidates)
