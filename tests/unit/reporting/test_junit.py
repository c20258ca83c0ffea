from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from conftest import MakeRun, hostile_run

from leakhunt.analysis.report import assemble
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.xml_escape import xml_text
from leakhunt.reporting.run.junit import render
from leakhunt.storage import run_file

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"
CALLS = 300
LEAK = [50_000_000 + 65_536 * call for call in range(CALLS)]
FLAT = [50_000_000] * CALLS
OUTCOMES = {"failure", "error", "skipped"}


def case_run(make_run: MakeRun, name: str, heap: Sequence[int], ending: Ending = Ending.OK) -> Run:
    return make_run(
        live_heap=heap,
        rss=[100_000_000] * len(heap),
        duration=[20_000_000] * len(heap),
        plan_changes={"variant": name, "calls": CALLS, "warmup": 75},
        outcome=Outcome(ending, "" if ending is Ending.OK else f"{ending} for a test"),
    )


@pytest.fixture
def runs(make_run: MakeRun) -> dict[str, Run]:
    """Runs by what must stand in their case."""
    return {
        "leaks": case_run(make_run, "leaks", LEAK),
        "clean": case_run(make_run, "clean", FLAT),
        "short": case_run(make_run, "short", LEAK[:20]),
        "crashed": case_run(make_run, "crashed", LEAK, Ending.CRASHED),
        "killed-leaking": case_run(make_run, "killed-leaking", LEAK, Ending.KILLED),
        "killed": case_run(make_run, "killed", FLAT, Ending.KILLED),
        "hung": case_run(make_run, "hung", FLAT[:9], Ending.TIMEOUT),
        "interrupted": case_run(make_run, "interrupted", LEAK[:9], Ending.INTERRUPTED),
        "nothing": case_run(make_run, "nothing", []),
        "cut-off": case_run(make_run, "cut-off", [], Ending.INTERRUPTED),
    }


EXPECTED = {
    "leaks": "failure",
    "clean": None,
    "short": "skipped",
    "crashed": "error",
    "killed-leaking": "failure",
    "killed": "error",
    "hung": "error",
    "interrupted": "skipped",
    "nothing": "error",
    "cut-off": "error",
}


def suites(*runs: Run) -> Element:
    return ElementTree.fromstring(render(assemble(runs, "leakhunt test")))  # noqa: S314


def answer(case: Element) -> Element | None:
    found = [child for child in case if child.tag in OUTCOMES]
    assert len(found) <= 1
    return found[0] if found else None


def check_counts(element: Element) -> None:
    """The counts are those of the cases below."""
    tags = [child.tag for case in element.iter("testcase") for child in case]
    values = {
        name: int(element.attrib[name]) for name in ("tests", "failures", "errors", "skipped")
    }
    assert values == {
        "tests": len(list(element.iter("testcase"))),
        "failures": tags.count("failure"),
        "errors": tags.count("error"),
        "skipped": tags.count("skipped"),
    }


def test_a_case_ends_as_its_run_did(runs: dict[str, Run]) -> None:
    root = suites(*runs.values())
    found = {
        case.attrib["name"]: found.tag if (found := answer(case)) is not None else None
        for case in root.iter("testcase")
    }
    assert found == EXPECTED
    for element in (root, *root):
        check_counts(element)
    assert float(root.attrib["time"]) == pytest.approx(
        sum(run.samples_done * 0.02 for run in runs.values())
    )


def test_a_suite_is_a_scenario_and_says_what_it_ran_on(runs: dict[str, Run]) -> None:
    other = replace(runs["clean"], plan=replace(runs["clean"].plan, scenario="other"))
    result = replace(
        runs["leaks"],
        facts={"weights": "stand-in"},
        environment={"torch": "2.11.0"},
        started_at="2026-11-21T09:52:10.323+00:00",
    )
    root = suites(result, replace(runs["clean"], facts={"weights": "hub"}), other)
    assert [suite.attrib["name"] for suite in root] == ["made", "other"]
    made = root[0]
    properties = {each.attrib["name"]: each.attrib["value"] for each in made.iter("property")}
    assert properties == {"device": "cpu", "weights": "hub / stand-in", "torch": "2.11.0"}
    assert [suite.get("timestamp") for suite in root] == ["2026-11-21T09:52:10", None]
    assert {case.attrib["classname"] for case in made.iter("testcase")} == {"made"}


def test_a_skipped_case_says_how_many_calls_would_tell(runs: dict[str, Run]) -> None:
    (case,) = suites(runs["short"]).iter("testcase")
    found = answer(case)
    assert found is not None
    needed = assemble([runs["short"]], "test").entries[0].verdict.calls_needed
    assert needed is not None
    assert f"inconclusive; needs about {needed:,} more calls" in found.attrib["message"]


def test_a_leak_without_suspects_says_how_to_find_them(runs: dict[str, Run]) -> None:
    (case,) = suites(runs["leaks"]).iter("testcase")
    found = answer(case)
    assert found is not None and found.text is not None
    assert found.attrib["type"] == "leak in native code"
    assert "leakhunt hunt made:leaks" in found.text


def test_a_leak_that_was_hunted_names_its_suspects_with_their_lines() -> None:
    files = run_file.find_run_files([str(EXAMPLES / "fsmn-vad-hunt")])
    hunted = [
        run
        for run in map(run_file.load, files)
        if run.plan.instrument is not None or run.plan.is_measured
    ]
    report = assemble(hunted, "test")
    (entry,) = report.entries
    # They are bounded caches, and the verdict says so; here they are the suspects of a leak.
    leaking = replace(entry, verdict=replace(entry.verdict, status=Status.LEAK))
    root = ElementTree.fromstring(render(replace(report, entries=(leaking,))))  # noqa: S314
    (failure,) = root.iter("failure")
    assert failure.text is not None
    assert re.search(r"fsmn_vad/scenario\.py:\d+", failure.text)
    assert "2. ideep computation cache" in failure.text


def test_runs_of_the_same_variant_are_cases_of_their_own(runs: dict[str, Run]) -> None:
    root = suites(runs["clean"], runs["clean"], runs["leaks"])
    assert sorted(case.attrib["name"] for case in root.iter("testcase")) == [
        "clean", "clean #2", "leaks",
    ]  # fmt: skip


def test_nothing_from_outside_breaks_the_file(runs: dict[str, Run]) -> None:
    root = suites(hostile_run(runs["killed"]))
    (case,) = root.iter("testcase")
    assert case.attrib["name"].startswith("<script>alert(1)</script>")
    assert "\\x00\\x1b[31m\\ud800 内存泄漏" in case.attrib["name"]
    check_counts(root)


def test_no_measured_run_is_no_case() -> None:
    root = suites()
    assert (root.attrib["tests"], list(root)) == ("0", [])


def test_every_character_is_held_or_written_out() -> None:
    everything = "".join(map(chr, range(0x11000)))
    escaped = xml_text(everything)
    (node,) = ElementTree.fromstring(  # noqa: S314
        ElementTree.tostring(_around(escaped), encoding="utf-8")
    )
    assert node.attrib["text"] == escaped
    assert "\\x00" in escaped and "\\ufffe" in escaped and "\U00010000" in escaped


def _around(text: str) -> Element:
    root = Element("root")
    root.append(Element("node", {"text": text}))
    return root
