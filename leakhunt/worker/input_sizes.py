"""How big a call's input is, where nobody says so: bytes, text and arrays."""

from __future__ import annotations

from typing import Any

from leakhunt.text.language import mark

BYTES = mark("byte")
CHARACTERS = mark("character")


def obvious_size(item: Any) -> int:
    """Bytes of bytes and arrays, characters of a text; 0 of anything else."""
    if isinstance(item, bytes | bytearray | str):
        return len(item)
    size = getattr(item, "nbytes", 0)
    return size if isinstance(size, int) else 0


def obvious_unit(item: Any) -> str:
    """What `obvious_size` counts."""
    return CHARACTERS if isinstance(item, str) else BYTES
