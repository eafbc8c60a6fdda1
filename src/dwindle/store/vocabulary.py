"""What the numbers and names of a study may be: the two tables that all checks read."""

from collections.abc import Callable

from dwindle.decay.penalties import NORMALIZATIONS

Limit = tuple[str, Callable[[float], bool]]


def _whole(least: int, most: int) -> Limit:
    return (
        f"a whole number from {least} to {most:,}",
        lambda number: least <= number <= most and number == int(number),
    )


# Far beyond any training, and near enough that no product of powers overflows.
_SMALLEST, _LARGEST, _MOST_EPOCHS = 1e-30, 1e30, 1_000_000
_REAL: Limit = (
    f"from {_SMALLEST:g} to {_LARGEST:g}",
    lambda number: _SMALLEST <= number <= _LARGEST,
)
_SHARE: Limit = ("from 0 to 1", lambda number: 0 <= number <= 1)
_BELOW_ONE: Limit = ("at least 0 and below 1", lambda number: 0 <= number < 1)

# Name of a number -> what it must be, in words and as a test.
LIMITS: dict[str, Limit] = {
    "seeds": _whole(1, 10_000),
    "width": _whole(1, 1_000_000),
    "depth": _whole(0, 1000),
    "batch_size": _whole(1, 10**9),
    "dataset_size": _whole(1, 10**9),
    "epochs": (
        f"above 0, and at most {_MOST_EPOCHS:,}",
        lambda number: 0 < number <= _MOST_EPOCHS,
    ),
    "lr": _REAL,
    "momentum": _BELOW_ONE,
    "dampening": _SHARE,
    "betas": ("two numbers, each at least 0 and below 1", _BELOW_ONE[1]),
    "eps": _REAL,
    "warmup": _BELOW_ONE,
    "final_lr": _SHARE,
    "low": _REAL,
    "high": _REAL,
    "points": _whole(3, 1000),
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
