"""What this machine has: cores, free memory, and a line that describes it."""

import os
import platform
from pathlib import Path

# A container may have less memory than its machine shows.
_CGROUP = Path("/sys/fs/cgroup")
_CPUINFO = Path("/proc/cpuinfo")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # what a container or taskset leaves us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_bytes() -> int:
    """Return the memory that could be used without swapping."""
    import psutil  # here: a plan with a given ceiling never needs it

    free: int = psutil.virtual_memory().available
    try:  # psutil has the memory of the machine, not the limit of a container
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = (_CGROUP / "memory.current").read_text().strip()
    except OSError:
        return free
    return max(0, min(free, int(limit) - int(used))) if limit.isdigit() else free


def processor(*fields: str) -> tuple[str, ...]:
    """Return what Linux prints of the processor in these fields, each value once."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return ()
    pairs = [line.partition(":") for line in lines]
    found = [value.strip() for name, _, value in pairs if name.strip() in fields]
    return tuple(dict.fromkeys(found))


def description() -> str:
    """Return the processor and system in a line, for the reader of a report."""
    names = (*processor("model name"), platform.processor(), platform.machine())
    return f"{next(filter(None, names))}, {cores()} cores, {platform.system()}"
