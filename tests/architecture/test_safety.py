"""What the code may not do: run foreign text, swallow failures, or step aside."""

import ast

import pytest
from architecture.source import called_name, files_of_tests, package_files

FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
# (module, import): why nothing that is read from outside is run by it.
ALLOWED_IMPORTS = {
    ("dwindle.finding.function", "cloudpickle"): (
        "it only writes: the caller's function goes by a pipe to a worker of ours"
    ),
}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "os.system", "os.popen",
    "yaml.load", "numpy.load", "np.load",
}  # fmt: skip
FORBIDDEN_MARKS = {"skip", "skipif", "xfail", "importorskip"}


@pytest.mark.parametrize("file", package_files(), ids=str)
def test_nothing_read_is_run(file):
    """No shipped file unpickles, evaluates, or hands text to a shell."""
    imported = {
        alias.name.partition(".")[0]
        for node in file.nodes(ast.Import)
        for alias in node.names
    } | {(node.module or "").partition(".")[0] for node in file.nodes(ast.ImportFrom)}
    forbidden = {(file.module, name) for name in imported & FORBIDDEN_IMPORTS}
    assert not forbidden - ALLOWED_IMPORTS.keys()
    for call in file.nodes(ast.Call):
        assert called_name(call) not in FORBIDDEN_CALLS, file.at(call)
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("shell", "False") == "False", file.at(call)
        if called_name(call) == "torch.load":
            assert given.get("weights_only") == "True", file.at(call)


@pytest.mark.parametrize("file", package_files(), ids=str)
def test_users_meet_no_assert(file):
    """A shipped file raises errors that teach; ``python -O`` would drop an assert."""
    assert not [file.at(node) for node in file.nodes(ast.Assert)]


@pytest.mark.parametrize("file", files_of_tests(), ids=str)
def test_no_test_steps_aside(file):
    """No test is skipped or expected to fail, and none catches its own failure."""
    for node in file.nodes(ast.Attribute):
        owner = ast.unparse(node.value)
        assert not (
            owner in ("pytest", "pytest.mark", "unittest")
            and node.attr in FORBIDDEN_MARKS
        ), file.at(node)
    for handler in file.nodes(ast.ExceptHandler):
        caught = ast.unparse(handler.type) if handler.type else "everything"
        assert caught not in ("AssertionError", "everything"), file.at(handler)
