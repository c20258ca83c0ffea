"""The table of Python versions in ``reports/truth/README.md``, from ``pythons.json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

from leakhunt.amounts import format_bytes
from leakhunt.reporting.evaluation.tables import markdown

HEADINGS = ("Python", "C library", "unit tests", "null run", "zoo: leaks", "false positives",
            "hunts", "soak: leak", "soak: clean")  # fmt: skip
# The checks of `tests/pythons/verbs.py`, and how they are headed.
VERBS = {
    "attach": "`attach`",
    "gdb": "`attach` by gdb",
    "watch": "`watch`",
    "analyze": "`analyze`",
    "matrix": "`matrix`",
    "bisect": "`bisect`",
    "guard": "`guard`",
    "agent": "`soak`, agent by itself",
    "suite": "`pytest --leakhunt-all`",
    "notebook": "`%%leakhunt`",
}


def section(document: dict[str, Any]) -> Iterator[str]:
    """The section of the page: a row for each interpreter, and what failed on it."""
    pythons = document["pythons"]
    yield "## Python versions"
    yield ""
    yield (
        "`make pythons`: the unit tests, an empty call, the leak zoo with its hunts (each workload"
        " once, without PyTorch where it is not installed), and soaks of a service that retains"
        " 100 kB per request and of one that retains nothing."
    )
    yield ""
    yield markdown(HEADINGS, map(row, pythons))
    yield ""
    yield (
        "Further verbs, each once on something small and real (`tests/pythons/verbs.py`). `attach`:"
        " a FastAPI service under load; how the agent came in, the seconds until it answered, the"
        " longest stretch in which it let no other thread run, and the longest request."
    )
    yield ""
    yield markdown(("Python", *VERBS.values()), map(verbs_row, pythons))
    yield ""
    failures = [
        f"- {each['facts']['python']}, {step}: {failure}"
        for each in pythons
        for step in ("unit", "zoo")
        for failure in each.get(step, {}).get("failures", ())
    ]
    failures += [
        f"- {each['facts']['python']}, {VERBS[name]}: {found['said']}"
        for each in pythons
        for name, found in each.get("verbs", {}).items()
        if "said" in found
    ]
    notes = [
        f"- {each['facts']['python']}: {note}" for each in pythons for note in each.get("notes", ())
    ]
    lines = [*failures, *notes]
    yield from (*lines, *([""] if lines else []))


def row(each: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one interpreter."""
    facts = each["facts"]
    system = facts["malloc"].partition(" (")[0]
    return (
        facts["python"],
        system,
        _unit(each.get("unit")),
        _null(each.get("null")),
        *_zoo(each.get("zoo")),
        *_soak(each.get("soak")),
    )


def verbs_row(each: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one interpreter in the table of verbs."""
    found = each.get("verbs", {})
    return each["facts"]["python"], *(_verb(found.get(name)) for name in VERBS)


def _verb(found: dict[str, Any] | None) -> str:
    if not _was_run(found):
        return _why_not(found)
    if not found["is_right"]:
        return "not right"
    if "way" not in found:
        return "right"
    pause, longest = found["longest_pause_seconds"], found["request_seconds"]["during"]["max"]
    entered = f"right: {found['way']}, {found['seconds_to_enter']:.2g} s"
    return f"{entered}, pause {1000 * pause:.0f} ms, request {1000 * longest:.0f} ms"


def _unit(found: dict[str, Any] | None) -> str:
    if not _was_run(found):
        return _why_not(found)
    failed = f", {found['failed']} failed" if found["failed"] else ""
    return f"{found['passed']:,} passed{failed}, {found['skipped']} skipped"


def _null(found: dict[str, Any] | None) -> str:
    if not _was_run(found):
        return _why_not(found)
    heap, blocks = found["bytes_per_call"], found["blocks_per_call"]
    heaps = "live heap not measured" if heap is None else f"{format_bytes(heap)}/call"
    return heaps if blocks is None else f"{heaps}, {blocks:.3f} blocks/call"


def _zoo(found: dict[str, Any] | None) -> tuple[str, str, str]:
    if not _was_run(found):
        return _why_not(found), "–", "–"
    return (
        f"{found['found']} of {found['leaks']} found",
        f"{found['false_alarms']} of {found['clean']}",
        f"{found['named']} of {found['hunts']} named",
    )


def _soak(found: dict[str, Any] | None) -> tuple[str, str]:
    if not _was_run(found):
        return _why_not(found), "–"
    return _verdict(found["keeps"]), _verdict(found["answers"])


def _verdict(found: dict[str, Any]) -> str:
    rate = found["bytes_per_request"]
    amount = "" if rate is None else f", {format_bytes(rate)}/request"
    return f"{found['status'].replace('_', ' ')}{amount}"


def _was_run(found: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    return found is not None and "not_run" not in found


def _why_not(found: dict[str, Any] | None) -> str:
    return "not measured" if found is None else "could not be run"
