"""No sentence that this package wrote is read back: texts are made last, of values."""

import ast

from architecture.source import package_files

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
ALLOWED = {
    ("dwindle.decay.rescaling", "each.why_not.replace('_', ' ')"): (
        "it is not read: batch_size is shown as batch size"
    ),
}


def is_prose(node):
    """Tell attributes that hold English: ``found.evidence``."""
    return isinstance(node, ast.Attribute) and node.attr in PROSE


def sentences_in(tree):
    """Return the names of module-level texts of three words or more."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and len(node.value.value.split()) > 2
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def read_back(tree):
    """Yield each expression in which one of our sentences is taken apart."""
    named = sentences_in(tree)

    def ours(node):
        return is_prose(node) or (isinstance(node, ast.Name) and node.id in named)

    for node in ast.walk(tree):
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
        for node in read_back(file.tree)
    }
    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set()


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
    lines = {node.lineno for node in read_back(ast.parse(planted))}
    assert lines == {4, 5, 6, 7, 8, 9}
