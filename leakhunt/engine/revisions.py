"""Scenarios made ready to be gated: as they are here, and as another revision has them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.engine.settings import refuse_what_cannot_be
from leakhunt.errors import cannot_write_to
from leakhunt.model.options import Settings
from leakhunt.runner.checkout import Revision, checked_out
from leakhunt.runner.prepared import PreparedScenario, prepared_for
from leakhunt.scenario import find


@dataclass(frozen=True, slots=True)
class OtherRevision:
    """Another revision of the code; by which Python it runs, in how many pairs of runs."""

    revision: Revision
    interpreter: str
    pairs: int

    def has(self, own: Settings) -> bool:
        """Whether the scenario's file is in the revision, or no part of the repository at all."""
        file = Path(own.scenario.file).resolve()
        inside = file.is_relative_to(self.revision.repository)
        return not inside or self.revision.counterpart(file).is_file()

    def settings(self, own: Settings) -> Settings:
        """The same measurements of the scenario as it is there; a built-in one is the same.

        Raises:
            LeakhuntError: the scenario is not there, or is none.
        """
        file = Path(own.scenario.file).resolve()
        if not file.is_relative_to(self.revision.repository):
            return own
        there = find.same_at(own.scenario, self.revision.counterpart(file))
        return replace(own, scenario=there, options=find.settle_options(there, own.options))


def other_revision_of(
    against: str | None, interpreter: str, pairs: int, base: Path, exit_stack: ExitStack
) -> OtherRevision | None:
    """The revision `against`, checked out for as long as `exit_stack` lasts; None: there is none.

    Raises:
        LeakhuntError: it cannot be.
    """
    if against is None:
        return None
    scratch = exit_stack.enter_context(tempfile.TemporaryDirectory(prefix="leakhunt-"))
    revision = exit_stack.enter_context(checked_out(against, base, Path(scratch) / "revision"))
    return OtherRevision(revision, interpreter, pairs)


@contextmanager
def prepared_scenario(
    settings: Settings,
    folder: Path,
    interpreter: str = "",
    variables: Mapping[str, str] | None = None,
) -> Iterator[PreparedScenario]:
    """The scenario, prepared; its scratch folder lasts as long as this.

    Raises:
        LeakhuntError: it cannot start here.
    """
    refuse_what_cannot_be(settings)
    make(folder)
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        prepared = prepared_for(settings, folder, Path(scratch), interpreter, variables)
        yield PreparedScenario(
            settings, prepared, folder, Path(scratch), interpreter, variables or {}
        )


def make(folder: Path) -> None:
    """Make a folder for run files, if it is not there.

    Raises:
        CannotWrite: the disk does not take it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write_to(folder, error) from error
