"""Parts of the manual that are written from the records of the code, at build time.

A page of docs/ has ``<!-- written by make docs: NAME -->`` where one belongs.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO

from docs_schemas import DOCUMENTS, FILES

from dwindle.audit.codes import CODES
from dwindle.audit.trainers import TRAINERS
from dwindle.cli.main import COMMANDS, main
from dwindle.cli.rules import law
from dwindle.decay.rules import RULES
from dwindle.store.connect import TABLES

# Columns of a help page: what a block of the manual shows without scrolling.
WIDTH = 90


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    cells = (" | ".join(_cell(each) for each in line) for line in lines)
    return "".join(f"| {each} |\n" for each in cells)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def block(language: str, text: str) -> str:
    """Return a fenced block."""
    return f"```{language}\n{text}\n```\n"


def rules() -> str:
    """Return the published scaling rules: a table, and a section for each."""
    rows = ((f"[{each.name}](#{each.name})", law(each), each.keeps) for each in RULES)
    text = table(("rule", "says", "keeps"), rows)
    for each in RULES:
        text += f"\n## {each.name}\n\n{each.sentence}\n\n"
        facts = {
            "says": law(each),
            "keeps": each.keeps,
            "evidence": each.evidence,
            "source": f"{each.source} (read: {each.checked})",
            "families": ", ".join(each.families),
        }
        text += "".join(f"- *{name}*: {it}\n" for name, it in facts.items())
    return text


def codes() -> str:
    """Return what an audit can find: a table, and a section for each code."""
    rows = (
        (f"[{each.code}](#{each.code.lower()})", each.severity, each.title)
        for each in CODES.values()
    )
    text = table(("code", "severity", "what is found"), rows)
    for each in CODES.values():
        text += f"\n## {each.code}\n\n**{each.title}** ({each.severity})\n\n"
        text += f"{each.why}\n\n*Found:* {each.found}\n\n*Write:* {each.write}\n\n"
        text += f"*Source:* {each.source}\n"
    return text


def audit_trainers() -> str:
    """Return the trainers whose files are known, by what, and which are not read."""
    rows = (
        (
            each.name,
            " or ".join(", ".join(f"`{key}`" for key in keys) for keys in each.marks),
            each.why_not or "read",
        )
        for each in TRAINERS
        if each.marks
    )
    return table(("trainer", "a file is its, which has", "it is"), rows)


def help_pages() -> str:
    """Return the help of every command."""
    text = ""
    for each in COMMANDS:
        text += f"\n## dwindle {each.name}\n\n{each.help}\n\n"
        text += block("text", _printed(each.name, "--help"))
    return text


def _printed(*words: str) -> str:
    """Return what a line prints, in the width of the manual."""
    os.environ["COLUMNS"] = str(WIDTH)
    printed = StringIO()
    with redirect_stdout(printed):
        main(words)
    lines = printed.getvalue().strip("\n").splitlines()
    return "\n".join(line.rstrip() for line in lines)


def schemas() -> str:
    """Return a table of the JSON Schemas: of files, of documents, and their members."""
    rows = (
        (
            f'<a href="schemas/{name}.json">{name}</a>',
            ", ".join(
                f"`{each.alias or key}`" for key, each in model.model_fields.items()
            ),
        )
        for name, model in (FILES | DOCUMENTS).items()
    )
    return table(("JSON Schema", "members"), rows)


def store() -> str:
    """Return the tables of a store, as SQLite reads them."""
    return block("sql", TABLES.read_text("utf-8").strip())


# Name of a part: what writes it.
WRITTEN: Mapping[str, Callable[[], str]] = {
    "rules": rules,
    "codes": codes,
    "audit-trainers": audit_trainers,
    "help": help_pages,
    "schemas": schemas,
    "store": store,
}
