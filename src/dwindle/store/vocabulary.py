"""What the numbers and names of a study may be: the two tables that all checks read."""

from collections.abc import Callable

from dwindle.decay.penalties import NORMALIZATIONS

Limit = tuple[str, Callable[[float], bool]]


def _is_whole(number: float) -> bool:
    return number == int(number)


def _at_least(least: int) -> Limit:
    return (
        f"a whole number, at least {least}",
        lambda number: _is_whole(number) and number >= least,
    )


_ABOVE_ZERO: Limit = ("above 0", lambda number: number > 0)
_SHARE: Limit = ("from 0 to 1", lambda number: 0 <= number <= 1)
_BELOW_ONE: Limit = ("at least 0 and below 1", lambda number: 0 <= number < 1)

# Name of a number -> what it must be, in words and as a test.
LIMITS: dict[str, Limit] = {
    "seeds": _at_least(1),
    "width": _at_least(1),
    "depth": _at_least(0),
    "batch_size": _at_least(1),
    "dataset_size": _at_least(1),
    "epochs": _ABOVE_ZERO,
    "lr": _ABOVE_ZERO,
    "momentum": _BELOW_ONE,
    "dampening": _SHARE,
    "betas": _BELOW_ONE,
    "eps": _ABOVE_ZERO,
    "warmup": _BELOW_ONE,
    "final_lr": _SHARE,
    "low": _ABOVE_ZERO,
    "high": _ABOVE_ZERO,
    "points": _at_least(3),
}

# Kind of name -> the names that exist.
CHOICES: dict[str, tuple[str, ...]] = {
    "name": ("sgd", "adamw", "adam"),
    "schedule": ("constant", "linear", "cosine", "wsd"),
    "normalization": tuple(NORMALIZATIONS),
    "axis": ("width", "depth", "batch_size", "dataset_size", "epochs", "lr"),
    "hold": ("epochs", "steps"),
    "lr policy": ("fixed", "sqrt", "linear"),
}

# Kinds whose field has a shorter name than the thing.
KINDS: dict[str, str] = {"name": "optimizer"}
