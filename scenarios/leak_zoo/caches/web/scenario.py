"""Caches of web services and their libraries: each fills within 3,000 calls and is level then."""

from __future__ import annotations

import collections
import hashlib
import json
import socket
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import orjson
import pydantic
import pydantic_core
import requests
import urllib3
from starlette.datastructures import URL
from starlette.routing import compile_path

from leakhunt import Context, variant

REQUIRES = ("orjson", "pydantic", "pydantic_core", "requests", "starlette", "urllib3")
EXTRA = "fsmn-vad-service"
CONNECTIONS = 40


class Answer(BaseHTTPRequestHandler):
    """A server that says OK and keeps connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Two bytes."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is named there
        """Nothing on the terminal."""


@dataclass
class State:
    """What the service keeps from call to call."""

    server: ThreadingHTTPServer
    hosts: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(300))
    sessions: collections.OrderedDict[str, requests.Session] = field(
        default_factory=collections.OrderedDict
    )
    connections: collections.deque[socket.socket] = field(default_factory=collections.deque)
    pools: list[urllib3.HTTPConnectionPool] = field(default_factory=list)


def setup(context: Context) -> State:
    """A server in a thread, and an empty service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return State(server)


def teardown(state: State) -> None:
    """Close what is open."""
    for pool in state.pools:
        pool.close()
    state.server.shutdown()
    state.server.server_close()


def work() -> bytes:
    """Some 3 ms, as a real call takes."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 9000)


@variant(expect=("bounded cache", "clean"))
def pools_by_host(state: State, item: int) -> int:
    """urllib3 keeps the pools of 300 hosts; each call asks for another host."""
    work()
    return state.hosts.connection_from_host(f"tenant-{item}.invalid").num_connections


@variant(expect=("bounded cache", "clean"))
def sessions_by_tenant(state: State, item: int) -> None:
    """Sessions of requests for the last 250 tenants, closed when another comes."""
    work()
    state.sessions[f"tenant-{item}"] = session = requests.Session()
    session.headers["X-Tenant"] = f"tenant-{item}"
    session.get_adapter("https://tenant.invalid/")
    if len(state.sessions) > 250:
        state.sessions.popitem(last=False)[1].close()


@variant(expect=("bounded cache", "clean", "descriptors, threads or children growing"))
def connections_to_a_server(state: State, item: int) -> int:
    """Connections that are kept open to a server, a new one in ten calls, 40 in all."""
    work()
    if item % 10 == 0 and len(state.pools) < CONNECTIONS:
        host, port = "127.0.0.1", state.server.server_port
        state.pools.append(urllib3.HTTPConnectionPool(host, port, maxsize=1))
    pool = state.pools[item % len(state.pools)]
    return int(pool.request("GET", "/").status)


@variant(expect=("bounded cache", "clean"))
def strings_of_json(state: State, item: int) -> int:
    """pydantic-core keeps up to 16,384 strings that it met in JSON; a hundred new ones a call."""
    work()
    text = json.dumps([f"value-{item}-{number}-of-some-length" for number in range(100)])
    return len(pydantic_core.from_json(text))


@variant(expect=("bounded cache", "clean"))
def keys_of_json(state: State, item: int) -> int:
    """Orjson keeps 2,048 keys; twenty new ones a call."""
    work()
    text = json.dumps({f"key-{item}-{number}-of-some-length": 0 for number in range(20)})
    return len(orjson.loads(text))


@lru_cache(maxsize=128)
def adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    """The validator of a type."""
    return pydantic.TypeAdapter(kind)


@variant(expect=("bounded cache", "clean"))
def validators_by_type(state: State, item: int) -> Any:
    """The validators of 128 types; the type is made of what the tenant allows."""
    work()
    allowed = tuple(f"choice-{item}-{number}" for number in range(20))
    return adapter(Literal[allowed]).validate_python(allowed[0])


@lru_cache(maxsize=2000)
def route(path: str) -> Any:
    """A path's pattern, as Starlette compiles it."""
    return compile_path(path)


@variant(expect=("bounded cache", "clean"))
def routes_by_path(state: State, item: int) -> int:
    """Starlette's patterns of 900 paths, as they come."""
    work()
    return len(route(f"/tenants/{item * 7 % 900}/items/{{item:int}}/{{part}}"))


@lru_cache(maxsize=1500)
def address(text: str) -> URL:
    """A URL, taken apart."""
    url = URL(text)
    assert url.components.path
    return url


@variant(expect=("bounded cache", "clean"))
def addresses_taken_apart(state: State, item: int) -> str:
    """The last 1,500 URLs, as Starlette takes them apart."""
    work()
    return address(f"https://host.invalid/items/{item}?" + "q" * 900).path
