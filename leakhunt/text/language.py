"""In which language people are spoken to: English, or one that a gettext catalogue knows.

Texts are written in English where they are needed, inside `tr` or `ntr`; their placeholders are
named and filled in after the translation. A constant is wrapped in `mark`, which leaves it as it
is, and translated where it is shown. What is said elsewhere or later is a `text.message`. The
language is part of the context: it ends with the ``with`` block of `speaking`, and two of them in
one process do not mix. Standard library only; without `speaking` no catalogue is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

from leakhunt.text.number import with_numbers

if TYPE_CHECKING:
    from gettext import GNUTranslations

ENGLISH = "en"
# What a language is called on the command line, and its tag: that of an HTML page.
LANGUAGES: Mapping[str, str] = {ENGLISH: "en", "zh": "zh-CN"}
VARIABLE = "LEAKHUNT_LANG"

_SPOKEN: ContextVar[str] = ContextVar("leakhunt_language", default=ENGLISH)


def tr(text: str, /, **values: object) -> str:
    """`text` in the language spoken, with `values` for its ``{placeholders}`` (`str.format`).

    Without values nothing is filled in: braces stay as they are.
    """
    translated = str(text)
    catalogue = _catalogue(_SPOKEN.get()) if translated else None
    if catalogue is not None:
        translated = catalogue.gettext(translated)
    return _filled(translated, values, catalogue) if values else translated


def ntr(singular: str, plural: str, n: int, /, **values: object) -> str:
    """As `tr`, in the form that goes with the number `n`, which is the placeholder ``{n}`` too."""
    catalogue = _catalogue(_SPOKEN.get())
    translated = singular if n == 1 else plural
    if catalogue is not None:
        translated = catalogue.ngettext(singular, plural, n)
    return _filled(translated, {"n": n, **values}, catalogue)


def one_after_another(*parts: str) -> str:
    """Texts that are shown in one line: with a space between two, in Chinese where it belongs."""
    if _SPOKEN.get() == ENGLISH:
        return " ".join(filter(None, parts))
    from leakhunt.text.spacing import spaced

    return spaced(part for each in parts if each for part in (" ", each)).lstrip(" ")


def _filled(text: str, values: Mapping[str, object], catalogue: GNUTranslations | None) -> str:
    text = with_numbers(text, values)
    if catalogue is None:
        return text.format(**values)
    from leakhunt.text.spacing import filled  # more than a measured process needs

    return filled(text, values)


def mark(text: str, /) -> str:
    """`text` itself: a constant that is translated where it is shown."""
    return text


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
