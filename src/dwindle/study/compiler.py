"""Builds the compiled steps with the machine's own C compiler, if it has one."""

import atexit
import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
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
    # Whatever CC asks for: these change sums, and all stores call them one engine.
    *("-fno-fast-math", "-fno-unsafe-math-optimizations", "-fno-associative-math"),
    *("-fno-reciprocal-math", "-fno-finite-math-only"),
    # Square roots as one instruction; vectors may look at arrays of numbers.
    *("-fno-math-errno", "-fno-strict-aliasing"),
)
_REALS = {
    "float32": ("-DREAL=float",),
    "float64": ("-DREAL=double", "-DREAL_IS_DOUBLE"),
}
_PATIENCE_SECONDS = 60
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LOG = logging.getLogger("dwindle")


@cache
def compiled_steps(dtype: str) -> ctypes.CDLL | None:
    """Return the compiled steps for a dtype, None where they cannot be had.

    They are built once per machine and kept in the user's cache folder. Without a C
    compiler, or with one that does not know our vectors, training goes through
    PyTorch's operations: slower, and rounded differently. Where there is a compiler,
    or ``CC`` names one, and it does not work, a warning says so.

    Args:
        dtype: ``float32`` or ``float64``.

    """
    if os.environ.get(SWITCH) == "0" or sys.platform == "win32":
        return None
    try:
        named = shlex.split(os.environ.get("CC", "")) or ["cc"]
        compiler = shutil.which(named[0])
        if compiler is not None:
            return _load(_built((compiler, *named[1:]), dtype))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = str(error)
    else:
        if "CC" not in os.environ:
            return None  # a machine without a compiler, as many are
        why = f"{named[0]} is not on the path"
    told = f"CC={os.environ['CC']!r}: {why}" if "CC" in os.environ else why
    _LOG.warning("Steps must compile, and training goes without: slower. Got %s.", told)
    return None


def _built(compiler: tuple[str, ...], dtype: str) -> Path:
    """Return the library, compiled unless it is there already, and whole."""
    options = (*_FLAGS, *_REALS[dtype])
    sources = (_SOURCE.read_text(), _HEADER.read_text())
    parts = (*sources, *compiler, *options, _processor())
    name = _digest("\0".join(parts).encode())
    folder = _cache_folder()
    for library in folder.glob(f"steps-{name}-*.so"):
        # Its name says what is in it: a damaged library would crash who loads it.
        if library.stem.endswith(_digest(library.read_bytes())):
            return library
        library.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch) / "steps.so"
        subprocess.run(  # noqa: S603 # our own source, the user's own compiler
            [*compiler, *options, "-o", str(fresh), str(_SOURCE), "-lm"],
            check=True,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
        )
        with fresh.open("rb") as file:
            library = folder / f"steps-{name}-{_digest(file.read())}.so"
            os.fsync(file.fileno())
        # Several workers may build at once: each puts a whole file into place.
        return fresh.replace(library)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _cache_folder() -> Path:
    """Return a folder that nobody else can write to: code is loaded from it."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "dwindle"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.stat()
    if facts.st_uid == os.getuid() and not facts.st_mode & _WRITABLE_BY_OTHERS:
        return folder
    # Somebody else may have put something there: build anew, for this process alone.
    private = tempfile.mkdtemp(prefix="dwindle-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private)


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
