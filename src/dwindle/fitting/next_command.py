"""The line to type next: a search with dwindle find for what the rows leave open."""

import re
import shlex
from collections.abc import Mapping, Sequence

from dwindle.fitting.cells import FittedCell
from dwindle.wording import clean, number

_SCRIPT = ("python", "train.py", "--weight-decay", "{weight_decay}", "--seed", "{seed}")
# What may be a flag of somebody's script; any other name stays out of the line.
_FLAG = re.compile(r"[A-Za-z][\w.-]*")
_FIRST = 3  # trainings of seed 0 that find starts with where it has a guess
_PER_SEED = 2  # and of every further seed
_MOST = 200  # a line with more trainings is not what anybody runs next


def find_command(
    cell: FittedCell,
    *,
    knob: str,
    metric: str,
    maximize: bool,
    script: Sequence[str] = (),
) -> str:
    """Return a line for a shell that trains what would settle a cell.

    Args:
        cell: A cell with a value.
        knob: Where the weight decay is typed.
        metric: Name of the metric that the training prints.
        maximize: Whether more of it is better.
        script: The user's own command with its placeholders; one to be filled in where
            it is not known.

    Returns:
        The line, with every word quoted for a POSIX shell.

    """
    tried = [decay for decay, _, _ in cell.curve if 0 < decay < float("inf")]
    needed = cell.needed or 4
    words = [
        *("dwindle", "find", "--knob", knob),
        *("--low", number(min(tried)), "--high", number(max(tried))),
        *(("--guess", number(cell.value)) if cell.value else ()),
        *("--trainings", str(min(_FIRST + _PER_SEED * needed, _MOST))),
        *("--metric", clean(metric)),
        *(("--maximize",) if maximize else ()),
        "--",
        *(script or (*_SCRIPT, *_flags(cell.scale), *_flags(cell.settings))),
    ]
    return shlex.join(map(clean, words))


def _flags(named: Mapping[str, float] | Mapping[str, str]) -> list[str]:
    return [
        f"--{name.replace('_', '-')}={value:g}"
        if isinstance(value, float)
        else f"--{name.replace('_', '-')}={value}"
        for name, value in named.items()
        if _FLAG.fullmatch(name)
    ]
