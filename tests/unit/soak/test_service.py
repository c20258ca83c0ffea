"""The parts of a soak that need no service: counters, descriptions, targets, what is said."""

from __future__ import annotations

import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leakhunt import agent
from leakhunt.amounts import parse_duration
from leakhunt.config.service_file import builtin_services, find_service, read_service
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.engine.soak_target import target_of, targets
from leakhunt.errors import BadFile, UsageError
from leakhunt.model.series import Series, Unit
from leakhunt.service import agent_client
from leakhunt.service.agent_client import NO_INSIDE, ListeningAgents, unavailable
from leakhunt.service.loop import paused
from leakhunt.service.process_tree import Tree, unreclaimable
from leakhunt.service.readings import Readings
from leakhunt.service.service import free_port, refuse_taken, without_userinfo, words
from leakhunt.service.shared_counters import Counters, percentile_ns

ASKED = SoakRequest(seed=7)
_OF_THE_LOAD = ("locustfile", "audio", "post", "field", "expect")


def request(**changes: Any) -> SoakRequest:
    """A request with these changes, of which some are the load's."""
    load = {name: changes.pop(name) for name in _OF_THE_LOAD if name in changes}
    return replace(ASKED, load=Load(**load), **changes)


DESCRIBED = """
summary = "mine"
[options]
lengths = "varied"
[[variant]]
name = "naive"
command = ["{python}", "app.py", "{port}", "{lengths}"]
ready = "/health"
load = "json"
[[variant]]
name = "better"
command = ["app"]
"""


def test_what_one_side_counts_the_other_sees(tmp_path: Path) -> None:
    soak = Counters.create(tmp_path / "counters")
    load = Counters(tmp_path / "counters")
    load.count(3_000_000, False)
    load.count(5_000_000, True, times=2)
    load.users, load.paused_users = 4, 1
    load.beat()
    assert (soak.done, soak.failed, soak.spent_ns) == (3, 2, 13_000_000)
    assert (soak.users, soak.paused_users, soak.beats) == (4, 1, 1)
    assert sum(soak.histogram()) == 3
    assert not load.pause_requested
    soak.pause_requested = True
    assert load.pause_requested
    soak.close()
    load.close()


def test_the_percentiles_are_those_of_the_times_to_five_percent(tmp_path: Path) -> None:
    counters = Counters.create(tmp_path / "counters")
    source = random.Random(3)
    times = [round(source.lognormvariate(17, 1)) for _ in range(5000)]
    for each in times:
        counters.count(each, False)
    cuts = statistics.quantiles(times, n=100)
    for share in (0.5, 0.95, 0.99):
        percentile = percentile_ns(counters.histogram(), share)
        assert percentile == pytest.approx(cuts[round(100 * share) - 1], rel=0.055)
    assert percentile_ns([0, 0], 0.5) == 0
    counters.close()


def test_times_beyond_all_buckets_are_counted(tmp_path: Path) -> None:
    counters = Counters.create(tmp_path / "counters")
    counters.count(0, False)
    counters.count(10**18, False)
    assert counters.done == sum(counters.histogram()) == 2
    counters.close()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("10 min", 600), ("72h", 259_200), ("3d", 259_200)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1s", "5x", "s", "1e9", "900d", "nan"])
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError, match="invalid duration"):
        parse_duration(text)


def described(tmp_path: Path, text: str = DESCRIBED) -> Path:
    folder = tmp_path / "my_service"
    folder.mkdir(exist_ok=True)
    (folder / "service.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_description_is_read(tmp_path: Path) -> None:
    service, variants = find_service(str(described(tmp_path)))
    assert service.name == "my-service"
    assert [variant.name for variant in variants] == ["naive", "better"]
    assert variants[0].ready == "/health"
    assert service.locustfile is None
    assert [each.name for each in find_service(f"{service.file}:better")[1]] == ["better"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("summary = ", "invalid TOML"),
        ('summary = "x"', r"missing \[\[variant\]\]"),
        ('variant = "x"', r"Write each as \[\[variant\]\]"),
        ('sumary = "x"\n[[variant]]\nname="a"\ncommand=["x"]', "did you mean 'summary'"),
        ('[[variant]]\nname="a"\ncomand=["x"]', "did you mean 'command'"),
        ('[[variant]]\nname="a"', "missing command"),
        ('[[variant]]\nname="a b"\ncommand=["x"]', "name: invalid name 'a b'"),
        ('[[variant]]\ncommand=["x"]', "missing name"),
        ('[[variant]]\nname="a"\ncommand="x"', "expected a list of quoted texts"),
        ('[[variant]]\nname="a"\ncommand=["x", 1]', "expected a list of quoted texts"),
        ('[[variant]]\nname="a"\ncommand=["x"]\nready=1', "expected a quoted text"),
        (
            '[[variant]]\nname="a"\ncommand=["x"]\n[[variant]]\nname="a"\ncommand=["x"]',
            "variant 'a' is defined twice",
        ),
        ('[options]\na = 1\n[[variant]]\nname="a"\ncommand=["x"]', "expected quoted texts"),
    ],
)
def test_a_wrong_description_is_told_in_a_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(BadFile, match=expected) as caught:
        read_service(described(tmp_path, text) / "service.toml")
    assert "\n" not in str(caught.value)
    assert re.search(r"service\.toml:\d+: ", str(caught.value))


