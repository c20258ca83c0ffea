"""Cells on a Ray cluster: which cluster it is, and what a signal to end comes to."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from leakhunt.engine.cells import CellOrder
from leakhunt.engine.environments import PackageSet
from leakhunt.engine.executors import ray_cells
from leakhunt.engine.executors.local_cells import CellJob
from leakhunt.engine.executors.ray_cells import RayCells
from leakhunt.engine.settings import RunRequest
from leakhunt.errors import MissingRequirement, UsageError


class MadeRay:
    """A Ray whose `init` takes SIGTERM for itself, and whose `wait` is interrupted."""

    __version__ = "2.60.0"

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.cancelled: list[object] = []

    def is_initialized(self) -> bool:
        return False

    def init(self, address: str, **options: object) -> None:
        self.addresses.append(address)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise ConnectionError("nobody answers")

    def wait(self, references: list[object], **how: object) -> Any:
        raise KeyboardInterrupt

    def cancel(self, reference: object, **how: object) -> None:
        self.cancelled.append(reference)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MadeRay:
    made = MadeRay()
    monkeypatch.setattr(ray_cells, "ray_package", lambda: made)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    for name in ("RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # as it was, in the end
        monkeypatch.delenv(name)
    (tmp_path / "ray").mkdir()
    return made


def connect(on: str) -> str:
    with pytest.raises(UsageError) as caught, RayCells(on, 1, print):
        raise AssertionError("connected")
    return str(caught.value)


def test_an_interrupt_cancels_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray: MadeRay
) -> None:
    cells = RayCells("ray", 1, lambda text: None)
    monkeypatch.setattr(cells, "_ray", ray)
    monkeypatch.setattr(cells, "_why_not", lambda order: None)
    monkeypatch.setattr(cells, "_submit", lambda job: job.folder)
    order = CellOrder("one", RunRequest("made.py:call"), PackageSet())
    stop = Event()
    with pytest.raises(KeyboardInterrupt):
        cells.carry_out([CellJob(order, tmp_path)], stop, lambda job, record: None)
    assert stop.is_set() and ray.cancelled == [tmp_path]


def test_sigterm_stays_with_the_command_line(ray: MadeRay) -> None:
    """Ray's own handler aborts the process."""
    handler = lambda number, frame: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, handler)
    try:
        connect("ray")
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_a_cluster_one_is_started(ray: MadeRay) -> None:
    assert connect("ray") == "--on ray: Ray cannot start here: nobody answers"
    assert ray.addresses == ["local"]


def test_a_cluster_that_was_killed_is_not_waited_for(ray: MadeRay, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}", "utf-8")
    connect("ray")
    assert ray.addresses == ["local"]


def test_the_cluster_that_answers_here_is_used(ray: MadeRay, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "ray" / "ray_current_cluster").write_text(here, "utf-8")
        connect("ray")
    assert ray.addresses == [here]


def test_the_environment_names_the_cluster(ray: MadeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    assert connect("ray").startswith("--on 192.0.2.1:6379: no Ray cluster answers there. Start")
    assert ray.addresses == ["192.0.2.1:6379"]


def test_a_cluster_elsewhere_needs_rays_client(
    ray: MadeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingRequirement, match=r"leakhunt-ml\[ray\]"):
        RayCells("ray://192.0.2.1:10001", 1, print).__enter__()
    assert ray.addresses == []


def test_no_statistics_are_sent(ray: MadeRay) -> None:
    connect("ray")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_elsewhere_is_asked_twice_and_only_if_it_listens(
    ray: MadeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"ray://127.0.0.1:{server.getsockname()[1]}"
        assert "no Ray cluster answers there" in connect(there)
    assert ray.addresses == [there, there]
    assert "no Ray cluster answers there" in connect(there)
    assert ray.addresses == [there, there]
