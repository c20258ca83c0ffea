"""The worker: a fresh process that runs one variant, or the body of one test.

Started as ``python -m leakhunt.worker.__main__`` with one JSON order on standard input, and
after it the steps of the run, one each time it pauses. It writes its readings as they come
(`loop`). Its standard output and error are the scenario's own and go to a log file.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from leakhunt.errors import LeakhuntError, MissingRequirement, ScenarioFailed
from leakhunt.scenario import find
from leakhunt.storage.run_writer import Appender, DiskFull, encode
from leakhunt.text.message import message
from leakhunt.text.record import to_record
from leakhunt.worker.calling import EventLoop, UserModule
from leakhunt.worker.collector import set_collector
from leakhunt.worker.description import describe_process
from leakhunt.worker.loop import (
    Stop,
    carry_out,
    describe,
    error_note,
    stop_on_sigterm,
    write_note,
)
from leakhunt.worker.protocol import Channel, Order, open_channel

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Carry out the order on standard input; the exit code is 0 unless something failed."""
    channel = open_channel()
    order = channel.order()
    end_with(order.supervisor)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    return _prepare(order) if order.prepare else obey(order, channel, _carry_out)


def obey(
    order: Order, channel: Channel, carry: Callable[[Order, Channel, Appender], object]
) -> int:
    """Describe this process, and let `carry` make the calls; the exit code."""
    _describe_self(order, channel)
    appender = Appender(order.run_file)
    try:
        carry(order, channel, appender)
    except DiskFull as error:
        write_note(appender, {"kind": "disk-full", "text": str(error)})
        return 1
    except Exception as error:  # the scenario's code may raise anything: it is told, not hidden
        write_note(appender, error_note(error))
        traceback.print_exc()
        return 1
    finally:
        appender.close()
    return 0


def end_with(supervisor: int) -> None:
    """Let the kernel end this process when its supervisor dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        raise SystemExit(message("worker.supervisor-ended", "the supervisor ended"))


def _describe_self(order: Order, channel: Channel) -> None:
    """Answer the supervisor, before any code of the user's runs, and wait for the run file."""
    if order.describes_to < 0:
        return
    described = describe_process(order.context.device, order.inputs, os.environ)
    with open(order.describes_to, "wb") as stream:
        stream.write(encode(described))
    if not channel.wait_for_run_file():
        raise SystemExit(message("worker.supervisor-ended", "the supervisor ended"))


def _prepare(order: Order) -> int:
    """Settle the device, run the scenario's ``prepare``; leave facts or an error as JSON."""
    answer: dict[str, Any]
    try:
        device, facts = _settle_device(order.context.device, order.devices)
        facts |= _user_module(_with_device(order, device), EventLoop()).prepare()
        answer = {"device": device, "facts": {name: str(fact) for name, fact in facts.items()}}
    except LeakhuntError as error:
        answer = {"error": to_record(error.text), "exit_code": error.exit_code}
    except Exception as error:  # the scenario's code may raise anything: it is told, not hidden
        traceback.print_exc()
        description = describe(error)
        answer = {
            "error": to_record(
                message("run.prepare", "{describe} in prepare()", describe=description)
            ),
            "exit_code": ScenarioFailed.exit_code,
        }
    order.run_file.write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _with_device(order: Order, device: str) -> Order:
    return replace(order, context=replace(order.context, device=device))


def _settle_device(requested: str, possible: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    if "cuda" not in possible or requested == "cpu":
        return "cpu", {}
    import torch

    if torch.cuda.is_available():
        return "cuda", {
            "gpu": torch.cuda.get_device_name(),
            "cuda": str(torch.version.cuda),
        }
    if requested == "auto":
        return "cpu", {}
    raise MissingRequirement(
        message(
            "device.no-cuda",
            "device cuda: torch found no CUDA device. Use --device cpu, or a machine with a GPU",
        )
    )


def _carry_out(order: Order, channel: Channel, appender: Appender) -> None:
    stop = stop_on_sigterm()
    if order.provider:
        _provider(order.provider)(order, channel, appender, stop)
        return
    loop = EventLoop()
    module = _user_module(order, loop)
    state = module.setup()
    set_collector(os.environ)
    carry_out(order, module.body(state), channel.next_phase, appender, stop)
    module.teardown(state)
    loop.close()


def _provider(name: str) -> Callable[[Order, Channel, Appender, Stop], None]:
    """The function that `Order.provider` names, in a module that only this run needs."""
    module, _, function = name.partition(":")
    provide: Callable[[Order, Channel, Appender, Stop], None]
    provide = getattr(importlib.import_module(module), function)
    return provide


def _user_module(order: Order, loop: EventLoop) -> UserModule:
    return UserModule(find.load(order.scenario_file, order.module), order, loop)


def leave(code: int) -> NoReturn:
    """End not through the interpreter's own end, which would wait for threads that are left."""
    ctypes.CDLL(None).fflush(None)
    os._exit(code)


if __name__ == "__main__":
    leave(main())
