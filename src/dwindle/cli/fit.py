"""dwindle fit: the best weight decay, estimated from results that already exist."""

import csv
from typing import Any

from dwindle.cli.options import DIRECTIONS, Option, direction_of
from dwindle.cli.output import answer
from dwindle.decay.read_numbers import numbers_of
from dwindle.errors import RangeError, UsageError


def read_columns(option: str, text: str) -> tuple[str, ...]:
    """Read names with commas between them; a name with a comma stands in quotes.

    Example:
        >>> read_columns("--ignore", 'lr,"a, b"')
        ('lr', 'a, b')

    """
    try:
        names = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error as error:
        must = f"{option} must be names of columns with commas between them."
        raise UsageError(must, f"{text!r} ({error})", f"Write {option} a,b.") from None
    return tuple(name.strip() for name in names if name.strip())


def read_where(option: str, text: str) -> dict[str, str]:
    """Read COLUMN=VALUE, several with commas between them.

    Example:
        >>> read_where("--where", "optimizer=adamw,lr=0.1")
        {'optimizer': 'adamw', 'lr': '0.1'}

    """
    pairs = [name.rpartition("=") for name in read_columns(option, text)]
    if not pairs or not all(name and sign for name, sign, _ in pairs):
        must = f"{option} must be written COLUMN=VALUE."
        raise UsageError(must, repr(text), f"Write {option} optimizer=adamw.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_two(option: str, text: str) -> tuple[float, ...]:
    """Read two weight decays with a comma between them.

    Example:
        >>> read_two("--compare", "0.01,0.1")
        (0.01, 0.1)

    """
    found = numbers_of(option, text, remedy=f"Write {option} 0.01,0.1.")
    if len(found) != 2:  # noqa: PLR2004 - a difference has two sides
        must = "two weight decays with a comma between them"
        raise RangeError(option, repr(text), must, f"Write {option} 0.01,0.1.")
    return found


OPTIONS = (
    Option("RESULTS", "CSV, JSON, JSONL, Parquet, or SQLite of Optuna", required=True),
    Option("--knob", "column of the weight decay; guessed if not given", "COLUMN"),
    Option("--metric", "column of the loss or score; guessed", "COLUMN"),
    Option("--seed", "column of the seed; guessed", "COLUMN"),
    *DIRECTIONS,
    Option("--cells", "a cell for each value of these columns", "A,B", read_columns),
    Option("--ignore", "pool rows that differ in these columns", "A,B", read_columns),
    Option("--where", "only rows with these values", "A=1,B=x", read_where),
    Option("--compare", "is the difference of these two noise?", "X,Y", read_two),
    Option(
        "--as", "where the decay is typed, for the rules", "KNOB", keyword="typed_into"
    ),
    Option("--study", "which study of a file of Optuna", "NAME"),
    Option("COMMAND", "one training; it is not run", is_rest=True, keyword="script"),
)


def command(*, results: str, as_json: bool, **arguments: Any) -> None:
    """Estimate the best weight decay from results, and print what would settle it.

    One row per training. Columns are guessed from their names, which is printed;
    options choose others. Rows that differ in anything but weight decay and seed are
    pooled only with --ignore. The file is read, never written or run.

    The command of one training behind two dashes, with {weight_decay} and {seed}, is
    not run either: it completes the line of dwindle find that would settle the rest.
    """
    from dwindle.fitting.fit import fit

    arguments["maximize"] = direction_of(arguments)
    del arguments["minimize"]
    given = {name: each for name, each in arguments.items() if each is not None}
    found = fit(results, **given)
    answer(found.as_dict(), found.__rich__(), as_json=as_json)
