"""Text that an XML file can hold."""

from __future__ import annotations

import re

from leakhunt.text.controls import escape_of, written_out

# All but what XML 1.0 calls a character: control characters and halves of surrogate pairs have no
# place in it, not even as a reference.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    r"""`text` with what XML cannot hold, or what steers, written out: ``\x1b``. Markup stays."""
    return _IMPOSSIBLE.sub(lambda found: escape_of(found[0]), written_out(text))
