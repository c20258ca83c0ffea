"""The peak of RSS is read and set back, costs little, and the process's own is not lost."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Iterator

import pytest

from leakhunt.model.series import PEAK_RSS, RSS
from leakhunt.probes import PeakProbe, choose, peaks
from leakhunt.probes.peaks import PeakRssProbe, costly_series

pytestmark = pytest.mark.skipif(
    PeakRssProbe.unavailable() is not None, reason="the peak RSS cannot be reset here"
)
MIB = 1 << 20
_NEAR = 2 * MIB


@pytest.fixture
def probe() -> Iterator[PeakRssProbe]:
    made = PeakRssProbe()
    yield made
    made.close()


def test_the_probe_is_one_of_peaks(probe: PeakRssProbe) -> None:
    assert isinstance(probe, PeakProbe)


def in_its_own_process(code: str) -> list[int]:
    """What it prints: what others do in this process is no matter there."""
    ended = subprocess.run(
        [sys.executable, "-c", _HEAD + code], capture_output=True, text=True, timeout=60, check=True
    )
    return [int(each) for each in ended.stdout.split()]


_HEAD = f"""
from array import array
from leakhunt.probes.peaks import PeakRssProbe, highest_before_reset
from leakhunt.worker.readings import full_reading
probe, into = PeakRssProbe(), array("q", [0, 0, 0])
def touch():
    block = bytearray({64 * MIB})
    block[::4096] = b"x" * len(block[::4096])
"""


def test_a_gulp_between_two_readings_is_seen_and_then_forgotten() -> None:
    before, gulp, after = in_its_own_process("""
probe.reset()
probe.read(into, 0)
touch()
probe.read(into, 1)
probe.reset()
probe.read(into, 2)
print(*into)
""")
    assert abs(gulp - before - 64 * MIB) < _NEAR
    assert after - before < _NEAR


def test_the_peak_of_the_process_s_life_outlives_a_reset() -> None:
    highest, kept, peak, rss = in_its_own_process(f"""
touch()
probe.read(into, 0)
probe.reset()
values = full_reading("end").values
print(into[0], highest_before_reset(), values["rss_peak"], values["{RSS}"])
""")
    assert peak >= highest == kept
    assert rss < highest - 32 * MIB


def test_reading_and_resetting_leaves_no_block(probe: PeakRssProbe) -> None:
    into = array("q", [0])
    counts = array("q", [0] * 50)
    for number in range(50):
        probe.reset()
        probe.read(into, 0)
        counts[number] = sys.getallocatedblocks()
    assert max(counts[10:]) - min(counts[10:]) <= 1


def test_where_it_is_dear_it_is_switched_off_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "_cost", lambda: 0.002)
    costly_series.cache_clear()
    try:
        dear = costly_series()
        assert "2,000 µs per sample" in str(dear[PEAK_RSS])
        chosen = choose("cpu")
        assert PEAK_RSS not in {series.name for series in chosen.series}
        assert chosen.unavailable[PEAK_RSS] == dear[PEAK_RSS]
    finally:
        costly_series.cache_clear()


def test_on_this_machine_it_is_read() -> None:
    assert PEAK_RSS in {series.name for series in choose("cpu").series}
