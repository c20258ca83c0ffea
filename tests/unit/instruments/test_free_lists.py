"""Free lists are empty before each call, and no object stays frozen."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
import textwrap

import pytest

from leakhunt.instruments.free_lists import FreeLists, has_frozen


@pytest.fixture
def nothing_frozen() -> None:
    gc.unfreeze()


@pytest.mark.usefixtures("nothing_frozen")
def test_the_call_gets_what_it_is_given_and_objects_are_frozen_until_they_thaw() -> None:
    lists = FreeLists()
    lists.is_on = True
    called = lists.wrapped(lambda state, item: (state, item))
    assert called("state", 7) == ("state", 7)
    assert called("state", 8) == ("state", 8)
    assert has_frozen()
    lists.thaw()
    assert not has_frozen()
    lists.thaw()  # there is nothing left to thaw


@pytest.mark.usefixtures("nothing_frozen")
def test_what_the_process_has_frozen_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    lists = FreeLists()
    lists.is_on = True
    lists.wrapped(lambda state, item: item)(None, 1)
    lists.thaw()
    assert gc.get_freeze_count() >= frozen - 100  # some were freed meanwhile
    gc.unfreeze()


def test_what_the_interpreter_has_frozen_is_not_the_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.12 freezes some hundred objects of its own."""
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 400)
    assert not has_frozen()
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 40_000)
    assert has_frozen()


def test_frozen_objects_are_counted_once_and_not_at_every_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interpreter goes through all of them for it."""
    asked: list[int] = []
    count = gc.get_freeze_count

    def counted() -> int:
        asked.append(1)
        return count()

    monkeypatch.setattr(gc, "get_freeze_count", counted)
    lists = FreeLists()
    lists.is_on = True
    called = lists.wrapped(lambda state, item: item)
    for item in range(3):
        called(None, item)
    lists.thaw()
    assert len(asked) == 1


def test_a_collection_empties_the_free_list_of_floats() -> None:
    """Blocks that wait there are allocated, for Python's allocator."""
    code = """
        import gc, sys
        from leakhunt.instruments.free_lists import FreeLists

        kept = [float(n) for n in range(50)]
        lists = FreeLists()
        lists.is_on = True
        empty = lists.wrapped(lambda state, item: None)
        gc.collect()
        before = sys.getallocatedblocks()
        kept.clear()
        freed_at_once = before - sys.getallocatedblocks()
        empty(None, None)
        print(freed_at_once, before - sys.getallocatedblocks())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    freed_at_once, freed = map(int, done.stdout.split())
    assert freed >= freed_at_once + 40


def test_no_greenlet_is_freed_that_is_in_use() -> None:
    """The main greenlet of a thread that ends: greenlet asks the collector who refers to it."""
    if importlib.util.find_spec("greenlet") is None:  # loading it would last
        pytest.skip("greenlet is not installed")
    code = """
        import gc, threading
        import greenlet
        from leakhunt.instruments.free_lists import FreeLists

        kept = []

        def worked(go):
            kept.append(greenlet.getcurrent())
            ready.release()
            go.wait()

        lists = FreeLists()
        lists.is_on = True
        called = lists.wrapped(lambda state, item: None)
        ready = threading.Semaphore(0)
        for _ in range(20):
            go = threading.Event()
            thread = threading.Thread(target=worked, args=(go,))
            thread.start()
            ready.acquire()
            called(None, None)
            go.set()
            thread.join()
            called(None, None)
            [str(number) for number in range(1000)]
        lists.thaw()
        kept.clear()
        for _ in range(5):
            gc.collect()
            made = [{number: [number]} for number in range(5000)]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
