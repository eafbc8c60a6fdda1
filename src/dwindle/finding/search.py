"""A search from its arguments: training, knob, range and facts, all checked."""

import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dwindle.errors import RangeError, UsageError
from dwindle.finding.call import signature_of
from dwindle.finding.command import CommandRecipe, script_of
from dwindle.finding.driver import SearchPlan
from dwindle.finding.function import FunctionRecipe, InlineRecipe, name_of
from dwindle.finding.metric import Metric
from dwindle.finding.records import FindSpec, OwnConditions, facts_from_run
from dwindle.finding.unit import Unit
from dwindle.fitting.find_line import OURS

_ABOVE_0 = "a finite number above 0 (λ = 0 is trained beside the range)"
_DECAY = (sys.float_info.min, sys.float_info.max, _ABOVE_0)
# Least and greatest value of each number of a search, and the range in words.
_LIMITS = {
    "low": _DECAY,
    "high": _DECAY,
    "guess": _DECAY,
    # Three λ, λ = 0 and one more are the least that show anything; more than a hundred
    # thousand is a slip.
    "trainings": (5, 100_000, "from 5 to 100,000"),
    # Beyond, an answer is useless; below, no number of seeds gets there: between the λ
    # that were trained a factor of 1.13 is lost (``FLOOR`` of the statistics), and
    # 1.15 takes about seven times the seeds that 1.25 does.
    "within": (1.15, 10.0, "a factor from 1.15 to 10, such as 1.25"),
}

# A function, ``module:function``, the words of a command, or an inline recipe.
Train = Callable[..., object] | str | Sequence[str] | InlineRecipe


def search_of(  # noqa: PLR0913, one argument per fact of a study
    *,
    train: Train,
    metric: Metric,
    keep_out: bool = False,
    unit: Unit,
    low: float,
    high: float,
    trainings: int = 25,
    within: float = 1.25,
    guess: float | None = None,
    zero: bool = True,
    scale: Mapping[str, float] | None = None,
) -> SearchPlan:
    """Return a search after checking its numbers.

    ``low``, ``high`` and ``guess`` are decays as they are typed. A UsageError where no
    weight decay would reach the training.
    """
    numbers = {"low": low, "high": high, "trainings": trainings, "within": within}
    for name, number in {**numbers, "guess": guess}.items():
        if number is not None:
            checked(f"--{name}", number)
    if not low < high:
        remedy = "Swap the two, or move one."
        raise RangeError("--low", low, f"below --high {high:g}", remedy)
    scale = checked_scale(scale or {})
    facts, unit = facts_from_run(unit.run), unit.at(scale)
    for end in (low, high):  # a conversion that lacks a fact fails before any training
        unit.typed_from_x(unit.x_from_number(end))
    recipe, words, files = _training(train, metric, tuple(scale), keep_out=keep_out)
    _refuse_unreached(recipe, scale)
    spec = FindSpec(
        name=Path(script_of(words)).name,
        low=low,
        high=high,
        trainings=trainings,
        within=within,
        guess=guess,
        zero=zero,
        scale=scale,
    )
    conditions = OwnConditions(
        training=words,
        knob=unit.knob.name,
        typed=unit.typed.name,
        metric=metric.text + ("" if metric.take == "last" else f" ({metric.take})"),
        maximize=metric.larger_is_better,
        has_seed=recipe.has_seed,
        folder=str(Path.cwd()),
        facts=facts,
        files=files,
    )
    return SearchPlan(spec=spec, conditions=conditions, unit=unit, recipe=recipe)


def checked(option: str, number: float) -> float:
    """Return a number of a search, if it is a possible one."""
    least, most, must = _LIMITS[option.lstrip("-")]
    if not least <= number <= most:
        raise RangeError(option, number, must)
    return number


def _training(
    train: Train, metric: Metric, scale_names: tuple[str, ...], *, keep_out: bool
) -> tuple[
    CommandRecipe | FunctionRecipe | InlineRecipe, tuple[str, ...], dict[str, str]
]:
    """Return the recipe of a training, its words, and the hash of each of its files."""
    if isinstance(train, InlineRecipe):
        source = train.source or train.function
        target = name_of(source)
        name = train.name or target or _name(source)
        hashes = dict(train.hashes) or _hashes_of_function(
            source, target, signature_of(source, scale_names).file
        )
        recipe = replace(train, metric=metric, scale_names=scale_names)
        return recipe, (name,), hashes
    if isinstance(train, str) or callable(train):
        function = FunctionRecipe.of(train, metric, scale_names)
        target, file = function.target, function.signature.file
        name = target or _name(train)
        return function, (name,), _hashes_of_function(train, target, file)
    words = tuple(train)
    command = CommandRecipe(
        words=words, metric=metric, scale_names=scale_names, keep_out=keep_out
    )
    hashes = {str(path): _hash(path.read_bytes()) for path in command.script_files}
    return command, words, hashes


def checked_scale(scale: Mapping[str, float]) -> dict[str, float]:
    """Return the quantities of a scale as numbers.

    Each is above 0: a law over scale is one of ratios.
    """
    for name, value in scale.items():
        if name in OURS or not name.isidentifier():
            must = "A quantity of scale must have a name of its own."
            raise UsageError(must, name, "Write width, or any word that is free.")
        if not 0 < value < math.inf:
            raise RangeError(name, value, "a finite number above 0")
    return {name: float(value) for name, value in scale.items()}


def _refuse_unreached(
    recipe: CommandRecipe | FunctionRecipe | InlineRecipe, scale: Mapping[str, float]
) -> None:
    """Refuse a scale that does not reach the training: it would have no effect."""
    if isinstance(recipe, CommandRecipe):
        reached: tuple[str, ...] | None = recipe.placeholders
        remedy = "Write it where the command takes it: --{0} {{{0}}}."
    else:
        reached = recipe.signature.names
        remedy = "Make it an argument: def train(weight_decay, seed, {0})."
    for name in scale:
        if reached is not None and name not in reached:
            recipe.open().close()  # the worker that returned the signature
            must = f"The {name} of a scale must reach the training."
            got = f"a training that does not take {name}"
            raise UsageError(must, got, remedy.format(name))


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def _hashes_of_function(
    train: object, target: str | None, file: str | None
) -> dict[str, str]:
    """Return the hash of the file that a function stands in, or of the function."""
    # A function from a notebook, or made by another function, has no file of itself.
    if target is not None and file is not None:
        return {Path(file).name: _hash(Path(file).read_bytes())}
    try:
        return {"the function": _hash(inspect.getsource(train).encode())}  # type: ignore[arg-type] # else a TypeError
    except (OSError, TypeError):
        return {}  # a callable object, or one typed into a shell


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
