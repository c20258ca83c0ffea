"""Several variants at the same time, until the user ends it or one fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parallel(
    work: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int, stop: Event
) -> list[_Result]:
    """The results in the order of the items, `jobs` of which are worked on at the same time.

    `stop` is set when the user ends it, or one fails: `work` has to look at it.

    Raises:
        Exception: what the first of them that failed raised.
        KeyboardInterrupt: with one job, the user ended it.
    """
    if jobs == 1:
        return list(map(work, items))
    with ThreadPoolExecutor(jobs) as pool:
        # Each in a context of its own, which has the language.
        ahead = [pool.submit(copy_context().run, work, each) for each in items]
        try:
            wait(ahead, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            stop.set()
        if any(each.done() and each.exception() is not None for each in ahead):
            stop.set()
        return [each.result() for each in ahead]
