"""module:function: a person's own code that builds a model and its optimizer."""

import ast
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from dwindle.errors import AuditTargetError

_RETURN = "return (model, optimizer) or (model, optimizer, scheduler)"
_CAME_TO_NOTHING = "return, but raised before it did"
ITS_NUMBERS = (
    "Settings in such a file are not read. Type its numbers: dwindle explain "
    "torch.optim.AdamW=0.1 --lr 3e-4 --batch-size 256 --epochs 90 --schedule cosine."
)
_REMEDY = (
    "Write a function that builds both as the training does: def make(): ...; "
    "return model, optimizer. A dict with these names will do, and may hold example."
)
_KEYS = ("model", "optimizer", "scheduler", "example")
_LENGTHS = (2, 3)
_SHOWN = 5


@dataclass(frozen=True)
class Program:
    """What a function built: the parts of a training, none of them of dwindle."""

    model: object
    optimizer: object
    scheduler: object | None = None
    example: object | None = None


def is_program(target: str) -> bool:
    """Tell whether a target is written as ``module:function``.

    Example:
        >>> is_program("train:make"), is_program("train.py")
        (True, False)

    """
    module, colon, function = target.partition(":")
    return bool(module and colon and function)


def remedy_for_module(module: str) -> str:
    """Return what to write where a module was named and no function of it.

    A file of Python is read, not run, for the functions that can be called as they are.

    Example:
        >>> remedy_for_module("train")
        'For a function make of that module write train:make.'

    """
    path = Path(f"{module.replace('.', '/')}.py")
    there = _functions_written(path)
    if there is None:
        return f"For a function make of that module write {module}:make."
    if not there:
        return f"{path} has no function without arguments. {_REMEDY} {ITS_NUMBERS}"
    calls = ", ".join(f"{module}:{name}" for name in there[:_SHOWN])
    return f"Write {calls}: a function that returns (model, optimizer)."


def _functions_written(path: Path) -> list[str] | None:
    """Return the functions that a file defines for a call without arguments.

    Those that return something come first; None where it is no file of Python.
    """
    if not path.is_file():
        return None
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    callable_so = [node for node in found if not _needs_arguments(node.args)]
    ordered = sorted(callable_so, key=lambda node: not _returns_two(node))
    return [node.name for node in ordered]


