from __future__ import annotations

import sys
from array import array
from types import SimpleNamespace

import pytest

from leakhunt.probes import PeakProbe, choose
from leakhunt.probes.allocator import serving


def test_cuda_series_are_read_in_the_order_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scripted torch: this machine may have no GPU."""
    readings = {
        "allocated_bytes.all.current": 10,
        "reserved_bytes.all.current": 30,
        "active_bytes.all.current": 20,
        "allocated_bytes.all.peak": 99,
    }
    resets: list[int] = []
    other = dict.fromkeys(readings, 7)
    cuda = SimpleNamespace(
        init=lambda: None,
        device_count=lambda: 2,
        memory_stats=lambda device=0: (readings, other)[device],
        reset_peak_memory_stats=lambda: resets.append(1),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    chosen = choose("cuda")
    names = [series.name for series in chosen.series]
    into = array("q", [0]) * len(names)
    probe = chosen.kinds[-1]()
    probe.read(into, len(names) - 4)
    assert isinstance(probe, PeakProbe)
    probe.reset()
    found = dict(zip(names, into, strict=True))
    assert found["cuda_allocated"] == 10
    assert found["cuda_reserved"] == 30
    assert found["cuda_active"] == 20
    assert (found["peak_cuda"], len(resets)) == (99, 1)
    read = [
        series for series in chosen.series if series.name in ("cuda_allocated", "cuda_reserved")
    ]
    assert all("GPUs other than the default device" in series.blind_to for series in read)


def test_a_probe_that_cannot_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leakhunt.probes.allocator.glibc_in_use", lambda _: None)
    serving.cache_clear()
    chosen = choose("cpu")
    serving.cache_clear()
    assert "live_heap" not in {series.name for series in chosen.series}
    assert "mallinfo2" in str(chosen.unavailable["live_heap"])
