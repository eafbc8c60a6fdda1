"""The style budgets of CONTRIBUTING.md, counted."""

import ast
import re
from collections import Counter
from graphlib import TopologicalSorter

from architecture.source import body_lines, files_of_tests, package_files

from dwindle.decay.families import FAMILIES

LINES_OF_A_FILE = 500
LINES_OF_MOST_FUNCTIONS = 30
LINES_OF_A_FUNCTION = 60
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "misc"}


def test_a_file_is_one_idea():
    """A file has at most 500 lines, and a name that says what it is about."""
    files = package_files() + files_of_tests()
    long = {
        str(file): lines
        for file in files
        if (lines := file.text.count("\n")) > LINES_OF_A_FILE
    }
    nameless = [str(file) for file in files if file.path.stem in NAMES_THAT_SAY_NOTHING]
    assert not long
    assert not nameless


def test_a_class_has_a_name_that_no_other_has():
    """A name of a class has one meaning in the whole package."""
    names = Counter(
        node.name
        for file in package_files()
        for node in file.tree.body
        if isinstance(node, ast.ClassDef)
    )
    # The callback of Keras, of Lightning and of the Trainer: one idea, three libraries.
    assert {name for name, times in names.items() if times > 1} == {"DecayCallback"}


def test_the_first_line_is_the_idea():
    """The first line of a file states its idea in one sentence, and no placeholder."""
    files = package_files() + files_of_tests()
    wrong = [str(file) for file in files if not _starts_with_its_idea(file)]
    assert not wrong


def _starts_with_its_idea(file):
    first = file.text.partition("\n")[0]
    said = (ast.get_docstring(file.tree) or "").partition("\n")[0]
    return (
        bool(said)
        and said.rstrip('"') in first
        and said[-1] in ".:?"
        and not re.match(r"TODO|FIXME|XXX", said)
    )


def test_most_functions_are_short():
    """Nine of ten functions have at most 30 lines, and none has more than 60."""
    functions = {
        file.at(function): body_lines(function)
        for file in package_files()
        for function in file.functions()
    }
    long = {
        at: lines for at, lines in functions.items() if lines > LINES_OF_MOST_FUNCTIONS
    }
    assert len(long) <= len(functions) / 10, long
    assert not {at: n for at, n in functions.items() if n > LINES_OF_A_FUNCTION}


def test_imports_run_in_no_circle():
    """No module reaches itself through imports, be they late or for types alone."""
    imported = {file.module: _imports(file) for file in package_files()}
    order = list(TopologicalSorter(imported).static_order())  # CycleError names it
    assert order.index("dwindle.errors") < order.index("dwindle.cli.main")


def _imports(file):
    known = {other.module for other in package_files()}
    found = set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & known) or {node.module}
    return (found & known) - {file.module}


def test_a_test_of_an_error_looks_at_it():
    """Every test of an error compares its facts or its text, not only its class."""
    blind = [
        file.at(call)
        for file in files_of_tests()
        for statement in file.nodes(ast.With)
        for item in statement.items
        if isinstance(call := item.context_expr, ast.Call)
        and getattr(call.func, "attr", "") in ("raises", "assertRaises")
        and not any(keyword.arg == "match" for keyword in call.keywords)
        and item.optional_vars is None
    ]
    assert not blind


def test_every_test_says_what_it_proves():
    """The docstring of a test is the sentence it proves."""
    silent = [
        file.at(function)
        for file in files_of_tests()
        for function in file.functions()
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert not silent


# A shape of a schedule and a verdict of a report are words too.
OTHER_WORDS = {"constant", "corrected"}
# So is the variant that an option makes of a knob, a flag of the compiled engine, and
# a refusal.
OTHER_MEANINGS = {
    ("python_inputs.py", "decoupled"),
    ("compiled.py", "decoupled"),
    ("plan_groups.py", "trust-ratio"),
}


def test_no_file_but_the_table_knows_a_family_by_name():
    """A new family is one record: elsewhere its attributes decide, not its name."""
    found = [
        f"{file.at(node)} {node.value}"
        for file in package_files()
        if file.path.name != "families.py"
        for node in file.nodes(ast.Constant)
        if node.value in {*FAMILIES} - OTHER_WORDS
        and (file.path.name, node.value) not in OTHER_MEANINGS
    ]
    assert not found
