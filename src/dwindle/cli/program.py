"""module:function: the user's code that builds a model and its optimizer."""

import ast
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dwindle.errors import AuditTargetError
from dwindle.user_code import functions_there, module_named, modules_here

ITS_NUMBERS = (
    "Settings in such a file are not read. Type its numbers: dwindle explain "
    "torch.optim.AdamW=0.1 --lr 3e-4 --batch-size 256 --epochs 90 --schedule cosine."
)
_REMEDY = (
    "Write a function that builds both as the training does: def make(): ...; "
    "return model, optimizer. A dict with these names will do, and may hold example."
)
_KEYS = ("model", "optimizer", "scheduler", "example")
_SHOWN = 5  # of the functions of a file
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


@dataclass(frozen=True)
class Program:
    """What a function built: the parts of a training, none of them of dwindle."""

    model: Any  # torch's, and torch is not imported here; all four
    optimizer: Any
    scheduler: Any = None
    example: Any = None


def is_program(target: str) -> bool:
    """Return whether a target is written as ``module:function``."""
    module, _, function = target.partition(":")
    return bool(module and function)


def remedy_for_module(module: str) -> str:
    """Return what to write where a module was named and no function of it.

    A file of Python is read, not run, for the functions that can be called as they are.

    Example:
        >>> remedy_for_module("train")
        'For a function make of that module write train:make.'

    """
    path = Path(f"{module.replace('.', '/')}.py")
    if not path.is_file():
        return f"For a function make of that module write {module}:make."
    there = _functions_written(path)
    if not there:
        return f"{path} has no function without arguments. {_REMEDY} {ITS_NUMBERS}"
    calls = ", ".join(f"{module}:{name}" for name in there[:_SHOWN])
    return f"Write {calls}: a function that returns (model, optimizer)."


def _functions_written(path: Path) -> list[str]:
    """Return the functions of a file that need no arguments; a returned pair first."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []

    def needs_arguments(of: ast.arguments) -> bool:
        positional = len(of.posonlyargs) + len(of.args)
        return positional > len(of.defaults) or None in of.kw_defaults

    def returns_several(node: ast.FunctionDef) -> bool:
        returned = (each for each in ast.walk(node) if isinstance(each, ast.Return))
        return any(isinstance(each.value, ast.Tuple | ast.Dict) for each in returned)

    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and not needs_arguments(node.args)
    ]
    return [node.name for node in sorted(found, key=returns_several, reverse=True)]


def load_program(target: str) -> Program:
    """Import a module, call a function of it, and return what it built.

    The folder one is in comes first on the path; what the code prints goes to stderr.
    """
    name, _, path = target.partition(":")
    # stdout is for the audit, which may be JSON: what the program prints is a note.
    here = str(Path.cwd())
    # As under ``python train.py``: a console script has its own folder there.
    sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr):
            function = _found(target, _imported(target, name), path)
            try:
                built = function()
            except (Exception, SystemExit) as error:
                must = "return, but raised before it did"
                raise _raised(target, must, error) from error
    finally:
        if here in sys.path:  # the code may have cleaned up by itself
            sys.path.remove(here)
    return _program(target, built)


def _imported(target: str, name: str) -> object:
    if name.endswith(".py") or "/" in name or "\\" in name:
        module = name.removesuffix(".py").replace("\\", "/").strip("./")
        remedy = f"Write {module.replace('/', '.')}:{target.partition(':')[2]}."
        must = "name a module as one imports it, not a path"
        raise AuditTargetError(target, must, name, remedy)
    try:
        found = module_named(name)
    except (Exception, SystemExit) as error:
        must = f"be a module that can be imported: {name}"
        raise _raised(target, must, error) from error
    if found is None:
        there = modules_here(name) or "No Python file is here."
        must = "name a module that Python finds from this folder"
        remedy = f"{there} Run it in the folder that the training is run in."
        raise AuditTargetError(target, must, f"no module {name}", remedy)
    return found


def _raised(target: str, must: str, error: BaseException) -> AuditTargetError:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = text.strip().splitlines()
    got = f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
    remedy = "The same line with --debug shows the traceback."
    if isinstance(error, SystemExit):  # argparse, in a script without a main guard
        remedy = 'Put what a script runs under: if __name__ == "__main__".'
    return AuditTargetError(target, must, f"{got}{_place(error)}", remedy)


def _place(error: BaseException) -> str:
    """Return the file and line that it failed in: in the user's code, if any."""
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        # Frames of the import system and of dwindle: nothing to mend there.
        if not frame.filename.startswith(("<frozen", _PACKAGE))
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


def _found(target: str, module: object, path: str) -> Callable[[], object]:
    """Return the function that a path names in a module, if it can be called so."""
    found = module
    for part in path.split("."):
        if not hasattr(found, part):
            there = functions_there(found, part) or "It has no function."
            must, remedy = "name a function of its module", f"{there} {_REMEDY}"
            raise AuditTargetError(target, must, f"no {part}", remedy)
        found = getattr(found, part)
    _refuse_a_part(target, module, path, found)
    if not callable(found):
        got = f"{path}, which is {_type_of(found)}"
        raise AuditTargetError(target, "name a function", got, _REMEDY)
    # Checked before the call: a TypeError of the function itself is another error.
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        remedy = "Give the arguments defaults, or wrap the call in a function."
        must = "name a function that needs no arguments"
        raise AuditTargetError(target, must, str(error), remedy) from None
    except ValueError:
        pass  # a builtin without a signature: calling it shows
    return found


def _refuse_a_part(target: str, module: object, path: str, found: object) -> None:
    """Refuse a model or an optimizer, or a class of one, with the functions there."""
    is_class = inspect.isclass(found)
    if hasattr(found, "named_parameters"):
        what = "a class of models" if is_class else "a model"
    elif hasattr(found, "param_groups") or (
        is_class and hasattr(found, "add_param_group")
    ):
        what = "a class of optimizers" if is_class else "an optimizer"
    else:
        return
    remedy = f"{functions_there(module, path)} {_REMEDY}".strip()
    must = "name a function that builds the model and its optimizer"
    raise AuditTargetError(target, must, f"{path}, which is {what}", remedy)


def _program(target: str, built: object) -> Program:
    if isinstance(built, Mapping) and {"model", "optimizer"} <= set(built):
        parts = Program(**{key: built[key] for key in _KEYS if key in built})
    elif isinstance(built, tuple | list) and len(built) in {2, 3}:
        parts = Program(*built)
    else:
        must = "return (model, optimizer) or (model, optimizer, scheduler)"
        raise AuditTargetError(target, must, _kind(built), _REMEDY)
    first = parts.optimizer
    optimizers = first if isinstance(first, list | tuple) else [first]
    _need(target, "model", parts.model, "named_parameters")
    for each in optimizers or [None]:
        _need(target, "optimizer", each, "param_groups")
    return parts


def _need(target: str, part: str, value: object, name: str) -> None:
    """Refuse what is no model or optimizer: another type has no such attribute."""
    if not hasattr(value, name):
        must = f"return a torch {part} as its {part}"
        got = f"{'None' if value is None else type(value).__name__} as {part}"
        order = "They come in this order: model, optimizer, scheduler."
        raise AuditTargetError(target, must, got, order)


def _kind(built: object) -> str:
    if isinstance(built, tuple | list):
        names = ", ".join(type(each).__name__ for each in built)
        return f"{len(built)} things ({names})" if built else "nothing in a tuple"
    if isinstance(built, Mapping):
        return f"a dict with {', '.join(map(str, built)) or 'nothing'}"
    return "None" if built is None else f"something {_type_of(built)}"


def _type_of(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
