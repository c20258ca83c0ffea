"""Measuring in process on a system without workers: what Windows lacks is taken away here."""

from __future__ import annotations

from pathlib import Path

import pytest

import leakhunt
from leakhunt.errors import MissingRequirement
from leakhunt.model.verdict import Status


@pytest.fixture
def without_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ``/proc``, no memfd, no reading at a place: as far as it can be played."""
    for name in ("pread", "preadv", "memfd_create", "O_CLOEXEC"):
        monkeypatch.delattr(f"os.{name}")
    monkeypatch.setattr("leakhunt.probes.process._PROC", Path("/nowhere"))
    monkeypatch.setattr("leakhunt.probes.peaks._CLEAR_REFS", Path("/nowhere"))
    monkeypatch.setattr("leakhunt.worker.address_space.regions", list)
    monkeypatch.setattr("leakhunt.engine.settings.HAS_WORKERS", False)


@pytest.mark.usefixtures("without_posix")
def test_a_function_is_measured_in_process_on_the_python_heap(tmp_path: Path) -> None:
    kept: list[list[bytearray]] = []

    def grows(call: int) -> None:
        kept.append([bytearray(2000)])

    result = leakhunt.run(grows, calls=300, in_process=True, formats=None, out=tmp_path / "out")
    verdict = result.verdict()
    assert verdict.status is Status.LEAK
    assert verdict.trends["python_blocks"].rate == pytest.approx(4, abs=0.1)


@pytest.mark.usefixtures("without_posix")
def test_a_worker_is_refused_and_the_other_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingRequirement, match=r"Measure in process|measure in process"):
        leakhunt.run("null", formats=None, out=tmp_path / "out")
