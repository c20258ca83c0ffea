"""A scenario that is prepared, whose runs are carried out one after the other and told of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from leakhunt.engine.events import Events, RunStart
from leakhunt.engine.executors import Executor, Workplace
from leakhunt.errors import ScenarioFailed
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Run
from leakhunt.model.scenario import Variant
from leakhunt.runner.prepared import PREPARE_LOG, variants_for
from leakhunt.storage.follow import Tail
from leakhunt.text.message import Text, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A scenario that is prepared: `variants` are those that make sense on its device."""

    settings: Settings
    workplace: Workplace
    variants: tuple[Variant, ...]
    folder: Path
    events: Events

    def carry_out(
        self, plan: Plan, name: str, group: tuple[str, ...] = (), stop: Event | None = None
    ) -> Run:
        """Carry out a plan into the run file `name`; the run, which tells how it ended.

        `group` are the names of the runs that are shown together with it. Once `stop` is set, the
        run ends as if the user had ended it.

        Raises:
            CannotWrite: the disk does not take the run file.
        """
        afterwards: Text = ""
        if plan.instrument is not None:
            afterwards = message("run.looking-through", "analyzing")
        self.events.started(RunStart(name, plan.calls, afterwards, group or (name,)))

        def sampled(tail: Tail) -> None:
            if stop is not None and stop.is_set():
                raise KeyboardInterrupt
            self.events.sampled(name, tail)

        outcome = self.workplace.carry_out(plan, name, sampled)
        self.events.ended(name, outcome)
        return self.workplace.load(name)


@contextmanager
def session(
    settings: Settings, folder: Path, events: Events, executor: Executor
) -> Iterator[Session]:
    """Prepare the scenario; its scratch folder lasts as long as the session.

    Where it cannot start, the new `folder` goes, unless a log in it tells more.

    Raises:
        LeakhuntError: the scenario cannot start here.
    """
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        try:
            workplace = executor.prepare(settings, folder, Path(scratch), events)
            variants = tuple(variants_for(settings, workplace.device))
        except ScenarioFailed:
            raise  # the log in the folder tells more
        except BaseException:
            (folder / PREPARE_LOG).unlink(missing_ok=True)
            folder.rmdir()
            raise
        yield Session(
            settings=settings,
            workplace=workplace,
            variants=variants,
            folder=folder,
            events=events,
        )
