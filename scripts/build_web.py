"""Build the calculator: build/web, a folder for any static host.

The page and its examples are made by this package. Python for browsers comes from npm,
in the version and with the checksum of scripts/web/package-lock.json. What npm brought
is kept in build/web-packages: later builds need neither npm nor a network.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import dwindle
from dwindle.web.page import SITE, render_page

ROOT = Path(__file__).parent.parent
LISTS = ROOT / "scripts" / "web"
PACKAGES = ROOT / "build" / "web-packages"
# What Pyodide loads at its start; the rest of its package is for node and for typing.
OF_PYODIDE = (
    "pyodide.mjs",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
# The floors that answer; all of them need the standard library only.
FLOORS = ("*.py", "cli/*.py", "decay/**/*", "errors/*.py", "web/*.py")
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of zip: equal input gives equal bytes
_NPM = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")


def main(words: list[str]) -> int:
    """Build the page into the folder that is given, or build/web."""
    out = Path(words[0]) if words else ROOT / "build" / "web"
    wrong = packages_are_missing()
    if wrong:
        print(f"dwindle: {wrong}", file=sys.stderr)
        return 1
    pyodide = PACKAGES / "node_modules" / "pyodide"
    its_version = json.loads((pyodide / "package.json").read_text())["version"]
    folder = f"pyodide-{its_version}"
    files = app_files(folder)
    digest = hashlib.sha256(b"".join(files[name] for name in sorted(files)))
    # A name of its own for each content: a browser may keep both folders for ever.
    app = f"app-{digest.hexdigest()[:12]}"
    page = render_page(
        app=app, version=version("dwindle"), python=f"Pyodide {its_version}"
    )
    shutil.rmtree(out, ignore_errors=True)
    (out / folder).mkdir(parents=True)
    (out / app).mkdir()
    for name in OF_PYODIDE:
        shutil.copyfile(pyodide / name, out / folder / name)
    for name, content in files.items():
        (out / app / name).write_bytes(content)
    (out / "index.html").write_text(page, encoding="utf-8")
    return 0


def packages_are_missing() -> str:
    """Bring what npm has to bring; return what to do where that fails."""
    lock = (LISTS / "package-lock.json").read_text()
    stamp = PACKAGES / "installed-for"
    if stamp.is_file() and stamp.read_text() == lock:
        return ""
    remedy = "run make web again; what it brings is kept for builds without a network."
    npm = shutil.which(_NPM[0])
    if npm is None:
        return f"the first build of the page needs npm. Install Node.js, then {remedy}"
    PACKAGES.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LISTS / name, PACKAGES / name)
    done = subprocess.run(
        [npm, *_NPM[1:]], cwd=PACKAGES, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return f"{done.stderr}npm could not bring Pyodide: mend that, then {remedy}"
    stamp.write_text(lock)
    return ""


def app_files(pyodide: str) -> dict[str, bytes]:
    """Return the files of the page's own folder by name."""
    files = {name: (SITE / name).read_bytes() for name in ("page.css", "icon.svg")}
    files["page.js"] = (SITE / "page.js").read_bytes()
    worker = (SITE / "worker.js").read_text(encoding="utf-8")
    files["worker.js"] = worker.replace("PYODIDE", pyodide).encode()
    package = Path(dwindle.__file__).parent
    chosen = {path for floor in FLOORS for path in package.glob(floor)}
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as whole:
        for path in sorted(chosen):
            if path.is_file() and path.suffix != ".pyc":
                name = path.relative_to(package.parent).as_posix()
                entry = zipfile.ZipInfo(name, _FIRST_DAY)
                entry.compress_type = zipfile.ZIP_DEFLATED
                whole.writestr(entry, path.read_bytes())
    files["dwindle.zip"] = archive.getvalue()
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
