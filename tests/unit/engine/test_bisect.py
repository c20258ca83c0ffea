"""The boundary between two versions, searched with scripted runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from conftest import MakeRun

from leakhunt.analysis.bisection import joint_probability, judged_step, next_place
from leakhunt.engine import bisection as bisecting
from leakhunt.engine.bisection import BisectRequest, bisect
from leakhunt.engine.cells import CellOrder
from leakhunt.errors import LeakhuntError
from leakhunt.model.bisection import BisectStep, Direction
from leakhunt.model.matrix import CellEnd, CellRecord
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status

VERSIONS = tuple(f"1.{minor}" for minor in range(32))
SERVICE = "def handle(call):\n    pass\n\n\ndef other(call):\n    pass\n"


def growing(make_run: MakeRun, rate: int, calls: int = 300) -> Run:
    heap = [20_000_000 + rate * call for call in range(calls)]
    return make_run(live_heap=heap, rss=[size + 30_000_000 for size in heap])


Scripted = Callable[[Callable[[str, int], int | None]], list[str]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, make_run: MakeRun) -> Scripted:
    """Runs by a rate for each version and seed; -1: too short to say, None: not installed."""

    def script(rate_of: Callable[[str, int], int | None]) -> list[str]:
        done: dict[Path, Run | None] = {}
        asked: list[str] = []

        def carry_out(order: CellOrder, folder: Path, stop: Event) -> None:
            asked.append(order.name)
            rate = rate_of(order.name, order.request.seed)
            if rate is None:
                done[folder] = None
            else:
                calls = 60 if rate < 0 else 300
                done[folder] = growing(make_run, 0 if rate < 0 else rate, calls)

        def record_of(folder: Path) -> CellRecord:
            lacks = done[folder] is None
            return CellRecord(
                CellEnd.NOT_INSTALLED if lacks else CellEnd.MEASURED, "no wheel" if lacks else ""
            )

        monkeypatch.setattr(bisecting, "carry_out", carry_out)
        monkeypatch.setattr(bisecting, "record_of", record_of)
        monkeypatch.setattr(bisecting, "run_in", done.get)
        monkeypatch.setattr(bisecting, "published_versions", lambda package: VERSIONS)
        return asked

    return script


@pytest.fixture
def service(tmp_path: Path) -> Path:
    file = tmp_path / "service.py"
    file.write_text(SERVICE, "utf-8")
    return file


def search(service: Path, good: str, bad: str, **more: Any) -> Any:
    request = BisectRequest(f"{service}:handle", good, bad, package="lib", hunt=False, **more)
    return bisect(request, (), out=service.parent / f"out-{good}-{bad}").report


def minor(version: str) -> int:
    return int(version.partition(".")[2])


def test_the_version_that_introduced_a_leak_is_found_in_few_runs(
    scripted: Scripted, service: Path
) -> None:
    asked = scripted(lambda version, seed: 4096 if minor(version) >= 23 else 0)
    report = search(service, "1.0", "1.31")
    assert (report.last, report.first) == ("1.22", "1.23")
    assert report.direction is Direction.INTRODUCED
    assert report.runs == len(asked) == 7  # both ends, and five halvings of 32
    assert report.confidence > 0.98 and report.between == ()


def test_the_version_that_ended_a_leak_is_found_as_well(scripted: Scripted, service: Path) -> None:
    scripted(lambda version, seed: 4096 if minor(version) < 9 else 0)
    report = search(service, "1.31", "1.0")
    assert (report.last, report.first) == ("1.8", "1.9")
    assert report.direction is Direction.ENDED


def test_an_inconclusive_version_is_measured_again_with_another_seed(
    scripted: Scripted, service: Path
) -> None:
    asked = scripted(lambda version, seed: -1 if seed < 2 else 4096 if minor(version) >= 16 else 0)
    report = search(service, "1.0", "1.31")
    assert (report.last, report.first) == ("1.15", "1.16")
    assert {step.runs for step in report.steps} == {3} and len(asked) == 3 * len(report.steps)


def test_versions_that_cannot_be_installed_are_gone_around_and_named(
    scripted: Scripted, service: Path
) -> None:
    gone = {"1.15", "1.16", "1.22"}
    scripted(lambda version, seed: None if version in gone else 4096 if minor(version) >= 23 else 0)
    report = search(service, "1.0", "1.31")
    assert (report.last, report.first, report.between) == ("1.21", "1.23", ("1.22",))
    skipped = {step.version for step in report.steps if step.status is None}
    assert skipped <= gone and "1.22" in skipped
    assert {str(step.reason) for step in report.steps if step.status is None} == {"no wheel"}


def test_ends_that_are_alike_have_no_boundary(scripted: Scripted, service: Path) -> None:
    asked = scripted(lambda version, seed: 4096)
    request = BisectRequest(f"{service}:handle", "1.0", "1.31", package="lib", hunt=False)
    result = bisect(request, (), out=service.parent / "out")
    assert (result.exit_code, result.report.is_found, len(asked)) == (3, False, 2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"package": "lib", "good": "1.0", "bad": "1.99"}, "--bad 1.99: no published version"),
        ({"package": "lib", "good": "1.0", "bad": "1.0"}, "--good and --bad are the same"),
        ({"good": "1.0", "bad": "1.1"}, "expected either --package NAME or --repo PATH"),
        ({"package": "lib", "repo": "x", "good": "1.0", "bad": "1.1"}, "expected either"),
        ({"repo": "/", "good": "-x", "bad": "HEAD"}, "--good -x: no such revision in /"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(
    scripted: Scripted, service: Path, given: Mapping[str, Any], told: str
) -> None:
    scripted(lambda version, seed: 0)
    fields = dict(given)
    with pytest.raises(LeakhuntError) as caught:
        bisect(BisectRequest(f"{service}:handle", fields.pop("good"), fields.pop("bad"), **fields))
    assert told in str(caught.value)


def test_one_variant_is_named(scripted: Scripted, service: Path) -> None:
    scripted(lambda version, seed: 0)
    with pytest.raises(LeakhuntError, match="has 2 variants"):
        request = BisectRequest(f"{service}:handle,other", "1.0", "1.1", package="lib")
        bisect(request)


def test_the_next_place_is_nearest_to_the_middle_and_not_tried() -> None:
    tried = {4: BisectStep("4", 4, None, 0)}
    assert next_place(0, 8, {}) == 4
    assert next_place(0, 8, tried) == 3
    assert next_place(3, 5, tried) is None


def test_repeats_make_a_step_surer(make_run: MakeRun) -> None:
    leak, clean = growing(make_run, 4096), growing(make_run, 0)
    once, twice = (judged_step("1", 0, [leak] * count) for count in (1, 2))
    assert once.status is Status.LEAK and once.confidence and twice.confidence
    assert 0.999 < once.confidence < twice.confidence < 1
    assert judged_step("1", 0, [clean]).confidence == pytest.approx(0.998)
    assert joint_probability([once, judged_step("1", 0, [clean])]) == pytest.approx(0.998, abs=1e-3)


def test_commits_from_one_end_to_the_other(tmp_path: Path, service: Path) -> None:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    git("init", "-q")
    commits = []
    for number in range(4):
        (tmp_path / "a.txt").write_text(str(number), "utf-8")
        git("add", "a.txt")
        git("commit", "-qm", str(number))
        commits.append(git("rev-parse", "HEAD"))
    request = BisectRequest("x", commits[0][:10], "HEAD", repo=str(tmp_path))
    assert bisecting._commits(request) == tuple(commits)
    other = BisectRequest("x", "HEAD", commits[1], repo=str(tmp_path))
    assert bisecting._commits(other) == tuple(commits[1:])
    git("checkout", "-q", "--orphan", "alone")
    git("commit", "-qm", "alone")
    with pytest.raises(LeakhuntError, match="neither is an ancestor"):
        bisecting._commits(BisectRequest("x", commits[0], "alone", repo=str(tmp_path)))
