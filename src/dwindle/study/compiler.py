"""Builds the compiled steps with the machine's own C compiler, if it has one."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

SWITCH = "DWINDLE_COMPILED"  # "0" trains without compiled steps
_SOURCE = Path(__file__).with_name("steps.c")
_HEADER = _SOURCE.with_name("vectors.h")
_FLAGS = (
    *("-O3", "-march=native", "-shared", "-fPIC"),
    # Square roots as one instruction; vectors may look at arrays of numbers.
    *("-fno-math-errno", "-fno-strict-aliasing"),
)
_REALS = {
    "float32": ("-DREAL=float",),
    "float64": ("-DREAL=double", "-DREAL_IS_DOUBLE"),
}
_PATIENCE_SECONDS = 60


@cache
def compiled_steps(dtype: str) -> ctypes.CDLL | None:
    """Return the compiled steps for a dtype, None where they cannot be had.

    They are built once per machine and kept in the user's cache folder. Without a C
    compiler, or with one that does not know our vectors, training goes through
    PyTorch's operations: slower, and rounded differently.

    Args:
        dtype: ``float32`` or ``float64``.

    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if os.environ.get(SWITCH) == "0" or compiler is None or sys.platform == "win32":
        return None
    try:
        return _load(_built(compiler, dtype))
    except (OSError, subprocess.SubprocessError):
        return None


def _built(compiler: str, dtype: str) -> Path:
    """Return the library, compiled unless it is there already."""
    options = (*_FLAGS, *_REALS[dtype])
    sources = (_SOURCE.read_text(), _HEADER.read_text())
    parts = (*sources, compiler, *options, _processor())
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    folder = _cache_folder()
    library = folder / f"steps-{name}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fresh = Path(scratch) / library.name
            subprocess.run(  # noqa: S603 # our own source, the user's own compiler
                [compiler, *options, "-o", str(fresh), str(_SOURCE), "-lm"],
                check=True,
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
            )
            # Several workers may build at once: each puts a whole file into place.
            fresh.replace(library)
    return library


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "dwindle"
    # Code is loaded from here: nobody else may write to it.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _processor() -> str:
    """Return what -march=native depends on: a home may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    names = ("model name", "flags", "Features")
    return "".join(dict.fromkeys(line for line in lines if line.startswith(names)))


def _load(library: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(library))
    loaded.dwindle_scratch_size.restype = ctypes.c_long
    loaded.dwindle_epoch.restype = None
    return loaded
