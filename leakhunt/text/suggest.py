"""Saying what a word of the user's may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from leakhunt.text.message import Text, message


def hint(word: str, known: Collection[str]) -> Text:
    """`` (did you mean 'naive'?)``, where a known word is much like this one; else empty."""
    close = difflib.get_close_matches(word, known, n=1)
    return message("hint.close", " (did you mean {close!r}?)", close=close[0]) if close else ""
