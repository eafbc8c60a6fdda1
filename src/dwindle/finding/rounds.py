"""The next trainings of a search, given all that is known: round by round."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dwindle.finding.records import FindSpec, OwnConditions, OwnTrial
from dwindle.finding.unit import Unit
from dwindle.stats.points import Design, Point
from dwindle.stats.two_point import next_points
from dwindle.store.records import Outcome

# The name of a training within one study: the text of its decay, and its seed.
Name = tuple[str, int]
_LAST_BITS = 1e-9  # a decay that was typed and one that was computed are the same place
# Equal losses with this many digits are no coincidence; with fewer digits, as of an
# accuracy of 0.95, it takes this many trainings.
DIGITS, _FEW_DIGITS_SEEDS = 6, 4
IGNORES_SEED = (
    "Different seeds give one and the same loss: the seed does not reach the training, "
    "and the interval has no meaning."
)


def rounded(number: float) -> float:
    """Return a number in four digits, more than any search can resolve.

    A search that goes on must propose the very trainings that it has, also where
    another machine or library computes a proposal with other last bits.
    """
    return float(f"{number:.4g}")


@dataclass(frozen=True, kw_only=True)
class ProposedTraining:
    """A training that the design proposes: x, and the text of the decay there."""

    x: float
    typed: str
    seed: int

    @property
    def name(self) -> Name:
        """Its name within the study."""
        return self.typed, self.seed


@dataclass(kw_only=True)
class Rounds:
    """Replays a design over what is known, so that a study goes on as it would have.

    A design proposes from all results so far, so the order in which they are added
    matters. After any stop they are added again in the same rounds; only trainings that
    the design does not propose itself (those of another range) are added before
    anything new is trained. The caller adds outcomes to ``known`` as they come, and to
    ``given_up`` what is not tried again now.
    """

    unit: Unit
    design: Design
    known: Mapping[Name, Outcome]
    given_up: set[Name] = field(default_factory=set)
    larger_is_better: bool = False
    points: list[Point] = field(default_factory=list)
    stopped_because: str | None = None
    _met: set[Name] = field(default_factory=set)
    # Valid until points are added: the same points give the same proposal.
    _proposed: list[ProposedTraining] | None = None

    def next(self) -> tuple[ProposedTraining, ...]:
        """Return the next trainings that are not known yet; none where it is over."""
        while True:
            if self._proposed is None:
                proposal = next_points(self.points, self.design)
                self.stopped_because = proposal.stopped_because
                if proposal.stopped_because is not None:
                    return ()
                self._proposed = [
                    self._proposed_at(x, seed) for x, seed in proposal.points
                ]
            proposed = self._proposed
            missing = tuple(
                each
                for each in proposed
                if self._has_failed(each.name) and each.name not in self.given_up
            )
            strays = list(self._strays({each.name for each in proposed}))
            if missing and not strays:
                return missing
            self._add(strays if missing else proposed)

    def read(self) -> str | None:
        """Add all that is known at once; return why the search is over, if it is.

        For reports: nothing is proposed, so the order does not matter.
        """
        self._add(list(self._strays(set())))
        return next_points(self.points, self.design).stopped_because

    def _proposed_at(self, x: float, seed: int) -> ProposedTraining:
        unit, ends = self.unit, (self.design.low, self.design.high)
        if math.isfinite(x) and not any(
            end and abs(x - math.log(end)) < _LAST_BITS for end in ends
        ):
            x = unit.x_from_number(rounded(unit.number_from_x(x)))
        return ProposedTraining(x=x, typed=repr(unit.typed_from_x(x)), seed=seed)

    def _has_failed(self, name: Name) -> bool:
        """Whether a training has no result; one that diverged has."""
        outcome = self.known.get(name)
        return outcome is None or outcome.status == "error"

    def _strays(self, proposed: set[Name]) -> Iterator[ProposedTraining]:
        """Yield what is known and was not proposed, in a fixed order."""
        for typed, seed in sorted(self.known.keys() - self._met - proposed):
            is_result = self.known[typed, seed].status != "error"
            if is_result or (typed, seed) in self.given_up:
                x = self.unit.x_from_typed(float(typed))
                yield ProposedTraining(x=x, typed=typed, seed=seed)

    def _add(self, proposed: list[ProposedTraining]) -> None:
        sign = -1.0 if self.larger_is_better else 1.0
        self._proposed = None
        for each in proposed:
            outcome, failed = self.known.get(each.name), self._has_failed(each.name)
            loss = outcome.loss if outcome else None
            signed = None if loss is None else sign * loss
            point = Point(x=each.x, seed=each.seed, loss=signed, failed=failed)
            self.points.append(point)
            self._met.add(each.name)


def design_of(
    spec: FindSpec, conditions: OwnConditions, unit: Unit, *, jobs: int = 1
) -> Design:
    """Return the design that the statistics propose from: decays in direction of x."""
    ends = sorted(math.exp(unit.x_from_number(end)) for end in (spec.low, spec.high))
    guess = spec.guess and math.exp(unit.x_from_number(spec.guess))
    return Design(
        low=ends[0],
        high=ends[1],
        within=spec.within,
        trainings=spec.trainings,
        guess=guess,
        guess_spread=spec.guess_spread,
        zero=spec.zero,
        paired=conditions.has_seed,
        # A later seed takes two trainings: so many fill the slots.
        seeds_together=max(1, jobs // 2),
    )


def digits_of(loss: float) -> int:
    """Return how many digits a loss has."""
    return len(f"{loss!r}".partition("e")[0].strip("-0.").replace(".", ""))


def seed_shows(known: Mapping[Name, Outcome]) -> bool | None:
    """Whether seeds at the same decay differ in loss; None where it is not known yet.

    False where they gave the same loss at every decay that has several.
    """
    by_decay: dict[str, list[float]] = {}
    for (typed, _), outcome in known.items():
        if outcome.loss is not None:
            by_decay.setdefault(typed, []).append(outcome.loss)
    shared = [losses for losses in by_decay.values() if len(losses) > 1]
    if any(len(set(losses)) > 1 for losses in shared):
        return True
    seeds = sum(len(losses) for losses in shared)
    is_many = seeds >= _FEW_DIGITS_SEEDS or (
        shared and digits_of(shared[0][0]) >= DIGITS
    )
    return False if is_many else None


def outcomes_by_name(
    rows: tuple[tuple[OwnTrial, Outcome], ...],
) -> dict[Name, Outcome]:
    """Return outcomes by the names of their trainings."""
    return {(trial.typed, trial.seed): outcome for trial, outcome in rows}
