"""The line of dwindle find that would settle what results leave open."""

import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from dwindle.errors import UsageError
from dwindle.fitting.cells import FittedCell
from dwindle.fitting.columns import printed_name
from dwindle.wording import clean, listed, number

# ${seed} is a variable of a shell or of Hydra, {{seed}} one of Jinja: never ours.
PLACEHOLDER = re.compile(r"(?<![${])\{(\w+)\}")
# What a command may hold beside the names of a study's scale.
OURS = ("weight_decay", "seed", "out", "port")
_REMEDY_DECAY = "Write it where the command takes it: --weight-decay {weight_decay}."
TO_FILL_IN = "METRIC"  # where the name of a column is not what a training prints


def names_in_braces(words: Sequence[str]) -> tuple[str, ...]:
    """Return the names in braces of a command, each once, in their order."""
    names = (match[1] for word in words for match in PLACEHOLDER.finditer(word))
    return tuple(dict.fromkeys(names))


def refuse_without_decay(words: Sequence[str], known: Collection[str] = OURS) -> None:
    """Refuse a command that no weight decay would reach."""
    names = names_in_braces(words)
    if "weight_decay" not in names:
        braced = [f"{{{name}}}" for name in names if name not in known]
        got = f"only {listed(braced)}" if braced else f"{shlex.join(words)!r}"
        must = "A command must have {weight_decay}, or no training would get it."
        raise UsageError(must, got, _REMEDY_DECAY)


_SCRIPT = ("python", "train.py", "--weight-decay", "{weight_decay}", "--seed", "{seed}")
# What may be a flag of somebody's script; any other name stays out of the line.
_FLAG = re.compile(r"[A-Za-z][\w.-]*")
_BESIDE = 10  # times the one λ that was trained: on both sides, as far as is usual
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
    """Return a line for a shell that trains what would settle a cell that has a value.

    Every word is quoted for a POSIX shell; without the user's own ``script`` its
    command is one to be filled in.
    """
    tried = [decay for decay, _, _ in cell.curve if 0 < decay < float("inf")]
    low, high = min(tried), max(tried)
    if low == high:
        low, high = low / _BESIDE, high * _BESIDE
    needed = cell.needed or 4
    guess = cell.value or 0.0
    words = [
        *("dwindle", "find", "--knob", knob),
        *("--low", number(low), "--high", number(high)),
        *(("--guess", number(guess)) if 0 < guess < math.inf else ()),
        *("--trainings", str(min(_FIRST + _PER_SEED * needed, _MOST))),
        *("--metric", clean(printed_name(metric) or TO_FILL_IN)),
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
