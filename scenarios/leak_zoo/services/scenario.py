"""What services keep outside their requests: registries, logs, contexts, connections; and clean."""

from __future__ import annotations

import atexit
import collections
import contextlib
import contextvars
import functools
import hashlib
import io
import logging
import signal
import sqlite3
import types
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leakhunt import Context, variant

BUCKETS = 12
WINDOW = 40
LOG = logging.getLogger("zoo.service")
REQUEST: contextvars.ContextVar[bytearray] = contextvars.ContextVar("request")
NOTES: contextvars.ContextVar[list[bytearray]] = contextvars.ContextVar("notes", default=[])  # noqa: B039


class Model:
    """What lives as long as the service."""

    def __init__(self) -> None:
        self.weights = bytearray(10_000)


@dataclass
class State:
    """What the service keeps from call to call."""

    folder: Path
    model: Model = field(default_factory=Model)
    latencies: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    clients: dict[str, collections.deque[int]] = field(default_factory=dict)
    contexts: dict[int, contextvars.Context] = field(default_factory=dict)
    tokens: list[contextvars.Token[bytearray]] = field(default_factory=list)
    connections: list[sqlite3.Connection] = field(default_factory=list)


def setup(context: Context) -> State:
    """A service that logs its warnings, as servers do."""
    logging.captureWarnings(True)
    for name in ("py.warnings", LOG.name):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    LOG.setLevel(logging.INFO)
    return State(context.folder)


def work() -> bytes:
    """About a millisecond of honest work, so that a call is long enough to be sampled alone."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 3000)


@variant(expect="leak in Python", rate=342, culprit="State.latencies", cause="unbounded-dict")
def metric_for_each_path(state: State, item: int) -> None:
    """A histogram is labelled with the path as it came, so every user makes one."""
    labels = ("GET", f"/users/{item}")
    state.latencies.setdefault(labels, [0] * BUCKETS)[item % BUCKETS] += 1


@variant(expect="clean")
def metric_for_each_route(state: State, item: int) -> None:
    """The histogram is labelled with the route."""
    labels = ("GET", "/users/{user}")
    state.latencies.setdefault(labels, [0] * BUCKETS)[item % BUCKETS] += 1


@variant(expect="leak in Python", rate=909, culprit="State.clients", cause="unbounded-dict")
def rate_limits_never_expire(state: State, item: int) -> None:
    """A rate limiter keeps the last calls of every client that ever called."""
    client = f"client-{item}"
    state.clients.setdefault(client, collections.deque(maxlen=10)).append(item)


@variant(expect=("clean", "bounded cache"))
def rate_limits_expire(state: State, item: int) -> None:
    """The limiter forgets clients that have not called in its window."""
    rate_limits_never_expire(state, item)
    if len(state.clients) > WINDOW:
        state.clients.pop(next(iter(state.clients)))


@variant(expect="leak in Python", rate=585, culprit="loggerDict", cause="loggers-per-request")
def logger_for_each_request(state: State, item: int) -> None:
    """A logger named after the request; logging keeps every name for ever."""
    logging.getLogger(f"zoo.service.{item}").info("served")


@variant(expect="clean")
def logger_of_the_service(state: State, item: int) -> None:
    """One logger, and the request's number in the message."""
    LOG.info("served %d", item)


class RequestLog(logging.Handler):
    """Collects the lines of one request."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, if it is this request's."""
        if record.args == (self.number,):
            self.lines.append(self.format(record))


@variant(expect="leak in Python", rate=732, culprit="LOG.handlers", cause="logging-handlers")
def log_handler_for_each_request(state: State, item: int) -> None:
    """A handler of the service's own collects the request's lines, and is never removed."""
    work()
    LOG.addHandler(RequestLog(item))
    LOG.info("served %d", item)


@variant(expect=("clean", "cyclic garbage only"))
def log_handler_removed(state: State, item: int) -> None:
    """The handler is removed with its request."""
    handler = RequestLog(item)
    LOG.addHandler(handler)
    try:
        LOG.info("served %d", item)
    finally:
        LOG.removeHandler(handler)
        handler.close()


@variant(
    expect="leak in Python",
    rate=168,
    culprit="__warningregistry__",
    cause="warnings-with-ever-new-texts",
)
def warnings_with_the_request(state: State, item: int) -> None:
    """The warning's text names the request; the registry of what was shown keeps each text."""
    warnings.warn(f"request {item} took too long", RuntimeWarning, stacklevel=1)


@variant(expect="clean")
def warnings_of_one_text(state: State, item: int) -> None:
    """The same warning in the same words."""
    warnings.warn("a request took too long", RuntimeWarning, stacklevel=1)


