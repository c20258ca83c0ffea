"""What the engine reports while it works: to a display, a log, or nobody.

The engine prints nothing. Every verb of it takes ``events: Events = SILENT`` and says what goes on:

    events.started(RunStart("naive", calls=400))        # before a run
    outcome = prepared.carry_out(plan, name, partial(events.sampled, "naive"))
    events.ended("naive", outcome)                       # after it
    events.noted(tr("preparing {name} ...", name=name))  # a line for people, of something else

To show some of it, derive from `Silent` and override what you want, as `leakhunt.cli.display` does.
Runs that go on at the same time report from several threads; their names tell them apart. An
implementation may raise KeyboardInterrupt in `sampled`: that ends the run as Ctrl-C does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from leakhunt.model.run import Outcome
from leakhunt.storage.follow import Tail
from leakhunt.text.message import Text


@dataclass(frozen=True, slots=True)
class RunStart:
    """A run that begins.

    `name` is that of its run file, without the ending. `calls` are those planned; None: as many as
    the verdict needs. `afterwards` says what takes time after the last call. `group` holds the
    names of the runs that are shown together, this one among them (for a display that aligns
    them); empty: it is shown alone, or with those of the same `group` before.
    """

    name: str
    calls: int | None = None
    afterwards: Text = ""
    group: tuple[str, ...] = ()


class Events(Protocol):
    """Takes the progress of what the engine does."""

    def started(self, run: RunStart) -> None:
        """A run begins: its worker is started."""

    def sampled(self, name: str, tail: Tail) -> None:
        """The run file of the run `name` was read: `tail.fresh` are new samples, if any.

        Called some 50 times a second, also where nothing is new.
        """

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """Something else that people want to know; a `warning` is of something left out."""

    def ended(self, name: str, outcome: Outcome) -> None:
        """The run `name` has ended; its run file is whole."""


class Silent:
    """Events that nobody is told."""

    def started(self, run: RunStart) -> None:
        """Nothing."""

    def sampled(self, name: str, tail: Tail) -> None:
        """Nothing."""

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """Nothing."""

    def ended(self, name: str, outcome: Outcome) -> None:
        """Nothing."""


SILENT = Silent()
