"""Command lines as they may be written down: without what is nobody else's business."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# What stands beside such a word is nobody else's business.
_SECRET = re.compile(r"(?i)key|token|secret|passw")
_HIDDEN = "***"


def without_secrets(command: Sequence[str]) -> Iterator[str]:
    """The words of a command, with stars for what follows a word such as ``--api-key``."""
    hidden = False
    for word in command:
        name, equals, _ = word.partition("=")
        is_secret = _SECRET.search(name) is not None
        if hidden and not word.startswith("-"):
            yield _HIDDEN
        else:
            yield f"{name}={_HIDDEN}" if is_secret and equals else word
        hidden = is_secret and not equals and word.startswith("-")
