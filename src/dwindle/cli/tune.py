"""dwindle tune: the best decay at small scales, carried to a large one by a law."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.cli import find as of_find
from dwindle.cli.options import Option, read_number
from dwindle.cli.output import note, print_plan
from dwindle.cli.report import show_kept
from dwindle.cli.training_file import Arguments, arguments_of
from dwindle.errors import RangeError, UsageError
from dwindle.wording import counted, listed, number

if TYPE_CHECKING:
    from dwindle.finding.driver import SearchPlan

Scale = Mapping[str, float]
# A tune starts each scale itself.
_NOT_HERE = ("--guess",)
# Trainings of a scale, the 5 % and 90 % quantiles of searches on curves of real nets;
# a guess that may be off by a factor of two saves hardly any.
_USUAL = 16, 26


def read_axis(option: str, text: str) -> tuple[str, tuple[float, ...]]:
    """Read width=64,128,256 as an axis with its values.

    Example:
        >>> read_axis("--proxy", "width=64,128")
        ('width', (64.0, 128.0))

    """
    name, is_pair, values = (part.strip() for part in text.partition("="))
    if not is_pair or not name or "=" in values:
        remedy = "Write --proxy width=64,128,256; one for each name."
        raise RangeError(option, repr(text), "a name with its values", remedy)
    return name, tuple(read_number(option, each) for each in values.split(","))


PROXY = Option(
    "--proxy", "small scales: width=64,128,256", "X=N,N,..", read_axis, repeats=True
)
TARGET = Option("--target", "the large scale: width=1024", "X=N,..", of_find.read_scale)
_HERE = {
    "--store": Option("--store", "where results are kept; SCRIPT-tune.db here", "PATH")
}
OPTIONS = (
    *of_find.OPTIONS[:2],
    PROXY,
    TARGET,
    *(
        _HERE.get(each.name, each)
        for each in of_find.OPTIONS[2:]
        if each.name not in _NOT_HERE
    ),
)
NEEDED = {**of_find.NEEDED, "proxy": "width=64,128,256", "target": "width=1024"}
# Of its file: two tables have quantities for keys.
GRAMMAR = of_find.grammar_of("tune", OPTIONS, {"proxies": PROXY, "target": TARGET})


def command(*, as_json: bool, **typed: Any) -> int:
    r"""Find the best decay at small scales, and carry it to a large one by their law.

    Write the command of one training behind two dashes; the scale reaches it as {width}
    or any other name. What is no proxy is as at the target.

    The first scale is searched as by dwindle find, each later one from what those
    before predict. Each training is kept: the same line again continues. Several axes
    are varied one at a time: --proxy width=64,128 --proxy dataset_size=1000,4000.
    """
    from dwindle.finding.records import find_from_stored
    from dwindle.store.store import read_store
    from dwindle.tuning.face import run_tune

    with arguments_of(typed, GRAMMAR) as arguments:
        cells, search_at = _planned(arguments)
        first = search_at(cells[0])
    target = arguments["target"]
    with closing(first):
        path, to = of_find.outputs_of(first, arguments, "tune", as_json=as_json)
    if arguments["dry_run"]:
        _print_plan(cells, target, first, path, as_json=as_json)
        return 0
    note(_cost(cells, first.spec.trainings))
    with of_find.running(first, arguments) as how:
        run_tune(search_at, cells, target, path, *how)
    begun = len(find_from_stored(read_store(path)).scales)
    if begun < len(cells):
        note(f"{begun} of {len(cells)} scales were begun: the same line continues.")
    return show_kept(path, to)


def _planned(
    arguments: Arguments,
) -> tuple[tuple[Scale, ...], Callable[[Scale], "SearchPlan"]]:
    """Return the scales to train, and what searches at one of them."""
    from dwindle.tuning.face import plan_cells

    of_find.check_all_is_there(arguments, NEEDED)
    proxies = dict(arguments["proxy"])
    if len(proxies) < len(arguments["proxy"]):
        must, got = "Each axis must be given once.", "one --proxy twice"
        raise UsageError(must, got, "Write all its values behind one --proxy.")

    def search_at(cell: Scale) -> "SearchPlan":
        return of_find.search_from({**arguments, "guess": None, "scale": cell})

    return plan_cells(proxies, arguments["target"], arguments["scale"] or {}), search_at


def _cost(cells: tuple[Scale, ...], most: int) -> str:
    few, many = (each * len(cells) for each in _USUAL)
    trainings = of_find.at_most(len(cells) * most, (few, many))
    return f"{counted(len(cells), 'scale')}: at most {trainings}."


def _print_plan(
    cells: tuple[Scale, ...],
    target: Scale,
    first: "SearchPlan",
    path: Path,
    *,
    as_json: bool,
) -> None:
    most, training = first.spec.trainings, of_find.first_training(first)
    plan = {"cells": cells, "target": target, "trainings": most * len(cells)}
    plan |= {"store": str(path)}
    rows = {
        "cost": _cost(cells, most),
        **{f"scale {n}": _text(cell) for n, cell in enumerate(cells, start=1)},
        "target": f"{_text(target)}: nothing is trained there",
        "kept in": str(path),
    }
    print_plan(plan, rows, training, as_json=as_json)


def _text(scale: Scale) -> str:
    return listed([f"{name} {number(value)}" for name, value in scale.items()])
