"""``flame.html``: flame graphs of what calls retain, from the loop down to who allocates.

One file that asks for nothing from anywhere. Without its script it is the same picture, and a table
of the largest stacks; with it, a frame can be looked at, made the whole width, and searched for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from leakhunt.amounts import format_rate
from leakhunt.model.attribution import STRIPPED, Frame, Origin, plain_name
from leakhunt.model.flame import Flame, FlameStack
from leakhunt.model.plan import Work
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.series import Unit
from leakhunt.reporting.formats.jinja import template
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import mark, tr

# A frame that is narrower than this part of the picture is left out: nobody could see or hit it.
_MIN_PART = 0.002
# From this part of the growth on, the page says that the graph does not have it.
_LACKS_PART = 0.2
# The largest stacks, as a table.
_ROWS = 15
_OWNERS = {
    Origin.YOURS: mark("your code"),
    Origin.LIBRARY: mark("library"),
    Origin.INTERPRETER: mark("interpreter"),
}
_HEAPS = {"cuda": mark("CUDA memory"), "memray": mark("heap"), "tracemalloc": mark("Python heap")}
_HEADINGS = (mark("Retained"), mark("Share"), mark("Your code"), mark("Allocated in"))
_WHOLE = {
    Work.CALL: mark("every call"),
    Work.REQUEST: mark("every request"),
    Work.SECOND: mark("all the time"),
}


@dataclass(slots=True)
class _Node:
    """A frame with all that stays through it, and how many of it stand below each other."""

    label: str
    origin: Origin
    size: float = 0.0
    times: int = 1
    below: dict[tuple[str, Origin], _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlameBox:
    """A frame as it is drawn: `left` and `width` in % of the picture, `depth` rows from its top.

    `number` of `siblings` frames of the same caller, for those who do not see it.
    """

    label: str
    owner: str
    origin: str
    told: str
    left: float
    width: float
    depth: int
    number: int
    siblings: int
    parent: int


@dataclass(frozen=True, slots=True)
class FlamePicture:
    """A graph: what it comes to, what it lacks, and its frames from the outermost one down."""

    anchor: str
    title: str
    total: str
    how: str
    lack: str
    boxes: tuple[FlameBox, ...]
    rows: tuple[tuple[str, ...], ...]
    capture: str

    @property
    def depth(self) -> int:
        """How many rows it has."""
        return 1 + max(box.depth for box in self.boxes)


def render(report: Report) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    pictures = [
        _picture(entry, flame, f"flame-{at}-{number}")
        for at, entry in enumerate(report.entries)
        for number, flame in enumerate(entry.flames)
    ]
    page = template("flame.html.j2").render(
        report=report,
        pictures=pictures,
        without=[entry.variant for entry in report.entries if not entry.flames],
        owners=[(str(origin), tr(text)) for origin, text in _OWNERS.items()],
        headings=tuple(map(tr, _HEADINGS)),
        words=_words(),
    )
    return text_bytes(page)


def _words() -> dict[str, str]:
    """What the script writes, in the language spoken."""
    return {"found": tr("{frames} frames found"), "whole": tr("Whole graph")}


def _picture(entry: JudgedRun, flame: Flame, anchor: str) -> FlamePicture:
    work = entry.run.plan.work
    total = format_rate(flame.bytes_per_call, Unit.BYTES, work)
    heap = tr(_HEAPS[flame.instrument])
    return FlamePicture(
        anchor=anchor,
        title=tr("{variant}: {heap}", variant=entry.variant, heap=heap),
        total=total,
        how=tr(
            "{instrument}, {calls:,} instrumented calls: allocated in each window of calls and not"
            " freed",
            instrument=flame.instrument,
            calls=flame.calls,
        ),
        lack=_lack(entry, flame, work),
        boxes=tuple(_boxes(flame, work)),
        rows=tuple(_row(stack, flame, work) for stack in flame.stacks[:_ROWS]),
        capture=flame.capture,
    )


def _lack(entry: JudgedRun, flame: Flame, work: Work) -> str:
    """How much of the growth the graph does not have, if that is much."""
    growth = entry.attribution.growth if entry.attribution is not None else None
    missing = (growth or 0.0) - flame.bytes_per_call
    if growth is None or missing <= _LACKS_PART * growth:
        return ""
    return tr(
        "Not in this graph: {missing} of {growth} growth ({part:.0%})",
        missing=format_rate(missing, Unit.BYTES, work),
        growth=format_rate(growth, Unit.BYTES, work),
        part=missing / growth,
    )


def _row(stack: FlameStack, flame: Flame, work: Work) -> tuple[str, ...]:
    own = next((each for each in reversed(stack.frames) if each.origin is Origin.YOURS), None)
    return (
        format_rate(stack.bytes_per_call, Unit.BYTES, work),
        f"{stack.bytes_per_call / flame.bytes_per_call:.0%}",
        str(own) if own is not None else "–",
        str(stack.frames[-1]),
    )


def _tree(flame: Flame, work: Work) -> _Node:
    """The stacks put together from their outermost frame; the same frame again is one."""
    root = _Node(tr(_WHOLE[work]), Origin.YOURS)
    for stack in flame.stacks:
        node = root
        node.size += stack.bytes_per_call
        for label, origin, times in _levels(stack.frames):
            node = node.below.setdefault((label, origin), _Node(label, origin))
            node.size += stack.bytes_per_call
            node.times = max(node.times, times)
    return root


def _levels(frames: Sequence[Frame]) -> Iterator[tuple[str, Origin, int]]:
    """Each frame, those that look the same and stand below each other once."""
    last: tuple[str, Origin] | None = None
    times = 0
    for frame in frames:
        this = (_label(frame), frame.origin)
        if last is not None and this != last:
            yield (*last, times)
            times = 0
        last, times = this, times + 1
    if last is not None:
        yield (*last, times)


def _label(frame: Frame) -> str:
    if frame.function == STRIPPED or frame.is_python:
        return str(frame)
    where = frame.file.rpartition("/")[2]
    name = plain_name(frame.function)
    return f"{name} ({where})" if where else name


def _boxes(flame: Flame, work: Work) -> Iterator[FlameBox]:
    """All frames that are wide enough, each caller before those it calls, the widest first."""
    root = _tree(flame, work)
    waiting = [(root, 0.0, 0, 1, 1, -1)]
    number = 0
    while waiting:
        node, left, depth, place, siblings, parent = waiting.pop()
        part = node.size / root.size
        amount = format_rate(node.size, Unit.BYTES, work)
        label = node.label if node.times == 1 else f"{node.label} ×{node.times}"
        yield FlameBox(
            label=label,
            owner=tr(_OWNERS[node.origin]) if depth else "",
            origin=str(node.origin) if depth else "whole",
            told=tr("{label}: {amount}, {part:.1%}", label=label, amount=amount, part=part),
            left=100 * left,
            width=100 * part,
            depth=depth,
            number=place,
            siblings=siblings,
            parent=parent,
        )
        children = sorted(node.below.values(), key=lambda each: -each.size)
        shown = [each for each in children if each.size >= _MIN_PART * root.size]
        placed = []
        for at, child in enumerate(shown, 1):
            placed.append((child, left, depth + 1, at, len(shown), number))
            left += child.size / root.size
        waiting.extend(reversed(placed))
        number += 1
