"""What this machine has: cores, free memory, and a line that describes it."""

import os
import platform
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_bytes() -> int:
    """Return the memory that could be used without swapping, as far as can be told."""
    found = [_available_bytes(Path("/proc/meminfo")), _left_in_group()]
    known = [size for size in found if size is not None]
    # Where nothing tells (macOS, Windows), a size that any machine of today has.
    return min(known, default=2 << 30)


def description() -> str:
    """Return the processor and system in a line, for the reader of a report."""
    name = _processor_name(Path("/proc/cpuinfo")) or platform.processor()
    return f"{name or platform.machine()}, {cores()} cores, {platform.system()}"


def _available_bytes(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0][1]) * 1024 if sizes else None


def _left_in_group(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what a container's own limit leaves, if it has one."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = (group / "memory.current").read_text().strip()
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit.isdigit() else None


def _processor_name(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else ""
