"""Within Locust: only the task whose turn it is, so that growth can be told by route.

A locustfile mixes its tasks at random, always in the same proportion. The soak names one task after
the other; users that have it do that only, until it is the turn of the next. Tasks in a fixed order
(`SequentialTaskSet`) stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from locust import TaskSet
from locust.user.task import DefaultTaskSet

from leakhunt.service.shared_counters import Counters


def take_turns(user_classes: Iterable[Any], counters: Counters) -> None:
    """From now on users do the task that `counters.turn` names, where they have it."""
    tasks = list(dict.fromkeys(each for user in user_classes for each in _tasks(user.tasks)))
    counters.tasks = len(tasks)
    DefaultTaskSet.get_next_task = _in_turn(
        DefaultTaskSet.get_next_task, lambda task_set: task_set.user.tasks, tasks, counters
    )
    TaskSet.get_next_task = _in_turn(
        TaskSet.get_next_task, lambda task_set: task_set.tasks, tasks, counters
    )


def _tasks(pool: Iterable[Any]) -> Iterator[Any]:
    """The functions of a list of tasks, at any depth."""
    for task in pool:
        inner = getattr(task, "tasks", None)
        if inner is None:
            yield task
        else:
            yield from _tasks(inner)


def _in_turn(
    original: Callable[[Any], Any],
    pool_of: Callable[[Any], Iterable[Any]],
    tasks: list[Any],
    counters: Counters,
) -> Callable[[Any], Any]:
    def get_next_task(task_set: Any) -> Any:
        turn = counters.turn
        if 0 < turn <= len(tasks):
            wanted = tasks[turn - 1]
            for task in pool_of(task_set):
                if task is wanted or wanted in _tasks(getattr(task, "tasks", ())):
                    return task
        return original(task_set)

    return get_next_task
