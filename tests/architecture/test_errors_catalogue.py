"""Every error teaches, travels between processes, and is tried by some test."""

import dataclasses
import pickle
import re
import typing
from pathlib import Path

from architecture.source import files_of_tests

from dwindle import errors

# These tell what is, where nothing wrong was given.
WITHOUT_GOT = (errors.RefusedError, errors.StudyStoppedError)
SAMPLES = {int: 7, float: 0.25, bool: True, str: "sample", object: 0.5}


def _all_below(kind):
    return {kind}.union(*(_all_below(child) for child in kind.__subclasses__()))


# StoreError only gathers others, and has no text.
ERRORS = sorted(
    _all_below(errors.DwindleError) - {errors.DwindleError, errors.StoreError},
    key=lambda kind: kind.__name__,
)


def _sample(annotation):
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        pair = inner if inner[-1] is not Ellipsis else inner[:1] * 2
        return tuple(_sample(item) for item in pair)
    return SAMPLES[inner[0] if inner else annotation]  # of a union, the first


def _made(kind):
    fields = dataclasses.fields(kind)
    return kind(**{field.name: _sample(field.type) for field in fields})


def test_every_error_teaches_is_a_builtin_one_travels_and_is_met():
    """An error has three sentences, a builtin base, a place in the tree, and a test.

    It says what must hold, what was got and what to write instead; it comes out of a
    worker process with its text and all its facts.
    """
    here = Path(__file__)
    tests = [file.text for file in files_of_tests() if file.path != here]
    faults = []
    for kind in ERRORS:
        error, name = _made(kind), kind.__name__
        builtin = {base for base in kind.__mro__ if base.__module__ == "builtins"}
        there = pickle.loads(pickle.dumps(error))
        holds = {
            "sentences": len([*filter(None, error.sentences())]) >= 3,
            "Got": issubclass(kind, WITHOUT_GOT) or "Got" in str(error),
            "builtin": bool(builtin - {Exception, BaseException, object}),
            "pickled": type(there) is kind and vars(there) == vars(error),
            "pickled text": str(there) == str(error),
            "module": kind.__module__.startswith("dwindle.errors"),
            "public": getattr(errors, name) is kind,
            "tree": re.search(rf"── {name}\b", errors.__doc__) is not None,
            "met by a test": any(re.search(rf"\b{name}\b", text) for text in tests),
        }
        faults += [f"{name}: {fact}" for fact, is_met in holds.items() if not is_met]
    assert faults == []
