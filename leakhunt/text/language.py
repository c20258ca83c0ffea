"""In which language people are spoken to: English, or one that a gettext catalogue knows.

Texts are written in English where they are needed, inside `tr` or `ntr`; their placeholders are
named and filled in after the translation. A constant is wrapped in `mark`, which leaves it as it
is, and translated where it is shown. So is what a run file recorded in English: by `retold`. The
language is part of the context: it ends with the ``with`` block of `speaking`, and two of them in
one process do not mix. Standard library only; without `speaking` no catalogue is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import GNUTranslations

ENGLISH = "en"
# What a language is called on the command line, and its tag: that of an HTML page.
LANGUAGES: Mapping[str, str] = {ENGLISH: "en", "zh": "zh-CN"}
VARIABLE = "LEAKHUNT_LANG"

_SPOKEN: ContextVar[str] = ContextVar("leakhunt_language", default=ENGLISH)
# A message with fewer letters outside its placeholders would be found in texts that are none of it.
_LEAST_LETTERS = 7
# Nothing that is recorded in words of ours is longer; matching takes long where texts are.
_LONGEST = 500


def tr(text: str, /, **values: object) -> str:
    """`text` in the language spoken, with `values` for its ``{placeholders}`` (`str.format`).

    Without values nothing is filled in: braces stay as they are.
    """
    told = str(text)
    if told and (catalogue := _catalogue(_SPOKEN.get())) is not None:
        told = catalogue.gettext(told)
    return told.format(**values) if values else told


def ntr(singular: str, plural: str, n: int, /, **values: object) -> str:
    """As `tr`, in the form that goes with the number `n`, which is the placeholder ``{n}`` too."""
    catalogue = _catalogue(_SPOKEN.get())
    told = singular if n == 1 else plural
    if catalogue is not None:
        told = catalogue.ngettext(singular, plural, n)
    return told.format(n=n, **values)


def mark(text: str, /) -> str:
    """`text` itself: a constant that is translated where it is shown."""
    return text


def retold(text: str) -> str:
    """A recorded English text in the language spoken; as it is where no message is like it.

    A message with placeholders is told by what stands between them. What filled them is retold as
    well, where it is a message itself.
    """
    catalogue = _catalogue(_SPOKEN.get())
    if not 0 < len(text) <= _LONGEST or catalogue is None:
        return text
    if (whole := catalogue.gettext(text)) != text:
        return whole
    for pattern, message in _patterns(_SPOKEN.get()):
        if (match := pattern.fullmatch(text)) is not None:
            return _filled(message, match.groupdict())
    first, semicolon, rest = text.partition("; ")
    return f"{retold(first)}{tr(semicolon)}{retold(rest)}" if semicolon else text


def _filled(message: str, values: Mapping[str, str]) -> str:
    told = {name: retold(value) for name, value in values.items()}
    return re.sub(r"\{(\w+)[^}]*\}", lambda each: told[each[1]], message)


def is_known(language: str) -> bool:
    """Whether `speaking` takes this language."""
    return language in LANGUAGES


def spoken() -> str:
    """The language spoken, one of `LANGUAGES`."""
    return _SPOKEN.get()


def tag() -> str:
    """The tag of the language spoken, as HTML wants it: ``en``, ``zh-CN``."""
    return LANGUAGES[_SPOKEN.get()]


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak one of `LANGUAGES` inside the block.

    Raises:
        ValueError: there is no such language.
    """
    if not is_known(language):
        raise ValueError(f"{language!r} is no language; use one of {', '.join(LANGUAGES)}")
    before = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(before)


@cache
def _catalogue(language: str) -> GNUTranslations | None:
    """What is translated; None for English. Both imports are more than a measured process needs."""
    if language == ENGLISH:
        return None
    from gettext import GNUTranslations
    from importlib.resources import files

    folder = LANGUAGES[language].replace("-", "_")
    place = files("leakhunt").joinpath("locale", folder, "LC_MESSAGES", "leakhunt.mo")
    with place.open("rb") as file:
        return GNUTranslations(file)


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The messages with placeholders, those with most text first, and their translations."""
    # The one way to list what gettext has read.
    found: Mapping[object, str] = getattr(_catalogue(language), "_catalog", {})
    messages = [(text, told) for text, told in found.items() if isinstance(text, str) and text]
    parts = [(list(Formatter().parse(text)), told) for text, told in messages if "{" in text]
    ranked = sorted(parts, key=lambda each: -_letters(each[0]))
    return tuple((_pattern(pieces), told) for pieces, told in ranked if _is_telling(pieces))


_Pieces = list[tuple[str, str | None, str | None, str | None]]


def _letters(pieces: _Pieces) -> int:
    return sum(letter.isalpha() for literal, *_ in pieces for letter in literal)


def _is_telling(pieces: _Pieces) -> bool:
    names = [name for _, name, *_ in pieces if name is not None]
    return _letters(pieces) >= _LEAST_LETTERS and len(names) == len(set(names)) and all(names)


def _pattern(pieces: _Pieces) -> re.Pattern[str]:
    told = "".join(
        re.escape(literal) + (f"(?P<{name}>{_values(spec)})" if name is not None else "")
        for literal, name, spec, _ in pieces
    )
    return re.compile(told, re.DOTALL)


def _values(spec: str | None) -> str:
    """What may stand in a placeholder: a number where it is written as one."""
    return r"[-+\d.,e]+" if spec else ".*?"
