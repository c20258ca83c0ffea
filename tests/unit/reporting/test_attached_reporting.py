"""What a visit found: a breakdown that adds up, and the same words in every format."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from leakhunt.analysis.attached import attach_report, breakdown, possible_causes
from leakhunt.model.allocators import ALLOCATOR, FREE_THREADED, PYTHON_ALLOCATOR
from leakhunt.model.attached import AttachReport, TraceStretch
from leakhunt.model.attribution import Finding, FindingKind, Frame, Instrument, Origin
from leakhunt.model.plan import Plan, PlannedVisit, Work
from leakhunt.model.run import FREE_MEMORY, Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.model.series import ANONYMOUS, PYTHON_BLOCKS, RSS, SERIES
from leakhunt.model.verdict import Status
from leakhunt.reporting.attached import html_page, json_file, markdown
from leakhunt.reporting.attached.terminal import attach_parts
from leakhunt.storage.schema_files import schema_text
from leakhunt.text.language import speaking

MIB = 1 << 20
BEFORE = {
    "rss": 100 * MIB, "live_heap": 40 * MIB, "malloc_mapped": 10 * MIB,
    "malloc_resident": 35 * MIB, "python_live": 20 * MIB, "python_arenas": 24 * MIB,
    "rss_anonymous": 80 * MIB, "rss_file": 18 * MIB, "rss_shared": 2 * MIB,
    "thread_stacks": 1 * MIB, "generated_code": 3 * MIB,
}  # fmt: skip
AFTER = {**BEFORE, "live_heap": 34 * MIB, "python_live": 17 * MIB, "collect_ns": 30_000_000}
TRIMMED = {**AFTER, "rss": 90 * MIB, "trim_ns": 2_000_000}
HOSTILE = "<script>alert(1)</script> | \x1b[31m"


def plan(**more: Any) -> Plan:
    visit = PlannedVisit(4711, f"python app.py {HOSTILE}", 0.0, touches=True)
    return Plan(
        scenario="app", variant="attached", calls=None, warmup=None, seed=0, threads=1,
        device="cpu", options={}, result_kind="equal", reference="attached", visit=visit, **more,
    )  # fmt: skip


def run(readings: Mapping[str, Mapping[str, int]], findings: tuple[Finding, ...] = (),
        **more: Any) -> Run:  # fmt: skip
    return Run(
        plan=plan(**more),
        outcome=Outcome(Ending.OK),
        series=(),
        samples={},
        calls=(),
        readings=tuple(Reading(step, values) for step, values in readings.items()),
        findings=findings,
        environment={"python": "CPython 3.12.1", ALLOCATOR: "glibc 2.36",
                     "libraries": "gradio 6.12.0, celery 5.3.0"},
        limits={FREE_MEMORY: 900 * MIB},
        notes=({"kind": "visit", "way": "ptrace", "seconds_to_enter": 0.5, "seconds": 3.0,
                "longest_pause_ns": 5_000_000, "objects": 1000, "lost_references": 2,
                "text": "nothing"},),
    )  # fmt: skip


def touched() -> Run:
    return run({"start": BEFORE, "end": BEFORE, "collected": AFTER, "emptied": AFTER,
                "trimmed": TRIMMED})  # fmt: skip


def report() -> AttachReport:
    all_of_it = Finding(Instrument.RETAINED, FindingKind.HOLDER, "all objects", (1,), (1000,),
                        (50 * MIB,))  # fmt: skip
    holder = replace(all_of_it, what="dict", sizes=(30 * MIB,), chain=(f"app.CACHE {HOSTILE}",))
    retained = run({"look_collected": AFTER}, (all_of_it, holder), instrument=Instrument.RETAINED)
    grower = Finding(Instrument.OBJGRAPH, FindingKind.CONTAINER, "list", (0, 10, 20),
                     (5, 50, 105), (0, 0, 0), chain=("app.KEPT", "list"),
                     facts={"items": ["bytes"]})  # fmt: skip
    grown = run({}, (grower,), instrument=Instrument.OBJGRAPH)
    return attach_report([touched(), retained, grown], "leakhunt 1")


def test_a_free_threaded_build_says_what_cannot_be_read_of_it() -> None:
    plain = touched()
    free = replace(plain, environment={**plain.environment, PYTHON_ALLOCATOR: FREE_THREADED})
    (said,) = attach_report([free], "leakhunt 1").caveats
    assert str(said).startswith("Free-threaded build: its allocator does not report memory in use")
    assert attach_report([plain], "leakhunt 1").caveats == ()


def test_the_lines_of_the_breakdown_add_up_to_rss() -> None:
    lines = {line.name: line.size_bytes // MIB for line in breakdown(touched())}
    assert lines == {
        "live_python": 17, "live_native": 34, "kept_by_malloc": 5, "garbage": 9,
        "kept_by_python": 4, "files": 18, "shared": 2, "thread_stacks": 1,
        "generated_code": 3, "unexplained": 7,
    }  # fmt: skip
    assert sum(lines.values()) == 100


def test_without_a_collection_garbage_is_not_told_apart() -> None:
    lines = {line.name: line.size_bytes // MIB for line in breakdown(run({"end": BEFORE}))}
    assert "garbage" not in lines
    assert lines["live_python"] == 20
    assert lines["live_native"] == 40
    assert sum(lines.values()) == 100


def test_an_allocator_that_tells_nothing_leaves_one_line() -> None:
    silent = {name: BEFORE[name] for name in BEFORE if not name.startswith(("live", "malloc"))}
    lines = {line.name: line.size_bytes // MIB for line in breakdown(run({"end": silent}))}
    assert lines["held_unread"] == 80 - 24 - 1 - 3
    assert "live_native" not in lines


def test_steps_say_what_they_gave_back_and_what_they_took() -> None:
    collected, trimmed = report().given_back
    assert (collected.freed_bytes, collected.rss_bytes) == (9 * MIB, 0)
    assert collected.seconds == pytest.approx(0.03)
    assert (trimmed.rss_bytes, trimmed.freed_bytes) == (10 * MIB, 0)


def test_causes_are_those_of_loaded_versions() -> None:
    found = {name for each in possible_causes({"libraries": "gradio 6.12.0"})
             for name in each.distributions}  # fmt: skip
    assert found == {"gradio 6.12.0"}
    assert not list(possible_causes({"libraries": "none"}))


def traced(facts: Mapping[str, str], *findings: Finding) -> AttachReport:
    told = replace(run({}, findings, instrument=Instrument.MEMRAY), facts=facts)
    return attach_report([touched(), told], "leakhunt 1")


def test_what_c_code_allocated_has_its_shared_object_and_its_caller() -> None:
    """GIVEN a stack of memray THEN what only hands memory out is passed, in both lists alike."""
    stack = (
        Frame("libstdc++.so.6", 0, "operator new(unsigned long)", "", Origin.LIBRARY),
        Frame("cache.cc", 12, "Cache::put(int)", "", Origin.LIBRARY),
        Frame("app.py", 7, "handle", "cache.put(1)", Origin.YOURS),
    )
    found = Finding(Instrument.MEMRAY, FindingKind.SITE, "malloc", (0, 5), (0, 40), (0, 4 * MIB),
                    stack=stack,
                    facts={"objects": ["libstdc++.so.6", "_cache.so", ""]})  # fmt: skip
    python = replace(found, stack=stack[2:], sizes=(0, MIB), facts={"objects": [""]})
    told = traced({"trace": "why", "trace cost": "cost"}, found, python)
    first, second = told.places
    assert first.place == "Cache::put (cache.cc:12)"
    assert (first.shared_object, first.called_from) == ("_cache.so", "handle (app.py:7)")
    assert second.place == "handle (app.py:7)"
    assert second.shared_object == second.called_from == ""
    assert told.trace == TraceStretch("memray", "why", "cost")
    assert told.caveats[-2:] == ("why", "cost")
    document = json.loads(json_file.render(told))
    jsonschema.validate(document, json.loads(schema_text("attach")))
    assert document["places"][0]["shared_object"] == "_cache.so"
    assert "| _cache.so | handle" in markdown.render(told).decode().replace("\\", "")


def test_what_could_not_be_traced_says_why() -> None:
    told = traced({"trace": "memray already traces it"})
    assert told.trace == TraceStretch("", "memray already traces it", None)
    assert told.places == ()


def test_the_calls_of_a_visit_are_seconds() -> None:
    assert plan().work is Work.SECOND


def test_json_is_what_its_schema_says() -> None:
    document = json.loads(json_file.render(report()))
    jsonschema.validate(document, json.loads(schema_text("attach")))
    assert document["pid"] == 4711
    assert document["growers"][0]["per_second"] == 5.0
    assert document["verdict"] is None


def test_every_format_says_the_same_and_escapes_what_is_not_ours() -> None:
    made = report()
    page = html_page.render(made).decode()
    text = markdown.render(made).decode()
    lines = [str(part) for part in attach_parts(made)]
    for told in ("100.0 MiB", "34.0 MiB", "app.KEPT", "10.0 MiB"):
        assert told in page
        assert told in text
    assert "<script>alert" not in page
    assert "\x1b" not in "".join(lines)
    with speaking("zh"):
        chinese = html_page.render(made).decode()
    assert "RSS 分解" in chinese


def watched(limit_bytes: int) -> AttachReport:
    """A process that was watched for three minutes, and grew all the while."""
    seconds = 180
    grown = [60 * MIB + second * (MIB // 2) for second in range(seconds)]
    blocks = [10**6 + 8000 * second for second in range(seconds)]
    visit = PlannedVisit(4711, "python app.py", float(seconds), touches=True)
    made = replace(
        touched(),
        plan=replace(plan(limit_bytes=limit_bytes), visit=visit),
        series=tuple(SERIES[name].series for name in (RSS, ANONYMOUS, PYTHON_BLOCKS)),
        samples={RSS: array("q", grown), ANONYMOUS: array("q", grown),
                 PYTHON_BLOCKS: array("q", blocks)},
        calls=range(1, seconds + 1),
        phases=(Phase(0, seconds, Purpose.JUDGED, 1, collects=False),),
    )  # fmt: skip
    return attach_report([made], "leakhunt 1")


def test_the_time_to_the_limit_is_told_on_every_page() -> None:
    found = watched(200 * MIB)
    assert found.verdict is not None and found.verdict.status is Status.LEAK
    told = "Time to limit: The given limit (200.0 MiB) lasts about 2 min 17 s"
    terminal = "\n".join(str(part) for part in attach_parts(found))
    pages = (terminal, markdown.render(found).decode(), html_page.render(found).decode())
    for page in pages:
        assert told in page
        assert "Headroom" not in page
    assert "8,000 blocks/s" in terminal


def test_a_single_look_tells_the_headroom() -> None:
    assert "Headroom: " in markdown.render(report()).decode()
