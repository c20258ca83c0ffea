"""Cells on a Ray cluster: each a task with the cores, memory and GPU it needs.

Beneath the task the cell runs in its own process, as on one machine. Ray retries a task whose node
is lost or preempted; a counter beside the driver says how often each was begun. What a task leaves
comes back as files, and is put in its place in one step: no row is lost, none comes twice.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from leakhunt.engine.cells import (
    CellOrder,
    carry_out,
    explain,
    record_of,
    run_in,
    write_record,
)
from leakhunt.engine.executors.local_cells import CellJob, peak_bytes
from leakhunt.errors import MissingRequirement, UsageError, cannot_write_to
from leakhunt.model.matrix import CellEnd, CellRecord
from leakhunt.scenario import find
from leakhunt.text.message import Text, message, plural_message

# A task whose node goes is begun again so often.
MAX_RETRIES = 5
# A cell may need more than the first one took.
_MEMORY_MARGIN = 1.25
_WAIT_SECONDS = 0.5
_ANSWER_SECONDS = 5.0
_OF_OUR_OWN = "local"
_ELSEWHERE = "ray://"
# As many tasks wait at Ray as have room, and some: it is not given thousands at once.
_AHEAD = 4
# memray's own captures may be large, and are left on the node.
_MAX_FILE_BYTES = 64 << 20
_NODE_LETTERS = 8
NODE_FACT = "ray node"


@dataclass(frozen=True, slots=True)
class NodeOrder:
    """What a node is sent: the scenario's source where it is no built-in one, and files there."""

    order: CellOrder
    explains: bool
    source: bytes
    files: Mapping[str, bytes]


