"""What may stop a worker from growing, as the forecast is told."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from leakhunt.runner import memory_limit
from leakhunt.runner.memory_limit import AddressSpaceLimit, NoLimit, memory_bounds

MIB = 1 << 20


def group(folder: Path) -> memory_limit._Cgroup:
    return memory_limit._Cgroup(folder, MIB, 2, ("memory.max",), lambda folder: 0)


def test_without_a_limit_there_is_the_memory_of_the_machine() -> None:
    bounds = memory_bounds(NoLimit())
    assert 0 < bounds["free memory"] <= psutil.virtual_memory().total
    assert "the memory limit" not in bounds


def test_the_limit_of_the_run_is_among_the_bounds(tmp_path: Path) -> None:
    """By what it counts: resident memory, or address space."""
    limit = replace(group(tmp_path), size_bytes=64 * MIB)
    assert memory_bounds(limit)["the memory limit"] == 64 * MIB
    bounds = memory_bounds(AddressSpaceLimit(64 * MIB))
    assert bounds["RLIMIT_AS"] == 64 * MIB and "the memory limit" not in bounds


def test_what_a_service_holds_already_is_free_to_it() -> None:
    more = memory_bounds(NoLimit(), 1 << 60)["free memory"]
    assert more >= 1 << 60


@pytest.mark.parametrize(
    ("version", "limit", "usage", "stat"),
    [
        (2, "memory.max", "memory.current", "anon 5\nfile {file}\nshmem {shmem}\n"),
        (
            1,
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "cache 1\ntotal_cache {file}\ntotal_shmem {shmem}\n",
        ),
    ],
)
def test_what_the_kernel_can_drop_takes_no_room_in_a_group(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    limit: str,
    usage: str,
    stat: str,
) -> None:
    (tmp_path / limit).write_text(str(1000 * MIB))
    (tmp_path / usage).write_text(str(700 * MIB))
    (tmp_path / "memory.stat").write_text(stat.format(file=400 * MIB, shmem=100 * MIB))
    mine = "" if version == 2 else "memory"
    monkeypatch.setattr(
        memory_limit, "_own_cgroup", lambda named: tmp_path if named == mine else None
    )
    assert memory_bounds(NoLimit())["the memory cgroup"] == 600 * MIB


def test_an_address_space_that_is_limited_already_is_among_the_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (512 * MIB, 512 * MIB))
    assert memory_bounds(NoLimit())["RLIMIT_AS"] == 512 * MIB
