"""What is kept of a variant, in words and amounts for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from leakhunt.amounts import format_bytes, format_rate, format_seconds
from leakhunt.model.baseline import BaselineVariant
from leakhunt.model.series import PEAK_RSS, SERIES, Unit, compared_series
from leakhunt.text.interval import lower_bound
from leakhunt.text.language import ntr, tr

# Of a date and time as a run file has it, the date.
_DATE = 10


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """What is shown of a saved variant.

    `figures` are titles with amounts. `accepts_leak`: it leaked for certain when it was saved.
    """

    name: str
    figures: tuple[tuple[str, str], ...]
    calls: str
    measured: str
    verdict: str
    accepts_leak: bool


def row_of(variant: BaselineVariant) -> BaselineRow:
    """What is shown of it in a table."""
    made = [each.calls_done for each in variant.profiles]
    calls = f"{min(made):,}" if min(made) == max(made) else f"{min(made):,}–{max(made):,}"
    verdicts = Counter(tr(verdict) for verdict in variant.verdicts)
    days = sorted({each[:_DATE] for each in variant.measured})
    return BaselineRow(
        name=variant.name,
        figures=tuple(_figures(variant)),
        calls=ntr("{n} run of {calls} calls", "{n} runs of {calls} calls", len(made), calls=calls),
        measured=tr("measured {days}", days=tr(", ").join(days)),
        verdict=tr(", ").join(
            word if len(verdicts) == 1 else f"{word} ({count})" for word, count in verdicts.items()
        ),
        accepts_leak=variant.accepts_leak,
    )


def _figures(variant: BaselineVariant) -> Iterator[tuple[str, str]]:
    first = variant.profiles[0]
    for facts in compared_series():
        series, unit = facts.name, facts.unit
        rates = [
            rate
            for each in variant.profiles
            if series in each.courses and (rate := each.courses[series].headline) is not None
        ]
        # A count that stays the same is not worth a line.
        if rates and (any(rates) or unit is not Unit.COUNT):
            amounts = [format_rate(rate, unit, first.work) for rate in _spread(rates)]
            yield tr(facts.short_title), _amounts(amounts)
    totals = [each.rss_growth for each in variant.profiles if each.rss_growth is not None]
    if totals:
        yield tr("RSS in a run"), _amounts([format_bytes(total) for total in _spread(totals)])
    peaks = [each.peak_rss for each in variant.profiles if each.peak_rss is not None]
    if peaks:
        yield tr(SERIES[PEAK_RSS].short_title), _amounts(list(map(format_bytes, _spread(peaks))))
    times = [each.times.seconds for each in variant.profiles if each.times is not None]
    seconds = [each for each in times if each is not None]
    if seconds:
        yield tr("time of a call"), _amounts([format_seconds(each) for each in _spread(seconds)])


def _spread(values: Sequence[float]) -> list[float]:
    """The mean, least and most; one value alone is just that."""
    return [fmean(values), min(values), max(values)] if len(values) > 1 else list(values)


def _amounts(amounts: Sequence[str]) -> str:
    if len(amounts) == 1:
        return amounts[0]
    mean, least, most = amounts
    return tr("{mean} ({least} to {most})", mean=mean, least=lower_bound(least, most), most=most)
