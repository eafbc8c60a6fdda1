"""Names of TrainingArguments: where they are, which are read, known, or misspelt."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping

from dwindle.audit.findings import Finding
from dwindle.audit.lines import Line
from dwindle.audit.settings_file import Settings, line_for
from dwindle.audit.trainers import ITS_OWN, LIKELY, OTHER_ARGUMENTS, TRANSFORMERS
from dwindle.errors import AuditTargetError
from dwindle.errors.nearest import nearest_names, typing_mistakes

# Not the Trainer's, but in files of those who build on it: the dtype of the weights.
DTYPE_KEYS = {*TRANSFORMERS.keys["dtype"], *TRANSFORMERS.keys["bfloat16"]}
# The names that bear on a decay.
READ = tuple(name for name in TRANSFORMERS.all_keys if name not in DTYPE_KEYS)
NAMES = frozenset(READ) | OTHER_ARGUMENTS

# One mistake in a short name makes another name of it; long names bear two.
_SHORT, _MOST_MISTAKES = 8, 2


def meant_by(name: str) -> str | None:
    """Return the name that a key was meant to be, if it is one that bears on decay."""
    if name in NAMES:
        return None
    for known in nearest_names(name, NAMES, limit=1)[:1]:
        most = 1 if len(known) <= _SHORT else _MOST_MISTAKES
        if known in READ and typing_mistakes(name.casefold(), known) <= most:
            return known
    return None


def misspelt_keys(path: str, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each key that is nearly one that bears on decay."""
    for name, value in settings.items():
        meant = meant_by(name)
        if meant is None:
            continue
        yield Finding(
            code="DW028",
            case="file" if settings.get(meant) is None else "both",
            where=f"{path}: {name}",
            values={"key": name, "meant": meant},
            paste=Line(text=line_for(path, meant, value)),
        )


# Parts of keys that change a decay, whole between separators: lr, and not the lr of
# "early"; lr0 is Ultralytics'.
_PARTS = "lr|learning_rate|optim|optimizer|epochs?|batch|sched|scheduler|warmup"
_MORE = "dtype|precision|bf16|fp16|decay|wd|momentum|betas|steps|iters"
# An unread key with one of them is named: it may have changed the decay.
_BEARING = re.compile(
    rf"(?:^|[_.-])(?:{_PARTS}|{_MORE})(?:$|[_.-])|lr\d$", re.IGNORECASE
)
# Keys of validation and logging have the same parts, and no effect on training.
_ELSEWHERE = re.compile(
    r"(?:^|[_.-])(?:eval|val|valid|test|log|logging|save|generation)"
)
# In the table of every optimizer, and without effect on what a step takes off.
_NEUTRAL = {"eps", "epsilon", "fused", "foreach", "_partial_", "_convert_", "name"}


def bears_on_decay(name: str) -> bool:
    """Return whether a key is about lr, optimizer, length, batch, dtype or decay.

    Example:
        >>> bears_on_decay("adam_weight_decay"), bears_on_decay("eval_batch_size")
        (True, False)

    """
    if name.rpartition(".")[2] in _NEUTRAL or _ELSEWHERE.search(name):
        return False
    return bool(_BEARING.search(name))


def unread_keys(names: Iterable[str], read: Container[str]) -> list[str]:
    """Return a sentence on the keys that bear on a decay and were not read."""
    found = [name for name in names if name not in read and bears_on_decay(name)]
    if not found:
        return []
    it = "it" if len(found) == 1 else "they"
    return [f"Not read, though {it} may bear on the decay: {', '.join(found)}."]


def foreign_keys(settings: Settings) -> list[str]:
    """Return the keys that bear on a decay and that TrainingArguments do not have."""
    names = (name for name in settings if name not in NAMES and not meant_by(name))
    return list(filter(bears_on_decay, names))


def file_not_read(path: str, trainer: str, why: str) -> AuditTargetError:
    """Return the refusal of a file of a trainer whose numbers cannot be had from it."""
    must = "hold one setting of a trainer whose files are read"
    remedy = (
        "Write the numbers: dwindle explain KNOB=VALUE --lr LR --batch-size EXAMPLES."
    )
    got = f"a settings file of {trainer}. {why.removesuffix('.')}"
    return AuditTargetError(path, must, got, remedy)


def arguments_in(path: str, settings: Settings) -> Settings:
    """Return the mapping that holds TrainingArguments: the file, or one thing in it."""
    inside = {
        name: value
        for name, value in settings.items()
        if isinstance(value, Mapping) and any(key in value for key in LIKELY)
    }
    found = settings if any(key in settings for key in LIKELY) else None
    if found is None and len(inside) == 1:
        ((name, table),) = inside.items()
        # Another trainer's table, as "optimizer", may share a name with them.
        named = any(word in name.casefold() for word in ("train", "arg", "hyper"))
        if named or any(key in table for key in ITS_OWN):
            found = {str(key): value for key, value in table.items()}
    if found is None:
        must = "hold TrainingArguments, at its top or under one name"
        names = ", ".join(sorted(inside or settings)[:5]) or "nothing"
        got = f"several that could be: {names}" if inside else f"the names {names}"
        remedy = (
            "It needs learning_rate, weight_decay or other names of TrainingArguments."
        )
        raise AuditTargetError(path, must, got, remedy)
    foreign = foreign_keys(found)
    if foreign and not any(key in found for key in ITS_OWN):
        why = f"TrainingArguments have no {', '.join(foreign[:5])}."
        raise file_not_read(path, "a trainer that is not known here", why)
    return found
