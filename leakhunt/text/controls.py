"""Characters that are not seen and steer what shows them, in any text format."""

from __future__ import annotations

import re

# Control characters but tab and line feed (ESC and U+009B begin the commands of a terminal), what
# turns the direction of text, and halves of surrogate pairs, which no UTF-8 can hold.
_TURNS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
STEERING = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNS}\ud800-\udfff]")


def written_out(text: str) -> str:
    r"""`text` with these written out: ``\x1b``, ``\u202e``."""
    return STEERING.sub(lambda found: escape_of(found[0]), text)


def escape_of(character: str) -> str:
    """What Python writes for it."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def text_bytes(text: str) -> bytes:
    """A whole file of text as UTF-8, with these written out."""
    return written_out(text).encode()


def json_text_bytes(text: str) -> bytes:
    """A whole file of JSON as UTF-8, with these as JSON's own escapes: its values stay."""
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
