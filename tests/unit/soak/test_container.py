"""What the container of a service counts, and the classes that only it shows."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_soaks import MIB, Made, Numbers, soak, write_soak

from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict import judge
from leakhunt.model.kinds import Kind
from leakhunt.model.own_files import GUARD_SUFFIX
from leakhunt.model.series import SHARED_FILES
from leakhunt.model.verdict import Status
from leakhunt.reporting.shared.load_table import load_lines
from leakhunt.service.container import Container, SharedFile, of_group
from leakhunt.storage import run_file

LONG = Made(samples=338, per_sample=20)
V2 = "anon 1000\nfile 700\nkernel 90\nshmem 300\nslab 40\n"
V1 = "cache 1\nrss 2\ntotal_cache 700\ntotal_rss 1000\ntotal_shmem 300\ntotal_swap 7\n"


def test_a_group_of_version_2_is_told_by_kind_of_memory(tmp_path: Path) -> None:
    files = {
        "memory.stat": V2,
        "memory.swap.current": "5\n",
        "memory.peak": "4096\n",
        "memory.events": "low 9\nhigh 1\nmax 2\noom 0\noom_kill 1\noom_group_kill 0\n",
        "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull total=3\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    assert of_group(tmp_path) == {
        "cgroup_anon": 1000, "cgroup_file": 400, "cgroup_shmem": 300, "cgroup_kernel": 90,
        "cgroup_slab": 40, "cgroup_swap": 5, "cgroup_peak": 4096, "cgroup_events": 4,
        "memory_pressure": 12_000,
    }  # fmt: skip


def test_a_group_of_version_1_tells_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "memory.stat").write_text(V1, encoding="ascii")
    (tmp_path / "memory.max_usage_in_bytes").write_text("8192\n", encoding="ascii")
    assert of_group(tmp_path) == {
        "cgroup_anon": 1000, "cgroup_file": 400, "cgroup_shmem": 300, "cgroup_swap": 7,
        "cgroup_peak": 8192,
    }  # fmt: skip
    container = Container(os.getpid(), tmp_path)
    why = container.unavailable
    assert set(why) == {"cgroup_kernel", "cgroup_slab", "cgroup_events", "memory_pressure"}
    assert str(why["cgroup_slab"]) == "this version of the cgroup does not report it"


def test_without_a_group_the_reason_is_told() -> None:
    container = Container(os.getpid(), None)
    assert "no memory cgroup is mounted here" in {
        str(each) for each in container.unavailable.values()
    }
    assert {series.name for series in container.series} <= {SHARED_FILES}


@pytest.fixture
def shared_file() -> Iterator[Callable[[str], Path]]:
    """Makes files of 8 KiB in /dev/shm; they are gone after the test."""
    made: list[Path] = []

    def make(suffix: str = "") -> Path:
        descriptor, name = tempfile.mkstemp(suffix, dir="/dev/shm")
        os.close(descriptor)
        made.append(Path(name))
        made[-1].write_bytes(b"x" * 8192)
        return made[-1]

    yield make
    for file in made:
        file.unlink()


def test_shared_memory_is_told_by_file_and_owner() -> None:
    from multiprocessing.shared_memory import SharedMemory

    container = Container(os.getpid(), None)
    before = container.read()[SHARED_FILES]
    memory = SharedMemory(create=True, size=3 * MIB)
    try:
        assert memory.buf is not None
        memory.buf[:] = b"x" * memory.size
        assert container.read()[SHARED_FILES] - before == 3 * MIB
        found = {each.name: each for each in container.grown([os.getpid()], 10_000)}
        mine = found[memory.name]
        assert mine.size_bytes == 3 * MIB
        assert mine.pids == (os.getpid(),)
        assert f"{memory.name}: 3.00 MiB (user {mine.owner}, held by me)" == str(
            mine.sentence(lambda pid: "me")
        )
    finally:
        memory.close()
        memory.unlink()
    left = SharedFile("psm_1", 5, "root", ())
    said = "psm_1: 5 B (user root, held by no process of the service)"
    assert str(left.sentence(lambda pid: None)) == said


def told_by(container: Container, pids: Sequence[int]) -> set[str]:
    return {each.name for each in container.grown(pids, 10_000)}


def test_a_file_of_before_is_told_only_where_it_grew(shared_file: Callable[..., Path]) -> None:
    same, grows = shared_file(), shared_file()
    container = Container(os.getpid(), None)
    grows.write_bytes(b"x" * 65536)
    told = told_by(container, [os.getpid()])
    assert grows.name in told
    assert same.name not in told


def test_files_of_the_guard_are_never_told(shared_file: Callable[..., Path]) -> None:
    container = Container(os.getpid(), None)
    before = container.read()[SHARED_FILES]
    ours = shared_file(GUARD_SUFFIX)
    assert ours.name not in told_by(container, [os.getpid()])
    assert container.read()[SHARED_FILES] == before


def test_a_file_that_only_another_process_has_is_not_told(
    shared_file: Callable[..., Path],
) -> None:
    container = Container(os.getpid(), None)
    left, theirs = shared_file(), shared_file()
    with theirs.open() as stream, subprocess.Popen(["sleep", "60"], stdin=stream) as other:
        stream.close()
        try:
            told = told_by(container, [os.getpid()])
            assert left.name in told
            assert theirs.name not in told
            assert theirs.name in told_by(container, [os.getpid(), other.pid])
        finally:
            other.kill()


def test_files_in_shared_memory_have_a_heading(tmp_path: Path) -> None:
    note = {"record": "note", "kind": "shared-files", "text": "psm_1 (nobody)", "growth": []}
    run = run_file.load(write_soak(tmp_path / "a.run.jsonl", replace(soak(LONG), notes=(note,))))
    heading = "files of this machine's /dev/shm that grew: psm_1 (nobody)"
    assert [*load_lines(assemble([run], "leakhunt test"))] == [f"{run.plan.variant}: {heading}"]
    guards = note | {"growth": [["leakhunt-guard-0/1" + GUARD_SUFFIX, 4096, 0]]}
    assert not [*load_lines(assemble([replace(run, notes=(guards,))], "leakhunt test"))]


def rising(to: float) -> object:
    return lambda calls: 8 * MIB + to * calls / calls[-1]


def test_shared_memory_that_is_left_behind_is_a_leak_with_its_files(tmp_path: Path) -> None:
    run = soak(replace(LONG, extra={SHARED_FILES: rising(40 * MIB)}))  # type: ignore[dict-item]
    rows = [["psm_1", 4096, 0]]
    note = {"record": "note", "kind": "shared-files", "text": "psm_1 (nobody)", "growth": rows}
    run = run_file.load(write_soak(tmp_path / "a.run.jsonl", replace(run, notes=(note,))))
    assert run.damaged_lines == 0
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.SHARED_MEMORY)
    said = str(verdict.sentence)
    assert said.startswith("Leak (shared memory left behind). /dev/shm grow")
    assert "Files in /dev/shm that grew: psm_1 (nobody)" in said


def test_shared_memory_that_is_level_or_was_taken_once_is_none() -> None:
    def once(calls: Numbers) -> Numbers:
        return np.where(calls > calls[-1] / 2, 60.0 * MIB, 4.0 * MIB)

    for height in (rising(0.0), once):
        verdict = judge(soak(replace(LONG, extra={SHARED_FILES: height})))  # type: ignore[dict-item]
        assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.CLEAN)


@pytest.mark.parametrize(("cache", "anon", "kind"), [
    (200 * MIB, 1 * MIB, Kind.PAGE_CACHE),
    (10 * MIB, 0, Kind.CLEAN),
    (200 * MIB, 100 * MIB, Kind.CLEAN),
])  # fmt: skip
def test_page_cache_is_no_leak_and_is_said_to_be_none(cache: int, anon: int, kind: Kind) -> None:
    extra = {"cgroup_file": rising(cache), "cgroup_anon": rising(anon)}
    verdict = judge(soak(replace(LONG, extra=extra)))  # type: ignore[arg-type]
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, kind)
    assert ("page cache of the container grew" in str(verdict.sentence)) is (kind != Kind.CLEAN)
