"""What the figures share: colours, lines, fonts, labels in the margin, and saving. Pure."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from leakhunt.reporting.formats.xml_escape import xml_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, safe for the colour-blind; line styles and hatches differ as well.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a3a")
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (6, 2)),
    (0, (1, 1.2)),
    (0, (8, 2, 1.5, 2)),
    (0, (3, 1.5)),
    (0, (10, 3)),
    (0, (4, 1.5, 1, 1.5, 1, 1.5)),
    (0, (2, 3)),
)
SOFT = "#666666"
# Wide enough for a page, and legible when an issue tracker shows it at half its size.
WIDTH_INCHES = 8.0
SMALL = 9.5
# Labels in the margin stand at least this share of the panel's height apart.
_LABEL_SPACING = 0.1
_LONGEST = 44
# Where labels in the margin begin, in widths of the panel.
_MARGIN = 1.02
# Room around stacked panels: for ticks and units, for titles, and for what leads to a label.
_LEFT_INCHES = 0.95
_TOP_INCHES = 0.65
_BOTTOM_INCHES = 0.6
_BETWEEN_INCHES = 0.5
_LEADER_INCHES = 0.2
_MIN_RIGHT = 0.4
_PNG_DOTS_PER_INCH = 150
# Where the first font lacks a character, the next one is asked; installed ones only.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "Droid Sans Fallback",
    "Noto Sans CJK JP",
)
_NO_FONT = "No font of this machine has every character of this picture; the HTML report shows all."
# Where an element of an SVG is named, or referred to.
_ID = re.compile(r' id="| xlink:href="#|url\(#')
_PATH = re.compile(rb' d="[^"]*"')
_DIGITS = re.compile(rb"(\.\d\d)\d+")
_STYLE: Any = {
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "leakhunt",
}


def png(draw: Callable[[], Figure]) -> bytes:
    """The figure as PNG, the same for the same report."""
    return _saved(draw, "png")


def svg(draw: Callable[[], Figure]) -> bytes:
    """The figure as an SVG file whose texts are texts, in the reader's fonts."""
    # Hundredths of a point are enough, and halve the file.
    return _PATH.sub(lambda path: _DIGITS.sub(rb"\1", path[0]), _saved(draw, "svg"))


def svg_element(draw: Callable[[], Figure], name: str) -> str:
    """The figure as an ``<svg>`` element for an HTML page; its ids begin with `name`."""
    text = svg(draw).decode()
    return _ID.sub(rf"\g<0>{name}-", text[text.index("<svg") :])


def fonts(installed: Collection[str]) -> list[str]:
    """Of the `installed` families, those to draw with, the first to be asked first."""
    return [family for family in _FONTS if family in installed] or ["sans-serif"]


def _saved(draw: Callable[[], Figure], kind: str) -> bytes:
    with _styled():
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        stream = io.BytesIO()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            figure = draw()
            figure.savefig(stream, format=kind, dpi=_PNG_DOTS_PER_INCH, metadata=metadata)
        # An SVG leaves its glyphs to the reader's fonts; a PNG would show boxes without a word.
        if kind == "png" and any("missing from font" in str(each.message) for each in caught):
            figure.text(0.01, 0.002, _NO_FONT, fontsize=SMALL, color=SOFT)
            stream = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                figure.savefig(stream, format=kind, dpi=_PNG_DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib
    from matplotlib import font_manager

    families = fonts(font_manager.fontManager.get_font_names())
    with matplotlib.rc_context(_STYLE | {"font.family": families}):
        yield


def named(name: str) -> str:
    """A name as `plain` text, cut where it would leave no room for the picture."""
    return plain(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}...")


def plain(text: str) -> str:
    """`text` with its dollar signs shown, not read as mathematics, and nothing no SVG can hold."""
    return xml_text(text).replace("$", r"\$")


@dataclass(frozen=True, slots=True)
class Label:
    """A text in the right margin, tied to a point of the panel."""

    text: str
    point: tuple[float, float]
    colour: str
    bold: bool = False


def label_in_margin(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each label at the height of its point, pushed apart where points are close."""
    place_of = axes.transData + axes.transAxes.inverted()
    wanted = sorted(
        (min(max(float(place_of.transform(label.point)[1]), 0.0), 1.0), index)
        for index, label in enumerate(labels)
    )
    lines = max((label.text.count("\n") + 1 for label in labels), default=1)
    heights = spread_out([place for place, _ in wanted], _LABEL_SPACING * lines)
    placed = {index: height for (_, index), height in zip(wanted, heights, strict=True)}
    for index, label in enumerate(labels):
        axes.annotate(
            label.text,
            xy=label.point,
            xytext=(_MARGIN, placed[index]),
            textcoords=axes.transAxes,
            color=label.colour,
            va="center",
            fontsize=SMALL,
            weight="bold" if label.bold else "normal",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                # Dotted and thin: it leads to a label, and is no curve.
                "linestyle": (0, (1, 4)),
                "linewidth": 0.8,
                "alpha": 0.6,
                "relpos": (0, 0.5),
            },
        )


def stack(figure: Figure, panels: Sequence[Axes]) -> None:
    """Give each of the `panels`, which stand below one another, its room.

    Their labels in the margin are measured, nothing else: matplotlib's own constrained layout
    takes as long as the drawing.
    """
    from matplotlib.text import Text

    width, height = figure.get_size_inches()
    labels = [text for axes in panels for text in axes.texts if text.get_position()[0] == _MARGIN]
    # As plain texts: an annotation reaches to the point that its line leads to.
    margin = max((Text.get_window_extent(each).width for each in labels), default=0.0)
    each = (height - _TOP_INCHES - _BOTTOM_INCHES + _BETWEEN_INCHES) / len(panels)
    right = 1.0 - (margin / figure.dpi + _LEADER_INCHES) / width
    figure.subplots_adjust(
        left=_LEFT_INCHES / width,
        right=max(right, _MIN_RIGHT),
        top=1.0 - _TOP_INCHES / height,
        bottom=_BOTTOM_INCHES / height,
        hspace=_BETWEEN_INCHES / (each - _BETWEEN_INCHES),
    )


def spread_out(places: Sequence[float], spacing: float) -> list[float]:
    """`places` (rising), moved as little as needed to stand `spacing` apart, within 0 to 1.

    Least squares: with the wanted distances taken off, neighbours in the wrong order are pooled at
    their mean (pool adjacent violators).
    """
    spacing = min(spacing, 1 / max(len(places) - 1, 1))
    pools: list[list[float]] = []
    for index, place in enumerate(places):
        pools.append([place - index * spacing])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    even = [fmean(pool) for pool in pools for _ in pool]
    ceiling = 1.0 - (len(places) - 1) * spacing
    return [max(min(place, ceiling), 0.0) + index * spacing for index, place in enumerate(even)]


def byte_scale(spread: float) -> tuple[float, str]:
    """The unit in which so many bytes have a digit or two before the point: its size and name."""
    for power, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if spread >= 2 * power:
            return float(power), unit
    return 1.0, "bytes"
