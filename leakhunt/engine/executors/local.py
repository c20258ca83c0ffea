"""Runs in fresh processes on this machine, one after the other."""

from __future__ import annotations

from pathlib import Path

from leakhunt.engine.events import Events
from leakhunt.engine.executors import Workplace
from leakhunt.model.options import Settings
from leakhunt.runner.prepared import PreparedScenario, needs_preparing, prepared_for
from leakhunt.text.message import message


class Local:
    """A fresh process a run."""

    def prepare(self, settings: Settings, folder: Path, scratch: Path, events: Events) -> Workplace:
        """Run the scenario's ``prepare``, where it has one, in a process of its own.

        Raises:
            LeakhuntError: the scenario cannot start here.
        """
        is_needed = needs_preparing(settings)
        if is_needed:
            name = settings.scenario.name
            events.noted(message("run.preparing", "preparing {name} ...", name=name))
        prepared = prepared_for(settings, folder, scratch)
        if is_needed:
            for name, fact in prepared.facts.items():
                events.noted(f"  {name}: {fact}")
        return PreparedScenario(settings, prepared, folder, scratch)


LOCAL = Local()