def test_the_services_that_come_with_leakhunt_can_be_read() -> None:
    assert "fsmn-vad-service" in [service.name for service in builtin_services()]
    for service in builtin_services():
        assert service.locustfile is not None and service.locustfile.is_file()
        assert all(variant.summary for variant in service.variants)


def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir(exist_ok=True)
    (folder / "a.wav").write_bytes(b"x")
    return folder


def test_options_reach_the_command_the_service_and_the_load(tmp_path: Path) -> None:
    made = request(
        target=f"{described(tmp_path)}:naive",
        audio=recordings(tmp_path),
        post="/vad",
        options={"lengths": "fixed"},
    )
    (target,) = targets(made)
    assert target.start is not None
    assert target.start.command == ["{python}", "app.py", "{port}", "fixed"]
    assert target.start.variables == {"LEAKHUNT_LENGTHS": "fixed"}
    assert target.variables["LEAKHUNT_LENGTHS"] == "fixed"
    assert target.variables["LEAKHUNT_LOAD"] == "json"
    assert target.variables["LEAKHUNT_SEED"] == "7"
    assert target.requests_from == "upload"
    assert target.source == "service.toml"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "soak needs exactly one service"),
        ({"command": "a {port}", "pid": 3}, "soak needs exactly one service"),
        ({"command": "a {port}"}, "missing load"),
        ({"command": "a", "audio": "recordings", "post": "/x"}, "missing {port}"),
        (
            {"command": "'", "url": "http://x", "audio": "recordings", "post": "/x"},
            "Fix the quoting",
        ),
        ({"command": " ", "url": "http://x", "audio": "recordings", "post": "/x"}, "empty"),
        ({"pid": 3, "audio": "recordings", "post": "/x"}, "needs --url"),
        ({"command": "a {port}", "audio": "nowhere", "post": "/x"}, "no folder with recordings"),
        ({"command": "a {port}", "locustfile": Path("nowhere.py")}, "locustfile not found"),
        ({"target": "nosuch"}, "service 'nosuch' not found"),
        ({"target": "my_service:worse", "audio": "recordings", "post": "/x"}, "no variant"),
        (
            {"target": "my_service", "audio": "recordings", "post": "/x", "options": {"a": "b"}},
            "no option 'a'",
        ),
        (
            {"command": "a {port}", "audio": "recordings", "post": "/x", "options": {"a": "b"}},
            "for described services",
        ),
        ({"target": "my_service", "url": "http://x"}, "a described service has its own"),
    ],
)
def test_what_cannot_be_soaked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], expected: str
) -> None:
    described(tmp_path)
    recordings(tmp_path)
    monkeypatch.chdir(tmp_path)
    if isinstance(changes.get("audio"), str):
        changes = changes | {"audio": Path(str(changes["audio"]))}
    with pytest.raises(UsageError, match=expected):
        targets(request(**changes))


def test_a_run_that_was_no_soak_is_not_gone_on_with(make_run: object) -> None:
    assert callable(make_run)
    with pytest.raises(UsageError, match="not a soak"):
        target_of(make_run(rss=[1, 2]), ASKED)


def test_a_command_is_split_as_a_shell_does() -> None:
    assert words("uvicorn 'my app:app' --port {port}") == (
        "uvicorn", "my app:app", "--port", "{port}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("anon 100\nfile 900\nkernel_stack 5\nshmem 10\n", 115),
        ("cache 900\ntotal_rss 100\ntotal_shmem 10\ntotal_cache 5\n", 110),
    ],
)
def test_what_a_cgroup_cannot_give_back(tmp_path: Path, text: str, size: int) -> None:
    (tmp_path / "memory.stat").write_text(text)
    assert unreclaimable(tmp_path) == size


def test_a_process_answers_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    assert agent.listen()
    assert agent.listen()  # once is enough
    within = ListeningAgents()
    try:
        assert within.find([os.getpid()]) == 1
        names = [series.name for series in within.series()]
        assert "python_blocks" in names
        assert unavailable(within.series()).keys() <= {
            "cuda_allocated", "cuda_reserved", "cuda_active", "peak_cuda",
        }  # fmt: skip
        first, second = within.ask("numbers"), within.ask("numbers")
        assert abs(second["python_blocks"] - first["python_blocks"]) < 200
        assert within.ask("trimmed")["rss"] > 0
        assert within.ask("what?") == {}
    finally:
        within.close()


def test_a_process_that_does_not_listen_is_none() -> None:
    within = ListeningAgents()
    assert within.find([1]) == 0
    assert within.ask("numbers") == {}
    assert unavailable(())["live_heap"] == NO_INSIDE


def test_a_taken_address_leaves_the_service_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    taken = socket.socket(socket.AF_UNIX)
    taken.bind(agent.address(-1))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert not agent._start()
    assert "cannot listen" in caplog.text
    taken.close()


