"""A matrix on a Ray cluster of two nodes, one of which is lost in the middle."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leakhunt.engine.events import Silent
from leakhunt.engine.matrix import MatrixRequest, matrix
from leakhunt.errors import UsageError
from leakhunt.model.matrix import CellEnd
from leakhunt.model.verdict import Status
from leakhunt.text.message import Text, english

pytestmark = [pytest.mark.long]
ray = pytest.importorskip("ray", reason="needs the extra ray")

INTERRUPTED = 130
SERVICE = """
import time

KEPT = []


def leaks(call):
    time.sleep(0.02)
    KEPT.append(bytes(4096))


def clean(call):
    time.sleep(0.02)
    return sum(range(100))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A head without cores, and two nodes with one each."""
    # By its name: where Ray is not installed, its types are not either.
    cluster_utils = importlib.import_module("ray.cluster_utils")
    made: Any = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    made.nodes = [made.add_node(num_cpus=1), made.add_node(num_cpus=1)]
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def port() -> Iterator[int]:
    """That of a cluster for clients from elsewhere."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    command = (
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--num-cpus", "2", "--port", "0", "--include-dashboard", "false"),
        *("--ray-client-server-port", str(number)),
    )
    head = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=with_token()
    )
    assert head.stdout is not None
    for line in head.stdout:
        if "Ray runtime started" in line:
            break
    yield number
    head.terminate()
    head.communicate(timeout=60)


def with_token() -> dict[str, str]:
    return {**os.environ, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}


def begin_matrix(service: Path, *words: str) -> subprocess.Popen[str]:
    service.write_text(SERVICE, "utf-8")
    return subprocess.Popen(
        (sys.executable, "-m", "leakhunt", "matrix", str(service), "--vary", "variant=leaks,clean",
         "--calls", "300", "--no-hunt", "--out", str(service.parent / "out"), *words),
        env=with_token(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


class Follower(Silent):
    """Removes a node once the first cell has ended."""

    def __init__(self, act: Any) -> None:
        self.act = act
        self.lines: list[str] = []

    def noted(self, text: Text, *, warning: bool = False) -> None:
        self.lines.append(english(text))
        if self.lines[-1].startswith("[1/") and self.act is not None:
            threading.Thread(target=self.act).start()
            self.act = None


def test_a_lost_node_loses_no_cell_and_doubles_none(cluster: Any, tmp_path: Path) -> None:
    service = tmp_path / "service.py"
    service.write_text(SERVICE, "utf-8")

    def lose() -> None:
        time.sleep(4)  # in the middle of the next cells, which take six seconds
        cluster.remove_node(cluster.nodes[1], allow_graceful=False)

    follower = Follower(lose)
    request = MatrixRequest(
        str(service), vary=("variant=leaks,clean",), repeats=3, calls=250, on="ray", hunt=False
    )
    result = matrix(request, (), follower, out=tmp_path / "out")
    assert result.exit_code == 0
    report = result.report
    assert [each.record.end for each in report.results] == [CellEnd.MEASURED] * 6
    assert [each.status for each in report.results] == [Status.LEAK] * 3 + [Status.NO_LEAK] * 3
    ended = [line for line in follower.lines if line.startswith("[")]
    assert len(ended) == len({line.partition("] ")[2].partition(":")[0] for line in ended}) == 6
    assert sum(each.record.attempts for each in report.results) > 6
    assert len({each.record.node for each in report.results}) == 2
    run = report.results[0].entry.run  # type: ignore[union-attr]
    assert run.facts["ray node"] == report.results[0].record.node
    assert run.facts["axis variant"] == "leaks"


def test_a_cell_that_no_node_can_take_says_so(cluster: Any, tmp_path: Path) -> None:
    service = tmp_path / "service.py"
    service.write_text(SERVICE, "utf-8")
    request = MatrixRequest(
        f"{service}:clean", vary=("threads=1,64",), calls=60, on="ray", hunt=False
    )
    result = matrix(request, (), out=tmp_path / "out")
    ends = [each.record.end for each in result.report.results]
    assert ends == [CellEnd.MEASURED, CellEnd.NOT_POSSIBLE]
    assert english(result.report.results[1].record.reason) == "no node of the cluster has 64 CPU"


def test_a_cluster_elsewhere_measures_as_well(port: int, tmp_path: Path) -> None:
    on = ("--on", f"ray://127.0.0.1:{port}")
    begun = begin_matrix(tmp_path / "service.py", *on)
    output, _ = begun.communicate(timeout=300)
    assert begun.returncode == 0, output
    assert "1 Leak" in output
    assert "1 No leak" in output
    assert "INFO" not in output


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    begun = begin_matrix(tmp_path / "service.py", "--on", "ray://127.0.0.1:1")
    output, _ = begun.communicate(timeout=300)
    assert begun.returncode == UsageError.exit_code
    assert output.startswith("leakhunt: --on ray://127.0.0.1:1: no Ray cluster answers there")
    assert output.count("\n") == 1


def test_sigterm_ends_as_ctrl_c_does(tmp_path: Path) -> None:
    begun = begin_matrix(tmp_path / "service.py", "--on", "ray", "--repeats", "9")
    assert begun.stdout is not None
    lines = []
    for line in begun.stdout:
        lines.append(line)
        if line.startswith("[1/"):
            break
    begun.send_signal(signal.SIGTERM)
    rest, _ = begun.communicate(timeout=120)
    assert begun.returncode == INTERRUPTED, "".join(lines) + rest
    assert "SIGTERM" not in rest
    assert (tmp_path / "out" / "matrix.json").is_file()
