"""Caches inside libraries that services use: each fills within 3,000 calls and is level then."""

from __future__ import annotations

import datetime
import hashlib
import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cachetools
import jinja2
import jinja2.utils
import matplotlib as mpl
from babel import Locale, localedata
from babel.dates import format_date
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from PIL import ImageFont
from pygments.lexers import get_all_lexers, get_lexer_by_name
from rich.color import Color

from leakhunt import Context, variant

REQUIRES = ("babel", "cachetools", "jinja2", "matplotlib", "PIL", "pygments", "rich")
EXTRA = "dev"
LOCALES = 40
HOUR_SECONDS = 3600
FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def template(name: str) -> str:
    """The source of a template."""
    rows = "".join(f"<td>{{{{ row.field_{number} }}}}</td>" for number in range(8))
    return f"<h1>{name}</h1>{{% for row in rows %}}<tr>{rows}</tr>{{% endfor %}}"


def _figure() -> Figure:
    figure = Figure(dpi=100)
    FigureCanvasAgg(figure)
    return figure


@dataclass
class State:
    """What the service keeps from call to call."""

    random: random.Random
    lexers: list[str]
    locales: list[str]
    font: ImageFont.FreeTypeFont
    least_recent: cachetools.LRUCache[Any, Any] = field(
        default_factory=lambda: cachetools.LRUCache(1000)
    )
    in_time: cachetools.TTLCache[Any, Any] = field(
        default_factory=lambda: cachetools.TTLCache(800, HOUR_SECONDS)
    )
    least_frequent: cachetools.LFUCache[Any, Any] = field(
        default_factory=lambda: cachetools.LFUCache(600)
    )
    by_size: cachetools.LRUCache[Any, Any] = field(
        default_factory=lambda: cachetools.LRUCache(6 << 20, getsizeof=len)
    )
    expressions: jinja2.utils.LRUCache = field(default_factory=lambda: jinja2.utils.LRUCache(1500))
    templates: jinja2.Environment = field(
        default_factory=lambda: jinja2.Environment(
            loader=jinja2.FunctionLoader(template), cache_size=200, autoescape=True
        )
    )
    figure: Figure = field(default_factory=_figure)


def setup(context: Context) -> State:
    """An empty service."""
    lexers = sorted(aliases[0] for _, aliases, _, _ in get_all_lexers(plugins=False) if aliases)
    simple = [name for name in localedata.locale_identifiers() if "_" not in name]
    font = ImageFont.truetype(str(FONT), 40)
    return State(random.Random(context.seed), lexers, sorted(simple)[:LOCALES], font)


def work() -> bytes:
    """Some 3 ms, as a real call takes."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 9000)


@variant(expect=("bounded cache", "clean"))
def cachetools_lru(state: State, item: int) -> None:
    """An LRUCache of 1,000 answers."""
    work()
    state.least_recent[item] = [f"answer {item} {line}" for line in range(40)]


@variant(expect=("bounded cache", "clean"))
def cachetools_ttl(state: State, item: int) -> None:
    """A TTLCache of 800 entries for an hour: it is full long before."""
    work()
    state.in_time[item] = bytearray(5000)


@variant(expect=("bounded cache", "clean"))
def cachetools_lfu(state: State, item: int) -> None:
    """An LFUCache of 600, asked for one of 2,000 keys at random."""
    work()
    key = state.random.randrange(2000)
    if key not in state.least_frequent:
        state.least_frequent[key] = bytearray(6000)


@variant(expect=("bounded cache", "clean"))
def cachetools_by_size(state: State, item: int) -> None:
    """An LRUCache of 6 MiB in entries of 1 to 12 KB."""
    work()
    state.by_size[item] = bytearray(state.random.randrange(1000, 12_000))


@variant(expect=("bounded cache", "clean"))
def jinja_lru(state: State, item: int) -> None:
    """jinja2's own LRUCache, of 1,500 expressions."""
    work()
    state.expressions[f"expression {item}"] = [f"part {item} {part}" for part in range(30)]


@variant(expect=("bounded cache", "clean"))
def jinja_templates(state: State, item: int) -> int:
    """An environment keeps 200 compiled templates; a template for each tenant."""
    return len(state.templates.get_template(f"tenant-{item}.html").render(rows=[]))


@variant(expect=("bounded cache", "clean"))
def texts_measured(state: State, item: int) -> float:
    """Matplotlib keeps the sizes of 4,096 texts for a renderer; two new ones a call."""
    label = Text(0, 0, f"measurement {item}\nof {item} items")
    label.set_figure(state.figure)
    return float(label.get_window_extent().width)


@lru_cache(maxsize=8192)
def mask(font: ImageFont.FreeTypeFont, character: str) -> Any:
    """A character, drawn by FreeType."""
    return font.getmask(character)


@variant(expect=("bounded cache", "clean"))
def glyphs_drawn(state: State, item: int) -> int:
    """Pictures of characters, from a font of which 1,000 are used, two at random a call."""
    work()
    drawn = [mask(state.font, chr(0x100 + state.random.randrange(1000))) for _ in range(2)]
    return len(drawn)


@variant(expect=("bounded cache", "clean"))
def fonts_found(state: State, item: int) -> str:
    """Matplotlib keeps 1,024 answers to which file a font is in."""
    work()
    wanted = FontProperties(family="DejaVu Sans", size=8 + item / 100)
    return str(mpl.font_manager.findfont(wanted))


@variant(expect=("bounded cache", "clean"))
def colours_parsed(state: State, item: int) -> str:
    """Rich keeps 1,024 colours that were parsed."""
    work()
    colour = f"#{item * 7919 % 0xFFFFFF:06x}"
    return Color.parse(colour).name


@variant(expect=("bounded cache", "clean"))
def lexers_loaded(state: State, item: int) -> int:
    """Pygments keeps every lexer that it loaded; there are only so many, one in four calls."""
    work()
    if item % 4:
        return 0
    lexer = get_lexer_by_name(state.lexers[item // 4 * 7 % len(state.lexers)])
    return len(list(lexer.get_tokens("x")))


@variant(expect=("bounded cache", "clean"))
def locales_loaded(state: State, item: int) -> str:
    """Babel keeps the data of each locale; users are of 40, one of them in five calls."""
    work()
    if item % 5:
        return ""
    locale = Locale.parse(state.locales[item // 5 % len(state.locales)])
    return str(format_date(datetime.date(2026, 1, 1), locale=locale))
