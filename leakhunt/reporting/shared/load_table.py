"""How the load on a service summary, as cells and lines that every format shares. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from leakhunt.amounts import format_seconds
from leakhunt.model.own_files import GUARD_SUFFIX
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun, LoadSummary, Report
from leakhunt.model.run import Run
from leakhunt.text.language import mark, tr
from leakhunt.text.number import three_digits, two_digits

LOAD_HEADINGS = (
    mark("variant"),
    mark("requests"),
    mark("failed"),
    mark("per second, first third"),
    mark("per second, last third"),
    mark("median"),
    mark("95th percentile"),
    mark("99th percentile"),
    mark("users"),
)
# What happened to a service meanwhile.
_NOTED_KINDS = ("restarted", "resumed", "lost-inside", "not-quiet", "no-turns")


def work_of(report: Report) -> Work:
    """What the calls of a report are, if those of every run are the same."""
    works = {entry.run.plan.work for entry in report.entries}
    return works.pop() if len(works) == 1 else Work.CALL


def load_rows(report: Report) -> list[tuple[str, ...]]:
    """Under `LOAD_HEADINGS`, a row for each soak that has a load summary."""
    return [
        _row(entry, entry.load_summary)
        for entry in report.entries
        if entry.load_summary is not None and entry.run.plan.load is not None
    ]


def _row(entry: JudgedRun, summary: LoadSummary) -> tuple[str, ...]:
    load = entry.run.plan.load
    return (
        entry.variant,
        f"{summary.requests:,}",
        failed_cell(summary),
        three_digits(summary.throughput_first_third),
        three_digits(summary.throughput_last_third),
        format_seconds(summary.median_seconds),
        format_seconds(summary.p95_seconds),
        format_seconds(summary.p99_seconds),
        "" if load is None else f"{load.users:,}",
    )


def failed_cell(summary: LoadSummary | None) -> str:
    """``none``, or ``520 (12 %)``."""
    if summary is None:
        return "–"
    if not summary.failed:
        return tr("none")
    return f"{summary.failed:,} ({two_digits(100 * summary.failed / summary.requests)} %)"


def load_lines(report: Report) -> Iterator[str]:
    """What failed requests said, and what happened to a service, a line each."""
    for entry in report.entries:
        for text, count in entry.load_summary.errors if entry.load_summary is not None else ():
            yield tr(
                "{variant}: {count:,} requests failed with: {text}",
                variant=entry.variant,
                count=count,
                text=text,
            )
        for note in entry.run.notes:
            if note.get("kind") in _NOTED_KINDS:
                yield tr("{variant}: {text}", variant=entry.variant, text=note.get("text", ""))
            elif note.get("kind") == "shared-files" and not _is_of_guards(note):
                yield tr(
                    "{variant}: files of this machine's /dev/shm that grew: {files}",
                    variant=entry.variant,
                    files=note.get("text", ""),
                )


def _is_of_guards(note: Mapping[str, Any]) -> bool:
    """Whether leakhunt's guards made all the files: earlier versions noted those, too."""
    names = [str(name) for name, *_ in note.get("growth", ())]
    return bool(names) and all(name.endswith(GUARD_SUFFIX) for name in names)


def load_facts(run: Run) -> tuple[tuple[str, str], ...]:
    """Who was driven, by what. Name and text; nothing where the run is no soak."""
    load = run.plan.load
    if load is None:
        return ()
    duration = load.duration_seconds
    return (
        (tr("service"), load.service),
        (tr("address"), load.target),
        (tr("requests from"), load.requests_from),
        (tr("users"), f"{load.users:,}"),
        (
            tr("duration"),
            format_seconds(duration) if duration is not None else tr("no limit"),
        ),
    )
