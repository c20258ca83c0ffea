"""What GitHub shows beside the lines of a pull request: workflow commands, one a line.

``::error file=app.py,line=12,title=leakhunt%3A made%3Anaive::...``. GitHub shows ten of a kind a
step; of more errors, the last says how many there are besides.
"""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.gate import GateAnswer, GateResult
from leakhunt.reporting.formats.terminal_escape import one_line
from leakhunt.reporting.gate.rows import GateRow, limit, power, rows, sentence, word
from leakhunt.reporting.gate.source_lines import Repository, place
from leakhunt.reporting.gate.suspects import suspect_line
from leakhunt.reporting.run.tables import NOTHING
from leakhunt.text.language import ntr, tr

# So many of a kind GitHub shows of one step.
MAX_ERRORS = 10
# So many passes are named in the one notice on them.
_MAX_NAMED = 20


def annotation_lines(gated: GateResult, repository: Repository) -> Iterator[str]:
    """The lines to print: errors, the gravest first, then one notice on what is within."""
    all_rows = rows(gated)
    failed = [row for row in all_rows if row.answer is not GateAnswer.WITHIN_BUDGET]
    shown = failed if len(failed) <= MAX_ERRORS else failed[: MAX_ERRORS - 1]
    for row in shown:
        yield _error(row, repository)
    if hidden := len(failed) - len(shown):
        yield _command(
            "error",
            {"title": "leakhunt"},
            ntr("{n} more: see the job's summary", "{n} more: see the job's summary", hidden),
        )
    if within := [row for row in all_rows if row.answer is GateAnswer.WITHIN_BUDGET]:
        title = ntr("leakhunt: {n} within budget", "leakhunt: {n} within budget", len(within))
        yield _command("notice", {"title": title}, "\n".join(_passes(within)))


def _error(row: GateRow, repository: Repository) -> str:
    spot = place(row.variant, repository)
    where = {} if spot is None else {"file": spot.file, "line": str(spot.line)}
    lines = [f"{word(row.answer)}{tr(': ')}{sentence(row)}"]
    lines += [suspect_line(suspect, row.variant) for suspect in row.variant.suspects[:1]]
    return _command("error", where | {"title": f"leakhunt: {row.variant.name}"}, "\n".join(lines))


def _passes(within: list[GateRow]) -> Iterator[str]:
    for row in within[:_MAX_NAMED]:
        sentence = tr("{name}: budget {limit}", name=row.name, limit=limit(row))
        if power(row) != NOTHING:
            sentence += tr("; detection limit {power} (95 % power)", power=power(row))
        yield sentence
    hidden = len(within) - _MAX_NAMED
    if hidden > 0:
        yield ntr("and {n} more", "and {n} more", hidden)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    """``::name key=value,key=value::message``, with what would end a part of it escaped."""
    fields = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {fields}::{_data(message)}"


def _data(text: str) -> str:
    """A message: on several lines if it has them, and nothing in it that cannot be seen."""
    lines = (one_line(line).replace("%", "%25") for line in text.split("\n"))
    return "%0A".join(lines)


def _property(value: str) -> str:
    return _data(one_line(value)).replace(":", "%3A").replace(",", "%2C")
