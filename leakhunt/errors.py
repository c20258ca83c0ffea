"""What can go wrong outside our own code: one line for the person, one exit code for the shell.

Raised anywhere, printed in one place (`leakhunt.cli`). A message says the cause, the place and what
to do. Exit codes 0, 1, 3 and 9 are results, not errors: see `leakhunt.analysis.gate` and `REFUSED`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from leakhunt.text.message import Text, message
from leakhunt.text.system import system_text

# The exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it.
INTERRUPTED = 130
# A result as well: ``compare`` refused a conclusion, because what was compared is not comparable.
REFUSED = 9


class LeakhuntError(Exception):
    """Anything that leakhunt can explain; shown as one line, without a traceback.

    `text` is what there is to say; a message is said in the language spoken when it is shown.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, text: Text = "") -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return str(self.text)


class UsageError(LeakhuntError):
    """The command cannot mean anything: a wrong name, a wrong value, a missing path."""

    exit_code = 2


class NothingMeasured(LeakhuntError):
    """There is not one sample to speak of."""

    exit_code = 4


class MissingRequirement(LeakhuntError):
    """Something this needs is not on the machine: an extra, a GPU, the hub."""

    exit_code = 5


class BadFile(LeakhuntError):
    """A file is there but is not what it should be: empty, foreign, from a newer version."""

    exit_code = 6


class CannotWrite(LeakhuntError):
    """The place for the results does not take them: full, read-only, already used."""

    exit_code = 7


def cannot_write_to(place: Path, error: OSError) -> CannotWrite:
    """The error for a place of results that the system refuses to write to."""
    return CannotWrite(
        message(
            "file.cannot-write-to",
            "{where}: {strerror}. Choose another place with --out",
            where=place,
            strerror=system_text(error),
        )
    )


class ScenarioFailed(LeakhuntError):
    """The scenario's own code raised before anything could be measured."""

    exit_code = 8


BY_EXIT_CODE: dict[int, type[LeakhuntError]] = {
    kind.exit_code: kind
    for kind in (
        UsageError,
        NothingMeasured,
        MissingRequirement,
        BadFile,
        CannotWrite,
        ScenarioFailed,
    )
}
