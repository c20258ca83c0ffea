"""Answers of a gate as compilers print theirs, a line each, for editors.

``app/cache.py:12:1: error: leakhunt: made:naive: over budget: ...``. What has no place in the
repository stands at the first line of the policy, or, where that is not in it, has no place.
"""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.gate import GateAnswer, GateResult
from leakhunt.reporting.formats.terminal_escape import one_line
from leakhunt.reporting.gate.rows import GateRow, rows, sentence, word
from leakhunt.reporting.gate.source_lines import Repository, Spot, place
from leakhunt.reporting.gate.suspects import suspect_line

# As editors know them: no translation.
_SEVERITIES = {
    GateAnswer.OVER_BUDGET: "error",
    GateAnswer.NOT_MEASURED: "warning",
    GateAnswer.INCONCLUSIVE: "warning",
    GateAnswer.WITHIN_BUDGET: "info",
}


def problem_lines(gated: GateResult, repository: Repository) -> Iterator[str]:
    """A line for each answer, the gravest first."""
    for row in rows(gated):
        spot = place(row.variant, repository)
        if spot is None and repository.policy:
            spot = Spot(repository.policy, 1)
        where = f"{spot.file}:{spot.line}:1: " if spot is not None else ""
        yield one_line(f"{where}{_SEVERITIES[row.answer]}: leakhunt: {_problem_text(row)}")


def _problem_text(row: GateRow) -> str:
    line = f"{row.variant.name}: {word(row.answer)}: {sentence(row)}"
    suspect = next(iter(row.variant.suspects), None)
    if suspect is None or row.answer is GateAnswer.WITHIN_BUDGET:
        return line
    return f"{line}; {suspect_line(suspect, row.variant)}"
