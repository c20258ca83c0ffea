"""By what a visited process is traced, and what is said of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leakhunt.analysis.attached import TRACE_COST, TRACE_WHY
from leakhunt.engine import attach_trace
from leakhunt.engine.attach_trace import TracedStretch, TraceRun
from leakhunt.engine.events import Silent
from leakhunt.model.attribution import Instrument
from leakhunt.text.message import Text

OURS = version("memray")
OWN = {"tool": "memray", "version": OURS, "borrowed": False, "stays": 7}
PLACES = b"T" + json.dumps([[[["/srv/app.py", 3], ["/srv/app.py", 9]], 4000, 4]]).encode()
SAID = b'S{"longest_ns": 9}'


class FakeVisit:
    """A visit whose agent says what it is told to; `target` is this process."""

    def __init__(self, choice: dict[str, Any], *answers: list[bytes], ours: bool = True) -> None:
        self.target = SimpleNamespace(pid=os.getpid(), sees_our_files=lambda: ours)
        self.choice, self.answers = choice, list(answers)
        self.asked: list[dict[str, Any]] = []

    def load(self, source: str) -> None:
        assert "def traced" in source

    def ask(self, word: str) -> dict[str, Any]:
        assert word.startswith("tracer ")
        self.asked.append(json.loads(word.partition(" ")[2]))
        return self.choice

    def stream(self, word: str) -> Iterator[bytes]:
        self.asked.append(json.loads(word.partition(" ")[2]))
        yield from self.answers.pop(0)


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, text: Text, *, warning: bool = False) -> None:
        self.notes.append(str(text))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach_trace, "_UNTRACED_SECONDS", 0.01)


def traced(
    visit: FakeVisit, tmp_path: Path, *, by_memray: bool = True
) -> tuple[TracedStretch, list[str]]:
    events = Told()
    run = TraceRun(visit, "/srv/app.py", tmp_path / "attached.run.jsonl", events)  # type: ignore[arg-type]
    return run.carry_out(5.0, by_memray=by_memray), events.notes


def test_tracemalloc_says_why_it_is_not_memray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = FakeVisit(
        {"tool": "tracemalloc", "why": "missing", "detail": "", "stays": 0},
        [b"G", b"G", PLACES, SAID],
        ours=False,
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    stretch, notes = traced(visit, tmp_path)
    assert visit.asked[0]["folder"] == ""  # it could not open our files
    assert visit.asked[1] == {"tool": "tracemalloc", "seconds": 5.0, "frames": 12}
    assert notes == [
        "tracing allocations for 5 s by tracemalloc (memray is not installed in the process):"
        " Python code that allocates is some 30 to 90 times slower meanwhile"
    ]
    assert stretch.instrument is Instrument.TRACEMALLOC
    assert stretch.longest_ns == 9
    assert str(stretch.facts[TRACE_WHY]) == (
        "Allocations were traced for 5 s by tracemalloc: memray is not installed in the process."
    )
    assert str(stretch.facts[TRACE_COST]).startswith("CPU while traced: ")
    (found,) = stretch.findings
    assert (found.sizes, found.counts, found.calls) == ((0, 4000), (0, 4), (0, 5))
    assert [each.line for each in found.stack] == [9, 3]


def test_the_names_of_another_root_need_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    visit = FakeVisit({}, [b"G", PLACES, SAID], ours=False)
    stretch, _ = traced(visit, tmp_path)
    assert [each.get("tool") for each in visit.asked] == ["tracemalloc"]
    assert "the process has another root" in str(stretch.facts[TRACE_WHY])


def test_a_capture_that_is_broken_is_told(tmp_path: Path) -> None:
    stretch, _ = traced(FakeVisit(OWN, [b"G", b"Mno capture", SAID]), tmp_path)
    assert set(stretch.facts) == {TRACE_WHY}
    assert "Allocations were not traced: OSError" in str(stretch.facts[TRACE_WHY])


def test_who_does_not_want_memray_has_tracemalloc(tmp_path: Path) -> None:
    visit = FakeVisit({}, [b"G", PLACES, SAID])
    stretch, _ = traced(visit, tmp_path, by_memray=False)
    assert len(visit.asked) == 1
    assert "memray was not wanted" in str(stretch.facts[TRACE_WHY])


def test_a_memray_that_fails_is_followed_by_tracemalloc(tmp_path: Path) -> None:
    refusal = b"X" + json.dumps({"why": "failed", "detail": "OSError: no memory"}).encode()
    visit = FakeVisit(OWN, [refusal], [b"G", b"G", PLACES, SAID])
    stretch, notes = traced(visit, tmp_path)
    assert [each["tool"] for each in visit.asked[1:]] == ["memray", "tracemalloc"]
    assert "10 to 25 times" in notes[0] and "30 to 90 times" in notes[1]
    assert "memray failed (OSError: no memory)" in str(stretch.facts[TRACE_WHY])
    assert stretch.stays_bytes == 7


def test_a_memray_at_work_is_not_disturbed(tmp_path: Path) -> None:
    """Neither where the agent knows it, nor where it turns out as the stretch begins."""
    known = FakeVisit({"tool": "", "why": "busy", "detail": "", "stays": 0})
    refusal = b"X" + json.dumps({"why": "busy", "detail": "RuntimeError"}).encode()
    for visit in (known, FakeVisit(OWN, [refusal])):
        stretch, _ = traced(visit, tmp_path)
        assert not visit.answers
        assert set(stretch.facts) == {TRACE_WHY}
        assert "memray already traces the process" in str(stretch.facts[TRACE_WHY])
        assert not stretch.findings


def test_a_capture_that_cannot_be_read_here_is_not_made(tmp_path: Path) -> None:
    """GIVEN another memray in the process THEN an empty capture of it is tried first."""
    visit = FakeVisit(
        {**OWN, "version": "0.1"}, [b"G", b"Mno capture", SAID], [b"G", b"G", PLACES, SAID]
    )
    stretch, _ = traced(visit, tmp_path)
    assert [each["seconds"] for each in visit.asked[1:]] == [0.0, 5.0]
    why = f"memray 0.1 of the process writes captures that memray {OURS} cannot read"
    assert why in str(stretch.facts[TRACE_WHY])
    assert not list(tmp_path.iterdir())