def _needs_arguments(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional > len(arguments.defaults) or None in arguments.kw_defaults


def _returns_two(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(each, ast.Return) and isinstance(each.value, ast.Tuple | ast.Dict)
        for each in ast.walk(node)
    )


def load_program(target: str) -> Program:
    """Import a module, call a function of it, and return what it built.

    The folder one is in comes first on the path; what the code prints goes to stderr.

    Args:
        target: ``package.module:function``.

    Raises:
        AuditTargetError: If there is no such module or function, it raises, wants
            arguments, or returns something else.

    """
    name, _, path = target.partition(":")
    with _as_if_run_here(), redirect_stdout(sys.stderr):
        module = _imported(target, name)
        function = _found(target, module, path)
        built = _called(target, function)
    return _program(target, built)


@contextmanager
def _as_if_run_here() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:  # the code may have cleaned up by itself
            sys.path.remove(here)


def _imported(target: str, name: str) -> object:
    if name.endswith(".py") or "/" in name or "\\" in name:
        module = name.removesuffix(".py").replace("\\", "/").strip("./")
        remedy = f"Write {module.replace('/', '.')}:{target.partition(':')[2]}."
        must = "name a module as one imports it, not a path"
        raise AuditTargetError(target, must, name, remedy)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise _no_module(target, name) from None
        raise _raised(target, f"be a module that can be imported: {name}", error) from (
            error
        )
    except (Exception, SystemExit) as error:
        must = f"be a module that can be imported: {name}"
        raise _raised(target, must, error) from error


def _no_module(target: str, name: str) -> AuditTargetError:
    here = sorted(path.stem for path in Path.cwd().glob("*.py"))
    near = get_close_matches(name, here, n=3) or here[:5]
    there = f"Here are: {', '.join(near)}." if near else "Here is no Python file."
    return AuditTargetError(
        target,
        "name a module that Python finds from this folder",
        f"no module {name}",
        f"{there} Run it in the folder that the training is run in.",
    )


def _found(target: str, module: object, path: str) -> Callable[[], object]:
    found = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise _no_function(target, found, part)
        found = getattr(found, part)
    _refuse_a_part(target, module, path, found)
    if not callable(found):
        got = f"{path}, which is {_type_of(found)}"
        raise AuditTargetError(target, "name a function", got, _REMEDY)
    _refuse_arguments(target, found)
    return found


def _refuse_a_part(target: str, module: object, path: str, found: object) -> None:
    """Refuse a model or an optimizer, or a class of one, with the functions there."""
    is_class = inspect.isclass(found)
    kinds = {"named_parameters": "model", "param_groups": "optimizer"}
    kind = next((kinds[name] for name in kinds if hasattr(found, name)), None)
    if is_class and kind is None and hasattr(found, "add_param_group"):
        kind = "optimizer"
    if kind is None:
        return
    what = f"a class of {kind}s" if is_class else f"a {kind}".replace("a o", "an o")
    got = f"{path}, which is {what}"
    there = _functions(module)
    told = f"Functions there: {', '.join(there[:_SHOWN])}. " if there else ""
    must = "name a function that builds the model and its optimizer"
    raise AuditTargetError(target, must, got, f"{told}{_REMEDY}")


def _functions(module: object) -> list[str]:
    return [
        each
        for each, value in getattr(module, "__dict__", {}).items()
        if inspect.isfunction(value) and not each.startswith("_")
    ]


def _no_function(target: str, module: object, name: str) -> AuditTargetError:
    there = _functions(module)
    near = get_close_matches(name, there, n=3) or sorted(there)[:5]
    told = f"It has {', '.join(near)}." if near else "It has no function at all."
    return AuditTargetError(
        target, "name a function of its module", f"no {name}", f"{told} {_REMEDY}"
    )


def _refuse_arguments(target: str, function: Callable[..., object]) -> None:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        remedy = "Give the arguments defaults, or wrap the call in a function."
        must = "name a function that needs no arguments"
        raise AuditTargetError(target, must, str(error), remedy) from None
    except ValueError:  # a builtin without a signature: calling it tells
        return


def _called(target: str, function: Callable[[], object]) -> object:
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise _raised(target, _CAME_TO_NOTHING, error) from error


def _raised(target: str, must: str, error: BaseException) -> AuditTargetError:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = text.strip().splitlines()
    told = f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
    remedy = "The same line with --debug shows the traceback."
    if isinstance(error, SystemExit):
        remedy = 'Put what a script runs under: if __name__ == "__main__".'
    return AuditTargetError(target, must, f"{told}{_place(error)}", remedy)


def _place(error: BaseException) -> str:
    """Return the file and line that it failed in: the person's own, if any."""
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
    ]
    here = str(Path.cwd())
    own = [
        (name, line)
        for name, line in frames
        if name.startswith(here) and "site-packages" not in name
    ]
    if isinstance(error, SyntaxError) and error.filename:
        own = [(error.filename, error.lineno)]
    for name, line in (own or frames)[-1:]:
        return f", in {Path(name).name} line {line}"
    return ""


def _program(target: str, built: object) -> Program:
    parts = _parts(target, built)
    if not hasattr(parts.model, "named_parameters"):
        raise _no_part(target, "model", parts.model)
    first = parts.optimizer
    optimizers = first if isinstance(first, list | tuple) else [first]
    for each in optimizers or [None]:
        if not hasattr(each, "param_groups"):
            raise _no_part(target, "optimizer", each)
    return parts


def _parts(target: str, built: object) -> Program:
    if isinstance(built, Mapping) and {"model", "optimizer"} <= set(built):
        return Program(**{key: built[key] for key in _KEYS if key in built})
    if isinstance(built, tuple | list) and len(built) in _LENGTHS:
        return Program(*built)
    raise AuditTargetError(target, _RETURN, _kind(built), _REMEDY)


def _kind(built: object) -> str:
    if isinstance(built, tuple | list):
        names = ", ".join(type(each).__name__ for each in built)
        return f"{len(built)} things ({names})" if built else "nothing in a tuple"
    if isinstance(built, Mapping):
        names = ", ".join(map(str, built)) or "nothing"
        return f"a dict with {names}"
    return "None" if built is None else f"something {_type_of(built)}"


def _type_of(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _no_part(target: str, part: str, value: object) -> AuditTargetError:
    order = "They come in this order: model, optimizer, scheduler."
    got = "None" if value is None else type(value).__name__
    got += f" as {part}"
    must = f"return a torch {part} as its {part}"
    return AuditTargetError(target, must, got, order)
