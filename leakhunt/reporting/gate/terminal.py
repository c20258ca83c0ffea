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
    attempts,
    by_gravity,
    compared_with,
    counts,
    mismatch_line,
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
    for answer, variant, told in _answers(gated):
        yield Text.assemble(
            (word(answer), _STYLES[answer]), " ", (variant.name, "bold"), f"  {told}"
        )
    for variant in by_gravity(gated):
        yield from _explanations(variant)
    for note in gated.notes:
        yield Text(tr("note: {note}", note=note))
    held = compared_with(gated)
    yield Text.assemble(
        (overall(gated), _STYLES[gated.answer]),
        tr(": {reason}", reason=counts(gated)),
        (tr(" ({reason})", reason=held) if held else "", "dim"),
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
        told = f"{suspect_line(suspect, variant)} [{suspect.fingerprint}]"
        yield Text.assemble((f"{named}  {number}. ", "bold"), told)
        if suspect.cause is not None:
            remedy = tr("fix: {text}", text=tr(suspect.cause.remedy.text))
            yield Text.assemble((f"{named}  {number}. ", "bold"), remedy)
    if told := more_suspects(variant):
        yield Text.assemble((f"{named}  ", "bold"), told)
    for suspect, acceptance in variant.accepted:
        named = tr("{kind} {name}", kind=tr("accepted"), name=variant.name)
        told = accepted_line(suspect, acceptance, variant)
        yield Text.assemble((f"{named}  ", "bold"), f"{told} [{suspect.fingerprint}]")
    for told in filter(None, (mismatch_line(variant), attempts(variant))):
        yield Text(tr("note: {note}", note=f"{variant.name}: {told}"))
