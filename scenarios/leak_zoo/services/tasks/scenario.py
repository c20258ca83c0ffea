"""Work that services start and do not see end: tasks, timers, queues, pools; and clean."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from leakhunt import Context, variant

FAR_SECONDS = 86_400.0
QUEUE_LIMIT = 20
# More than the consumer takes out in the turns of the loop that one request takes.
BURST = 5
_STACK_BYTES = 128 << 10
POOL = ThreadPoolExecutor(2, thread_name_prefix="pool")
RESULTS: list[Future[bytearray]] = []


@dataclass
class State:
    """What the service keeps from call to call."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    shutdown: asyncio.Event = field(default_factory=asyncio.Event)
    background: set[asyncio.Task[Any]] = field(default_factory=set)
    sessions: dict[int, bytearray] = field(default_factory=dict)
    streams: list[Any] = field(default_factory=list)
    queue: asyncio.Queue[bytearray] = field(default_factory=asyncio.Queue)
    bounded: asyncio.Queue[bytearray] = field(default_factory=lambda: asyncio.Queue(QUEUE_LIMIT))
    consumer: asyncio.Task[None] | None = None
    writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    written: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(QUEUE_LIMIT))
    pools: dict[int, ThreadPoolExecutor] = field(default_factory=dict)
    loops: list[asyncio.AbstractEventLoop] = field(default_factory=list)

    def serve(self, request: Coroutine[Any, Any, None]) -> None:
        """One request, on the service's event loop."""
        self.loop.run_until_complete(request)


def setup(context: Context) -> State:
    """An empty service with a loop and pools of its own."""
    threading.stack_size(_STACK_BYTES)
    return State()


def teardown(state: State) -> None:
    """Let the writer's thread end."""
    state.writer.shutdown(wait=False, cancel_futures=True)
    state.turn.release()


def work() -> bytes:
    """About a millisecond of honest work, so that a call is long enough to be sampled alone."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 3000)


async def _until_shutdown(state: State, request: bytearray) -> None:
    await state.shutdown.wait()
    request.clear()


@variant(
    expect="leak in Python",
    rate=2240,
    culprit="State.shutdown._waiters",
    cause="tasks-never-finished",
)
def tasks_that_wait_for_ever(state: State, item: int) -> None:
    """A background task per request waits for the service's end."""

    async def request() -> None:
        asyncio.create_task(_until_shutdown(state, bytearray(1000)))  # noqa: RUF006 - the leak
        await asyncio.sleep(0)

    state.serve(request())