@pytest.mark.parametrize(
    "url", ["localhost:8000", "http://[::1", "http://127.0.0.1:80a0", "ftp://x", "http://", ""]
)
def test_what_is_no_address_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    recordings(tmp_path)
    monkeypatch.chdir(tmp_path)
    made = request(pid=3, url=url, audio=Path("recordings"), post="/x")
    with pytest.raises(UsageError, match="invalid address; example: "):
        targets(made)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"post": "x"}, "begins with /"), ({"expect": "("}, "invalid pattern")],
)
def test_what_an_upload_cannot_do_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], expected: str
) -> None:
    recordings(tmp_path)
    monkeypatch.chdir(tmp_path)
    upload = {"command": "a {port}", "audio": Path("recordings"), "post": "/x"}
    with pytest.raises(UsageError, match=expected):
        targets(request(**upload | changes))


def test_no_secret_of_a_command_or_an_address_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings(tmp_path)
    monkeypatch.chdir(tmp_path)
    begun = "app {port} --api-key=k1 --token k2 --model m PASSWORD=k3 --no-secret --users 4"
    (target,) = targets(request(command=begun, audio=Path("recordings"), post="/x"))
    assert target.command == (
        "app {port} --api-key=*** --token *** --model m PASSWORD=*** --no-secret --users 4"
    )
    assert without_userinfo("http://me:k4@host:1/x@y") == "http://host:1/x@y"
    assert target.start is not None and "k2" in target.start.command


def test_an_address_that_is_taken_is_no_place_for_a_service() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="already in use"):
            refuse_taken(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    refuse_taken(f"http://127.0.0.1:{free_port()}/")


def test_a_pause_is_no_time_but_what_ended_in_it_counts(tmp_path: Path) -> None:
    counters = Counters.create(tmp_path / "counters")
    readings = Readings(Tree(os.getpid()), counters)
    counters.count(5_000_000, True)
    readings.leave_out(10**15)
    values = readings.sample().values
    readings_by_name = dict(zip((series.name for series in readings.series), values, strict=True))
    assert (readings_by_name["failures"], readings_by_name["duration"]) == (1, 5_000_000)
    assert readings_by_name["elapsed"] < 0  # as long ago as it was left out
    readings.close()
    counters.close()


def test_a_soak_goes_on_with_the_series_of_before(tmp_path: Path) -> None:
    counters = Counters.create(tmp_path / "counters")
    tree = Tree(os.getpid())
    before = Readings(tree, counters).series[:2]
    assert len(Readings(tree, counters, before).sample().values) == 2
    gone = Series("cgroup of then", Unit.BYTES, "gone", "")
    with pytest.raises(UsageError, match="can no longer be read"):
        Readings(tree, counters, [gone])
    counters.close()


class AnsweringSlowly:
    """A user whose request goes on for a while after the load is to pause."""

    def __init__(self, counters: Counters, seconds: float) -> None:
        self.service = self.load = self
        self.counters = counters
        self._ends = time.monotonic() + seconds

    def is_alive(self) -> bool:
        """Asked at every poll."""
        self.counters.paused_users = int(time.monotonic() >= self._ends)
        return True


@pytest.mark.parametrize(("longest_seconds", "is_quiet"), [(60.0, True), (0.05, False)])
def test_a_pause_waits_for_requests_in_flight_but_not_for_long(
    tmp_path: Path, longest_seconds: float, is_quiet: bool
) -> None:
    counters = Counters.create(tmp_path / "counters")
    counters.users = 1
    subject: Any = AnsweringSlowly(counters, 0.2 if is_quiet else 2.0)
    with paused(subject, longest_seconds) as waited:
        assert counters.pause_requested
        assert (waited is not None) is is_quiet
        assert waited is None or waited >= 0.1
    assert not counters.pause_requested


def test_the_old_name_of_the_agent_works_and_warns_where_it_is_imported() -> None:
    code = "from leakhunt import agent, inside\nprint(inside.listen is agent.listen)"
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
    assert done.stderr.count("DeprecationWarning: leakhunt.inside is now leakhunt.agent") == 1
    assert done.stderr.startswith("<string>:1: ")


class Interrupted(socket.socket):
    """Ctrl-C comes while the first answer is waited for."""

    def recv(self, *_: Any) -> bytes:
        raise KeyboardInterrupt


def test_after_an_interrupt_no_answer_is_taken_for_that_to_the_next_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = [socket.socketpair() for _ in range(2)]
    ours = [Interrupted(fileno=ends[0][0].detach()), ends[1][0]]
    calls = iter(ours)
    monkeypatch.setattr(agent_client, "_call", lambda pid: agent_client._Line(next(calls)))
    within = ListeningAgents()
    assert within.find([4711]) == 1
    with pytest.raises(KeyboardInterrupt):
        within.ask("start")
    ends[1][1].sendall(b'{"live_heap": 7}\n')
    assert within.ask("end") == {"live_heap": 7}
    assert ends[1][1].recv(100) == b"end\n"
    within.close()
    for _, theirs in ends:
        theirs.close()
