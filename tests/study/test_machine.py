"""What the machine has, and what the limit of a container leaves of it."""

import os
from pathlib import Path

from dwindle.study import machine


def test_this_machine_has_cores_and_memory():
    """There is at least one core, and more memory than a small study needs."""
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    assert machine.free_memory_bytes() > 2**20
    assert f"{machine.cores()} cores" in machine.description()


def test_a_container_has_what_its_limit_leaves(tmp_path, monkeypatch):
    """A limit of the container's own counts, and no limit is none."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    whole = machine.free_memory_bytes()
    found = []
    for limit, used in (("1000", "300"), ("1000", "1200"), ("max", "5")):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        found.append(machine.free_memory_bytes())
    assert found[:2] == [700, 0]
    assert found[2] > whole / 2  # other programs come and go meanwhile


def test_a_system_without_linux_files_has_a_description(tmp_path, monkeypatch):
    """Where nothing is read of the processor there is still a line about it."""
    monkeypatch.setattr(machine, "_CPUINFO", Path(tmp_path / "nowhere"))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.processor("model name") == ()
    assert machine.cores() == os.cpu_count()
    assert f"{os.cpu_count()} cores" in machine.description()
