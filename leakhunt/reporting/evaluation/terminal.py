"""How often the verdict was right, on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.table import Table

from leakhunt.model.evaluation import Score, Trial
from leakhunt.model.kinds import Kind
from leakhunt.reporting.evaluation import tables
from leakhunt.text.language import tr


def evaluation_tables(
    trials: Sequence[Trial], confusion: Mapping[Kind, Mapping[Kind, int]]
) -> Iterator[Table]:
    """The workloads, the hunts if there were any, and the matrix of expected and found."""
    # Without the truth: where it is another, a line below says so.
    narrow = [tuple(row[:1] + row[2:]) for row in (tables.HEADINGS, *tables.rows(trials))]
    table = _table(map(tr, narrow[0]), narrow[1:])
    table.columns[0].no_wrap = True
    yield table
    if hunts := tables.hunt_rows(trials):
        # Without the cause: the suspect's title begins with it.
        rows = [row[:3] + row[4:] for row in (tables.HUNT_HEADINGS, *hunts)]
        yield _table(map(tr, rows[0]), rows[1:])
    headings, body = tables.confusion_rows(confusion)
    yield _table(headings, body)


def evaluation_lines(wrong: Iterable[Trial], score: Score) -> Iterator[str]:
    """What was wrong, a line a run; and the score in sentences."""
    for each in wrong:
        yield tr(
            "wrong: {scenario}:{variant} seed {seed}: expected {expect}, found"
            " {status}, {kind}{suspected}",
            scenario=each.scenario,
            variant=each.variant,
            seed=each.seed,
            expect=tr(" or ").join(map(tr, each.expect)),
            status=tr(each.status),
            kind=tr(each.kind),
            suspected=_suspected(each),
        )
    yield from tables.summary(score)


def _suspected(each: Trial) -> str:
    """Where a hunt went wrong: what it should have found, and did."""
    hunt = each.hunted
    if hunt is None or hunt.is_right:
        return ""
    cause = hunt.cause or tr("no known cause")
    wanted = f"{hunt.culprit} ({cause})" if hunt.culprit else tr("none")
    return tr(
        "; expected {wanted}, first suspect {first}", wanted=wanted, first=hunt.first or tr("none")
    )


def _table(headings: Iterable[str], body: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for cells in body:
        table.add_row(*cells)
    return table