class RayCells:
    """Carries out cells on a cluster; `address` is ``ray`` (one that runs here) or ``ray://...``."""

    def __init__(self, address: str, jobs: int | None, noted: Callable[[Text], None]) -> None:
        self._address = address
        self._given = jobs
        self._noted = noted
        self._ray: Any = None
        self._counter: Any = None
        self._is_ours = False
        self._memory_bytes = 0
        self.jobs = jobs or 1

    def __enter__(self) -> Self:
        """Connect to the cluster.

        Raises:
            MissingRequirement: Ray is not installed.
            UsageError: there is no cluster at that address.
        """
        self._ray = ray_package()
        if not self._ray.is_initialized():
            with _own_handler_of_sigterm():
                self._connect()
            self._is_ours = True
        cpus = self._ray.cluster_resources().get("CPU", 1)
        self.jobs = self._given or max(int(cpus), 1)
        self._counter = self._started_counter()
        nodes = sum(1 for each in self._ray.nodes() if each["Alive"])
        self._noted(
            message(
                "matrix.ray",
                "Ray {version}: {nodes}, {cpus}",
                version=self._ray.__version__,
                nodes=plural_message("matrix.nodes", "{n} node", "{n} nodes", nodes),
                cpus=plural_message("matrix.cores", "{n} core", "{n} cores", int(cpus)),
            )
        )
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave the cluster; one that was started for this ends."""
        if self._is_ours:
            self._ray.shutdown()

    def carry_out(
        self,
        jobs: Sequence[CellJob],
        stop: threading.Event,
        ended: Callable[[CellJob, CellRecord], None],
    ) -> None:
        """Carry out all of them; `ended` is told of each as its files have come back.

        Raises:
            CannotWrite: the disk does not take the results.
            KeyboardInterrupt: the user ended it; what ran is cancelled.
        """
        waiting = list(jobs)
        running: dict[Any, CellJob] = {}
        try:
            while (waiting or running) and not stop.is_set():
                while waiting and len(running) < self.jobs + (0 if self._given else _AHEAD):
                    job = waiting.pop(0)
                    reason = self._why_not(job.order)
                    if reason is not None:
                        _put(job, {}, CellRecord(CellEnd.NOT_POSSIBLE, reason))
                        ended(job, record_of(job.folder))
                        continue
                    running[self._submit(job)] = job
                done, _ = self._ray.wait(list(running), num_returns=1, timeout=_WAIT_SECONDS)
                for reference in done:
                    self._take(reference, running.pop(reference), ended)
        except BaseException:
            stop.set()
            raise
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = _address_here() if self._address == "ray" else self._address
        options: dict[str, Any] = {"log_to_driver": False}
        if address.startswith(_ELSEWHERE):
            _check_client()
        else:
            options |= {"logging_level": "ERROR", "configure_logging": False}
        if address == _OF_OUR_OWN:
            options["include_dashboard"] = False
        try:
            self._init(address, options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            if address == _OF_OUR_OWN:
                raise UsageError(
                    message(
                        "matrix.no-own-cluster",
                        "--on ray: Ray cannot start here: {error}",
                        error=" ".join(str(error).split()),
                    )
                ) from error
            raise UsageError(
                message(
                    "matrix.no-cluster",
                    "--on {on}: no Ray cluster answers there. Start one with 'ray start"
                    " --head'; if it has token authentication, set RAY_AUTH_MODE=token here",
                    on=address,
                )
            ) from error

    def _init(self, address: str, options: Mapping[str, Any]) -> None:
        """Connect; to a cluster elsewhere twice, since Ray's server for a client may hang."""
        elsewhere = address.removeprefix(_ELSEWHERE) if address.startswith(_ELSEWHERE) else ""
        if elsewhere and not _is_answering(elsewhere):  # Ray would ask for half a minute
            raise ConnectionError(elsewhere)
        with warnings.catch_warnings(action="ignore"):  # says it in four lines
            try:
                self._ray.init(address=address, **options)
            except ConnectionError:
                if not elsewhere:
                    raise
                self._ray.init(address=address, **options)

    def _started_counter(self) -> Any:
        from leakhunt.engine.executors.ray_attempts import AttemptCounter

        strategies = importlib.import_module("ray.util.scheduling_strategies")
        here = self._ray.get_runtime_context().get_node_id()
        beside = strategies.NodeAffinitySchedulingStrategy(node_id=here, soft=True)
        return (
            self._ray.remote(AttemptCounter)
            .options(num_cpus=0, max_restarts=0, scheduling_strategy=beside)
            .remote()
        )

    def _why_not(self, order: CellOrder) -> Text | None:
        """Why no node can take a cell; None: one can."""
        alive = [each["Resources"] for each in self._ray.nodes() if each["Alive"]]
        wanted = _resources(order)
        for name, amount in wanted.items():
            most = max((each.get(name, 0) for each in alive), default=0)
            if most < amount:
                return message(
                    "matrix.no-node",
                    "no node of the cluster has {amount} {resource}",
                    amount=int(amount),
                    resource=name,
                )
        return None

    def _submit(self, job: CellJob) -> Any:
        wanted = _resources(job.order)
        task = self._ray.remote(_on_node).options(
            num_cpus=wanted["CPU"],
            num_gpus=wanted.get("GPU", 0),
            memory=self._memory_bytes or None,
            max_retries=MAX_RETRIES,
            scheduling_strategy="SPREAD",
        )
        return task.remote(_sent(job), self._counter)

    def _take(
        self, reference: Any, job: CellJob, ended: Callable[[CellJob, CellRecord], None]
    ) -> None:
        exceptions = importlib.import_module("ray.exceptions")
        attempts = int(self._ray.get(self._counter.count.remote(_key(job))))
        try:
            files, record = self._ray.get(reference)
        except exceptions.RayError as error:
            name = type(error).__name__
            reason = message("matrix.lost", "lost with its node ({error})", error=name)
            if not job.explains:
                _put(job, {}, CellRecord(CellEnd.LOST, reason, attempts=max(attempts, 1)))
                ended(job, record_of(job.folder))
            return
        _put(job, files, None if job.explains else replace(record, attempts=max(attempts, 1)))
        run = run_in(job.folder)
        if run is not None and not self._memory_bytes:
            self._memory_bytes = int(peak_bytes(run) * _MEMORY_MARGIN)
        ended(job, record_of(job.folder))


@contextlib.contextmanager
def _own_handler_of_sigterm() -> Iterator[None]:
    """Keep this process's handler: Ray's, written in C++, aborts the process (exit code 134)."""
    is_main = threading.current_thread() is threading.main_thread()
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # None: a handler that was not set from Python, which cannot be set again.
        if is_main and former is not None:
            signal.signal(signal.SIGTERM, former)


