"""The table of the allocators that were tried, for every format."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.amounts import format_bytes, format_seconds
from leakhunt.model.attribution import AllocatorBoard, AllocatorTrial
from leakhunt.text.language import mark, tr

ALLOCATOR_HEADINGS = (
    mark("allocator"),
    mark("final RSS"),
    mark("less by"),
    mark("live memory"),
    mark("time of a call"),
    mark("results"),
)
# The narrow table of the terminal leaves out the last.
NARROW_HEADINGS = (*ALLOCATOR_HEADINGS[:4], mark("time"))


def allocator_rows(board: AllocatorBoard) -> Iterator[tuple[str, ...]]:
    """A row for each, under `ALLOCATOR_HEADINGS`; the one that is recommended is marked."""
    for place, trial in enumerate(board.trials):
        sign = "* " if place == board.recommended else ""
        live = trial.live_bytes
        yield (
            f"{sign}{trial.name}",
            format_bytes(trial.rss_bytes.estimate),
            _saved(trial),
            tr("not measured") if live is None else format_bytes(live),
            _time(trial),
            _results(trial),
        )


def narrow_rows(board: AllocatorBoard) -> Iterator[tuple[str, ...]]:
    """The same under `NARROW_HEADINGS`; after the first, times are told by their ratio alone."""
    for trial, cells in zip(board.trials, allocator_rows(board), strict=True):
        if trial.time_ratio is None:
            yield cells[: len(NARROW_HEADINGS)]
        else:
            yield (*cells[:4], tr("{ratio:.2f} ×", ratio=trial.time_ratio.estimate))


def _saved(trial: AllocatorTrial) -> str:
    saved = trial.saved_rss_bytes
    if saved is None:
        return "\N{EN DASH}"
    if saved.low <= 0 <= saved.high:
        return tr("not significant")
    return format_bytes(saved.estimate)


def _time(trial: AllocatorTrial) -> str:
    seconds = format_seconds(trial.seconds.estimate)
    if trial.time_ratio is None:
        return seconds
    return tr("{seconds} ({ratio:.2f} ×)", seconds=seconds, ratio=trial.time_ratio.estimate)


def _results(trial: AllocatorTrial) -> str:
    if trial.saved_rss_bytes is None:
        return tr("ref.")
    if not trial.compared:
        return tr("not in the summary")
    if trial.differing:
        return tr(
            "{differing:,} of {compared:,} differ",
            differing=trial.differing,
            compared=trial.compared,
        )
    return tr("identical in all {compared:,}", compared=trial.compared)
