"""What may stop a worker from growing, as the forecast is told."""

from __future__ import annotations

import resource

import psutil
import pytest

from leakhunt.runner.memory_limit import AddressSpaceLimit, NoLimit, memory_bounds

MIB = 1 << 20


def test_without_a_limit_there_is_the_memory_of_the_machine() -> None:
    bounds = memory_bounds(NoLimit())
    assert 0 < bounds["free memory"] <= psutil.virtual_memory().total
    assert "the memory limit" not in bounds


def test_the_limit_of_the_run_is_among_the_bounds() -> None:
    assert memory_bounds(AddressSpaceLimit(64 * MIB))["the memory limit"] == 64 * MIB


def test_an_address_space_that_is_limited_already_is_among_the_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (512 * MIB, 512 * MIB))
    assert memory_bounds(NoLimit())["RLIMIT_AS"] == 512 * MIB
