"""Build the manual: build/docs, from docs/ and from what the code writes into it.

Sphinx reads build/docs-source, where both are together; warnings are errors. Beside
each page lies its Markdown for programs that read; the JSON Schemas are in schemas/;
llms.txt lists both. The calculator is there if ``make web`` has built it.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from docs_pages import WRITTEN
from docs_schemas import published
from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build/docs-source"
TEXTS = ROOT / "build/docs-text"
OUT = ROOT / "build/docs"
CALCULATOR = ROOT / "build/web"
_PLACE = re.compile(r"<!-- written by make docs: ([\w-]+) -->\n")


def calculator() -> str:
    """Return the way to the calculator, or how to get it."""
    if (CALCULATOR / "index.html").is_file():
        return '  <a href="calculator/index.html">Open the calculator</a>\n'
    return "  It is missing in this copy of the manual: `make web`, which needs npm.\n"


def collect() -> None:
    """Copy docs/ and fill in what the code writes."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE)
    written = WRITTEN | {"calculator": calculator}
    for page in SOURCE.rglob("*.md"):
        text = page.read_text("utf-8")
        page.write_text(_PLACE.sub(lambda it: written[it[1]](), text), "utf-8")


def build(kind: str, out: Path) -> None:
    """Run Sphinx, and end here if it warns of anything."""
    # -n: a reference that leads nowhere is a warning, too.
    words = ["-b", kind, "-n", "-W", "--keep-going", "-q"]
    trees = ["-d", str(ROOT / f"build/docs-trees-{kind}")]
    if failed := sphinx([*words, *trees, str(SOURCE), str(out)]):
        sys.exit(failed)


def copy_for_programs() -> None:
    """Put the Markdown of each page beside it, and list all in llms.txt."""
    lines = []
    for page in sorted(SOURCE.rglob("*.md")):
        name = page.relative_to(SOURCE)
        text = page.read_text("utf-8")
        if "{eval-rst}" in text:  # docstrings, which only Sphinx has put together
            text = (TEXTS / name.with_suffix(".txt")).read_text("utf-8")
        (OUT / name).write_text(text, "utf-8")
        title = next(each for each in page.read_text("utf-8").splitlines() if each)
        lines.append(f"- [{title.removeprefix('# ')}]({name.as_posix()})")
    head = "# dwindle\n\n> Weight decay, corrected for scale.\n\n## Pages\n\n"
    lines += ["", "## JSON Schemas of files, and of what --json prints", ""]
    lines += [f"- [{name}](schemas/{name}.json)" for name in published()]
    (OUT / "llms.txt").write_text(head + "\n".join(lines) + "\n", "utf-8")


def write_schemas() -> None:
    """Write the JSON Schema of each file that is read and each document printed."""
    for name, schema in published().items():
        path = OUT / f"schemas/{name}.json"
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(schema, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    collect()
    shutil.rmtree(OUT, ignore_errors=True)
    build("html", OUT)
    build("text", TEXTS)
    copy_for_programs()
    write_schemas()
    if (CALCULATOR / "index.html").is_file():
        shutil.copytree(CALCULATOR, OUT / "calculator")
    else:
        print("The calculator is missing: make web builds it, and needs npm.")
    print(f"The manual is {OUT.relative_to(ROOT)}/index.html")
