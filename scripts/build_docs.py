"""Build the manual: build/docs, from docs/ and from pages that the code writes itself.

Sphinx reads build/docs-source, where both are; warnings are errors. Beside each page
lies its Markdown for programs that read, listed in llms.txt, and the calculator where
``make web`` has built it.
"""

import shutil
import sys
from pathlib import Path

from docs_pages import GENERATED
from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build/docs-source"
OUT = ROOT / "build/docs"
CALCULATOR = ROOT / "build/web"


def collect() -> None:
    """Put the pages of docs/ and the written ones into one folder."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE)
    for name, write in GENERATED.items():
        path = SOURCE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(write(), "utf-8")


def title_of(page: Path) -> str:
    """Return the first heading of a page."""
    lines = page.read_text("utf-8").splitlines()
    return next(line[2:] for line in lines if line.startswith("# "))


def copy_for_programs() -> None:
    """Copy the Markdown of each page, and list all in llms.txt."""
    entries = []
    for page in sorted(SOURCE.rglob("*.md")):
        name = page.relative_to(SOURCE).as_posix()
        (OUT / name).parent.mkdir(exist_ok=True)
        shutil.copy(page, OUT / name)
        entries.append(f"- [{title_of(page)}]({name})")
    head = "# dwindle\n\n> Weight decay, corrected for scale.\n\n## Pages\n\n"
    (OUT / "llms.txt").write_text(head + "\n".join(entries) + "\n", "utf-8")


def copy_calculator() -> None:
    """Put the calculator beside the manual, or say that it is missing."""
    if (CALCULATOR / "index.html").is_file():
        shutil.copytree(CALCULATOR, OUT / "calculator", dirs_exist_ok=True)
    else:
        print("The calculator is missing: make web builds it (npm is needed).")


if __name__ == "__main__":
    collect()
    shutil.rmtree(OUT, ignore_errors=True)
    # -n: a reference that leads nowhere; -W: what is amiss fails the build.
    words = ["-b", "html", "-n", "-W", "--keep-going", "-q", "-d"]
    failed = sphinx([*words, str(ROOT / "build/docs-trees"), str(SOURCE), str(OUT)])
    if failed:
        sys.exit(failed)
    copy_for_programs()
    copy_calculator()
    print(f"The manual is {OUT.relative_to(Path.cwd())}/index.html")
