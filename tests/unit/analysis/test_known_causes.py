"""The catalogue of known causes: whole, checked, and matched with what instruments find."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from made_findings import found

from leakhunt.analysis.attribution.known_causes import (
    catalogue,
    entries_per_call,
    known_cause,
    read_catalogue,
)
from leakhunt.errors import BadFile
from leakhunt.model.attribution import Bound, Finding, FindingKind

# What every catalogue of this kind must know.
WANTED = (
    "onednn-primitive-cache",
    "ideep-computation-cache",
    "mkl-thread-buffers",
    "autograd-graph-kept",
    "missing-no-grad",
    "view-pins-storage",
    "functools-cache-unbounded",
    "unbounded-dict",
    "unbounded-list",
    "lru-cache-on-method",
    "exception-traceback-kept",
    "threads-not-ended",
    "executor-not-shut-down",
    "cycles-with-tensors",
    "temporary-files",
    "matplotlib-figures",
    "http-client-per-call",
    "model-loaded-per-call",
    "dynamo-recompiles",
    "cuda-workspace",
    "cuda-caching",
    "glibc-retention",
    "pymalloc-arenas",
    "transparent-huge-pages",
)


def test_the_catalogue_knows_what_it_must() -> None:
    assert set(WANTED) <= {cause.id for cause in catalogue()}


def test_every_entry_is_of_use_to_a_reader() -> None:
    for cause in catalogue():
        assert cause.link.startswith("https://"), cause.id
        assert len(cause.reason) > 30, cause.id
        assert re.fullmatch(r"[a-z0-9-]+", cause.id)
        assert all(re.fullmatch(r"[A-Z_0-9]+", name) for name in cause.remedy.environment)


ONEDNN = "dnnl::impl::utils::lru_cache_t<dnnl::impl::primitive_hashing::key_t>::add(int)"
IDEEP = "ideep::utils::lru_cache<std::string, dnnl::convolution_forward>::insert(int)"

MATCHES: Mapping[str, Finding] = {
    "onednn-primitive-cache": found("operator new(unsigned long)", ONEDNN),
    "ideep-computation-cache": found("operator new(unsigned long)", IDEEP),
    "mkl-thread-buffers": found("mkl_serv_malloc", "mm_internal_malloc"),
    "model-loaded-per-call": found("torch/serialization.py:load:x"),
    "dynamo-recompiles": found("torch/_dynamo/guards.py:build:x"),
    "autograd-graph-kept": found(sort=FindingKind.GRAPH, what="autograd graph"),
    "missing-no-grad": found(
        sort=FindingKind.CONTAINER, what="list", grad_fn="AddBackward0", tensor="f32"
    ),
    "view-pins-storage": found(sort=FindingKind.CONTAINER, what="list", pins_bytes=80_000),
    "functools-cache-unbounded": found(
        sort=FindingKind.CONTAINER, what="dict", unbounded_cache=True
    ),
    "lru-cache-on-method": found(
        sort=FindingKind.CONTAINER, what="dict", unbounded_cache=True, cached_method="Service.parse"
    ),
    "cache-that-fills": found(sort=FindingKind.CONTAINER, what="dict", most_items=4096),
    "exception-traceback-kept": found(
        sort=FindingKind.CONTAINER, what="list", traceback="ValueError"
    ),
    "executor-not-shut-down": found(
        "concurrent/futures/thread.py:submit:t.start()", sort=FindingKind.RESOURCE, what="thread"
    ),
    "threads-not-ended": found("threading.py:start:x", sort=FindingKind.RESOURCE, what="thread"),
    "children-not-reaped": found(sort=FindingKind.RESOURCE, what="child process"),
    "temporary-files": found(
        "tempfile.py:TemporaryFile:x", sort=FindingKind.RESOURCE, what="temporary file"
    ),
    "http-client-per-call": found("requests/sessions.py:__init__:x", sort=FindingKind.CONTAINER),
    "sockets-not-closed": found(
        "socket.py:__init__:x", sort=FindingKind.RESOURCE, what="descriptor"
    ),
    "descriptors-left-open": found(
        "a.py:f:os.open(path)", sort=FindingKind.RESOURCE, what="descriptor"
    ),
    "matplotlib-figures": found(
        sort=FindingKind.CONTAINER,
        what="collections.OrderedDict",
        chain=("matplotlib._pylab_helpers.Gcf.figs", "collections.OrderedDict"),
    ),
    "logging-handlers": found(
        sort=FindingKind.CONTAINER, what="list", items=["RequestLog"], log_handler="RequestLog"
    ),
    "loggers-per-request": found(
        sort=FindingKind.CONTAINER, what="dict", chain=("logging.root.manager.loggerDict", "dict")
    ),
    "warnings-with-ever-new-texts": found(
        sort=FindingKind.CONTAINER, what="dict", chain=("service.__warningregistry__", "dict")
    ),
    "contexts-kept": found(sort=FindingKind.CONTAINER, what="list", items=["_contextvars.Token"]),
    "requests-kept": found(
        sort=FindingKind.CONTAINER, what="list", items=["starlette.requests.Request"]
    ),
    "routes-per-request": found(
        sort=FindingKind.CONTAINER, what="list", chain=("State.app.router.routes", "list")
    ),
    "sessions-kept": found(
        sort=FindingKind.CONTAINER,
        what="dict",
        items=["websockets.asyncio.server.ServerConnection"],
    ),
    "unbounded-queue": found(
        sort=FindingKind.CONTAINER, what="collections.deque", chain=("State.jobs._queue", "deque")
    ),
    "atexit-callbacks": found("service.py:serve:atexit.register(self.close)"),
    "signal-handlers-chained": found("service.py:serve:signal.signal(SIGTERM, stop)"),
    "finalizers-on-what-stays": found(
        sort=FindingKind.CONTAINER,
        what="dict",
        chain=("weakref.finalize._registry", "dict", "weakref.finalize._Info"),
    ),
    "futures-kept": found(sort=FindingKind.CONTAINER, what="set", task="Task", finished="Task"),
    "timers-not-cancelled": found(
        sort=FindingKind.CONTAINER, what="list", items=["asyncio.events.TimerHandle"]
    ),
    "event-loops-not-closed": found(
        "socket.py:__init__:x",
        "asyncio/selector_events.py:_make_self_pipe:x",
        sort=FindingKind.RESOURCE,
        what="descriptor",
    ),
    "database-connections-not-closed": found(
        "service.py:serve:sqlite3.connect(path)", sort=FindingKind.RESOURCE, what="descriptor"
    ),
    "hooks-never-removed": found(
        sort=FindingKind.CONTAINER, what="dict", chain=("state.model._forward_hooks", "dict")
    ),
    "tasks-never-finished": found(sort=FindingKind.CONTAINER, what="list", task="Task"),
    "generators-suspended": found(sort=FindingKind.CONTAINER, what="list", suspended="numbers"),
    "callbacks-never-unsubscribed": found(sort=FindingKind.CONTAINER, what="list", callback="f"),
    "thread-local-growth": found(sort=FindingKind.CONTAINER, what="list", thread_local="yes"),
    "tensors-kept": found(sort=FindingKind.CONTAINER, what="list", tensor="float32[3]"),
    "unbounded-list": found(sort=FindingKind.CONTAINER, what="list", chain=("State.kept", "list")),
    "unbounded-dict": found(sort=FindingKind.CONTAINER, what="dict", chain=("State.table", "dict")),
    "unbounded-set": found(sort=FindingKind.CONTAINER, what="set", chain=("State.seen", "set")),
    "cuda-workspace": found("at::cuda::blas::getChosenWorkspaceSize()"),
    "cycle-class": found(sort=FindingKind.CYCLE, what="class Point", cycle_class=True),
    "cycle-exception": found(sort=FindingKind.CYCLE, what="ValueError", cycle_exception=True),
    "cycle-closure": found(sort=FindingKind.CYCLE, what="walk", cycle_closure=True),
    "cycle-callback": found(sort=FindingKind.CYCLE, what="Net", cycle_callback=True),
    "cycle-self": found(sort=FindingKind.CYCLE, what="list", cycle_self=True),
    "cycle-back-reference": found(
        "torch/_dynamo/eval_frame.py:f:x", sort=FindingKind.CYCLE, cycle_back_reference=True
    ),
    "cycle-other": found(sort=FindingKind.CYCLE, what="dict", cycle_other=True),
}


@pytest.mark.parametrize("name", MATCHES)
def test_what_an_instrument_finds_is_known(name: str) -> None:
    cause = known_cause([MATCHES[name]], catalogue())
    assert cause is not None and cause.id == name


@pytest.mark.parametrize(
    "finding",
    [
        found("made.py:lost:_LIBC.malloc(4096)"),
        found("torch/nn/modules/conv.py:forward:x", "at::native::conv2d(at::Tensor const&)"),
        found(sort=FindingKind.TYPE, what="builtins.dict"),
        found(
            "c10::alloc_cpu(unsigned long)",
            "torch/_dynamo/external_utils.py:inner:return fn(*args, **kwargs)",
            "torch/_dynamo/eval_frame.py:compile_wrapper:return fn(*args, **kwargs)",
        ),
    ],
    ids=["malloc", "torch", "type", "compiled"],
)
def test_what_nobody_knows_has_no_cause(finding: Finding) -> None:
    assert known_cause([finding], catalogue()) is None


def test_a_queue_that_has_its_items_in_itself_is_known_by_their_types() -> None:
    """`queue.SimpleQueue` from Python 3.13 on."""
    queue = "State.writer._work_queue (_queue.SimpleQueue) -> concurrent.futures.thread._WorkItem"
    finding = found(sort=FindingKind.TYPE, what="_thread.RLock", chain=(queue, "_thread.RLock"))
    cause = known_cause([finding], catalogue())
    assert cause is not None and cause.id == "unbounded-queue"


def test_a_list_of_dicts_is_no_dict_that_grows() -> None:
    finding = found(sort=FindingKind.CONTAINER, what="list", chain=("State.kept", "list", "dict"))
    cause = known_cause([finding], catalogue())
    assert cause is not None and cause.id == "unbounded-list"


def test_entries_of_a_bounded_cache_are_counted_by_its_own_blocks_alone() -> None:
    bound = Bound(1024, r"lru_cache_t<", 1)
    sites = [
        (found("operator new(unsigned long)", ONEDNN), 3.0),
        (found("dnnl::impl::malloc(unsigned long, int)", "kernel_t::create(int)", ONEDNN), 40.0),
    ]
    assert entries_per_call(sites, bound) == 3.0
    assert entries_per_call(sites, Bound(1024, r"lru_cache_t<", 2)) == 1.5


ENTRY = """
[[cause]]
id = "made"
title = "made"
reason = "because"
remedy = { text = "do not" }
verify = "look"
link = "https://example.org"
frames = ['made']
"""


def test_an_entry_of_the_least_is_read() -> None:
    (cause,) = read_catalogue(ENTRY, "made.toml")
    assert (cause.id, cause.frames, cause.bound) == ("made", ("made",), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[cause", "invalid TOML"),
        (ENTRY.replace('reason = "because"\n', ""), "cause made: missing reason"),
        (
            ENTRY.replace("frames = ['made']", ""),
            "cause made: no condition; it would match everything",
        ),
        (ENTRY.replace("['made']", "['(']"), "cause made: missing ), unterminated"),
        (ENTRY + "colour = 'red'\n", "cause made: unknown key colour"),
        (ENTRY + "sorts = ['odd']\n", "'odd' is not a valid FindingKind"),
        (ENTRY + "bound = { entries = 3 }\n", "cause made: Bound.__init__() missing 2"),
        (ENTRY + ENTRY, "two causes have the id 'made'"),
    ],
    ids=["toml", "missing", "nothing", "pattern", "unknown", "sort", "bound", "twice"],
)
def test_a_bad_catalogue_is_one_clear_line(text: str, expected: str) -> None:
    with pytest.raises(BadFile, match=re.escape(expected)) as raised:
        read_catalogue(text, "made.toml")
    assert str(raised.value).startswith("made.toml: ")
