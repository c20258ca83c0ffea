"""Cells on a Ray cluster: what a signal that Ray takes for itself comes to."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from leakhunt.engine.cells import CellOrder
from leakhunt.engine.environments import PackageSet
from leakhunt.engine.executors.local_cells import CellJob
from leakhunt.engine.executors.ray_cells import RayCells
from leakhunt.engine.settings import RunRequest


class EndedRay:
    """A Ray whose handler of SIGTERM has run: it ends Python as sys.exit() does."""

    def __init__(self) -> None:
        self.cancelled: list[object] = []

    def wait(self, references: list[object], **how: object) -> Any:
        raise SystemExit(15)

    def cancel(self, reference: object, **how: object) -> None:
        self.cancelled.append(reference)


def test_a_signal_to_end_is_an_interrupt_and_what_runs_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = RayCells("ray", 1, lambda text: None)
    ray = EndedRay()
    monkeypatch.setattr(cells, "_ray", ray)
    monkeypatch.setattr(cells, "_why_not", lambda order: None)
    monkeypatch.setattr(cells, "_submit", lambda job: job.folder)
    order = CellOrder("one", RunRequest("made.py:call"), PackageSet())
    stop = Event()
    with pytest.raises(KeyboardInterrupt):
        cells.carry_out([CellJob(order, tmp_path)], stop, lambda job, record: None)
    assert stop.is_set() and ray.cancelled == [tmp_path]