@variant(expect="leak in Python", rate=1330, culprit="State.contexts", cause="contexts-kept")
def contexts_of_requests_kept(state: State, item: int) -> None:
    """A request's context is kept for a follow-up that never comes, with all it refers to."""

    def serve() -> None:
        REQUEST.set(bytearray(1000))
        state.contexts[item] = contextvars.copy_context()

    contextvars.copy_context().run(serve)


@variant(expect="clean")
def contexts_of_requests_dropped(state: State, item: int) -> None:
    """The request's context ends with it."""
    contextvars.copy_context().run(REQUEST.set, bytearray(1000))


@variant(expect="leak in Python", rate=1150, culprit="State.tokens", cause="contexts-kept")
def tokens_never_reset(state: State, item: int) -> None:
    """Each token keeps the value that was there before it, and is kept to be reset later."""
    state.tokens.append(REQUEST.set(bytearray(1000)))


@variant(expect="clean")
def tokens_reset(state: State, item: int) -> None:
    """The token is reset at the end of the request."""
    token = REQUEST.set(bytearray(1000))
    REQUEST.reset(token)


@variant(expect="leak in Python", rate=1080, culprit="services.NOTES", cause="unbounded-list")
def default_shared_by_all_contexts(state: State, item: int) -> None:
    """The default of a context variable is a list: one for all requests."""
    contextvars.copy_context().run(lambda: NOTES.get().append(bytearray(1000)))


@variant(expect="clean")
def value_of_each_context(state: State, item: int) -> None:
    """Each request sets a list of its own."""

    def serve() -> None:
        NOTES.set([])
        NOTES.get().append(bytearray(1000))

    contextvars.copy_context().run(serve)


class Handler:
    """Serves one request."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.body = bytearray(1000)

    @functools.cache  # noqa: B019 - the leak itself
    def parsed(self) -> int:
        """Memoized by a cache of the class, which keeps the handler."""
        return len(self.body) + self.number

    @functools.cached_property
    def parsed_once(self) -> int:
        """Memoized in the handler."""
        return len(self.body) + self.number


@variant(expect="leak in Python", rate=1330, culprit="Handler.parsed", cause="lru-cache-on-method")
def cache_on_a_method(state: State, item: int) -> int:
    """functools.cache on a method of what handles one request."""
    return Handler(item).parsed()


@variant(expect="clean")
def cached_property(state: State, item: int) -> int:
    """functools.cached_property on the same."""
    return Handler(item).parsed_once


@variant(expect="leak in Python", rate=1200, culprit="atexit.register", cause="atexit-callbacks")
def registered_at_exit(state: State, item: int) -> None:
    """Each request registers what is to be tidied up when the service ends."""
    atexit.register(bytearray(1000).clear)


@variant(expect="clean")
def tidied_up_at_once(state: State, item: int) -> None:
    """The request tidies up itself, whatever happens."""
    with contextlib.closing(io.BytesIO(bytes(1000))) as body:
        body.read()


@variant(
    expect="leak in Python",
    rate=1400,
    culprit="finalize._registry",
    cause="finalizers-on-what-stays",
)
def finalizers_of_the_model(state: State, item: int) -> None:
    """Each request attaches its finalizer to the model, which stays."""
    weakref.finalize(state.model, bytearray(1000).clear)


@variant(expect="clean")
def finalizers_of_the_request(state: State, item: int) -> None:
    """Each request attaches its finalizer to itself."""
    weakref.finalize(Handler(item), bytearray(1000).clear)


_OnSignal = Callable[[int, types.FrameType | None], Any]


def _chained(before: Any, request: bytearray) -> _OnSignal:
    """A handler that does its part and calls the one before."""

    def on_signal(number: int, frame: types.FrameType | None) -> None:
        request.clear()
        if callable(before):
            before(number, frame)

    return on_signal


@variant(
    expect="leak in Python", rate=1400, culprit="signal.signal", cause="signal-handlers-chained"
)
def signal_handlers_chained(state: State, item: int) -> None:
    """Each request puts its own signal handler before the last one, for good."""
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, _chained(before, bytearray(1000)))


@variant(expect="clean")
def signal_handlers_restored(state: State, item: int) -> None:
    """The handler before is put back."""
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, _chained(before, bytearray(1000)))
    signal.signal(signal.SIGUSR1, before)


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="sqlite3.connect",
    cause="database-connections-not-closed",
)
def database_connections_kept(state: State, item: int) -> None:
    """A connection to the database per request, which nobody closes."""
    connection = sqlite3.connect(state.folder / "service.db")
    connection.execute("select 1").fetchall()
    state.connections.append(connection)


@variant(expect="clean")
def database_connections_closed(state: State, item: int) -> None:
    """A connection per request, closed."""
    connection = sqlite3.connect(state.folder / "service.db")
    connection.execute("select 1").fetchall()
    connection.close()
