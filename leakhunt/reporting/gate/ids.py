"""What an answer of the gate is known by in tools that follow it from run to run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from leakhunt.model.attribution import Suspect
from leakhunt.model.gate import VariantResult
from leakhunt.reporting.formats.terminal_escape import one_line
from leakhunt.reporting.gate.rows import GateRow, variant_rows

# The rule of what is about no budget: a variant that could not be measured.
NOT_JUDGED = "leak/not-judged"


def rule_id(row: GateRow) -> str:
    """``leak/live_heap``: what was broken."""
    return f"leak/{one_line(row.series)}" if row.series else NOT_JUDGED


def accepted_rule_id(variant: VariantResult) -> str:
    """The rule that an accepted suspect would have broken: that of the first budget."""
    return next((rule_id(row) for row in variant_rows(variant) if row.series), NOT_JUDGED)


def answer_id(row: GateRow) -> str:
    """The same for the same sort of budget, variant and suspect, whatever its amount and lines."""
    parts = [suspect.fingerprint for suspect in row.variant.suspects[:1]]
    if row.check is not None:
        parts += [row.check.budget.extent, "more" if row.check.budget.more else "by itself"]
    return _digest(row.variant.name, row.series, *parts)


def accepted_id(variant: VariantResult, suspect: Suspect) -> str:
    """The same for the same suspect in the same variant."""
    return _digest(variant.name, "accepted", suspect.fingerprint)


def numbered(ids: Iterable[str]) -> Iterator[str]:
    """``ID:1``, and ``ID:2`` for the second that is the same: readers drop what they know."""
    counted: Counter[str] = Counter()
    for each in ids:
        counted[each] += 1
        yield f"{each}:{counted[each]}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
