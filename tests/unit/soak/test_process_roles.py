"""Which place a process holds in a service's tree."""

from __future__ import annotations

import os

from leakhunt.model.processes import PROCESS_SERIES
from leakhunt.service.agent_client import ListeningAgents
from leakhunt.service.process_roles import MAX_PLACES, ProcessOrigin, Roles, origin_of

COMMANDS = {
    1: ProcessOrigin(0, "uvicorn app:app --workers 2"),
    2: ProcessOrigin(1, "python -c from multiprocessing.resource_tracker import main;main(4)"),
    3: ProcessOrigin(1, "python -c spawn_main(tracker_fd=5, pipe_handle=7)"),
    4: ProcessOrigin(1, "python -c spawn_main(tracker_fd=5, pipe_handle=9)"),
    5: ProcessOrigin(1, "python -c spawn_main(tracker_fd=5, pipe_handle=11)"),
    6: ProcessOrigin(3, "python -c spawn_main(tracker_fd=5, pipe_handle=11)"),
}


def test_a_worker_that_takes_anothers_place_has_its_number() -> None:
    roles = Roles(COMMANDS.get)
    roles.update([1])
    assert not roles.has_several
    assert roles.fresh() == []
    roles.update([1, 2, 3, 4])
    told = [(each["number"], each["pid"], each["role"], each["worker"]) for each in roles.fresh()]
    assert told == [
        (0, 1, "main process", 0), (1, 2, "helper process", 0), (2, 3, "worker", 1),
        (3, 4, "worker", 2),
    ]  # fmt: skip
    roles.update([1, 2, 3, 5])
    assert [(each["number"], each["pid"]) for each in roles.fresh()] == [(3, 5)]
    assert str(roles.title_of(5)) == "worker 2"
    roles.update([1, 2, 3, 5, 6])  # below another parent, so a place of its own
    assert roles.number_of(6) == 4
    assert roles.number_of(4) is None


def test_a_row_has_what_was_read_of_each_and_null_for_the_rest() -> None:
    roles = Roles(COMMANDS.get)
    roles.update([1, 3])
    rows = roles.rows({1: {"rss": 5}, 3: {"rss": 7, "live_heap": 2}})
    heap = PROCESS_SERIES.index("live_heap")
    assert [(row[0], row[1], row[1 + heap]) for row in rows] == [(0, 5, None), (1, 7, 2)]


def test_processes_of_ever_new_commands_are_not_told_without_end() -> None:
    roles = Roles(lambda pid: ProcessOrigin(1 if pid > 1 else 0, f"tool {chr(pid)}"))
    roles.update(range(1, 2 * MAX_PLACES))
    assert len(roles.fresh()) == MAX_PLACES
    assert roles.number_of(2 * MAX_PLACES - 1) is None


def test_where_this_process_comes_from() -> None:
    origin = origin_of(os.getpid())
    assert origin is not None
    assert origin.parent == os.getppid()
    assert "python" in origin.command or "pytest" in origin.command
    assert origin_of(2**22 + 1) is None


class Told(ListeningAgents):
    """What processes say, without any."""

    def __init__(self, *sizes: dict[int, int]) -> None:
        super().__init__()
        self._sizes = iter(sizes)

    def ask_each(self, word: str) -> dict[int, dict[str, int]]:
        return {pid: {"live_heap": size} for pid, size in next(self._sizes).items()}


def test_of_several_processes_the_one_that_grew_most_is_chosen() -> None:
    told = Told({1: 10**9, 2: 500, 3: 700}, {1: 10**9 - 5, 2: 900, 3: 800, 4: 5000})
    assert told.grew_most(told.live_sizes()) == 2
    assert Told({1: 5, 2: 7}).grew_most({}) == 2
    assert Told({}).grew_most({1: 5}) is None
