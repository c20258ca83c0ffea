"""From words to cells, and the folder in which a matrix goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leakhunt.engine import matrix_plan
from leakhunt.engine.cells import is_done, record_in, write_record
from leakhunt.engine.environments import PackageSet, reason_in
from leakhunt.engine.executors.local_cells import Effort
from leakhunt.engine.matrix_folder import (
    ASIDE,
    PLAN,
    folder_for,
    locked,
    place_of,
    plan_in,
    remaining_cells,
)
from leakhunt.engine.matrix_plan import MatrixRequest, order_of, plan_of_request
from leakhunt.errors import BadFile, CannotWrite, LeakhuntError
from leakhunt.model.matrix import AxisKind, CellEnd, CellRecord, MatrixPlan
from leakhunt.text.message import message

SERVICE = "def old(call):\n    pass\n\n\ndef new(call):\n    pass\n"


@pytest.fixture
def service(tmp_path: Path) -> str:
    file = tmp_path / "service.py"
    file.write_text(SERVICE, "utf-8")
    return str(file)


def plan_for(target: str, *vary: str, **more: Any) -> MatrixPlan:
    return plan_of_request(MatrixRequest(target, vary=vary, **more))


def test_axes_become_orders(service: str) -> None:
    plan = plan_for(service, "variant=old,new", "threads=1,2", "MALLOC_ARENA_MAX=,1",
                    "package.six=1.16.0,installed", "allocator=glibc,jemalloc",
                    "python=3.11,3.12", "memory_limit=1 GiB")  # fmt: skip
    assert [axis.kind for axis in plan.axes] == [
        AxisKind.VARIANT, AxisKind.THREADS, AxisKind.ENVIRONMENT, AxisKind.PACKAGE,
        AxisKind.ALLOCATOR, AxisKind.PYTHON, AxisKind.MEMORY_LIMIT,
    ]  # fmt: skip
    assert len(plan.cells) == 64
    first, last = (order_of(plan, plan.cells[place]) for place in (0, -1))
    assert first.request.target == f"{service}:old" and last.request.target == f"{service}:new"
    assert (first.request.threads, last.request.threads) == (1, 2)
    assert first.variables == {} and last.variables == {"MALLOC_ARENA_MAX": "1"}
    assert first.packages == PackageSet(("six==1.16.0",), "3.11")
    assert last.packages == PackageSet((), "3.12")
    assert (last.allocator, last.request.memory_limit) == ("jemalloc", "1 GiB")
    assert first.facts["axis env.MALLOC_ARENA_MAX"] == "-"


def test_an_option_of_the_scenario_is_an_axis_by_its_name() -> None:
    plan = plan_for("fsmn-vad:naive", "lengths=fixed,varied", exclude=("lengths=fixed",))
    (cell,) = plan.cells
    assert cell.values == {"variant": "naive", "lengths": "varied"}
    assert order_of(plan, cell).request.options["lengths"] == "varied"


def test_a_pattern_is_every_published_version(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def matching(package: str, which: str) -> tuple[str, ...]:
        asked.append((package, which))
        return ("1.3.0", "1.3.1")

    monkeypatch.setattr(matrix_plan, "versions_matching", matching)
    plan = plan_for(f"{service}:old", "package.six=1.2.*", requirements=("funasr==1.3.*", "six>1"))
    assert asked == [("funasr", "==1.3.*"), ("six", "==1.2.*")]
    assert [axis.values for axis in plan.axes] == [("old",), ("1.3.0", "1.3.1"), ("1.3.0", "1.3.1")]
    assert plan.requirements == ("six>1",)


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        ("thread=1", "axis 'thread' not found (did you mean 'threads'?)"),
        ("threads", "--vary 'threads': expected NAME=VALUE"),
        ("=1", "expected NAME=VALUE"),
        ("threads=0", "axis threads: expected a whole number, 1 or more, got '0'"),
        ("threads=", "axis threads: expected a whole number"),
        ("threads=1,1", "axis threads: value '1' is given twice"),
        ("device=gpu", "device: unknown value 'gpu'"),
        ("allocator=jemaloc", "unknown value 'jemaloc' (did you mean 'jemalloc'?)"),
        ("memory_limit=much", "invalid size 'much'"),
        ("env.1X=2", "invalid environment variable '1X'"),
        ("package.a b=1", "invalid package name 'a b'"),
        ("variant=none", "none"),
        ("env.=1", "axis 'env.' not found"),
    ],
)
def test_a_wrong_axis_is_told_in_a_line(service: str, vary: str, told: str) -> None:
    with pytest.raises(LeakhuntError) as caught:
        plan_for(service, *([] if vary.startswith("variant") else ["variant=old"]), vary)
    assert told in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"exclude": ("threads=2",)}, "exclude threads=2: there is no such axis and value"),
        ({"exclude": ("threads",)}, "--exclude 'threads': expected"),
        ({"exclude": ("variant=old",)}, "the matrix has 0 cells"),
        ({"requirements": ("no requirement!",)}, "--with 'no requirement!': invalid"),
        ({"repeats": 30_000}, "the matrix has 30,000 cells"),
        ({"vary": ("variant=old", "variant=new")}, "axis variant is given twice"),
        ({"fdr": 2.0}, "--fdr 2.0: invalid value"),
        ({"options": {"lengths": "x"}}, "lengths"),
    ],
)
def test_a_wrong_request_is_told_in_a_line(service: str, given: Any, told: str) -> None:
    with pytest.raises(LeakhuntError) as caught:
        plan_of_request(MatrixRequest(service, **{"vary": ("variant=old",), **given}))
    assert told in str(caught.value)


def test_variants_are_named_once(service: str) -> None:
    with pytest.raises(LeakhuntError, match="named twice"):
        plan_for(f"{service}:old", "variant=new")


def test_the_plan_of_a_folder_is_the_plan(service: str, tmp_path: Path) -> None:
    plan = plan_for(service, "variant=old,new", "threads=1,2", exclude=("variant=old,threads=2",))
    folder = folder_for(tmp_path / "out", plan)
    assert plan_in(folder) == plan
    assert folder_for(tmp_path / "out", plan) == folder
    with pytest.raises(CannotWrite, match="another matrix"):
        folder_for(tmp_path / "out", replace(plan, repeats=2))


@pytest.mark.parametrize("damage", ["", "{}", '{"format": 2}', "[1]", '{"format": 1, "axes": 3}'])
def test_a_damaged_plan_is_told(service: str, tmp_path: Path, damage: str) -> None:
    folder = folder_for(tmp_path / "out", plan_for(service, "variant=old"))
    (folder / PLAN).write_text(damage, "utf-8")
    with pytest.raises(BadFile, match="damaged"):
        plan_in(folder)


def test_no_second_matrix_writes_into_a_folder(service: str, tmp_path: Path) -> None:
    folder = folder_for(tmp_path / "out", plan_for(service, "variant=old"))
    running = pytest.raises(CannotWrite, match="another matrix is running")
    with locked(folder), running, locked(folder):
        pass
    with locked(folder):
        pass


def test_what_was_only_begun_is_set_aside_and_what_is_done_stays(
    service: str, tmp_path: Path
) -> None:
    from conftest import write_run

    plan = plan_for(service, "variant=old,new", "threads=1,2")
    folder = folder_for(tmp_path / "out", plan)
    done, half, failed, fresh = plan.cells
    rows = [(1_000_000, 1_000)] * 60
    for cell in (done, half, failed):
        place_of(folder, cell).mkdir(parents=True)
    write_run(place_of(folder, done) / "old.run.jsonl", rows)
    cut = write_run(place_of(folder, half) / "old.run.jsonl", rows)
    cut.write_bytes(cut.read_bytes()[:-40])  # as kill -9 leaves it
    reason = message("x", "no such version")
    write_record(place_of(folder, failed), CellRecord(CellEnd.NOT_INSTALLED, reason, 1.5))
    assert is_done(place_of(folder, done)) and not is_done(place_of(folder, half))
    assert record_in(place_of(folder, failed)) == CellRecord(
        CellEnd.NOT_INSTALLED, reason, seconds=1.5
    )
    assert remaining_cells(folder, plan) == [half, failed, fresh]
    assert (place_of(folder, done) / "old.run.jsonl").exists()
    assert not place_of(folder, half).exists()
    assert (folder / ASIDE / f"{half.name}-1" / "old.run.jsonl").exists()
    assert remaining_cells(folder, plan) == [half, failed, fresh]


@pytest.mark.parametrize(
    ("effort", "jobs"),
    [
        (Effort(1.0, 1 << 28, 1.0), 8),
        (Effort(4.0, 1 << 28, 1.0), 2),
        (Effort(0.01, 1 << 20, 1.0), 8),
        (Effort(1.0, 1 << 31, 1.0), 3),
        (Effort(9.0, 1 << 40, 1.0), 1),
    ],
)
def test_as_many_at_a_time_as_have_cores_and_memory(effort: Effort, jobs: int) -> None:
    assert effort.at_a_time(cores=8, free_bytes=8 << 30) == jobs


def test_an_environment_has_its_key_by_what_is_in_it() -> None:
    one = PackageSet(("six==1.16.0", "attrs==24.1.0"))
    assert one.key == PackageSet(("attrs==24.1.0", "six==1.16.0")).key
    others = {PackageSet(("six==1.17.0",)).key, PackageSet(("six==1.16.0",), isolated=True).key,
              PackageSet(("six==1.16.0",), "3.12").key}  # fmt: skip
    assert len(others | {one.key}) == 4


def test_the_reason_of_uv_is_one_line() -> None:
    told = "warning: x\nerror: No solution found\n  cause: Because there is\n   no version"
    assert reason_in(told) == "Because there is"
    assert reason_in("") == "no reason given"
    assert json.dumps(reason_in("error: " + "x" * 900)).count("x") < 301
