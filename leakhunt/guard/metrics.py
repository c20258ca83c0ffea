"""What `/metrics` tells, in the text format of Prometheus.

Of several workers behind one port all are told, whichever is asked, each with its process id as a
label: the counters of one go back to 0 only where another process has its place. With
prometheus_client loaded by the service, its registry is told as well, with the same names:
`register` puts a guard into a registry of yours. Without, the text is made here.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.guard import Guard
from leakhunt.guard.status import BUCKETS, GuardStatus
from leakhunt.guard.workers import FOLDER_VARIABLE

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "leakhunt_guard_"


@dataclass(frozen=True, slots=True)
class ExposedMetric:
    """A metric and its samples: labels, and value. `kind` is ``gauge`` or ``counter``."""

    name: str
    kind: str
    about: str
    samples: tuple[tuple[dict[str, str], float], ...]


def metrics_of(status: GuardStatus) -> Iterator[ExposedMetric]:
    """All metrics but the histogram of requests. What is not known is left out."""
    memory, growth = status.memory, status.growth
    used, limit = (memory.used_bytes, memory.limit_bytes) if memory else (None, None)
    rate, low = (growth.bytes_per_second, growth.low) if growth else (None, None)
    gauges: tuple[tuple[str, str, float | None], ...] = (
        ("rss_bytes", "Resident memory of the process", status.rss_bytes),
        ("live_heap_bytes", "Bytes that malloc has handed out", status.live_heap_bytes),
        ("used_bytes", "Memory that counts against the limit", used),
        ("limit_bytes", "The memory limit that binds", limit),
        ("headroom_bytes", "What is left of the limit", status.headroom_bytes),
        ("growth_bytes_per_second", "Growth of RSS", rate),
        ("growth_low_bytes_per_second", "Its lower bound (95 %)", low),
        (
            "time_to_oom_seconds",
            "When the limit is reached at this growth; absent without growth",
            status.seconds_to_out_of_memory,
        ),
        ("in_flight_requests", "Requests at work", status.in_flight),
        ("waiting_requests", "Requests that wait for a place", status.waiting),
        (
            "expected_request_bytes",
            "Expected peak memory of a request",
            status.expected_request_bytes,
        ),
        ("ready", "1: /health is ready", status.is_ready),
        ("draining", "1: the worker is about to be replaced", status.draining),
        ("gpu_free_bytes", "Free memory of the GPU", status.gpu_free_bytes),
    )
    for name, about, value in gauges:
        if value is not None:
            yield ExposedMetric(_PREFIX + name, "gauge", about, (({}, float(value)),))
    yield ExposedMetric(
        _PREFIX + "breaker_state",
        "gauge",
        "1: the circuit breaker is in this state",
        tuple(({"state": str(each)}, float(each is status.breaker)) for each in BreakerState),
    )
    yield _counter(
        "requests_total",
        "Requests that were worked on",
        (({"outcome": "served"}, status.served), ({"outcome": "failed"}, status.failed)),
    )
    yield _counter(
        "refused_total",
        "Requests that were refused with 503",
        (({"reason": reason}, count) for reason, count in sorted(status.refused.items())),
    )
    yield _counter(
        "releases_total",
        "Tries to release memory",
        (({"step": each.step}, each.count) for each in status.releases),
    )
    yield _counter(
        "released_bytes_total",
        "Bytes of RSS that these gave back",
        (({"step": each.step}, each.freed_bytes) for each in status.releases),
    )


def _counter(
    name: str, about: str, samples: Iterable[tuple[dict[str, str], float]]
) -> ExposedMetric:
    return ExposedMetric(_PREFIX + name, "counter", about, tuple(samples))


def exposition(guard: Guard) -> bytes:
    """The body of `/metrics`: of each worker, with its process id as a label.

    A service that uses prometheus_client gets the metrics of its default registry as well, or those
    of all workers where it runs in its multiprocess mode.
    """
    statuses = guard.statuses()
    lines = [line for metric in _of_all(statuses) for line in _lines(metric)]
    lines.extend(_histogram(statuses))
    text = _joined(lines)
    others = _of_the_service()
    if guard.has_peers:  # what it tells of the one process is another's at the next scrape
        others = _without(others, [name for name, _, _ in _PROCESS])
    process = _joined(_process_lines(statuses, others, has_label=guard.has_peers))
    # A guard that is in the registry is told by it.
    is_registered = re.search(rf"^{_PREFIX}".encode(), others, re.MULTILINE) is not None
    return process + others if is_registered else text + process + others


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _of_the_service() -> bytes:
    """What the service has put into a registry of prometheus_client, if it uses it."""
    client = sys.modules.get("prometheus_client")
    if client is None:
        return b""
    if not os.environ.get(FOLDER_VARIABLE):
        return bytes(client.generate_latest())
    # The default registry has what this worker has counted; the files of that mode have all.
    registry = client.CollectorRegistry()
    importlib.import_module("prometheus_client.multiprocess").MultiProcessCollector(registry)
    return bytes(client.generate_latest(registry))


def _without(text: bytes, names: Sequence[str]) -> bytes:
    """The text without these metrics."""
    removed = _lines_of(names)
    return b"".join(line for line in text.splitlines(keepends=True) if not removed.match(line))


def _lines_of(names: Sequence[str]) -> re.Pattern[bytes]:
    """The lines of these metrics: no others whose names begin or end like theirs."""
    return re.compile(rf"^(?:# (?:HELP|TYPE) )?(?:{'|'.join(names)})[{{ ]".encode(), re.MULTILINE)


# Under these names prometheus_client tells the same: queries find them with and without.
_PROCESS = (
    (
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        lambda status: float(status.rss_bytes),
    ),
    (
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        lambda status: status.started_seconds,
    ),
)


def _process_lines(
    statuses: Sequence[GuardStatus], others: bytes, *, has_label: bool
) -> Iterator[str]:
    for name, about, value_of in _PROCESS:
        if _lines_of([name]).search(others):
            continue
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} gauge"
        for status in statuses:
            value = value_of(status)
            if value is not None:
                labels = _labels({"pid": str(status.pid)}) if has_label else ""
                yield f"{name}{labels} {_number(value)}"


def _of_all(statuses: Sequence[GuardStatus]) -> Iterator[ExposedMetric]:
    """Each metric once, with the samples of all workers and their ids."""
    found: dict[str, ExposedMetric] = {}
    for status in statuses:
        for metric in metrics_of(status):
            own = tuple(({**labels, "pid": str(status.pid)}, v) for labels, v in metric.samples)
            known = found.get(metric.name)
            samples = own if known is None else known.samples + own
            found[metric.name] = replace(metric, samples=samples)
    return iter(found.values())


def _lines(metric: ExposedMetric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.about}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, value in metric.samples:
        yield f"{metric.name}{_labels(labels)} {_number(value)}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.{_digits(value)}g}"


def _digits(value: float) -> int:
    """Six, and of large numbers all before the point and two after: seconds since 1970."""
    return max(6, len(f"{abs(value):.0f}") + 2)


def _labels(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _histogram(statuses: Sequence[GuardStatus]) -> Iterator[str]:
    name = _PREFIX + "request_seconds"
    yield f"# HELP {name} How long requests were at work"
    yield f"# TYPE {name} histogram"
    for status in statuses:
        pid = str(status.pid)
        for bound, count in _buckets(status):
            yield f"{name}_bucket{_labels({'le': bound, 'pid': pid})} {count}"
        yield f"{name}_sum{_labels({'pid': pid})} {status.request_seconds:.6f}"
        yield f"{name}_count{_labels({'pid': pid})} {status.served + status.failed}"


def _buckets(status: GuardStatus) -> Iterator[tuple[str, int]]:
    """Upper bounds, and how many requests took no longer."""
    total = 0
    for bound, count in zip(BUCKETS, status.request_buckets, strict=True):
        total += count
        yield f"{bound:g}", total
    yield "+Inf", status.served + status.failed


def register(guard: Guard, registry: Any = None) -> Any:
    """Put the metrics of a guard into a registry of prometheus_client; the collector.

    In the multiprocess mode of prometheus_client, put it into the registry that the
    ``MultiProcessCollector`` is in.

    Raises:
        ImportError: prometheus_client is not installed.
    """
    client = importlib.import_module("prometheus_client")
    core = importlib.import_module("prometheus_client.core")

    class _Collector:
        def collect(self) -> Iterator[Any]:
            statuses = guard.statuses()
            for metric in _of_all(statuses):
                is_gauge = metric.kind == "gauge"
                family = core.GaugeMetricFamily if is_gauge else core.CounterMetricFamily
                labels = [*metric.samples[0][0]] if metric.samples else ["pid"]
                made = family(metric.name, metric.about, labels=labels)
                for given, value in metric.samples:
                    made.add_metric([*given.values()], value)
                yield made
            histogram = core.HistogramMetricFamily(
                _PREFIX + "request_seconds", "How long requests were at work", labels=["pid"]
            )
            for status in statuses:
                buckets = [(bound, float(count)) for bound, count in _buckets(status)]
                seconds = status.request_seconds
                histogram.add_metric([str(status.pid)], buckets, sum_value=seconds)
            yield histogram

    collector = _Collector()
    (registry or client.REGISTRY).register(collector)
    return collector
