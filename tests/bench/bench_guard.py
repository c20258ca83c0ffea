"""What the guard costs a handler of 5 ms: its latency at p50 and p99 with the guard and without.

Both apps are called in turns in one process, request by request, so that whatever the machine does
meets both; each round is a ratio. Latency is told on the clock of the thread's processor time: what
else runs on the machine is no cost of the guard. ``--wall`` takes the wall clock, on a machine that
does nothing else. ``python tests/bench/bench_guard.py [--rounds 5] [--requests 2000]``.
``--opcodes`` counts instructions of the interpreter in the guard instead, before the answer and in
all: the same on every machine.
A latency ends with the last part of the answer, as for a client; what the guard does after it is in
the third figure, the processor time of all requests. No request is logged, as by default, and no
scrape is answered meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from math import comb
from statistics import median
from typing import Any

import psutil

from leakhunt.guard import Guard, GuardConfig, GuardMiddleware, GuardWsgiMiddleware, Ticket

HANDLER_SECONDS = 0.005
CLOCK = [time.thread_time]
ANSWERED = [0.0]
# Seconds of all requests without the guard, and with it.
TOTAL = [0.0, 0.0]
# Cost worth naming.
MAX_SHARE = 0.01
_OUTSIDE = 0.05
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/work",
    "headers": [(b"host", b"a"), (b"content-length", b"100000")],
}
ENVIRON = {"PATH_INFO": "/work", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "100000"}


class Segment:
    """A part of what a handler answers."""

    def __init__(self, start: int, text: str) -> None:
        self.start = start
        self.text = text

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {"start": self.start, "end": self.start + len(self.text), "text": self.text.title()}


def busy() -> None:
    """5 ms of what handlers do: objects, dicts, texts, JSON, a lock.

    A loop that only looks at the clock would do for the time, but leaves the interpreter itself
    out of the processor's caches: any three lines of Python behind it take 20 times as long.
    """
    until = CLOCK[0]() + HANDLER_SECONDS
    lock = threading.Lock()
    while CLOCK[0]() < until:
        segments = [Segment(at, f"segment {at} of a clip") for at in range(8)]
        with lock:
            found = {each.start: each.told() for each in segments}
        told = json.dumps({"segments": list(found.values()), "text": "speech " * 4})
        assert sorted(json.loads(told)) == ["segments", "text"]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Work, and answer."""
    busy()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Work, and answer."""
    busy()
    start_response("200 OK", [])
    return [b"fine"]


async def receive() -> dict[str, Any]:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(event: Any) -> None:
    """Nobody listens, but the time of the last part is noted."""
    if event["type"] == "http.response.body":
        ANSWERED[0] = CLOCK[0]()


async def asgi_latencies(apps: tuple[Any, Any], requests: int) -> tuple[list[float], list[float]]:
    """Seconds of each request, of both apps in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(requests):
        for which in (0, 1) if number % 2 else (1, 0):
            started = CLOCK[0]()
            await apps[which](dict(SCOPE), receive, send)
            TOTAL[which] += CLOCK[0]() - started
            taken[which].append(ANSWERED[0] - started)
    return taken


def wsgi_latencies(apps: tuple[Any, Any], requests: int) -> tuple[list[float], list[float]]:
    """Seconds of each request, of both apps in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(requests):
        for which in (0, 1) if number % 2 else (1, 0):
            started = CLOCK[0]()
            response = apps[which](dict(ENVIRON), lambda *_: None)
            b"".join(response)
            taken[which].append(CLOCK[0]() - started)
            if hasattr(response, "close"):
                response.close()
            TOTAL[which] += CLOCK[0]() - started
    return taken


def quantile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """The 95 % interval of the median by order statistics: no distribution is assumed.

    Of fewer than six values, all of them: an interval of less than 95 %.
    """
    ordered, count = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < (count - 1) // 2:
        outside += 2 * comb(count, rank) / 2**count
        if outside > _OUTSIDE:
            break
        rank += 1
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[-1 - rank]


def bare_cost(guard: Guard, requests: int) -> float:
    """Seconds of a ticket that is taken and given back, without any handler: the median."""
    taken = []
    for _ in range(requests):
        started = time.perf_counter()
        ticket = guard.try_admit(100_000)
        assert isinstance(ticket, Ticket)
        guard.finish(ticket)
        taken.append(time.perf_counter() - started)
    return median(taken)


class OpcodeCounter:
    """Counts the opcodes of the guard's code while it is on; of nothing else."""

    def __init__(self) -> None:
        self.count = 0
        self.until_answer = 0

    def __call__(self, frame: Any, event: str, arg: object) -> Any:
        """The trace function."""
        if f"{os.sep}guard{os.sep}" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.count += event == "opcode"
        return self

    def of_asgi(self, app: Any) -> tuple[int, int]:
        """Of one request: until its answer, and in all."""

        async def noting(event: Any) -> None:
            self.until_answer = self.count

        async def one() -> None:
            sys.settrace(self)
            await app(dict(SCOPE), receive, noting)
            sys.settrace(None)

        self.count = 0
        asyncio.run(one())
        return self.until_answer, self.count

    def of_wsgi(self, app: Any) -> tuple[int, int]:
        """The same."""
        self.count = 0
        sys.settrace(self)
        response = app(dict(ENVIRON), lambda *_: None)
        b"".join(response)
        self.until_answer = self.count
        response.close()
        sys.settrace(None)
        return self.until_answer, self.count


