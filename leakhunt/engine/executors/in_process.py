"""Runs of a function in this process: cheap, and open to whatever else goes on in it.

Nothing is started, limited or put under an instrument. What other threads keep shows as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from leakhunt.engine.events import Events
from leakhunt.engine.executors import Workplace
from leakhunt.errors import CannotWrite, UsageError
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Outcome, Run
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.runner.in_process import measure_here
from leakhunt.runner.prepared import order_for
from leakhunt.runner.supervisor import Progress
from leakhunt.storage import run_file
from leakhunt.storage.follow import Tail
from leakhunt.storage.run_writer import DiskFull
from leakhunt.text.message import message, word
from leakhunt.worker.calling import EventLoop, UserModule
from leakhunt.worker.protocol import Order

Function = Callable[..., Any]


def scenario_of(function: Function) -> Scenario:
    """A function as a scenario with one variant, which only this process can run."""
    name = getattr(function, "__name__", type(function).__name__)
    named = name if name.isidentifier() else "function"  # a lambda's is none
    devices = ("cpu", "cuda")
    summary = (inspect.getdoc(function) or "").partition("\n")[0]
    return Scenario(
        name=named,
        file=_file_of(function),
        summary=summary,
        variants=(Variant(named, named, summary, devices),),
        options=(),
        devices=devices,
        extra=None,
        requires=(),
        result_kind="equal",
        default_calls=None,
        prepares=False,
        plain=True,
    )


def _file_of(function: Function) -> str:
    try:
        return inspect.getsourcefile(function) or ""
    except TypeError:  # a builtin, or an object that can be called
        return ""


class InProcess:
    """Calls one function in this process, with the arguments that its parameters name."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def prepare(self, settings: Settings, folder: Path, scratch: Path, events: Events) -> Workplace:
        """Nothing to settle, but whether the function can be called.

        Raises:
            UsageError: nobody says what one of its parameters is given; or it is a coroutine
                function, and an event loop runs here.
        """
        if inspect.iscoroutinefunction(self._function):
            _refuse_a_running_loop()
        here = _Here(self._function, settings, folder, scratch)
        here.refuse_what_cannot_be_called()
        return here


def _refuse_a_running_loop() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        message(
            "in-process.loop-running",
            "an event loop is already running, as in a notebook. Measure the coroutine"
            " function from a module, in its own process",
        )
    )


class _Here:
    """Where the function is called."""

    def __init__(self, function: Function, settings: Settings, folder: Path, scratch: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._scratch = scratch
        (self._variant,) = settings.variants
        self._module = ModuleType(self._variant.function)
        setattr(self._module, self._variant.function, function)

    @property
    def device(self) -> str:
        """``cuda`` where it was asked for."""
        return "cuda" if self._settings.device == "cuda" else "cpu"

    def refuse_what_cannot_be_called(self) -> None:
        """Nothing, or an error.

        Raises:
            UsageError: it cannot be called with what a call is given.
        """
        loop = EventLoop()
        UserModule(self._module, self._order(self._variant.name), loop).body(None)
        loop.close()

    def carry_out(self, plan: Plan, name: str, progress: Progress) -> Outcome:
        """Call it as the plan says; what it raises is an outcome, and so is an interrupt.

        Raises:
            CannotWrite: the disk does not take the run file.
        """
        order, loop = self._order(name), EventLoop()
        try:
            measure_here(plan, order, UserModule(self._module, order, loop).body(None), {})
        except CannotWrite:
            raise
        except DiskFull as error:
            raise CannotWrite(
                message(
                    "file.cannot-write",
                    "{file}: {strerror}. Free some space, or choose another name",
                    file=order.run_file,
                    strerror=word(str(error)),
                )
            ) from error
        except (KeyboardInterrupt, SystemExit, Exception):  # noqa: S110 - the run file tells it
            pass
        finally:
            loop.close()
        with Tail(order.run_file) as tail:
            tail.follow()
            progress(tail)
        return self.load(name).outcome

    def load(self, name: str) -> Run:
        """The run that was carried out under this name."""
        return run_file.load(self._folder / f"{name}{run_file.SUFFIX}")

    def _order(self, name: str) -> Order:
        path = self._folder / f"{name}{run_file.SUFFIX}"
        order = order_for(self._settings, self._variant, self.device, self._scratch, path)
        return replace(order, supervisor=0)
