"""What a visit found, as tables and sentences that every format shares. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leakhunt.amounts import format_bytes, format_seconds
from leakhunt.model.attached import AttachReport, Grower, LookChange, LookDifference
from leakhunt.model.verdict import Outlook
from leakhunt.reporting.retained.tables import HEADINGS as HOLDER_HEADINGS
from leakhunt.reporting.retained.tables import rows as holder_rows
from leakhunt.reporting.run.tables import limit_line
from leakhunt.text.language import mark, tr
from leakhunt.text.message import said
from leakhunt.text.number import three_digits

# So many holders are told here; all are in the JSON.
MAX_HOLDERS = 15


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: a title, a table with so many columns of text first, and sentences."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...] = ()
    text_columns: int = 1


def heading(report: AttachReport) -> str:
    """What the report is about."""
    return tr("Process {pid}: {process}", pid=report.pid, process=report.process)


def summary(report: AttachReport) -> Iterator[str]:
    """The result first: the verdict or where RSS is, then the limit and what the visit took."""
    if report.verdict is not None:
        yield said(report.verdict.sentence)
    if report.difference is not None:
        yield from difference_summary(report.difference)
    if report.rss_bytes is not None and report.breakdown:
        largest = max(report.breakdown, key=lambda line: line.size_bytes)
        yield tr(
            "RSS {rss}. Largest part: {title}, {size}.",
            rss=format_bytes(report.rss_bytes),
            title=said(largest.title),
            size=format_bytes(largest.size_bytes),
        )
    yield from _limit(report)
    if report.heap is not None and report.heap.holders:
        first = report.heap.holders[0]
        yield tr(
            "Largest holder: {path} retains {size} ({objects} objects).",
            path=first.path,
            size=format_bytes(first.retained_bytes),
            objects=f"{first.objects:,}",
        )
    yield from map(said, report.caveats)


def _limit(report: AttachReport) -> Iterator[str]:
    """Whether and when the process is killed; of a single look, how far the limit is from RSS.

    What the killer counts may be less than RSS, so that only one of the two is said.
    """
    verdict = report.verdict
    if verdict is not None and verdict.forecast is not None:
        yield limit_line(verdict)
        if verdict.forecast.outlook is not Outlook.UNKNOWN:
            return
    if report.bounds:
        nearest = report.bounds[0]
        yield tr(
            "Limit: {limit} ({name}). Headroom: {room}.",
            limit=format_bytes(nearest.limit_bytes),
            name=said(nearest.name),
            room=format_bytes(nearest.headroom_bytes),
        )


def facts(report: AttachReport) -> Iterator[tuple[str, str]]:
    """The process, and what the visit took."""
    yield tr("Python"), report.python
    yield tr("allocator"), report.allocator
    cost = report.cost
    if cost is None:
        return
    yield tr("agent brought in by"), f"{cost.way}, {format_seconds(cost.seconds_to_enter)}"
    yield tr("visit"), format_seconds(cost.seconds)
    yield tr("longest stretch without other threads"), format_seconds(cost.longest_pause_seconds)
    yield (
        tr("objects read"),
        tr(
            "{objects}; {lost} references changed meanwhile",
            objects=f"{cost.objects:,}",
            lost=f"{cost.lost_references:,}",
        ),
    )
    yield tr("left behind"), said(cost.left)


def sections(report: AttachReport) -> Iterator[Section]:
    """The tables, those without a row left out."""
    apart = difference_sections(report.difference) if report.difference is not None else ()
    made = (
        *apart,
        _growers(report),
        _breakdown(report),
        _given_back(report),
        _holders(report),
        _places(report),
        _causes(report),
    )
    return (each for each in made if each.rows)


def difference_summary(apart: LookDifference) -> Iterator[str]:
    """What grew between two looks: RSS, and the holder that grew most."""
    if apart.rss is not None:
        values = {
            "change": _signed(apart.rss.grown_bytes),
            "before": format_bytes(apart.rss.bytes_before),
            "after": format_bytes(apart.rss.bytes_after),
        }
        if apart.seconds is not None:
            yield tr(
                "RSS {change} in {seconds} ({before} to {after}).",
                seconds=format_seconds(apart.seconds),
                **values,
            )
        else:
            yield tr("RSS {change} ({before} to {after}).", **values)
    first = next((each for each in apart.holders if each.grown_bytes > 0), None)
    if first is not None:
        yield tr(
            "Largest growth: {path}, {change}.",
            path=said(first.title),
            change=_signed(first.grown_bytes),
        )
    else:
        yield tr("No holder grew.")


def difference_sections(apart: LookDifference) -> tuple[Section, ...]:
    """What holders retain in both looks, and the parts of RSS."""
    words = (tr("before"), tr("after"), tr("change"))
    objects = tr("objects")
    holders = tuple(
        (said(each.title), *_change_cells(each),
         f"{(each.objects_after or 0) - (each.objects_before or 0):+,}")
        for each in apart.holders
    )  # fmt: skip
    memory = tuple(
        (said(each.title), *_change_cells(each))
        for each in (*((apart.rss,) if apart.rss is not None else ()), *apart.memory)
    )
    return (
        Section(tr("Holders that changed"), (tr("holder"), *words, objects), holders),
        Section(tr("RSS, before and after"), (tr("memory"), *words), memory),
    )


def _change_cells(change: LookChange) -> tuple[str, str, str]:
    return (
        format_bytes(change.bytes_before),
        format_bytes(change.bytes_after),
        _signed(change.grown_bytes),
    )


def _signed(size: int) -> str:
    return f"{'+' if size > 0 else ''}{format_bytes(size)}"


def _breakdown(report: AttachReport) -> Section:
    total = report.rss_bytes or 1
    rows = tuple(
        (said(line.title), format_bytes(line.size_bytes), f"{line.size_bytes / total:.1%}",
         said(line.explanation))
        for line in report.breakdown
    )  # fmt: skip
    headings = (tr("memory"), tr("size"), tr("RSS"), tr("what it is"))
    return Section(tr("RSS breakdown"), headings, rows)


def _given_back(report: AttachReport) -> Section:
    rows = tuple(
        (said(each.step), format_bytes(each.rss_bytes), format_bytes(each.freed_bytes),
         format_seconds(each.seconds))
        for each in report.given_back
    )  # fmt: skip
    headings = (tr("step"), tr("RSS returned"), tr("freed"), tr("time in the process"))
    return Section(tr("What is given back"), headings, rows)


def _growers(report: AttachReport) -> Section:
    rows = tuple(map(_grower_row, report.growers))
    headings = (tr("container or type"), tr("newest items"), tr("from"), tr("to"), tr("per second"))
    watched = tr(
        "Longer at each of the marks, within {seconds}.",
        seconds=format_seconds(report.seconds_watched),
    )
    return Section(tr("Growing containers and types"), headings, rows, (watched,), 2)


def _grower_row(grower: Grower) -> tuple[str, ...]:
    name = f"{grower.path} ({grower.what})" if grower.path else grower.what
    first, last = grower.counts[0], grower.counts[-1]
    items = ", ".join(grower.items)
    return name, items, f"{first:,}", f"{last:,}", three_digits(grower.per_second)


def _holders(report: AttachReport) -> Section:
    heap = report.heap
    rows = tuple(holder_rows(heap))[:MAX_HOLDERS] if heap is not None else ()
    explained = tr("What would be freed if a holder were gone. No memory counts twice.")
    return Section(tr("Largest holders"), tuple(map(tr, HOLDER_HEADINGS)), rows, (explained,), 2)


def _places(report: AttachReport) -> Section:
    """Where C code is among them, each has the file it is in, and its Python caller."""
    is_native = any(each.shared_object or each.called_from for each in report.places)
    further = (tr("shared object"), tr("called from")) if is_native else ()
    rows = tuple(
        (each.place, *((each.shared_object, each.called_from) if is_native else ()),
         format_bytes(each.size_bytes), f"{each.blocks:,}")
        for each in report.places
    )  # fmt: skip
    headings = (tr("allocation site"), *further, tr("size"), tr("blocks"))
    title = tr("Allocated while traced, and alive")
    return Section(title, headings, rows, (), 1 + len(further))


def _causes(report: AttachReport) -> Section:
    rows = tuple(
        (", ".join(each.distributions), said(each.title), said(each.remedy))
        for each in report.possible_causes
    )
    headings = (tr("library"), tr("known cause"), tr("fix"))
    note = tr("The libraries are loaded. Nothing here proves that they cause growth.")
    return Section(tr("Known causes of loaded libraries"), headings, rows, (note,), 3)


NEXT = mark("Watch it for a verdict: leakhunt attach {pid} --for 10m")


def next_steps(report: AttachReport) -> Iterator[str]:
    """What to do next."""
    if report.verdict is None:
        yield tr(NEXT, pid=report.pid)
