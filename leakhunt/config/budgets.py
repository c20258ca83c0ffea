"""Budgets as people write them. Pure.

==========================  ======================================================
``"2 KiB/call"``            growth per call (of a soak: per request)
``0``, ``0.5``              the same, in the unit of the series
``"50 MiB total"``          growth in a whole run
``"+1 KiB/call"``           so much more than the baseline has; ``total`` as well
``"50 ms"``, ``0.05``       for ``seconds_per_call``: a call's time
``"+5 ms"``, ``"+20 %"``    for ``seconds_per_call``: more than the baseline's time
``"2 GiB"``                 for ``peak_rss``: the highest RSS of a run
``"+50 MiB"``, ``"+10 %"``  for ``peak_rss``: more than the baseline's
``"100/call"``, ``0``       for ``garbage_objects``: cyclic garbage per call
==========================  ======================================================
"""

from __future__ import annotations

import re
from math import isfinite

from leakhunt.amounts import amount_in, seconds_in
from leakhunt.errors import UsageError
from leakhunt.model.gate import SECONDS_PER_CALL, Budget, Extent
from leakhunt.model.plan import Work
from leakhunt.model.policy import budgeted
from leakhunt.model.series import GARBAGE_OBJECTS, PEAK_RSS, SERIES, Unit
from leakhunt.text.language import mark
from leakhunt.text.message import message, word
from leakhunt.text.suggest import hint
from leakhunt.toml_file import shown

_IN_TOTAL = re.compile(r"(?P<amount>.+) total")
_SHARE = re.compile(r"\+ ?(?P<percent>\d+(?:\.\d+)?) ?%")
_EXAMPLES = {
    Unit.BYTES: mark("'2 KiB/call', '50 MiB total' or '+1 KiB/call'"),
    Unit.BLOCKS: mark("'0.5 blocks/call', '100 blocks total' or '+0.5 blocks/call'"),
    Unit.COUNT: mark("0, '0.1/call', '2 total' or '+0.1/call'"),
    Unit.NANOSECONDS: mark("'50 ms', '+5 ms' or '+20 %'"),
}
_GARBAGE_EXAMPLES = mark("'100/call', '5/call' or '0.1/call'")
_PEAK_EXAMPLES = mark("'2 GiB', '+50 MiB' or '+10 %'")
_OWN_EXAMPLES = {PEAK_RSS: _PEAK_EXAMPLES, GARBAGE_OBJECTS: _GARBAGE_EXAMPLES}


def parse_budget(series: str, value: object) -> Budget:
    """The budget that `value`, a text or a number, is for `series`.

    Raises:
        UsageError: there is no such series, or it is no budget for it.
    """
    if series not in budgeted():
        raise UsageError(
            message(
                "budget.unknown-series",
                "unknown series {series!r}{hint}. Known series: {known}",
                series=series,
                hint=hint(series, budgeted()),
                known=", ".join(budgeted()),
            )
        )
    if isinstance(value, str):
        budget = _written(series, value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        budget = _counted(series, value)
    else:
        raise _refused(series, value)
    # No call takes no time, so that this would be kept by none.
    is_possible = budget.more or budget.amount > 0 or series not in (SECONDS_PER_CALL, PEAK_RSS)
    if not isfinite(budget.amount) or budget.amount < 0 or not is_possible:
        raise _refused(series, value)
    return budget


def parse_budgets(series: str, value: object) -> tuple[Budget, ...]:
    """As `parse_budget`; a list may have one of each sort, such as per call and in total.

    Raises:
        UsageError: as `parse_budget`; the list is empty, or two in it are of one sort.
    """
    if not isinstance(value, list):
        return (parse_budget(series, value),)
    budgets = tuple(parse_budget(series, each) for each in value)
    if not budgets:
        raise _refused(series, value)
    sorts = [(budget.extent, budget.more) for budget in budgets]
    for number, sort in enumerate(sorts):
        if sort in sorts[:number]:
            first, second = budgets[sorts.index(sort)].text, budgets[number].text
            raise UsageError(
                message(
                    "budget.two-of-a-kind",
                    "{series} has two budgets of the same kind, {first!r} and {second!r}."
                    " Remove one",
                    series=series,
                    first=first,
                    second=second,
                )
            )
    return budgets


def _counted(series: str, number: float) -> Budget:
    try:
        amount = float(number)
    except OverflowError:
        raise _refused(series, number) from None
    extent = Extent.RUN if series == PEAK_RSS else Extent.CALL
    return Budget(series, amount, extent, more=False, text=str(number))


def _written(series: str, value: str) -> Budget:
    text = " ".join(value.split())
    if text.endswith("%"):
        return Budget(series, _share(series, text), Extent.SHARE, more=True, text=text)
    more = text.startswith("+")
    if series == GARBAGE_OBJECTS and (more or _IN_TOTAL.fullmatch(text)):
        raise _refused(series, text)
    written, extent = _extent(series, text.removeprefix("+"))
    if series == SECONDS_PER_CALL:
        amount = seconds_in(written)
    else:
        amount = amount_in(_unit(series), written)
    if amount is None:
        raise _refused(series, text)
    return Budget(series, amount, extent, more, text)


def _extent(series: str, text: str) -> tuple[str, Extent]:
    """The amount of a budget as written, and what it is counted over."""
    amount, slash, per = text.partition("/")
    if series == PEAK_RSS:
        return text, Extent.RUN
    if slash and per.strip() in list(Work):
        return amount, Extent.CALL
    total = _IN_TOTAL.fullmatch(text)
    if series == SECONDS_PER_CALL and not slash and not total:
        return text, Extent.CALL
    if series == SECONDS_PER_CALL or not total:
        raise _refused(series, text)
    return total["amount"], Extent.RUN


def _share(series: str, text: str) -> float:
    match = _SHARE.fullmatch(text)
    if series not in (SECONDS_PER_CALL, PEAK_RSS):
        raise UsageError(
            message(
                "budget.percentage-of-growth",
                "{series}: a percentage of growth near 0 is undefined (got {value}). Examples:"
                " {examples}",
                series=series,
                value=shown(text),
                examples=word(_EXAMPLES[_unit(series)]),
            )
        )
    if match is None:
        raise _refused(series, text)
    return float(match["percent"]) / 100


def _unit(series: str) -> Unit:
    return Unit.NANOSECONDS if series == SECONDS_PER_CALL else SERIES[series].unit


def _refused(series: str, value: object) -> UsageError:
    return UsageError(
        message(
            "budget.invalid-value",
            "{series}: invalid value {value}. Examples: {examples}",
            series=series,
            value=shown(value),
            examples=word(_OWN_EXAMPLES.get(series) or _EXAMPLES[_unit(series)]),
        )
    )
