"""Be one to whom the system denies something, also where the tests run as root."""

import ctypes
import os
from contextlib import contextmanager

_VERSION = 0x20080522  # of the two functions; see capget(2)
# CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: read and write in spite of a file's mode.
_PASS_MODES = 1 << 1 | 1 << 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class _Rights(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def modes_count():
    """Let the modes of files count for root too: its rights to pass them rest."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, rights = _Header(_VERSION, 0), (_Rights * 2)()
    assert libc.capget(ctypes.byref(header), rights) == 0
    before = rights[0].effective
    try:
        rights[0].effective = before & ~_PASS_MODES
        assert libc.capset(ctypes.byref(header), rights) == 0
        yield
    finally:
        rights[0].effective = before
        assert libc.capset(ctypes.byref(header), rights) == 0
