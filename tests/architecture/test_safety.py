"""What the code may not do: parse its sentences, run foreign text, swallow failures."""

import ast
from pathlib import Path

from architecture.source import File, called_name, files_of_tests, package_files

# Attributes of our records that hold English.
PROSE = {
    *("advice", "evidence", "instead", "remedy", "seen", "sentence", "sentences"),
    *("text", "title", "unchecked", "why", "why_not"),
}
READING = {
    *("count", "endswith", "find", "index", "partition", "removeprefix"),
    *("removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "split"),
    *("splitlines", "startswith"),
}
PATTERNS = {"findall", "finditer", "fullmatch", "match", "search", "split", "sub"}
# (module, what is read): why that is no contract between a sentence and a parser.
ALLOWED_READING = {
    ("dwindle.decay.rescaling", "each.why_not.replace('_', ' ')"): (
        "it is not read: batch_size is shown as batch size"
    ),
}


def read_back(file):
    """Yield each expression in which one of our sentences is taken apart."""
    named = {  # module-level texts of three words or more
        target.id
        for node in file.tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and len(node.value.value.split()) > 2
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def ours(node):
        is_prose = isinstance(node, ast.Attribute) and node.attr in PROSE
        return is_prose or (isinstance(node, ast.Name) and node.id in named)

    for node in file.nodes(ast.Call, ast.Compare):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # Words in a text that is split at its blanks are a table, and no sentence.
            is_table = node.func.attr == "split" and not node.args
            reads = node.func.attr in READING and ours(node.func.value) and not is_table
            takes = node.func.attr in READING | PATTERNS and any(map(ours, node.args))
            if reads or takes:
                yield node
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            texts = [isinstance(side, ast.Constant) and side.value for side in sides]
            inside = any(isinstance(each, ast.In | ast.NotIn) for each in node.ops)
            if (inside and ours(sides[-1])) or (
                any(map(ours, sides)) and any(isinstance(each, str) for each in texts)
            ):
                yield node


def test_no_sentence_of_ours_is_parsed():
    """No regex, startswith, partition, replace, in or == on a text that we wrote."""
    found = {
        (file.module, ast.unparse(node))
        for file in package_files()
        for node in read_back(file)
    }
    assert found - ALLOWED_READING.keys() == set()
    assert ALLOWED_READING.keys() - found == set()


def test_what_is_looked_for_is_found():
    """Planted: each way in which sentences were once read back."""
    planted = """
_ADVICE = " Keep weights in a wider format"
_HOOKS = "it has no hooks"
told = warning.text.partition(_ADVICE)[0]
kept = [each for each in unchecked if "--lr" in each.text]
is_ours = found.title.startswith(MEASURED)
number = _NUMBER.fullmatch(found.remedy)
fine = found.why == "..."
missing = words == _HOOKS and "x" in _HOOKS
"""
    lines = {node.lineno for node in read_back(File(Path(), planted))}
    assert lines == {4, 5, 6, 7, 8, 9}


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
