"""What the machine has: read where the system tells it, and guessed low elsewhere."""

import os

import pytest

from dwindle.study import machine


def test_this_machine_has_cores_and_memory():
    """There is at least one core, and more memory than a small study needs."""
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    assert machine.free_memory_bytes() > 2**20
    assert f"{machine.cores()} cores" in machine.description()


def test_a_system_that_tells_nothing_gets_a_low_guess(tmp_path, monkeypatch):
    """Without any of Linux's files there are still cores, memory and a name."""
    nowhere = tmp_path / "nowhere"
    assert machine._available_bytes(nowhere) is None
    assert machine._left_in_group(nowhere) is None
    assert machine._processor_name(nowhere) == ""
    monkeypatch.setattr(machine, "_available_bytes", lambda _: None)
    monkeypatch.setattr(machine, "_left_in_group", lambda: None)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.free_memory_bytes() == 2 << 30
    assert machine.cores() == os.cpu_count()


@pytest.mark.parametrize(
    ("limit", "used", "left"),
    [("1000", "300", 700), ("1000", "1200", 0), ("max", "5", None)],
)
def test_a_container_has_what_its_limit_leaves(tmp_path, limit, used, left):
    """A limit of the container's own counts, and no limit is none."""
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    assert machine._left_in_group(tmp_path) == left


def test_memory_that_is_available_is_read(tmp_path):
    """Linux tells kibibytes; what is in use is not counted."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable: 40 kB\n")
    assert machine._available_bytes(meminfo) == 40 * 1024
    meminfo.write_text("MemTotal: 100 kB\n")
    assert machine._available_bytes(meminfo) is None
