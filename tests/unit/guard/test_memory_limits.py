"""Which limit binds, and what of it is used: cgroups as files of the test."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from leakhunt.guard import LimitSource
from leakhunt.guard.limits import LimitReader, OwnMemory
from leakhunt.probes import cgroup
from leakhunt.probes.cgroup import MEMORY_FILES, CgroupLevel

MIB = 1 << 20
V2, V1 = MEMORY_FILES


def open_descriptors() -> int:
    return psutil.Process().num_fds()


def make_group(folder: Path, files: cgroup.MemoryFiles, limit: str, used: int, cached: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shared = cached // 4
    (folder / "cgroup.procs").touch()
    (folder / files.limit).write_text(limit + "\n")
    (folder / files.usage).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"anon 1\nactive_file 9\n{files.cached.decode()}{cached}\n{files.shared.decode()}{shared}\n"
        if files is V2
        else f"cache 1\n{files.cached.decode()}{cached}\n{files.shared.decode()}{shared}\n"
    )
    return folder


@pytest.mark.parametrize("files", MEMORY_FILES, ids=["v2", "v1"])
def test_page_cache_is_not_used_and_shared_memory_is(
    tmp_path: Path, files: cgroup.MemoryFiles
) -> None:
    level = CgroupLevel(make_group(tmp_path, files, str(900 * MIB), 500 * MIB, 200 * MIB), files)
    assert level.limit_bytes() == 900 * MIB
    assert level.used_bytes() == 350 * MIB
    level.close()


@pytest.mark.parametrize(("files", "none"), [(V2, "max"), (V1, str(2**63 - 4096))])
def test_a_group_may_have_no_limit(tmp_path: Path, files: cgroup.MemoryFiles, none: str) -> None:
    level = CgroupLevel(make_group(tmp_path, files, none, 1, 0), files)
    assert level.limit_bytes() is None
    level.close()


def test_a_group_without_the_files_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = open_descriptors()
    (tmp_path / "memory.max").write_text("1\n")
    with pytest.raises(OSError, match=r"memory\.current"):
        CgroupLevel(tmp_path, V2)
    assert open_descriptors() == before


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A v2 hierarchy of two levels, in place of that of this machine."""
    make_group(tmp_path / "pod" / "container", V2, str(900 * MIB), 500 * MIB, 0)
    make_group(tmp_path / "pod", V2, str(1000 * MIB), 800 * MIB, 0)
    monkeypatch.setattr(cgroup, "CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(
        cgroup, "own_cgroup", lambda named: None if named else tmp_path / "pod" / "container"
    )
    return tmp_path


def test_the_limit_with_the_least_headroom_binds_and_may_move(groups: Path) -> None:
    now = [0.0]
    reader = LimitReader(None, OwnMemory(), lambda: now[0])
    use = reader.read()
    assert (use.source, use.limit_bytes) == (LimitSource.CGROUP_V2, 1000 * MIB)
    assert use.headroom_bytes == 200 * MIB
    assert use.share == pytest.approx(0.8)
    (groups / "pod" / "container" / "memory.max").write_text(f"{600 * MIB}\n")
    now[0] += 2
    assert reader.read().headroom_bytes == 100 * MIB
    # What is used is read each time.
    (groups / "pod" / "container" / "memory.current").write_text(f"{550 * MIB}\n")
    assert reader.read().headroom_bytes == 50 * MIB
    reader.close()


def test_a_given_limit_is_one_of_rss(groups: Path) -> None:
    own = OwnMemory()
    reader = LimitReader(own.rss_bytes() + 10 * MIB, own, lambda: 0.0)
    use = reader.read()
    assert use.source is LimitSource.GIVEN
    assert use.headroom_bytes < 11 * MIB
    reader.close()


def test_without_any_limit_it_is_the_memory_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cgroup, "own_cgroup", lambda named: None)
    use = LimitReader(None, OwnMemory(), lambda: 0.0).read()
    assert use.source is LimitSource.HOST
    assert 0 < use.used_bytes < use.limit_bytes


def test_rlimit_as_counts_addresses() -> None:
    code = (
        "import resource\n"
        "from leakhunt.guard.limits import LimitReader, OwnMemory\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, hard))\n"
        "use = LimitReader(None, OwnMemory(), lambda: 0.0).read()\n"
        "print(use.source, use.limit_bytes == 2 << 30, use.used_bytes > 1 << 20)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["RLIMIT_AS", "True", "True"]


def test_reading_keeps_no_descriptor_and_no_memory(groups: Path) -> None:
    now = [0.0]
    reader = LimitReader(None, OwnMemory(), lambda: now[0])
    reader.read()
    before = open_descriptors()
    for _ in range(200):
        now[0] += 0.5
        reader.read()
    assert open_descriptors() == before
    reader.close()
    assert open_descriptors() < before
