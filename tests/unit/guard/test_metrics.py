"""`/metrics`: the text format, and the same names by prometheus_client where it is installed."""

from __future__ import annotations

import re
import sys

import pytest

from leakhunt.guard import Guard, GuardConfig, Ticket
from leakhunt.guard import metrics as exposed

SAMPLE = re.compile(r'^[a-z_]+(\{([a-z]+="[^"\\]*",?)+\})? -?[0-9.e+-]+$')


@pytest.fixture
def guard() -> Guard:
    made = Guard(GuardConfig(max_concurrency=1, queue_seconds=0))
    answer = made.admit()
    assert isinstance(answer, Ticket)
    made.admit()  # refused
    made.finish(answer)
    return made


@pytest.fixture
def without_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "prometheus_client", raising=False)


def samples(text: str) -> dict[str, float]:
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


@pytest.mark.usefixtures("without_client")
def test_the_text_is_prometheus_format(guard: Guard) -> None:
    text = exposed.exposition(guard).decode()
    told: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            name = line.split()[2]
            assert name not in told, "told twice"
            told.add(name)
        elif not line.startswith("# HELP"):
            assert SAMPLE.match(line), line
    values = samples(text)
    pid = guard.status().pid
    assert values[f'leakhunt_guard_requests_total{{outcome="served",pid="{pid}"}}'] == 1
    assert values[f'leakhunt_guard_refused_total{{reason="concurrency",pid="{pid}"}}'] == 1
    assert values[f'leakhunt_guard_breaker_state{{state="closed",pid="{pid}"}}'] == 1
    assert values[f'leakhunt_guard_request_seconds_count{{pid="{pid}"}}'] == 1
    assert values["process_resident_memory_bytes"] > 1 << 20
    limit = values[f'leakhunt_guard_limit_bytes{{pid="{pid}"}}']
    used = values[f'leakhunt_guard_used_bytes{{pid="{pid}"}}']
    assert values[f'leakhunt_guard_headroom_bytes{{pid="{pid}"}}'] == limit - used


@pytest.mark.usefixtures("without_client")
def test_what_is_not_known_is_left_out(guard: Guard) -> None:
    text = exposed.exposition(guard).decode()
    assert "time_to_oom_seconds" not in text
    assert "gpu_free_bytes" not in text


def test_prometheus_client_tells_the_same(guard: Guard) -> None:
    client = pytest.importorskip("prometheus_client")
    parser = pytest.importorskip("prometheus_client.parser")
    registry = client.CollectorRegistry()
    exposed.register(guard, registry)
    theirs = client.generate_latest(registry).decode()
    mine = exposed.exposition(guard).decode().partition("# HELP process_")[0]
    names = [
        {sample.name for family in parser.text_string_to_metric_families(text)
         for sample in family.samples if not sample.name.endswith("_created")}
        for text in (theirs, mine)
    ]  # fmt: skip
    assert names[0] <= names[1] | {"leakhunt_guard_request_seconds_bucket"}
    assert {name for name in names[1] if "guard" in name} <= names[0]
    counted = f'leakhunt_guard_requests_total{{outcome="served",pid="{guard.status().pid}"}}'
    assert samples(theirs)[counted] == 1


def test_a_service_with_metrics_of_its_own_keeps_them(guard: Guard) -> None:
    client = pytest.importorskip("prometheus_client")
    counter = client.Counter("transcribed_seconds", "of the service")
    counter.inc(3)
    try:
        text = exposed.exposition(guard).decode()
        assert "transcribed_seconds_total 3.0" in text
        assert "leakhunt_guard_rss_bytes" in text
        assert text.count("# TYPE process_resident_memory_bytes") == 1
    finally:
        client.REGISTRY.unregister(counter)


def test_a_metric_of_the_service_whose_name_ends_alike_hides_none(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = (
        b"# HELP pool_process_resident_memory_bytes as leakhunt_guard_rss_bytes\n"
        b"pool_process_resident_memory_bytes 1\n"
        b"process_resident_memory_bytes_of_pool 2\n"
    )
    monkeypatch.setattr(exposed, "_of_the_service", lambda: theirs)
    monkeypatch.setattr(Guard, "has_peers", True)
    text = exposed.exposition(guard)
    assert theirs in text and b"\nprocess_resident_memory_bytes{" in text
    assert b"\nleakhunt_guard_rss_bytes{" in text
    named = theirs + b'process_resident_memory_bytes{a="b"} 3\n'
    assert exposed._without(named, ["process_resident_memory_bytes"]) == theirs


@pytest.mark.usefixtures("without_client")
def test_steps_of_one_name_are_told_apart_and_any_name_is_a_label() -> None:
    def odd() -> None:
        pass

    odd.__name__ = 'a "b" \\ c\nd'
    one, other = dict[str, str](), dict[str, str]()
    guard = Guard(GuardConfig(releases=(one.clear, other.clear, odd)))
    text = exposed.exposition(guard).decode()
    found = re.findall(r'^leakhunt_guard_releases_total{step="(.*)",pid', text, re.MULTILINE)
    assert found == ["gc", "framework", "clear", "clear 2", r"a \"b\" \\ c\nd", "malloc_trim"]
