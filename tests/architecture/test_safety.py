"""What the code may not do: run foreign text, swallow failures, or step aside."""

import ast

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


def test_nothing_read_is_run():
    """No shipped file unpickles, evaluates, or hands text to a shell."""
    imported = {
        (file.module, name.partition(".")[0])
        for file in package_files()
        for node in file.nodes(ast.Import, ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    forbidden = {each for each in imported if each[1] in FORBIDDEN_IMPORTS}
    assert forbidden == ALLOWED_IMPORTS.keys()
    calls = [
        file.at(call)
        for file in package_files()
        for call in file.nodes(ast.Call)
        if _runs_what_it_reads(call)
    ]
    assert not calls


def _runs_what_it_reads(call):
    name = called_name(call)
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    return (
        name in FORBIDDEN_CALLS
        or given.get("shell", "False") != "False"
        or (name == "torch.load" and given.get("weights_only") != "True")
    )


def test_no_test_steps_aside():
    """No test is skipped or expected to fail, and none catches its own failure."""
    aside = [
        file.at(node)
        for file in files_of_tests()
        for node in file.nodes(ast.Attribute)
        if node.attr in FORBIDDEN_MARKS
        and ast.unparse(node.value) in ("pytest", "pytest.mark", "unittest")
    ]
    blind = [
        file.at(handler)
        for file in files_of_tests()
        for handler in file.nodes(ast.ExceptHandler)
        if not handler.type or ast.unparse(handler.type) == "AssertionError"
    ]
    assert not aside
    assert not blind
