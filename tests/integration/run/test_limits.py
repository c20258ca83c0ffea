"""Where no memory cgroup may be made, the address space is limited, and the run says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from leakhunt.runner import memory_limit

GROWS = "import sys; sys.stdin.read(); kept = [bytearray(1 << 20) for _ in range(4096)]"


def test_without_a_cgroup_allocations_fail_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "_own_cgroup", lambda controller: None)
    limit = memory_limit.memory_limit(400 << 20)
    assert "RLIMIT_AS 400.0 MiB" in str(limit.name)
    worker = subprocess.Popen(
        [sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    limit.enter(worker.pid)
    _, errors = worker.communicate()
    assert worker.returncode == 1
    assert b"MemoryError" in errors
    assert limit.kernel_words() is None
    limit.remove()


def test_no_limit_is_said_to_be_none() -> None:
    assert memory_limit.memory_limit(None).name == "none"


def test_a_cgroup_is_gone_after_the_run() -> None:
    limit = memory_limit.memory_limit(400 << 20)
    if not isinstance(limit, memory_limit._Cgroup):
        pytest.skip("no memory cgroup may be made here")
    assert limit.folder.is_dir()
    limit.remove()
    assert not limit.folder.exists()


def test_two_workers_at_once_have_a_limit_each() -> None:
    """Variants of two scenarios may be named alike, and be measured at the same time."""
    first, second = memory_limit.memory_limit(400 << 20), memory_limit.memory_limit(500 << 20)
    try:
        if not isinstance(first, memory_limit._Cgroup):
            pytest.skip("no memory cgroup may be made here")
        assert isinstance(second, memory_limit._Cgroup)
        assert first.folder != second.folder
        assert first.folder.is_dir() and second.folder.is_dir()
    finally:
        first.remove()
        second.remove()
