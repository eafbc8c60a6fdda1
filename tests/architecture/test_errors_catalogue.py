"""Every error teaches, travels between processes, and is tried by some test."""

import dataclasses
import pickle
import re
import typing
from pathlib import Path

import pytest
from architecture.source import files_of_tests

from dwindle import errors

# These tell what is, where nothing wrong was given.
WITHOUT_GOT = (errors.RefusedError, errors.StudyStoppedError)
SAMPLES = {int: 7, float: 0.25, bool: True, str: "sample", object: 0.5}


def _all_below(kind):
    return {kind}.union(*(_all_below(child) for child in kind.__subclasses__()))


def _is_raised(kind):
    """Tell classes with a text of their own from those that only gather others."""
    return kind.sentences is not errors.DwindleError.sentences


ERRORS = sorted(
    filter(_is_raised, _all_below(errors.DwindleError)), key=lambda kind: kind.__name__
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


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_teaches(kind):
    """An error says what must hold, what was got, and what to write instead."""
    told = [sentence for sentence in _made(kind).sentences() if sentence]
    assert len(told) >= 3
    assert issubclass(kind, WITHOUT_GOT) or "Got" in str(_made(kind))


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_also_a_builtin_one(kind):
    """An error can be caught by the builtin class that fits it."""
    builtin = [base for base in kind.__mro__ if base.__module__ == "builtins"]
    assert set(builtin) - {Exception, BaseException, object}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_travels(kind):
    """An error comes out of a worker process with its text and all its facts."""
    error = _made(kind)
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is kind
    assert vars(there) == vars(error)
    assert str(there) == str(error)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_lives_in_the_tree(kind):
    """The tree at the top of errors shows every class, and no others exist."""
    assert kind.__module__.startswith("dwindle.errors.")
    assert getattr(errors, kind.__name__) is kind
    assert re.search(rf"── {kind.__name__}\b", errors.__doc__)


@pytest.mark.parametrize("kind", ERRORS)
def test_some_test_meets_the_error(kind):
    """Every error is provoked by a test."""
    name = re.compile(rf"\b{kind.__name__}\b")
    here = Path(__file__)
    assert any(name.search(f.text) for f in files_of_tests() if f.path != here)
