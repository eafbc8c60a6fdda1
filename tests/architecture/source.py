"""The project's own source, each file parsed once, when a test first walks it."""

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "dwindle"


@dataclass(frozen=True)
class File:
    """One Python file."""

    path: Path
    text: str

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def module(self) -> str:
        """``dwindle.decay.run`` of src/dwindle/decay/run.py."""
        inside = self.path.relative_to(PACKAGE.parent).with_suffix("")
        return ".".join(inside.parts).removesuffix(".__init__")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def _walked(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    def nodes(self, *kinds: type[ast.AST]) -> list[ast.AST]:
        return [node for node in self._walked if isinstance(node, kinds)]

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return self.nodes(ast.FunctionDef, ast.AsyncFunctionDef)

    def at(self, node: ast.AST) -> str:
        return f"{self}:{node.lineno} {getattr(node, 'name', '')}".strip()


@cache
def package_files() -> tuple[File, ...]:
    """Every file that is shipped."""
    return _read(PACKAGE)


@cache
def files_of_tests() -> tuple[File, ...]:
    """Every file under tests/ and bench/."""
    return _read(ROOT / "tests") + _read(ROOT / "bench")


def _read(folder: Path) -> tuple[File, ...]:
    paths = sorted(folder.rglob("*.py"))
    return tuple(File(path, path.read_text("utf-8")) for path in paths)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from ``def`` to its end, without the docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def called_name(call: ast.Call) -> str:
    """``torch.load`` of ``torch.load(...)``; empty for a call of a call."""
    try:
        return ast.unparse(call.func) if not isinstance(call.func, ast.Call) else ""
    except ValueError:
        return ""
