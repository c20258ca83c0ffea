"""A run file of each format, written once and kept: whatever reads it must find the same in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_gates import checked_rate

from leakhunt.amounts import Amount
from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.verdict import judge, ledger
from leakhunt.model.attribution import Instrument
from leakhunt.model.gate import GateAnswer
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Phase, Purpose, Run
from leakhunt.model.verdict import Status
from leakhunt.storage import run_file
from leakhunt.text.message import Message, message

# Whatever is shown to users as "the same suspect" must stay the same.
FINGERPRINT = "4b0863af6c65"


@pytest.fixture(scope="module")
def golden() -> Run:
    return run_file.load(Path(__file__).parents[1] / "data" / "format-1.run.jsonl")


def test_every_line_of_it_is_understood(golden: Run) -> None:
    assert golden.damaged_lines == 0
    assert {len(values) for values in golden.samples.values()} == {60}
    assert [series.name for series in golden.series] == list(golden.samples)
    assert list(golden.samples)[-1] == "duration"


def test_its_verdict_is_the_one_of_a_short_run(golden: Run) -> None:
    verdict = judge(golden)
    assert golden.judged_from == golden.plan.warmup
    assert verdict.status is Status.INCONCLUSIVE
    assert checked_rate(golden, "live_heap", 1e9).answer is GateAnswer.INCONCLUSIVE


def test_its_ledger_adds_up(golden: Run) -> None:
    made = ledger(golden)
    start, end = golden.reading("start"), golden.reading("end")
    assert made is not None and made.complete and start is not None and end is not None
    assert made.growth_bytes == end.values["rss"] - start.values["rss"]
    assert sum(line.size_bytes for line in made.lines) == made.growth_bytes


def test_the_golden_file_of_format_3_still_says_who_keeps_the_memory() -> None:
    run = run_file.load(Path(__file__).parents[1] / "data" / "format-3.run.jsonl")
    assert (run.damaged_lines, run.calls_done, run.plan.warmup) == (0, 60, 29)
    assert run.plan.instrument is Instrument.TRACEMALLOC
    assert not run.plan.is_measured
    growing = replace(run, plan=replace(run.plan, instrument=None), findings=())
    verdict = judge(make_leak(growing))
    (suspect,) = attribute(growing, verdict, [run]).suspects
    assert suspect.chain == ("made.KEPT", "list", "bytearray")
    assert (suspect.per_call, suspect.exact) == (1, True)
    assert suspect.where is not None and suspect.where.source == "KEPT.append(bytearray(3000))"
    assert suspect.fingerprint == FINGERPRINT


def make_leak(run: Run) -> Run:
    """The run with a leak of 3,000 bytes a call in it, over enough calls to be sure."""
    calls = 300
    rising = {"live_heap": [3000 * call for call in range(calls)]}
    rising["python_blocks"] = [2 * call for call in range(calls)]
    return replace(
        run,
        series=tuple(series for series in run.series if series.name in rising),
        samples=rising,
        calls=range(1, calls + 1),
        readings=(),
        phases=(Phase(0, calls, Purpose.JUDGED, 1, collects=False),),
    )


def test_the_golden_file_of_format_2_still_says_the_same() -> None:
    run = run_file.load(Path(__file__).parents[1] / "data" / "format-2.run.jsonl")
    assert (run.damaged_lines, run.samples_done, run.calls_done) == (0, 160, 800)
    assert (run.judged_from, run.calls_per_sample, run.collects) == (0, 5, True)
    assert [phase.samples for phase in run.phases] == [107, 53]
    assert [reading.step for reading in run.readings] == [
        "start", *["look", "look_collected"] * 2, "end", "collected", "emptied", "trimmed",
    ]  # fmt: skip
    verdict = judge(run)
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.PYTHON_LEAK)
    assert verdict.trends["live_heap"].rate == pytest.approx(4100, abs=100)
    assert run.limits and verdict.forecast is not None


def test_the_golden_file_of_format_4_still_says_what_the_load_was() -> None:
    run = run_file.load(Path(__file__).parents[1] / "data" / "format-4.run.jsonl")
    assert (run.damaged_lines, run.samples_done, run.calls_done) == (0, 180, 1362)
    load = run.plan.load
    assert load is not None and (load.users, load.requests_from) == (3, "upload")
    assert load.service == "uvicorn service:app --port {port}" and load.duration_seconds is None
    assert [note["kind"] for note in run.notes] == ["restarted", "resumed", "errors"]
    assert run.notes[-1]["errors"] == [["500 Internal Server Error", sum(run.samples["failures"])]]
    assert [phase.calls_per_sample for phase in run.phases] == [4, 4, 8, 16]
    assert list(run.samples)[-1] == "duration" and "cgroup" in run.samples


def test_the_golden_file_of_format_5_still_says_how_it_ended() -> None:
    run = run_file.load(Path(__file__).parents[1] / "data" / "format-5.run.jsonl")
    assert (run.damaged_lines, run.samples_done, run.calls_done) == (0, 79, 130)
    reason, kernel = run.outcome.reason, run.outcome.kernel
    assert run.outcome.ending is Ending.KILLED and isinstance(kernel, Message)
    assert str(reason) == "killed by the OOM killer after request 132 at 198.3 MiB of 200.0 MiB"
    assert (kernel.id, kernel.values["kills"]) == ("run.oom-killer", 1)
    assert kernel.values["size_bytes"] == Amount(200 << 20)
    assert run.notes[-1]["text"] == message("soak.failed", "{count:d} requests failed", count=20)
    assert str(run.unavailable["live_heap"]).startswith("the service does not run the agent. ")
    assert run.facts["ready after"] == "744 ms"
    assert str(run.facts["memory limit"]) == "cgroup v1, 200.0 MiB"
