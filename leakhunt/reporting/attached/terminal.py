"""What a visit found, on a terminal, as rich objects; nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from leakhunt.model.attached import AttachReport
from leakhunt.reporting.attached.tables import (
    Section,
    facts,
    heading,
    next_steps,
    sections,
    summary,
)
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import tr

_MAX_ROWS = 10


def attach_parts(report: AttachReport) -> Iterator[Table | Text]:
    """The result first, then the tables, then what the visit took."""
    yield Text(visible(heading(report)), "bold")
    for sentence in summary(report):
        yield Text(visible(sentence))
    for section in sections(report):
        yield Text("")
        yield section_table(section)
    yield Text("")
    for name, value in facts(report):
        yield Text(visible(f"{name}{tr(': ')}{value}"), "dim")
    for step in next_steps(report):
        yield Text(visible(step))


def section_table(section: Section) -> Table:
    """A section as a table, its first rows."""
    table = Table(
        title=Text(visible(section.title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    # The last column of a breakdown explains; numbers stand to the right.
    for number, each in enumerate(section.headings):
        is_text = number < section.text_columns or _is_text(section, number)
        justify = "left" if is_text else "right"
        table.add_column(each, overflow="fold", justify=justify, no_wrap=not is_text)  # type: ignore[arg-type]
    for cells in section.rows[:_MAX_ROWS]:
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def _is_text(section: Section, number: int) -> bool:
    return all(row[number][:1].isalpha() or row[number][:1] == "/" for row in section.rows)
