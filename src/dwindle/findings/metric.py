"""By what validation judges a training: the loss, or the share of wrong answers.

Both are measured of every training, so one study gives the best λ by either.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from dwindle.store.records import Outcome, Trial

Metric = Literal["loss", "error"]


def judged_by_error(
    rows: Iterable[tuple[Trial, Outcome]], *, samples: int
) -> tuple[tuple[Trial, Outcome], ...]:
    """Return trainings with their error rate in the place of the loss.

    The rate is ``(wrong + 1/2) / (samples + 1)``: curves are fitted to logarithms, in
    which a network without a wrong answer would be infinitely better than any other.

    Args:
        rows: Trainings with their outcomes.
        samples: Samples of the validation set.

    Example:
        >>> ended = Outcome(status="ok", steps=1, seconds=0, loss=0.1, accuracy=0.98)
        >>> judged_by_error([(None, ended)], samples=100)[0][1].loss
        0.024752475247524754

    """
    return tuple(
        (
            trial,
            outcome
            if outcome.accuracy is None
            else replace(outcome, loss=_rate(outcome.accuracy, samples)),
        )
        for trial, outcome in rows
    )


def _rate(accuracy: float, samples: int) -> float:
    # A whole number of answers was wrong; the share has its rounding.
    wrong = round((1 - accuracy) * samples)
    return (wrong + 0.5) / (samples + 1)
