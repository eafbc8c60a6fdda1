"""A user's training function: loaded, called, and served in its own worker."""

import faulthandler
import inspect
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dwindle.errors import DwindleError, UsageError
from dwindle.errors.nearest import nearest_names
from dwindle.finding.metric import Metric, Place, Readings, judged
from dwindle.finding.output import last_lines
from dwindle.finding.training import Request, Result, nearest_file
from dwindle.user_code import functions_there, module_named, modules_here
from dwindle.wording import clean, listed, with_article

Function = Callable[..., object]
LOSS = Metric(text="loss")
_REMEDY = "Write: def train(weight_decay, seed): ...; return loss."
# Frames of dwindle are left out of a traceback: what follows is the caller's own.
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The arguments of a training function; ``names`` None: any quantity of a scale."""

    has_seed: bool
    names: tuple[str, ...] | None
    file: str | None = None

    def arguments(self, request: Request) -> dict[str, float]:
        """Return the arguments of a call: of the scale, only those that it declares."""
        scale = {
            # A whole number is one: no layer has 64.0 units.
            name: int(value) if float(value).is_integer() else value
            for name, value in request.scale.items()
            if self.names is None or name in self.names
        }
        seed = (
            {"seed": request.seed} if self.has_seed and request.seed is not None else {}
        )
        return {**scale, "weight_decay": request.weight_decay, **seed}


def signature_of(function: object, scale_names: tuple[str, ...] = ()) -> Signature:
    """Return the signature of a training function.

    A UsageError where it takes no weight decay by name, or needs an argument that a
    search does not pass.
    """
    must = "A training must be a function with an argument weight_decay."
    if not callable(function):
        raise UsageError(must, with_article(type(function).__name__), _REMEDY)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        got = f"{_name(function)}, which has no signature"
        raise UsageError(must, got, _REMEDY) from None
    by_name = {
        name: each
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    }
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if "weight_decay" not in by_name and not takes_any:
        got = f"{_name(function)}({', '.join(parameters)})"
        raise UsageError(must, got, _REMEDY)
    given = {"weight_decay", "seed", *scale_names}
    lacking = [
        name
        for name, each in parameters.items()
        if each.default is each.empty
        and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
        and (name not in given or each.kind is each.POSITIONAL_ONLY)
    ]
    if lacking:
        must = "Each argument of a training must have a default or be given by name."
        remedy = f"Give it a default: {lacking[0]}=..., or name it in the scale."
        raise UsageError(
            must, f"{_name(function)} that needs {listed(lacking)}", remedy
        )
    names = tuple(name for name in by_name if name not in ("weight_decay", "seed"))
    whole: Any = inspect.unwrap(function)
    code = getattr(getattr(whole, "func", whole), "__code__", None)
    path = getattr(code, "co_filename", "")
    return Signature(
        has_seed="seed" in by_name or takes_any,
        names=None if takes_any else names,
        file=path if Path(path).is_file() else None,
    )


def called(
    function: Function,
    signature: Signature,
    request: Request,
    metric: Metric = LOSS,
    *,
    raised: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
) -> Result:
    """Call a training function; an exception is a result with status ``error``.

    Only ``raised`` propagates: a KeyboardInterrupt in this process is the user's.
    """
    start = time.perf_counter()
    try:
        result = loss_of(function(**signature.arguments(request)), metric)
    except raised:
        raise
    except BaseException as error:  # noqa: BLE001 also the exit of a script
        last = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1:]
        result = Result(
            status="error",
            error=clean(*last or [type(error).__name__]),
            last_lines=lines_of(error),
            is_worth_another_try=True,
        )
    return replace(result, seconds=time.perf_counter() - start)


def loss_of(returned: object, metric: Metric = LOSS) -> Result:
    """Return the result of what a function returned: a number, a dict, or pairs.

    Nothing is guessed: anything that is not plainly one loss is an error.
    """
    if inspect.isgenerator(returned):
        return _last_of(returned, metric)
    if isinstance(returned, Mapping):
        if metric.key in returned:
            return loss_of_value(returned[metric.key], f"its {metric.key}")
        keys = [str(key) for key in returned]
        near = nearest_names(metric.key, keys)
        has = f"with {listed(near)}" if near else "without keys"
        why = f"it returned a dict {has}, and must return one with {metric.key!r}"
        return Result(status="error", error=why)
    return loss_of_value(returned, "it returned")


def loss_of_value(value: object, what: str) -> Result:
    """Return the result of one value: its loss, if it is plainly one number."""
    number = _number(value)
    if isinstance(number, str):
        is_result = what == "it returned"
        must = "and must return its loss" if is_result else "and must be a number"
        verb = what if is_result else f"{what} is"
        return Result(status="error", error=f"{verb} {number}, {must}")
    if math.isfinite(number):
        return Result(status="ok", loss=number)
    return Result(status="diverged", error=f"its loss is {number}")


def _number(value: object) -> float | str:
    """Return a value as a number, or a description of what it is instead."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return float(value)
    kind = "None" if value is None else with_article(type(value).__name__)
    if getattr(value, "requires_grad", False) is True:
        return f"{kind} with a gradient (write loss.item())"
    shape = getattr(value, "shape", ())
    if not isinstance(value, bool | str | bytes | complex) and hasattr(
        value, "__float__"
    ):
        try:
            if math.prod(shape) != 1:
                return f"{kind} of shape {tuple(shape)}"
            # Of an array with one number, item() takes it out; float() may warn.
            item = getattr(value, "item", None)
            return float(item() if shape and item else value)
        except (TypeError, ValueError, RuntimeError) as error:
            return f"{kind} that is no number ({clean(error, limit=80)})"
    return (
        f"{kind} {clean(repr(value), limit=40)}"
        if isinstance(value, bool | str)
        else kind
    )