@variant(expect=("clean", "cyclic garbage only"))
def tasks_cancelled(state: State, item: int) -> None:
    """The task is cancelled with its request."""

    async def request() -> None:
        task = asyncio.create_task(_until_shutdown(state, bytearray(1000)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    state.serve(request())


async def _answer() -> bytearray:
    await asyncio.sleep(0)
    return bytearray(1000)


@variant(expect="leak in Python", rate=1780, culprit="State.background", cause="futures-kept")
def finished_tasks_kept(state: State, item: int) -> None:
    """A set holds background tasks while they run, as it must, and after they ended."""

    async def request() -> None:
        task = asyncio.create_task(_answer())
        state.background.add(task)
        await asyncio.wait([task])

    state.serve(request())


@variant(expect=("clean", "cyclic garbage only"))
def finished_tasks_discarded(state: State, item: int) -> None:
    """A task takes itself out of the set when it is done."""

    async def request() -> None:
        task = asyncio.create_task(_answer())
        state.background.add(task)
        task.add_done_callback(state.background.discard)
        await asyncio.wait([task])

    state.serve(request())


@variant(
    expect="leak in Python",
    rate=1350,
    culprit="State.loop._scheduled",
    cause="timers-not-cancelled",
)
def timers_not_cancelled(state: State, item: int) -> None:
    """A session ends, and the timer that was to expire it tomorrow stays."""
    state.loop.call_later(FAR_SECONDS, bytearray(1000).clear)


@variant(expect=("clean", "bounded cache", "cyclic garbage only"))
def timers_cancelled(state: State, item: int) -> None:
    """The timer is cancelled when its session ends; the loop sweeps such timers now and then."""

    async def request() -> None:
        state.loop.call_later(FAR_SECONDS, bytearray(1000).clear).cancel()

    state.serve(request())


async def _consume(queue: asyncio.Queue[bytearray]) -> None:
    """Takes one item in each turn of the loop."""
    while True:
        (await queue.get()).clear()
        await asyncio.sleep(0)


@variant(expect="leak in Python", rate=2120, culprit="State.queue._queue", cause="unbounded-queue")
def queue_without_bound(state: State, item: int) -> None:
    """More comes in than the consumer takes out."""

    async def request() -> None:
        if state.consumer is None:
            state.consumer = asyncio.create_task(_consume(state.queue))
        for _ in range(BURST):
            await state.queue.put(bytearray(1000))
        await asyncio.sleep(0)

    state.serve(request())


@variant(expect=("clean", "bounded cache", "cyclic garbage only"))
def queue_with_bound(state: State, item: int) -> None:
    """What finds the queue full is dropped."""

    async def request() -> None:
        if state.consumer is None:
            state.consumer = asyncio.create_task(_consume(state.bounded))
        for _ in range(BURST):
            if not state.bounded.full():
                state.bounded.put_nowait(bytearray(1000))
        await asyncio.sleep(0)

    state.serve(request())


def _write(state: State, request: bytearray) -> None:
    """The writer's work: it waits for its turn, of which each call gives one."""
    state.turn.acquire()
    request.clear()
    state.written.release()


def _one_written(state: State) -> None:
    state.turn.release()
    state.written.acquire()


@variant(
    expect="leak in Python", rate=2960, culprit="State.writer._work_queue", cause="unbounded-queue"
)
def pool_that_falls_behind(state: State, item: int) -> None:
    """Two jobs per request for a pool that does one in that time: its queue has no bound."""
    for _ in range(2):
        state.writer.submit(_write, state, bytearray(1000))
    _one_written(state)


@variant(expect=("clean", "bounded cache", "cyclic garbage only"))
def pool_with_places(state: State, item: int) -> None:
    """Jobs that find no place in the queue are refused."""
    for _ in range(2):
        if state.places.acquire(blocking=False):
            job = state.writer.submit(_write, state, bytearray(1000))
            job.add_done_callback(lambda _: state.places.release())
    _one_written(state)


@variant(expect="leak in Python", rate=2290, culprit="RESULTS", cause="futures-kept")
def futures_of_a_pool_kept(state: State, item: int) -> None:
    """The futures of the service's pool go into a list, for somebody who never looks."""
    work()
    future = POOL.submit(bytearray, 1000)
    future.result()
    RESULTS.append(future)


@variant(expect="clean")
def futures_of_a_pool_dropped(state: State, item: int) -> None:
    """The future is asked for its result and dropped."""
    work()
    POOL.submit(bytearray, 1000).result()


@variant(
    expect="descriptors, threads or children growing",
    rate=1,
    culprit="submit(work)",
    cause="executor-not-shut-down",
)
def pool_for_each_client(state: State, item: int) -> None:
    """A pool of its own for each client, none of which is ever shut down."""
    pool = state.pools.setdefault(item, ThreadPoolExecutor(1))
    pool.submit(work).result()


@variant(expect="clean")
def pool_for_all_clients(state: State, item: int) -> None:
    """One pool for all of them."""
    POOL.submit(work).result()


@variant(
    expect="descriptors, threads or children growing",
    rate=3,
    culprit="asyncio.new_event_loop()",
    cause="event-loops-not-closed",
)
def loop_for_each_request(state: State, item: int) -> None:
    """A synchronous handler makes a loop for its asynchronous client, and the client keeps it."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    state.loops.append(loop)


@variant(expect=("clean", "cyclic garbage only"))
def loop_closed(state: State, item: int) -> None:
    """asyncio.run makes a loop, and closes it."""
    asyncio.run(asyncio.sleep(0))


async def _tokens(buffer: bytearray) -> AsyncIterator[int]:
    for number in range(len(buffer)):
        yield number


@variant(expect="leak in Python", rate=1480, culprit="State.streams", cause="generators-suspended")
def streams_not_closed(state: State, item: int) -> None:
    """A client goes away in the middle of its stream, and the stream is kept."""

    async def request() -> None:
        stream = _tokens(bytearray(1000))
        await anext(stream)
        state.streams.append(stream)

    state.serve(request())


@variant(expect=("clean", "cyclic garbage only"))
def streams_closed(state: State, item: int) -> None:
    """The stream is closed when the client has gone."""

    async def request() -> None:
        stream = _tokens(bytearray(1000))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    state.serve(request())