def print_opcodes(requests: int) -> None:
    """How many opcodes requests take in the guard, in a world whose clock goes by them."""
    now = [1000.0]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        now[0] += HANDLER_SECONDS
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        now[0] += HANDLER_SECONDS
        start_response("200 OK", [])
        return [b"fine"]

    limit = psutil.Process().memory_info().rss + (1 << 30)
    guard = Guard(GuardConfig(max_concurrency=64, limit=limit), clock=lambda: now[0])
    counter = OpcodeCounter()
    for kind, count, app in (
        ("ASGI", counter.of_asgi, GuardMiddleware(asgi, guard)),
        ("WSGI", counter.of_wsgi, GuardWsgiMiddleware(wsgi, guard)),
    ):
        found = [count(app) for _ in range(requests)]
        for name, values in zip(
            ("until the answer", "in all"), zip(*found, strict=True), strict=True
        ):
            told = ", ".join(f"p{p * 100:g} {quantile([*values], p):.0f}" for p in (0.5, 0.99))
            print(f"{kind} {name}: opcodes {told}")


def main() -> None:
    """Print both ratios of each round, their medians, and whether their intervals keep to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--wall", action="store_true", help="latency by the wall clock")
    parser.add_argument("--opcodes", action="store_true", help="count opcodes instead")
    given = parser.parse_args()
    if given.opcodes:
        print_opcodes(given.requests)
        return
    if given.wall:
        CLOCK[0] = time.perf_counter
    # The limit of a small container, a GiB above what the process holds.
    limit = psutil.Process().memory_info().rss + (1 << 30)
    guard = Guard(GuardConfig(max_concurrency=64, limit=limit))
    asgi = (asgi_app, GuardMiddleware(asgi_app, guard))
    wsgi = (wsgi_app, GuardWsgiMiddleware(wsgi_app, guard))
    ratios: dict[str, list[float]] = {}
    gc.disable()  # a collection of the bench's own lists is no cost of the guard
    for count in range(given.rounds):
        for kind in ("ASGI", "WSGI"):
            TOTAL[:] = [0.0, 0.0]
            without, beside = (
                asyncio.run(asgi_latencies(asgi, given.requests))
                if kind == "ASGI"
                else wsgi_latencies(wsgi, given.requests)
            )
            ratios.setdefault(f"{kind} processor time", []).append(TOTAL[1] / TOTAL[0])
            for share in (0.50, 0.99):
                ratio = quantile(beside, share) / quantile(without, share)
                ratios.setdefault(f"{kind} p{share * 100:.0f}", []).append(ratio)
        print(f"round {count + 1}: " + ", ".join(f"{k} {v[-1]:.4f}" for k, v in ratios.items()))
    print(f"a ticket, taken and given back: {bare_cost(guard, 20_000) * 1e6:.1f} us")
    for name, found in ratios.items():
        low, high = interval_of_median(found)
        told = "within" if high - 1 < MAX_SHARE else "OVER" if low - 1 > MAX_SHARE else "not clear:"
        print(
            f"{name}: median ratio {median(found):.4f} [{low:.4f}, {high:.4f}],"
            f" {told} {MAX_SHARE:.0%}"
        )


if __name__ == "__main__":
    main()
