"""Text that an XML file can hold."""

from __future__ import annotations

import re

# All but what XML 1.0 calls a character: control characters and halves of surrogate pairs have no
# place in it, not even as a reference.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    r"""`text` with what XML cannot hold written out: ``\x1b``, ``\udc80``. Markup stays."""
    return _IMPOSSIBLE.sub(lambda found: _written_out(found[0]), text)


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
