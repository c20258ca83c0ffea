"""A Prometheus server as it may be: slow, with gaps, with NaN, and none at all."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from leakhunt.errors import BadFile, MissingRequirement, NothingMeasured, UsageError
from leakhunt.foreign.prometheus import RangeQuery, fetched, naming, starts_for

Answer = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
END = 1_700_000_000.0


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server that answers so, on a free port of loopback; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            code, data = answer(self.path, dict(urllib.parse.parse_qsl(body)))
            try:
                self.send_response(code)
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # who asked has gone
                pass

        def log_message(self, *args: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def matrix(*series: tuple[Mapping[str, str], list[tuple[float, str]]]) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": result}}
    ).encode()


def points(form: Mapping[str, str], value: Callable[[float], str]) -> list[tuple[float, str]]:
    at, end, step = (float(form[name]) for name in ("start", "end", "step"))
    found = []
    while at <= end + 1e-6:
        found.append((at, value(at)))
        at += step
    return found


def query(url: str, **more: Any) -> RangeQuery:
    return replace(
        RangeQuery(url=url, query="memory", seconds=36_000, end=END, step_seconds=15.0), **more
    )


def test_a_long_time_is_asked_for_in_pieces_and_comes_together() -> None:
    asked: list[Mapping[str, str]] = []

    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        assert path == "/api/v1/query_range"
        asked.append(form)
        return 200, matrix(({"instance": "a"}, points(form, lambda at: str(at - END + 1e6))))

    with server(answer) as url:
        fleet = fetched(query(url))
    (series,) = fleet.series
    assert len(asked) > 1
    assert series.points == 36_000 / 15 + 1
    assert (series.instance, series.last_bytes) == ("a", 1_000_000)
    assert list(series.seconds) == sorted(set(series.seconds))


def test_nan_and_gaps_are_left_out() -> None:
    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        values = points(form, lambda at: "NaN" if int(at) % 60 == 20 else "5")
        return 200, matrix(({"pod": "a"}, [each for each in values if int(each[0]) % 90 < 45]))

    with server(answer) as url:
        (series,) = fetched(query(url)).series
    assert series.left_out > 100
    assert set(series.floors) == {5}


def test_a_slow_server_is_asked_for_less_at_a_time() -> None:
    sizes: list[float] = []

    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        sizes.append((float(form["end"]) - float(form["start"])) / 15)
        if sizes[-1] > 60:
            time.sleep(0.5)
        return 200, matrix(({"pod": "a"}, points(form, lambda at: "5")))

    with server(answer) as url:
        (series,) = fetched(query(url, timeout_seconds=0.25, seconds=3000)).series
    assert sizes[0] > 60
    assert series.points == 201


def test_a_server_that_does_not_answer_is_one_line_with_the_remedy() -> None:
    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        time.sleep(0.6)
        return 200, b""

    with server(answer) as url, pytest.raises(MissingRequirement, match="--timeout"):
        fetched(query(url, timeout_seconds=0.1))


def test_nobody_there_is_one_line() -> None:
    with server(lambda path, form: (200, b"")) as url:
        pass
    with pytest.raises(MissingRequirement, match="Check the address"):
        fetched(query(url))


@pytest.mark.parametrize(
    ("code", "body", "error", "words"),
    [
        (400, {"status": "error", "errorType": "bad_data", "error": "parse error: x"},
         UsageError, "parse error"),
        (404, "<html>nothing</html>", BadFile, "not the API of a Prometheus"),
        (200, "<html>hello</html>", BadFile, "not the API of a Prometheus"),
        (401, "", MissingRequirement, "HTTP 401"),
        (503, "", MissingRequirement, "HTTP 503"),
        (200, {"status": "success", "data": {"resultType": "matrix", "result": []}},
         NothingMeasured, "no series"),
        (200, {"status": "success", "data": {"resultType": "string", "result": []}},
         UsageError, "vector"),
    ],
)  # fmt: skip
def test_what_a_server_refuses(code: int, body: Any, error: type[Exception], words: str) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with server(lambda path, form: (code, data)) as url, pytest.raises(error, match=words):
        fetched(query(url))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host", "http://"])
def test_no_other_address_is_opened(url: str) -> None:
    with pytest.raises(UsageError, match="expected an address"):
        fetched(query(url))


def test_limits_are_those_of_the_same_instance() -> None:
    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        if path == "/api/v1/query":
            result = [
                {"metric": {"pod": "a", "resource": "memory"}, "value": [END, "1000"]},
                {"metric": {"pod": "b", "resource": "memory"}, "value": [END, "2000"]},
            ]
            data = {"resultType": "vector", "result": result}
            return 200, json.dumps({"status": "success", "data": data}).encode()
        values = points(form, lambda at: "5")
        return 200, matrix(*(({"pod": pod}, values) for pod in "abc"))

    with server(answer) as url:
        fleet = fetched(query(url, limits="limits"))
    assert {each.instance: each.limit_bytes for each in fleet.series} == {
        "a": 1000, "b": 2000, "c": None,
    }  # fmt: skip


def test_instances_go_by_what_tells_them_apart() -> None:
    name = naming([{"job": "x", "instance": "a:1"}, {"job": "x", "instance": "b:1"}])
    assert name({"job": "x", "instance": "a:1"}) == "a:1"
    name = naming([{"job": "x", "pod": "p", "zone": "1"}, {"job": "x", "pod": "p", "zone": "2"}])
    assert name({"job": "x", "pod": "p", "zone": "2"}) == "zone=2"


def test_points_of_millions_are_thinned_while_they_come() -> None:
    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        return 200, matrix(({"pod": "a"}, points(form, lambda at: "7")))

    with server(answer) as url:
        (series,) = fetched(query(url, seconds=40_000, step_seconds=1.0)).series
    assert series.points == 40_001
    assert len(series.seconds) <= 4096


CLIENT = """
import resource, sys
from leakhunt.foreign.prometheus import RangeQuery, fetched
url, seconds = sys.argv[1], float(sys.argv[2])
fleet = fetched(RangeQuery(url=url, query="memory", seconds=seconds, end=1.7e9, step_seconds=1.0))
points = sum(each.points for each in fleet.series)
print(points, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.long
def test_ten_million_points_take_little_more_memory_than_a_million() -> None:
    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        values = ",".join(f'[{at:.0f},"{300_000_000 + at % 7:.0f}"]' for at, _ in
                          points(form, lambda at: ""))  # fmt: skip
        series = ",".join(
            f'{{"metric":{{"pod":"{pod}"}},"values":[{values}]}}' for pod in range(100)
        )
        data = f'{{"resultType":"matrix","result":[{series}]}}'
        return 200, f'{{"status":"success","data":{data}}}'.encode()

    taken = []
    with server(answer) as url:
        for seconds in (10_000, 100_000):
            done = subprocess.run(
                [sys.executable, "-c", CLIENT, url, str(seconds)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            count, size = map(int, done.stdout.split())
            assert count == 100 * (seconds + 1)
            taken.append(size)
    assert taken[1] < taken[0] + (32 << 20)
    print(taken)
    assert taken[1] < 300 << 20


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("process_resident_memory_bytes", "process_start_time_seconds"),
        (' process_resident_memory_bytes {job="vad", pod=~"a.*"} ',
         'process_start_time_seconds{job="vad", pod=~"a.*"}'),
        ("leakhunt_guard_rss_bytes{}", "process_start_time_seconds{}"),
        ('container_memory_rss{pod="a"}', 'container_start_time_seconds{pod="a"}'),
        ("node_memory_MemFree_bytes", None),
        ("sum(process_resident_memory_bytes)", None),
        ('{__name__="process_resident_memory_bytes"}', None),
        ("process_resident_memory_bytes offset 1d", None),
    ],
)  # fmt: skip
def test_starts_are_asked_for_where_the_query_is_a_plain_selector(
    query: str, starts: str | None
) -> None:
    assert starts_for(query) == starts


def started(form: Mapping[str, str], *starts: tuple[float, float]) -> list[tuple[float, str]]:
    """Of each moment the start that is told from then on."""
    return points(form, lambda at: repr(max(told for told in starts if told[0] <= at)[1]))


def test_starts_tell_when_processes_began() -> None:
    begin, steady = END - 36_000, {"job": "x", "instance": "steady"}

    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        if form["query"] == "memory":
            value = points(form, lambda at: "5")
            return 200, matrix(*(({"instance": name}, value) for name in ("a", "b", "steady", "c")))
        assert form["query"] == "starts"
        return 200, matrix(
            # Its clock is 3 s ahead; NTP moves the start by a second; it is restarted once.
            ({"instance": "a"}, started(
                form, (begin, begin - 500.0), (begin + 9000, begin - 499.0),
                (begin + 18_000, begin + 17_953.0),
            )),
            # It has begun while it was watched.
            ({"instance": "b"}, started(form, (0, 0.0), (begin + 5000, begin + 4990.5))),
            (steady, started(form, (begin, begin - 10.0))),
        )  # fmt: skip

    with server(answer) as url:
        fleet = fetched(query(url, starts="starts"))
    found = {each.instance: each.starts for each in fleet.series}
    assert found == {
        "a": (begin - 500.0, begin + 17_964.0),  # not before the sample of the one before
        "b": (begin + 4990.5,),
        "steady": (begin - 10.0,),
        "c": (),
    }


def test_starts_that_nobody_asked_for_may_be_missing() -> None:
    def answer(path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        if "start" in form["query"]:
            return 400, b'{"status": "error", "errorType": "bad_data", "error": "unknown"}'
        return 200, matrix(({"instance": "a"}, points(form, lambda at: "5")))

    with server(answer) as url:
        asked = query(url, query="process_resident_memory_bytes")
        assert fetched(asked).series[0].starts == ()
        with pytest.raises(UsageError, match="unknown"):
            fetched(replace(asked, starts="start"))