def _last_of(pairs: Iterator[object], metric: Metric) -> Result:
    """Read pairs (step, loss) until one is not finite; return the result."""
    readings = Readings(metric)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004 a pair
            got = with_article(type(pair).__name__)
            why = f"it yielded {got}, and must yield (step, loss)"
            return Result(status="error", error=why)
        step, value = pair
        result = loss_of_value(value, f"its loss at step {step}")
        if result.loss is None:
            # Training on after NaN is of no use: the generator is closed.
            where = "" if result.status == "error" else f" at step {step}"
            return replace(result, error=f"{result.error}{where}")
        readings.add(Place(result.loss, str(result.loss)))
    if readings.last is None:
        why = "it yielded nothing, and must yield (step, loss)"
        return Result(status="error", error=why)
    return judged(readings)


def loaded(target: str) -> Function:
    """Import a function by name: ``package.module:function`` or ``file.py:function``.

    As Python does for a script, the current folder, or that of the file, comes first.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        must = "A training must be written as module:function or file.py:function."
        remedy = "Write train:run for run in train.py, or -- before a command."
        raise UsageError(must, repr(target), remedy)
    found: object = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            remedy = functions_there(found, part) or _REMEDY
            must = f"{place} must have the function that trains."
            raise UsageError(must, f"no {part}", remedy)
        found = getattr(found, part)
    return found  # type: ignore[return-value]  # signature_of refuses what is none


def _module(place: str) -> object:
    if not place.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        found = module_named(place)
        if found is None:
            remedy = modules_here(place) or "Is it in this folder?"
            must = "A training's module must be one that Python finds from this folder."
            raise UsageError(must, f"no module {place}", remedy)
        return found
    path = Path(place).absolute()
    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        must = "The file of a training must be there."
        raise UsageError(must, f"{place}: no such file", nearest_file(Path(place)))
    sys.path.insert(0, str(path.parent))
    module = module_from_spec(spec)
    # Dataclasses and pickles find their module by name.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def lines_of(error: BaseException) -> tuple[str, ...]:
    """Return the last lines of a traceback: the user's own frames, not ours."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(error.with_traceback(frames)))
    return last_lines(text.encode("utf-8", "backslashreplace"))


def _name(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def serve(requests_from: int, answers_to: int) -> None:
    """Serve as a worker: receive the function, then requests until the pipe closes.

    The function is answered by its signature, or by a result or an error of ours with
    the reason why there is none; a request is answered by a result.
    """
    # What the function starts must not hold our pipes open.
    for pipe in (requests_from, answers_to):
        os.set_inheritable(pipe, False)  # noqa: FBT003 it takes no name
    faulthandler.enable()
    requests = Connection(requests_from, writable=False)
    answers = Connection(answers_to, readable=False)
    try:
        given, scale_names, metric = requests.recv()
        function = loaded(given) if isinstance(given, str) else given
        signature = signature_of(function, scale_names)
    except DwindleError as error:
        answers.send(error)
        return
    except BaseException as error:  # noqa: BLE001 an import may raise anything
        lines = lines_of(error)
        why = lines[-1] if lines else type(error).__name__
        answers.send(Result(status="error", error=why, last_lines=lines))
        return
    answers.send(signature)
    ours = os.getpid()
    while True:
        try:
            request = requests.recv()
        except EOFError:
            return
        result = called(function, signature, request, metric)
        # A child that the training forked, and that returned here, must not answer: its
        # answer would be taken for that of the next training.
        if os.getpid() != ours:
            os._exit(0)
        answers.send(result)
