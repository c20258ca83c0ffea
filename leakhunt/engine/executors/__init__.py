"""Where runs are carried out: in fresh processes (`local`), or in this one (`in_process`).

An executor prepares a scenario; what comes back carries out its plans, one run file each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from leakhunt.engine.events import Events
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Outcome, Run
from leakhunt.runner.supervisor import Progress


class Workplace(Protocol):
    """A scenario that is prepared, and where its runs go."""

    @property
    def device(self) -> str:
        """The device in use: ``cpu`` or ``cuda``."""

    def carry_out(self, plan: Plan, name: str, progress: Progress) -> Outcome:
        """Carry out a plan into the run file `name`, which is whole when this returns.

        Raises:
            CannotWrite: the disk does not take it; every sample so far is in it.
        """

    def load(self, name: str) -> Run:
        """The run that was carried out under this name."""


class Executor(Protocol):
    """Makes workplaces."""

    def prepare(self, settings: Settings, folder: Path, scratch: Path, events: Events) -> Workplace:
        """Prepare the scenario of `settings`, whose run files go to `folder`.

        `scratch` is a folder that lasts as long as the workplace is used. `events` are told what
        the scenario's ``prepare`` settled.

        Raises:
            LeakhuntError: the scenario cannot start here.
        """
