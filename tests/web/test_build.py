"""How the calculator is built: from what npm brought, else with an error."""

import json
import re
import subprocess
import sys
import zipfile
from runpy import run_path

import pytest
from architecture.source import ROOT

import dwindle


@pytest.fixture
def checkout(tmp_path):
    """A folder with the build script and its lists, and nothing that npm brings."""
    for name in ("scripts/build_web.py", *(f"scripts/web/{p}" for p in PINNED)):
        there = tmp_path / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes((ROOT / name).read_bytes())
    return tmp_path


PINNED = ("package.json", "package-lock.json")
# Their content does not matter to the build; those of the real ones are 12 MB.
OF_PYODIDE = run_path(str(ROOT / "scripts/build_web.py"))["OF_PYODIDE"]


def build(folder, out):
    """Build on a machine that has no npm, and no network."""
    return subprocess.run(
        [sys.executable, "scripts/build_web.py", str(out)],
        cwd=folder,
        env={
            "PATH": "",
            "PYTHONPATH": str(dwindle.__path__[0]).removesuffix("dwindle"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_npm_it_says_what_is_missing(checkout):
    """The first build needs npm: without it one line, and nothing left behind."""
    done = build(checkout, checkout / "web")
    assert done.returncode == 1
    assert "npm" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (checkout / "web").exists()


def test_what_npm_brought_is_enough(checkout):
    """Later builds need no npm; equal input gives equal files, all that are named."""
    packages = checkout / "build" / "web-packages"
    pyodide = packages / "node_modules" / "pyodide"
    pyodide.mkdir(parents=True)
    for name in OF_PYODIDE:
        (pyodide / name).write_text(name)
    (pyodide / "package.json").write_text(json.dumps({"version": "1.2.3"}))
    lock = (checkout / "scripts" / "web" / "package-lock.json").read_text()
    (packages / "installed-for").write_text(lock)
    built = []
    for name in ("one", "two"):
        out = checkout / name
        done = build(checkout, out)
        assert (done.returncode, done.stderr) == (0, "")
        files = [path for path in out.rglob("*") if path.is_file()]
        built.append({p.relative_to(out).as_posix(): p.read_bytes() for p in files})
    assert built[0] == built[1]
    page = built[0]["index.html"].decode()
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    worker = next(name for name in built[0] if name.endswith("worker.js"))
    named += [f"pyodide-1.2.3/{name}" for name in OF_PYODIDE]
    assert set(named) <= set(built[0])
    assert b"../pyodide-1.2.3/pyodide.mjs" in built[0][worker]
    with zipfile.ZipFile(
        checkout / "one" / worker.replace("worker.js", "dwindle.zip")
    ) as z:
        inside = z.namelist()
    assert {"dwindle/web/calculate.py", "dwindle/decay/knobs.toml"} <= set(inside)
    assert not [name for name in inside if "pytorch" in name or name.endswith(".pyc")]
