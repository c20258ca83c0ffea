"""What decides between leak and no leak: which axes, and which of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import median

from leakhunt.amounts import Rate
from leakhunt.model.matrix import Axis, AxisEffect, CellResult
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.text.message import Message, Text, message

# More axes together are no explanation.
_MAX_AXES = 2
# The growth of two values differs if one is this many times the other.
_APART = 1.5


def effects(axes: Sequence[Axis], results: Sequence[CellResult]) -> tuple[AxisEffect, ...]:
    """What each axis does, the one that decides first, then by how far the rates are apart."""
    found = [_effect(axis, results) for axis in axes if len(axis.values) > 1]
    return tuple(sorted(found, key=lambda each: (not each.decides, -_spread(each))))


def explanation(axes: Sequence[Axis], results: Sequence[CellResult]) -> tuple[Text, ...]:
    """It in sentences, the decision first."""
    return (*_decision(axes, results), *_rates(axes, results))


def _effect(axis: Axis, results: Sequence[CellResult]) -> AxisEffect:
    of_value = [[r for r in results if r.cell.values[axis.name] == value] for value in axis.values]
    return AxisEffect(
        axis=axis.name,
        values=axis.values,
        rates=tuple(_rate(each) for each in of_value),
        leaks=tuple(sum(r.status is Status.LEAK for r in each) for each in of_value),
        cells=tuple(len(each) for each in of_value),
        decides=_splits((axis.name,), results) is not None,
    )


def _rate(results: Sequence[CellResult]) -> float | None:
    rates = [_bytes_rate(each) for each in results]
    known = [each for each in rates if each is not None]
    return median(known) if known else None


def _bytes_rate(result: CellResult) -> float | None:
    """Bytes per call; of what does not leak, none."""
    if result.status is Status.LEAK and result.unit is Unit.BYTES:
        return result.rate
    return 0.0 if result.status is Status.NO_LEAK else None


def _spread(effect: AxisEffect) -> float:
    known = [each for each in effect.rates if each is not None]
    return max(known) - min(known) if known else 0.0


def _splits(
    names: Sequence[str], results: Sequence[CellResult]
) -> Mapping[tuple[str, ...], bool] | None:
    """Whether cells with these values leak; None: some do and some do not, or all are alike."""
    found: dict[tuple[str, ...], bool] = {}
    for each in results:
        if each.is_open:
            continue
        values = tuple(each.cell.values[name] for name in names)
        leaks = each.status is Status.LEAK
        if found.setdefault(values, leaks) is not leaks:
            return None
    return found if len(set(found.values())) == 2 else None


def _decision(axes: Sequence[Axis], results: Sequence[CellResult]) -> Iterator[Message]:
    closed = [each for each in results if not each.is_open]
    leaks = [each for each in closed if each.status is Status.LEAK]
    if not closed:
        yield message("matrix.nothing-decided", "No cell has a verdict of leak or no leak")
        return
    if len(leaks) in (0, len(closed)):
        text = (
            message("matrix.all-leak", "All {n} decided cells leak", n=len(closed))
            if leaks
            else message("matrix.none-leaks", "None of {n} decided cells leaks", n=len(closed))
        )
        yield text
        return
    names = [axis.name for axis in axes if len(axis.values) > 1]
    for count in range(1, _MAX_AXES + 1):
        for chosen in combinations(names, count):
            split = _splits(chosen, results)
            if split is not None:
                yield _decided(chosen, split)
                return
    yield message(
        "matrix.undecided-by-axes",
        "{leaks} of {n} decided cells leak; neither one axis nor two together decide which",
        leaks=len(leaks),
        n=len(closed),
    )


def _decided(names: Sequence[str], split: Mapping[tuple[str, ...], bool]) -> Message:
    leaking = tuple(_shown(values) for values, leaks in split.items() if leaks)
    clean = tuple(_shown(values) for values, leaks in split.items() if not leaks)
    if len(names) == 1:
        return message(
            "matrix.decided-by",
            "{axis} decides: leak with {leaking}; no leak with {clean}",
            axis=names[0],
            leaking=leaking,
            clean=clean,
        )
    return message(
        "matrix.decided-by-two",
        "{axes} decide together: leak with {leaking}; no leak with {clean}",
        axes=" + ".join(names),
        leaking=leaking,
        clean=clean,
    )


def _shown(values: Sequence[str]) -> str:
    return " + ".join(value or "-" for value in values)


def _rates(axes: Sequence[Axis], results: Sequence[CellResult]) -> Iterator[Message]:
    """Axes by which cells that leak grow faster or slower."""
    leaking = [each for each in results if each.status is Status.LEAK and each.rate is not None]
    for axis in axes:
        rates = {}
        for value in axis.values:
            of_value = [each for each in leaking if each.cell.values[axis.name] == value]
            if (rate := _rate(of_value)) is not None:
                rates[value] = rate
        if len(rates) < 2 or max(rates.values()) < _APART * min(rates.values()):
            continue
        low, high = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
        yield message(
            "matrix.rate-by",
            "Median growth of the leaking cells: {low_rate} with {axis} {low}, {high_rate} with"
            " {high}",
            axis=axis.name,
            low=low or "-",
            high=high or "-",
            low_rate=Rate(rates[low]),
            high_rate=Rate(rates[high]),
        )