def _address_here() -> str:
    """The cluster that the environment or this machine knows; else one that ends with us.

    Ray waits minutes for a cluster that was killed: it is known for good.
    """
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    known = Path(folder, "ray", "ray_current_cluster")
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    try:
        found = known.read_text("utf-8").strip()
    except (OSError, ValueError):
        return _OF_OUR_OWN
    return found if _is_answering(found) else _OF_OUR_OWN


def _is_answering(place: str) -> bool:
    """Whether somebody listens at ``HOST:PORT``."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def ray_package() -> Any:
    """The package.

    Raises:
        MissingRequirement: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise _no_ray() from error


def _check_client() -> None:
    """Whether Ray's client for clusters elsewhere is installed; and it says no more than needed."""
    if importlib.util.find_spec("grpc") is None:
        raise _no_ray()
    logging.getLogger("ray.client_builder").setLevel(logging.WARNING)


def _no_ray() -> MissingRequirement:
    return MissingRequirement(
        message(
            "matrix.no-ray",
            "--on ray needs Ray and its client. Install with: pip install 'leakhunt-ml[ray]'",
        )
    )


def _resources(order: CellOrder) -> dict[str, float]:
    """What a cell needs: a core for each of its threads, and a GPU where it asks for one."""
    wanted: dict[str, float] = {"CPU": float(order.request.threads or 1)}
    if order.request.device == "cuda":
        wanted["GPU"] = 1.0
    return wanted


def _key(job: CellJob) -> str:
    return f"{job.order.name} {'hunt' if job.explains else 'run'}"


def _sent(job: CellJob) -> NodeOrder:
    place, _ = find.split_target(job.order.request.target)
    path = Path(place)
    source = path.read_bytes() if path.is_file() else b""
    files = dict(_files_of(job.folder)) if job.explains else {}
    return NodeOrder(job.order, job.explains, source, files)


def _files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.stat().st_size <= _MAX_FILE_BYTES:
            yield file.name, file.read_bytes()


def _on_node(sent: NodeOrder, counter: Any) -> tuple[dict[str, bytes], CellRecord]:
    """Carry out a cell on this node; its files, and what became of it."""
    ray = ray_package()
    context = ray.get_runtime_context()
    node = str(context.get_node_id())[:_NODE_LETTERS]
    kind = "hunt" if sent.explains else "run"
    ray.get(counter.begun.remote(f"{sent.order.name} {kind}", node))
    facts = {**sent.order.facts, NODE_FACT: node, "ray": str(ray.__version__)}
    with tempfile.TemporaryDirectory(prefix="leakhunt-ray-", ignore_cleanup_errors=True) as name:
        order = _placed(replace(sent.order, facts=facts), sent.source, Path(name))
        folder = Path(name) / "cell"
        stop = threading.Event()
        if sent.explains:
            folder.mkdir()
            for file, content in sent.files.items():
                (folder / file).write_bytes(content)
            explain(order, folder, stop)
        else:
            carry_out(order, folder, stop)
        files = dict(_files_of(folder))
        return files, replace(record_of(folder), node=node)


def _placed(order: CellOrder, source: bytes, folder: Path) -> CellOrder:
    """The order with the scenario's file as it was sent, where this node does not have it."""
    place, names = find.split_target(order.request.target)
    path = Path(place)
    if not source or (path.is_file() and path.read_bytes() == source):
        return order
    here = folder / path.name
    here.write_bytes(source)
    target = f"{here}:{names}" if names else str(here)
    return replace(order, request=replace(order.request, target=target))


def _put(job: CellJob, files: Mapping[str, bytes], record: CellRecord | None) -> None:
    """Put what came back into the cell's folder, all of it or nothing.

    Raises:
        CannotWrite: the disk does not take it.
    """
    try:
        if job.explains:
            for name, content in files.items():
                if not (job.folder / name).exists():
                    _write(job.folder / name, content)
            return
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=job.folder.parent, prefix=".new-") as fresh:
            whole = Path(fresh) / "cell"
            whole.mkdir()
            for name, content in files.items():
                (whole / name).write_bytes(content)
            if record is not None:
                write_record(whole, record)
            whole.rename(job.folder)
    except OSError as error:
        raise cannot_write_to(job.folder, error) from error


def _write(file: Path, content: bytes) -> None:
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_bytes(content)
    fresh.replace(file)
