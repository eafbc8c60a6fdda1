"""What number formats allow: half-lives tried on many weights, how near they come."""

import math
from collections.abc import Iterator, Mapping

import torch

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.decay.number_formats import rounded_half_life_steps
from dwindle.errors import RefusedError
from dwindle.testing.certificate import Check, Reach
from dwindle.testing.training import (
    HALF_LIFE_STEPS,
    CannotPlayError,
    Subject,
    Training,
    said,
    zero,
)

# Half-lives in steps. bfloat16 keeps 8 binary digits, so 177 steps are its dead zone;
# between powers of two rounding is at its worst (100, 150 and 170).
TRIED: Mapping[torch.dtype, tuple[int, ...]] = {
    torch.bfloat16: (2, 5, 8, 16, 23, 32, 64, 100, 128, 150, 170, 256),
    torch.float32: (100, 1_000, 10_000, 100_000),
}
# 1 − s of 16 steps, to a multiple of 2^-8.
_OF_FACTORS = 0.05
_SIDE = 32
_MOST_STEPS = 256


def reach(subject: Subject) -> Iterator[Reach]:
    """Try every half-life of the format on 1,024 weights from 1 to 2.

    Rounding depends on the weight: their mean decay is compared, over one half-life or
    256 steps, whichever is shorter. In bfloat16 a single weight is known to 0.2 % only.
    """
    name = str(subject.dtype).removeprefix("torch.")
    for half_life_steps in TRIED[subject.dtype]:
        refused: str | None = None
        try:
            measured = _measured(subject, half_life_steps)
        except RefusedError as error:
            refused = " ".join(error.sentences()[:2])
        except Exception as error:  # noqa: BLE001 an optimizer may raise anything
            refused = said(error)
        yield Reach(
            dtype=name,
            asked_steps=half_life_steps,
            rounded_steps=_rounded(half_life_steps, name),
            measured_steps=None if refused else measured,
            refused=refused,
        )


def held_in_16_bits(subject: Subject) -> Iterator[Check]:
    """A short half-life holds in bfloat16, whose rounding it hardly feels.

    Raises:
        CannotPlayError: If a controller does not hold weights in this format.

    """
    try:
        measured = _measured(subject, HALF_LIFE_STEPS)
    except RefusedError as error:
        raise CannotPlayError(" ".join(error.sentences()[:2])) from error
    yield Check(
        scenario="",
        dtype="",
        quantity="half-life",
        measured=measured,
        asked=HALF_LIFE_STEPS,
        error=abs(measured / HALF_LIFE_STEPS - 1),
        tolerance=_OF_FACTORS,
        why="some kernels round the factor 1 − s to 8 digits",
    )


def _rounded(half_life_steps: int, dtype: str) -> float | None:
    rounded = rounded_half_life_steps(
        shrink_from_half_life(half_life_steps), dtype, owes=True
    )
    return rounded if math.isfinite(rounded) else None


def _measured(subject: Subject, half_life_steps: int) -> float:
    weights, asked = [[_weight(subject.dtype)]], f"{half_life_steps} steps"
    training = Training(subject, weights=weights, half_life=asked)
    steps = min(half_life_steps, _MOST_STEPS)
    for _ in range(steps):
        training.step(zero)
    e_folds = float(training.e_folds(0).mean())
    return steps * math.log(2) / e_folds if e_folds else math.inf


def _weight(dtype: torch.dtype) -> torch.nn.Parameter:
    exponents = torch.arange(_SIDE**2, dtype=torch.float64) / _SIDE**2
    return torch.nn.Parameter((2**exponents).reshape(_SIDE, _SIDE).to(dtype))
