"""What the system says is the matter with a file, in its own words: a message like any other."""

from __future__ import annotations

import errno

from leakhunt.text.message import Message, word

# Those that are translated; ``make translations`` asks the system how it says them.
TRANSLATED = (
    errno.ENOENT,
    errno.EACCES,
    errno.ENOSPC,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EROFS,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EPIPE,
    errno.EIO,
)


def system_text(error: OSError) -> Message:
    """The reason of an error of the system's: ``No such file or directory``."""
    return word(str(error.strerror))
