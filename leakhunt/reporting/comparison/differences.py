"""What differs between the sides of a comparison, and what was not compared, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leakhunt.model.comparison import Comparison, Matter, Mismatch, Pair
from leakhunt.text.language import mark, tr

_CONSEQUENCES = {
    Matter.INPUTS: mark("not comparable"),
    Matter.MEMORY: mark("not comparable"),
    Matter.MACHINE: mark("time not comparable"),
}
REFUSED_TITLE = mark("Not comparable: the runs differ in")
DESPITE_TITLE = mark("Compared despite differences (--despite-differences)")
SHOWN_TITLE = mark("Other differences")
MISMATCH_HEADINGS = (
    mark("fact"),
    mark("before"),
    mark("after"),
    mark("conclusion"),
    mark("variants"),
)


@dataclass(frozen=True, slots=True)
class FactTable:
    """Facts that differ, under one title: rows under `MISMATCH_HEADINGS`."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def refusal_box(comparison: Comparison) -> FactTable | None:
    """What forbids conclusions, drawn or not; None: nothing does."""
    name = DESPITE_TITLE if comparison.despite else REFUSED_TITLE
    found = [(pair, each) for pair in comparison.pairs for each in pair.refusing]
    return _box(name, found, comparison.despite)


def shown_box(comparison: Comparison) -> FactTable | None:
    """What differs and is what is compared, or does no harm."""
    shown = [
        (pair, each)
        for pair in comparison.pairs
        for each in pair.mismatches
        if each.matter is Matter.SHOWN
    ]
    return _box(SHOWN_TITLE, shown, comparison.despite)


def _box(name: str, found: Sequence[tuple[Pair, Mismatch]], despite: bool) -> FactTable | None:
    """Each fact once, with the variants it is about."""
    about: dict[tuple[str, str, str, Mismatch], list[str]] = {}
    for pair, each in found:
        consequence = tr(each.matter)
        if each.matter in _CONSEQUENCES and not despite:
            follows = tr(_CONSEQUENCES[each.matter])
            consequence = tr("{kind}: {told}", kind=consequence, told=follows)
        key = (pair.before_label, pair.after_label, consequence, each)
        about.setdefault(key, []).append(pair.name)
    rows = tuple(
        (
            str(each.title),
            f"{before}{tr(': ')}{each.before}",
            f"{after}{tr(': ')}{each.after}",
            consequence,
            tr(", ").join(names),
        )
        for (before, after, consequence, each), names in about.items()
    )
    return FactTable(tr(name), rows) if rows else None


def fact_line(mismatch: Mismatch) -> str:
    """``threads 2 against 4``."""
    return tr(
        "{fact}: {before} and {after}",
        fact=mismatch.title,
        before=mismatch.before,
        after=mismatch.after,
    )


def alone_lines(comparison: Comparison) -> Iterator[str]:
    """The variants that are not on every side, and what was given and is not compared."""
    for each in comparison.alone:
        present, missing = tr(", ").join(each.present), tr(", ").join(each.missing)
        yield tr(
            "{name}: in {present}, not in {missing}",
            name=each.name,
            present=present,
            missing=missing,
        )
    for side in comparison.sides:
        for what in side.left_out:
            yield tr("{label}: skipped: {what}", label=side.label, what=what)
