"""Pages of the manual that are written from the records of the code, at build time."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO

from dwindle.audit.codes import CODES
from dwindle.cli.main import COMMANDS, main
from dwindle.cli.rules import law
from dwindle.decay.rules import RULES

# Columns of a help page: what a block of the manual shows without scrolling.
WIDTH = 88


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(
        f"| {' | '.join(_cell(each) for each in line)} |\n" for line in lines
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def rules_page() -> str:
    """Return the published scaling rules, one section each."""
    page = """\
# Scaling rules

How a decay should move with scale, as somebody published it. λ is the coefficient in:
mean loss + λ/2 · Σ w². The *shrink* is the fraction that one step takes off a weight
with zero gradient. `dwindle rescale` applies them.

"""
    rows = ((f"[{each.name}](#{each.name})", law(each), each.keeps) for each in RULES)
    page += table(("rule", "says", "keeps"), rows)
    for each in RULES:
        page += f"\n## {each.name}\n\n{each.sentence}\n\n"
        facts = {
            "says": law(each),
            "keeps": each.keeps,
            "evidence": each.evidence,
            "source": f"{each.source} (read: {each.checked})",
            "families": ", ".join(each.families),
        }
        page += table(("", ""), ((f"**{name}**", it) for name, it in facts.items()))
    return page


def codes_page() -> str:
    """Return what an audit can find, one section for each code."""
    page = """\
# Codes of an audit

What `dwindle audit` can find. Errors and warnings make its exit code 1, notes do not.
Numbers are stable: a code never changes its meaning. `dwindle audit --explain DW008`
prints one.

"""
    rows = (
        (f"[{each.code}](#{each.code.lower()})", each.severity, each.title)
        for each in CODES.values()
    )
    page += table(("code", "severity", "what is found"), rows)
    for each in CODES.values():
        page += f"\n## {each.code}\n\n**{each.title}** ({each.severity})\n\n"
        page += f"{each.why}\n\n*Found:* {each.found}\n\n*Write:*\n\n"
        page += f"```text\n{each.write}\n```\n\n*Source:* {each.source}\n"
    return page


def command_line_page() -> str:
    """Return the help of every command."""
    page = """\
# Command line

Every command prints JSON with `--json`. Data goes to stdout, progress to stderr. Exit
codes: 0 fine, 1 an audit found something, 2 bad input or a refused conversion, 3 a
failure while running, 130 interrupted with everything saved.

"""
    for each in COMMANDS:
        page += f"\n## dwindle {each.name}\n\n{each.help}\n\n"
        page += f"```text\n{_printed(each.name, '--help')}\n```\n"
    return page


def _printed(*words: str) -> str:
    """Return what a line prints, in the width of the manual."""
    os.environ["COLUMNS"] = str(WIDTH)
    printed = StringIO()
    with redirect_stdout(printed):
        main(words)
    lines = printed.getvalue().strip("\n").splitlines()
    return "\n".join(line.rstrip() for line in lines)


# Page: what writes it.
GENERATED: Mapping[str, Callable[[], str]] = {
    "rules.md": rules_page,
    "codes.md": codes_page,
    "command-line.md": command_line_page,
}
