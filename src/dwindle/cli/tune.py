"""dwindle tune: the best decay at small scales, and what a law makes of it at large."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.cli import find as of_find
from dwindle.cli.options import Option, read_number
from dwindle.cli.output import note, print_json, show, stderr, stdout
from dwindle.errors import RangeError, UsageError
from dwindle.show import facts
from dwindle.wording import counted, listed, number

if TYPE_CHECKING:
    from dwindle.finding.driver import Search

_FAILED = 3
# A tune starts each scale itself, and shows its answer in a terminal or as JSON.
_NOT_HERE = ("--guess", "--html", "--png", "--force")
# Trainings of a scale that starts from a guess, beside two for each of its seeds.
_OF_A_GUESS = 2
_FEW_SEEDS, _MANY_SEEDS = 4, 8


def read_axis(option: str, text: str) -> tuple[str, tuple[float, ...]]:
    """Read width=64,128,256 as an axis with its values.

    Example:
        >>> read_axis("--proxy", "width=64,128")
        ('width', (64.0, 128.0))

    """
    name, is_pair, values = (part.strip() for part in text.partition("="))
    if not is_pair or not name or "=" in values:
        remedy = f"Write {option} width=64,128,256; one {option} for each name."
        raise RangeError(option, repr(text), "a name with its values", remedy)
    return name, tuple(read_number(option, each) for each in values.split(","))


PROXY = Option(
    "--proxy", "small scales: width=64,128,256", "X=N,N,..", read_axis, repeats=True
)
TARGET = Option("--target", "the large scale: width=1024", "X=N,..", of_find.read_scale)
OPTIONS = (
    *(each for each in of_find.OPTIONS[:2]),
    PROXY,
    TARGET,
    *(each for each in of_find.OPTIONS[2:] if each.name not in _NOT_HERE),
)


def command(*, training: str | None, as_json: bool, **asked: Any) -> int:
    r"""Find the best decay at small scales, and carry it to a large one by their law.

    Write the command of one training behind two dashes; the scale reaches it as {width}
    or any other name. What is no proxy is as at the target:

        dwindle tune --knob torch.optim.AdamW --low 1e-3 --high 1 --metric val_loss \
            --proxy width=64,128,256 --target width=1024,batch_size=512 \
            -- python train.py --wd {weight_decay} --seed {seed} --width {width} \
            --batch-size {batch_size}

    The first scale is searched as by dwindle find, each later one from what those
    before predict. Each training is kept: the same line again continues. Several axes
    are varied one at a time: --proxy width=64,128 --proxy dataset_size=1000,4000.
    """
    from dwindle.tuning.cells import count_failed
    from dwindle.tuning.face import plan_cells, predict, run_tune

    if asked["target"] is None:
        must = "A tune must have a target."
        raise UsageError(must, "no --target", "Write --target width=1024.")
    target, fixed = asked["target"], asked["scale"] or {}
    proxies = dict(asked["proxy"])
    if len(proxies) < len(asked["proxy"]):
        must, got = "Each axis must be given once.", "one --proxy twice"
        raise UsageError(must, got, "Write all its values behind one --proxy.")
    cells = plan_cells(proxies, target, fixed)
    asked = {**asked, "guess": None}

    def search_at(cell: Mapping[str, float]) -> "Search":
        return of_find.search_from(training, {**asked, "scale": cell})

    first = search_at(cells[0])
    words = first.conditions.training
    path = of_find.store_named_after(words, "tune")
    path = Path(asked["store"]) if asked["store"] else path
    first.close()
    if asked["dry_run"]:
        _print_plan(cells, target, first, path, as_json=as_json)
        return 0
    from dwindle.finding.progress import shown_on

    note(_cost(cells, first.spec.trainings))
    with (
        of_find.settings_from(words, asked) as settings,
        shown_on(stderr()) as on_progress,
    ):
        run_tune(search_at, cells, target, path, settings, on_progress, of_find.warn)
    note(f"Results are kept in {path}; dwindle predict {shlex.quote(str(path))}.")
    tuned = predict(path, target=target)
    if as_json:
        print_json(tuned.as_dict())
    else:
        stdout().print(tuned, crop=False)
    again = "run the same line again to continue."
    if len(tuned.cells) < len(cells):
        note(f"{len(tuned.cells)} of {len(cells)} scales were begun: {again}")
    failed = count_failed(path)
    if failed:
        note(f"{counted(failed, 'training')} failed: {again}")
    return _FAILED if failed else 0


def _cost(cells: tuple[Mapping[str, float], ...], most: int) -> str:
    few, many = (_OF_A_GUESS + 2 * seeds for seeds in (_FEW_SEEDS, _MANY_SEEDS))
    later = len(cells) - 1
    usual = f"{16 + later * few} to {27 + later * many}"
    scales = counted(len(cells), "scale")
    return f"{scales}: {usual} trainings are usual, at most {len(cells) * most}."


def _print_plan(
    cells: tuple[Mapping[str, float], ...],
    target: Mapping[str, float],
    first: "Search",
    path: Path,
    *,
    as_json: bool,
) -> None:
    most = first.spec.trainings
    if as_json:
        plan = {"cells": [dict(cell) for cell in cells], "target": dict(target)}
        print_json({**plan, "trainings": most * len(cells), "store": str(path)})
        return
    rows = {
        "cost": _cost(cells, most),
        **{f"scale {n}": _text(cell) for n, cell in enumerate(cells, start=1)},
        "target": f"{_text(target)}: nothing is trained there",
        "kept in": str(path),
    }
    show("", facts(rows, indent=2), "")


def _text(scale: Mapping[str, float]) -> str:
    return listed([f"{name} {number(value)}" for name, value in scale.items()])
