"""What `/metrics` tells, in the text format of Prometheus.

With prometheus_client loaded by the service, its registry is told as well, with the same names:
`register` puts a guard into a registry of yours. Without, the text is made here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.guard import BUCKETS, Guard, GuardStatus

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
            "What a request is expected to take at its height",
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
    """The body of `/metrics`: of this process, with its id as a label.

    A service that uses prometheus_client gets the metrics of its default registry as well.
    """
    status = guard.status()
    lines = [line for metric in metrics_of(status) for line in _lines(metric, status.pid)]
    lines.extend(_histogram(status))
    text = ("\n".join(lines) + "\n").encode()
    client = sys.modules.get("prometheus_client")
    if client is None:
        return text + _process_metric(status)
    others: bytes = client.generate_latest()
    # A guard that is in the registry is told by it.
    return others if _PREFIX.encode() in others else text + others


def _process_metric(status: GuardStatus) -> bytes:
    # The name under which prometheus_client tells RSS: queries find it with and without.
    name = "process_resident_memory_bytes"
    return (
        f"# HELP {name} Resident memory size in bytes.\n# TYPE {name} gauge\n"
        f"{name} {status.rss_bytes}\n"
    ).encode()


def _lines(metric: ExposedMetric, pid: int) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.about}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, value in metric.samples:
        told = f"{value:.0f}" if value == round(value) else f"{value:.6g}"
        yield f"{metric.name}{_labels({**labels, 'pid': str(pid)})} {told}"


def _labels(labels: dict[str, str]) -> str:
    told = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{told}}}"


def _histogram(status: GuardStatus) -> Iterator[str]:
    name = _PREFIX + "request_seconds"
    pid = str(status.pid)
    yield f"# HELP {name} How long requests were at work"
    yield f"# TYPE {name} histogram"
    total = 0
    for bound, count in zip(BUCKETS, status.request_buckets, strict=True):
        total += count
        yield f"{name}_bucket{_labels({'le': f'{bound:g}', 'pid': pid})} {total}"
    done = status.served + status.failed
    yield f"{name}_bucket{_labels({'le': '+Inf', 'pid': pid})} {done}"
    yield f"{name}_sum{_labels({'pid': pid})} {status.request_seconds:.6f}"
    yield f"{name}_count{_labels({'pid': pid})} {done}"


def register(guard: Guard, registry: Any = None) -> Any:
    """Put the metrics of a guard into a registry of prometheus_client; the collector.

    Raises:
        ImportError: prometheus_client is not installed.
    """
    client = importlib.import_module("prometheus_client")
    core = importlib.import_module("prometheus_client.core")

    class _Collector:
        def collect(self) -> Iterator[Any]:
            status = guard.status()
            pid = str(status.pid)
            for metric in metrics_of(status):
                is_gauge = metric.kind == "gauge"
                family = core.GaugeMetricFamily if is_gauge else core.CounterMetricFamily
                labels = [*(metric.samples[0][0] if metric.samples else {}), "pid"]
                made = family(metric.name, metric.about, labels=labels)
                for given, value in metric.samples:
                    made.add_metric([*given.values(), pid], value)
                yield made
            buckets, total = [], 0
            for bound, count in zip(BUCKETS, status.request_buckets, strict=True):
                total += count
                buckets.append((f"{bound:g}", float(total)))
            buckets.append(("+Inf", float(status.served + status.failed)))
            histogram = core.HistogramMetricFamily(
                _PREFIX + "request_seconds", "How long requests were at work", labels=["pid"]
            )
            histogram.add_metric([pid], buckets, sum_value=status.request_seconds)
            yield histogram

    collector = _Collector()
    (registry or client.REGISTRY).register(collector)
    return collector
