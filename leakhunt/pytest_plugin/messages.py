"""What was measured in words: the text of a failed test, and a line for one that passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from leakhunt.model.gate import GateAnswer, VariantResult
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending
from leakhunt.pytest_plugin.runs import log_of
from leakhunt.reporting.charts.sparkline import bars, sparkline
from leakhunt.reporting.gate.rows import sentence, variant_rows, word
from leakhunt.reporting.gate.suspects import SHOWN_SUSPECTS
from leakhunt.reporting.shared.facts import title_in
from leakhunt.reporting.shared.headline import main_series
from leakhunt.reporting.shared.suspects import blind_spots, cards
from leakhunt.text.language import ntr, tr

_WIDTH = 60


def in_a_line(answer: VariantResult) -> str:
    """The answer on every budget, for a test's line in a summary."""
    sentences = tr("; ").join(sentence(row) for row in variant_rows(answer))
    return tr("{word}: {told}", word=word(answer.answer), told=sentences)


def failure(answer: VariantResult, in_process: bool) -> str:
    """The text of a test that is not within its budgets."""
    return "\n".join(_lines(answer, in_process))


def _lines(answer: VariantResult, in_process: bool) -> Iterator[str]:
    for row in variant_rows(answer):
        if row.answer is not GateAnswer.WITHIN_BUDGET:
            yield tr("leakhunt: {word}: {told}", word=word(row.answer), told=sentence(row))
    entry = next((each for each in answer.entries if each.attribution), None)
    entry = entry or next(iter(answer.entries), None)
    if entry is None:
        return
    yield from _curve(entry)
    yield from _suspects(entry)
    if in_process and answer.answer is GateAnswer.OVER_BUDGET:
        yield tr("leak suspects need a fresh worker: remove in_process")
    if answer.answer is GateAnswer.INCONCLUSIVE and entry.run.outcome.ending is Ending.OK:
        yield ntr(
            "inconclusive after {n} attempt. Measure more calls, or set a budget further from"
            " the measured growth",
            "inconclusive after {n} attempts. Measure more calls, or set a budget further from"
            " the measured growth",
            answer.attempts,
        )
    yield from _files(entry)


def evidence(entry: JudgedRun) -> Iterator[str]:
    """The curve, the suspects and the files of a run."""
    yield from _curve(entry)
    yield from _suspects(entry)
    yield from _files(entry)


def _curve(entry: JudgedRun) -> Iterator[str]:
    drawn = sparkline(entry, _WIDTH)
    if drawn.heights:
        name = main_series(entry.run, entry.verdict)
        yield ""
        yield bars(drawn)
        yield tr(
            "{title} over {calls:,} calls, the first {share:.0%} as warm-up",
            title=title_in(entry.run, name),
            calls=entry.run.calls_done,
            share=drawn.warm_up,
        )


def _suspects(entry: JudgedRun) -> Iterator[str]:
    found = cards(entry)
    if found:
        yield ""
    for card in found[:SHOWN_SUSPECTS]:
        yield tr("suspect {number}: {title}", number=card.number, title=card.title)
        chain = [(card.chain_title, " -> ".join(card.chain))] if card.chain else []
        for name, text in ((tr("retains"), card.keeps), *chain, *card.facts):
            yield tr("  {name}: {text}", name=name, text=text)
    if entry.attribution is not None and not found:
        yield str(entry.attribution.sentence)
        yield from (tr("blind spot: {blind}", blind=blind) for blind in blind_spots(entry))


def _files(entry: JudgedRun) -> Iterator[str]:
    run_file = Path(entry.run.file)
    yield ""
    if entry.run.outcome.ending is not Ending.OK and log_of(run_file).exists():
        yield tr("log: {log}", log=log_of(run_file))
    yield tr("run file: {run_file}", run_file=run_file)
    yield tr("show it with: leakhunt report {folder}", folder=run_file.parent)
