"""What ``leakhunt gate`` prints, as rich objects; nothing here prints.

A line for each budget that is not kept, and one for all that a variant keeps; each begins with the
answer and the variant, so that grep finds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from leakhunt.model.gate import GateAnswer, GateResult, VariantResult
from leakhunt.reporting.gate.rows import (
    GateRow,
    by_gravity,
    compared_with,
    counts,
    notes_of,
    overall,
    rows,
    sentence,
    word,
)
from leakhunt.reporting.gate.suspects import (
    SHOWN_SUSPECTS,
    accepted_line,
    more_suspects,
    suspect_line,
)
from leakhunt.reporting.run.terminal import visible_line
from leakhunt.text.language import tr

_STYLES = {
    GateAnswer.OVER_BUDGET: "bold red",
    GateAnswer.NOT_MEASURED: "bold yellow",
    GateAnswer.INCONCLUSIVE: "magenta",
    GateAnswer.WITHIN_BUDGET: "green",
}


def gate_lines(gated: GateResult) -> Iterator[Text]:
    """The answers, the gravest first; who keeps the memory; notes; the answer for all, last."""
    return map(visible_line, _lines(gated))


def _lines(gated: GateResult) -> Iterator[Text]:
    for answer, variant, text in _answers(gated):
        yield Text.assemble(
            (word(answer), _STYLES[answer]), " ", (variant.name, "bold"), f"  {text}"
        )
    for variant in by_gravity(gated):
        yield from _explanations(variant)
    for note in gated.notes:
        yield Text(tr("note: {note}", note=note))
    compared = compared_with(gated)
    yield Text.assemble(
        (overall(gated), _STYLES[gated.answer]),
        tr(": {reason}", reason=counts(gated)),
        (tr(" ({reason})", reason=compared) if compared else "", "dim"),
    )


def _answers(gated: GateResult) -> Iterator[tuple[GateAnswer, VariantResult, str]]:
    """What failed, a budget a line; what is within, a variant a line."""
    within: dict[str, list[GateRow]] = {}
    for row in rows(gated):
        if row.answer is GateAnswer.WITHIN_BUDGET:
            within.setdefault(row.variant.name, []).append(row)
        else:
            yield row.answer, row.variant, sentence(row)
    for found in within.values():
        yield GateAnswer.WITHIN_BUDGET, found[0].variant, " · ".join(map(sentence, found))


def _explanations(variant: VariantResult) -> Iterator[Text]:
    """What explains a variant's answers."""
    named = tr("{kind} {name}", kind=tr("suspect"), name=variant.name)
    for number, suspect in enumerate(variant.suspects[:SHOWN_SUSPECTS], 1):
        line = f"{suspect_line(suspect, variant)} [{suspect.fingerprint}]"
        yield Text.assemble((f"{named}  {number}. ", "bold"), line)
        if suspect.cause is not None:
            remedy = tr("fix: {text}", text=tr(suspect.cause.remedy.text))
            yield Text.assemble((f"{named}  {number}. ", "bold"), remedy)
    if line := more_suspects(variant):
        yield Text.assemble((f"{named}  ", "bold"), line)
    for suspect, acceptance in variant.accepted:
        named = tr("{kind} {name}", kind=tr("accepted"), name=variant.name)
        line = accepted_line(suspect, acceptance, variant)
        yield Text.assemble((f"{named}  ", "bold"), f"{line} [{suspect.fingerprint}]")
    for line in notes_of(variant):
        yield Text(tr("note: {note}", note=f"{variant.name}: {line}"))
