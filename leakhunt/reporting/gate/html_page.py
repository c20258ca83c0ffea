"""``gate.html``: all answers of a gate on one page, which leads to the reports of its scenarios.

One file, opens offline, asks for nothing from anywhere, needs no script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from leakhunt.model.gate import GateAnswer, GateResult, Pages, VariantResult
from leakhunt.reporting.charts.sparkline import picture
from leakhunt.reporting.formats.jinja import template
from leakhunt.reporting.gate.next_steps import acceptances, commands, policy_name
from leakhunt.reporting.gate.rows import (
    SIGNS,
    GateRow,
    all_sentences,
    by_gravity,
    counts,
    figures_suffice,
    notes_of,
    overall,
    rows,
)
from leakhunt.reporting.gate.suspects import SHOWN_SUSPECTS, accepted_line, more_suspects
from leakhunt.reporting.gate.tables import (
    HEADINGS,
    HOW_IT_IS_READ,
    badge,
    cells,
    curve,
    fold_title,
    parted,
)
from leakhunt.reporting.shared.suspects import SuspectCard, card
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import mark, tr

if TYPE_CHECKING:
    from markupsafe import Markup

# The classes that give the answers their colours; a sign and a word say the same.
_COLOURS = {
    GateAnswer.OVER_BUDGET: "leak",
    GateAnswer.NOT_MEASURED: "unmeasured",
    GateAnswer.INCONCLUSIVE: "inconclusive",
    GateAnswer.WITHIN_BUDGET: "no_leak",
}
# So many points a curve has in the table.
_POINTS = 48
_NO_COMPARISON = mark("none: each variant is judged by itself")


@dataclass(frozen=True, slots=True)
class GatePageRow:
    """A row of the table: `reason` stands in place of figures where a row has none.

    `explanation` is why it is within, where its figures alone would not say so.
    """

    colour: str
    cells: tuple[str, ...]
    reason: str
    explanation: str
    anchor: str
    curve: Markup | str


@dataclass(frozen=True, slots=True)
class Link:
    """A page beside this one, and what it is called."""

    url: str
    text: str


def render(gated: GateResult) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    all_rows = rows(gated)
    shown, folded = parted(all_rows)
    failed = [each for each in by_gravity(gated) if each.answer is not GateAnswer.WITHIN_BUDGET]
    # By identity: run files may hold the same variant twice.
    anchors = {id(variant): f"variant-{number}" for number, variant in enumerate(failed, 1)}
    page = template("gate.html.j2").render(
        gated=gated,
        answer=f"{SIGNS[gated.answer]} {overall(gated)}",
        colours=_COLOURS,
        badge=badge,
        counts=counts(gated),
        facts=list(_facts(gated)),
        headings=(*map(tr, HEADINGS), tr("curve")),
        shown=[_line(row, anchors) for row in shown],
        folded=[_line(row, anchors) for row in folded],
        fold_title=fold_title(folded),
        how_it_is_read=tr(HOW_IT_IS_READ),
        failed=[(anchors[id(variant)], variant) for variant in failed],
        reasons=lambda variant: list(_reasons(variant)),
        links=lambda variant: _links_of(variant, gated),
        cards=_cards,
        more_suspects=more_suspects,
        commands=lambda variant: list(commands(variant, gated)),
        policy=policy_name(gated),
        acceptances=lambda variant: "\n".join(acceptances(variant, gated)),
        accepted=_accepted,
        accepted_within=[
            each
            for each in gated.variants
            if each.accepted and each.answer is GateAnswer.WITHIN_BUDGET
        ],
        pages=[(pages.scenario, list(_links(pages, gated))) for pages in gated.pages],
        sentences=list(all_sentences(gated, all_rows)),
    )
    return text_bytes(page) + b"\n"


def _facts(gated: GateResult) -> Iterator[tuple[str, str]]:
    """What it was held against, and of what it tells: name and text."""
    if gated.policy:
        yield tr("policy"), gated.policy
    yield tr("compared with"), gated.against or tr(_NO_COMPARISON)
    runs = [entry.run for variant in gated.variants for entry in variant.entries]
    if runs:
        yield tr("device"), " / ".join(dict.fromkeys(run.plan.device for run in runs))
        yield tr("measured at"), min(run.started_at for run in runs)


def _line(row: GateRow, anchors: dict[int, str]) -> GatePageRow:
    drawn = curve(row, _POINTS)
    needs_reason = row.answer is GateAnswer.WITHIN_BUDGET and not figures_suffice(row)
    return GatePageRow(
        colour=_COLOURS[row.answer],
        cells=cells(row),
        reason=str(row.reason) if row.check is None else "",
        explanation=str(row.reason) if needs_reason else "",
        anchor=anchors.get(id(row.variant), ""),
        curve=picture(drawn) if drawn.heights else "",
    )


def _reasons(variant: VariantResult) -> Iterator[tuple[str, str]]:
    """Why it is not within, each with the series that it is about: none, the variant as a whole."""
    for check in variant.checks:
        if check.answer is not GateAnswer.WITHIN_BUDGET:
            yield check.budget.series, str(check.reason)
    for text in filter(None, (str(variant.reason), *notes_of(variant))):
        yield "", text


def _cards(variant: VariantResult) -> list[SuspectCard]:
    plan = variant.entries[0].run.plan if variant.entries else None
    suspects = variant.suspects[:SHOWN_SUSPECTS]
    return [card(number, suspect, plan) for number, suspect in enumerate(suspects, 1)]


def _accepted(variant: VariantResult) -> list[tuple[str, str]]:
    """What is accepted: sentence and fingerprint."""
    return [
        (accepted_line(suspect, acceptance, variant), suspect.fingerprint)
        for suspect, acceptance in variant.accepted
    ]


def _links_of(variant: VariantResult, gated: GateResult) -> list[Link]:
    found = (pages for pages in gated.pages if pages.scenario == variant.scenario)
    return [link for pages in found for link in _links(pages, gated)]


def _links(pages: Pages, gated: GateResult) -> Iterator[Link]:
    is_one_of_several = sum(each.scenario == pages.scenario for each in gated.pages) > 1
    if pages.report:
        folder = PurePosixPath(pages.report).parent.name
        name = folder if is_one_of_several else pages.scenario
        yield Link(_url(pages.report), tr("report on {scenario}", scenario=name))
    if pages.comparison:
        text = tr(
            "comparison of {scenario} with {against}",
            scenario=pages.scenario,
            against=gated.against,
        )
        yield Link(_url(pages.comparison), text)


def _url(path: str) -> str:
    """The relative address of a file, whatever its name holds."""
    return quote(path, errors="surrogateescape")
