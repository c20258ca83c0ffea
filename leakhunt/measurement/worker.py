"""The worker: a fresh process that runs one variant and writes its readings as they come.

Started as ``python -m leakhunt.measurement.worker`` with one JSON order on standard input, and
after it the steps of the run, one each time it pauses. The loop does three things: call, read,
write; it keeps nothing. Its standard output and error are the scenario's own and go to a log file.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import gc
import json
import os
import signal
import sys
import sysconfig
import time
import traceback
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import objgraph

from leakhunt import scenario
from leakhunt.errors import LeakhuntError, MissingRequirement
from leakhunt.instruments import Watched, watch
from leakhunt.instruments.frames import Places
from leakhunt.language import mark
from leakhunt.measurement.order import Channel, Order, open_channel
from leakhunt.measurement.settle import (
    collected_reading,
    full_reading,
    mappings,
    settle,
    start_reading,
)
from leakhunt.model import Phase, Purpose, Reading
from leakhunt.probes import Probe, choose
from leakhunt.store import SUFFIX, Appender, DiskFull, encode

_PR_SET_PDEATHSIG = 1
_TYPES_SHOWN = 12
_MAPPINGS_SHOWN = 5
_FILLING_ROUNDS = 3
_NANOSECONDS = 1_000_000_000
# Where the standard library, installed packages, leakhunt itself and frozen modules are.
_NOT_THE_SCENARIOS = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    str(Path(__file__).parents[1] / "measurement"),
    "<frozen",
)


class Stop:
    """Whether the supervisor asked for an early end; settling still follows."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def main() -> int:
    """Carry out the order on standard input; the exit code is 0 unless something failed."""
    channel = open_channel()
    order = channel.order()
    _end_with(order.supervisor)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if order.prepare:
        return _prepare(order)
    appender = Appender(order.run_file)
    try:
        _carry_out(order, channel, appender)
    except DiskFull as error:
        _tell(appender, {"kind": "disk-full", "text": str(error)})
        return 1
    except Exception as error:  # the scenario's code may raise anything: it is told, not hidden
        _tell(appender, _error_note(error))
        traceback.print_exc()
        return 1
    finally:
        appender.close()
    return 0


def _end_with(supervisor: int) -> None:
    """Let the kernel end this process when its supervisor dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        raise SystemExit(mark("the supervisor is gone"))


def _prepare(order: Order) -> int:
    """Settle the device, run the scenario's ``prepare``; leave facts or an error as JSON."""
    answer: dict[str, Any]
    try:
        device, facts = _settle_device(order.context.device, order.devices)
        module = scenario.load(order.scenario_file)
        if hasattr(module, "prepare"):
            facts |= module.prepare(_with_device(order, device).context)
        answer = {"device": device, "facts": {name: str(fact) for name, fact in facts.items()}}
    except LeakhuntError as error:
        answer = {"error": str(error), "exit_code": error.exit_code}
    except Exception as error:  # the scenario's code may raise anything: it is told, not hidden
        traceback.print_exc()
        answer = {
            "error": mark("{describe} in prepare()").format(describe=_describe(error)),
            "exit_code": 8,
        }
    order.run_file.write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _with_device(order: Order, device: str) -> Order:
    return replace(order, context=replace(order.context, device=device))


def _settle_device(asked: str, possible: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    if "cuda" not in possible or asked == "cpu":
        return "cpu", {}
    import torch

    if torch.cuda.is_available():
        return "cuda", {
            "gpu": torch.cuda.get_device_name(),
            "cuda": str(torch.version.cuda),
        }
    if asked == "auto":
        return "cpu", {}
    raise MissingRequirement(
        mark(
            "device cuda: torch sees no CUDA device here; use --device cpu, or a machine with a GPU"
        )
    )


def _carry_out(order: Order, channel: Channel, appender: Appender) -> None:
    stop = Stop()
    module = scenario.load(order.scenario_file)
    state = module.setup(order.context)
    calls = _Calls(order, module, state, appender)
    observer = _Watched(order, module, calls) if order.instrument else _Measured()
    for line in observer.start():
        appender.append(line)
    while not stop.asked and (phase := channel.next_phase()) is not None:
        appender.append(encode({"record": "phase", **asdict(phase)}))
        calls.run(phase, stop)
        for line in observer.pause(phase):
            appender.append(line)
    for line in observer.end():
        appender.append(line)
    if stop.asked:
        appender.append(encode({"record": "note", "kind": "stopped"}))
    if hasattr(module, "teardown"):
        module.teardown(state)


class _Measured:
    """What a measured run writes beside its samples: full readings, and what there is more of."""

    def start(self) -> Iterator[bytes]:
        """The reading before the first call."""
        # Kept from before the readings it would otherwise show up in.
        self._inventory = _Inventory()
        start = start_reading()
        self._last = (start, start)
        yield _reading(start)

    def pause(self, phase: Phase) -> Iterator[bytes]:
        """The readings after a phase."""
        before = full_reading("look")
        if phase.purpose is Purpose.WARM_UP:
            self._inventory = _Inventory()
        # What is live is known only just after a collection, and the collector keeps its own pace.
        self._last = (before, collected_reading())
        yield from map(_reading, self._last)

    def end(self) -> Iterator[bytes]:
        """The settling, and the inventory."""
        yield from map(_reading, settle(self._last))
        yield from self._inventory.growth()


class _Watched:
    """What a run under an instrument writes beside its samples: its marks and its findings."""

    def __init__(self, order: Order, module: ModuleType, calls: _Calls) -> None:
        assert order.instrument is not None
        self._calls = calls
        self._name = order.instrument
        self._is_on = False
        self._failures: list[str] = []
        self._watch = watch(
            Watched(
                instrument=order.instrument,
                state=calls.state,
                module=module,
                places=Places(order.scenario_file),
                capture=order.run_file.with_name(order.run_file.name.removesuffix(SUFFIX)),
            )
        )

    def start(self) -> Iterator[bytes]:
        """Nothing is watched yet."""
        yield encode({"record": "mark", "calls": 0})

    def pause(self, phase: Phase) -> Iterator[bytes]:
        """Start to watch after the first phase; count after every other."""
        del phase
        if not self._is_on:
            self._is_on = True
            self._calls.function = self._watch.start(self._calls.function)
        else:
            with self._telling("count"):
                self._watch.mark(self._calls.done)
        yield encode({"record": "mark", "calls": self._calls.done})

    def end(self) -> Iterator[bytes]:
        """What was found."""
        with self._telling(mark("tell what it saw")):
            for finding in self._watch.findings():
                yield encode({"record": "finding", **asdict(finding)})
        caveats = [*self._watch.caveats, *self._failures]
        yield encode({"record": "note", "kind": "watched", "caveats": caveats})

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """An instrument that fails is no failure of the scenario: it is told, and that is all."""
        try:
            yield
        except (DiskFull, MissingRequirement):
            raise
        except Exception as error:  # it looks at objects that may do anything
            traceback.print_exc()
            told = mark("{name} could not {what} ({kind}: {error})").format(
                name=self._name, what=what, kind=type(error).__name__, error=error
            )
            self._failures.append(told)


class _Calls:
    """The measured loop, with everything it needs looked up beforehand."""

    def __init__(self, order: Order, module: ModuleType, state: Any, appender: Appender) -> None:
        self._supervisor = order.supervisor
        self.state = state
        self.function: Callable[[Any, Any], Any] = getattr(module, order.function)
        self.done = 0
        self._make_input: Callable[[Any, int], Any] = getattr(
            module, "make_input", lambda state, call: call
        )
        self._summarize: Callable[[Any, Any], Any] | None = getattr(module, "summarize", None)
        self._write = appender.append
        kinds = choose(order.context.device).kinds
        self._probes: list[tuple[Probe, int]] = []
        width = 0
        for kind in kinds:
            self._probes.append((kind(), width))
            width += len(kind.series)
        self._audio_seconds: Callable[[Any, Any], float] | None = (
            module.audio_seconds if order.tells_audio else None
        )
        # What is added up over the calls of a sample comes last: time, and before it audio.
        self._added = range(width, width + (2 if order.tells_audio else 1))
        self._values = array("q", [0]) * self._added.stop
        self._line = b'{"record":"sample","call":%d,"values":['
        self._line += b",".join([b"%d"] * self._added.stop)
        self._line += b"]}\n"

    def run(self, phase: Phase, stop: Stop) -> None:
        """Call, read, write, until the samples are taken or an early end is asked for."""
        values = self._values
        self._fill_free_lists()
        for _ in range(phase.samples):
            if stop.asked or os.getppid() != self._supervisor:
                return
            for at in self._added:
                values[at] = 0
            for _ in range(phase.calls_per_sample):
                call = self.done
                result = self._call(call)
                self.done = call + 1
            summary = b"" if self._summarize is None else self._summary(call, result)
            del result
            if phase.collects:
                gc.collect()
            for probe, at in self._probes:
                probe.read(values, at)
            self._write(self._line % (call, *values) + summary)
            del summary

    def _call(self, call: int) -> Any:
        """The result of one call; its time is added to the sample's."""
        item = self._make_input(self.state, call)
        started = time.perf_counter_ns()
        result = self.function(self.state, item)
        self._values[-1] += time.perf_counter_ns() - started
        if self._audio_seconds is not None:
            self._values[-2] += round(self._audio_seconds(self.state, item) * _NANOSECONDS)
        return result

    def _fill_free_lists(self) -> None:
        """Read and format without writing: a collection has emptied the interpreter's free lists.

        Their refilling would show as growth of a block or two in the first samples after it.
        """
        for _ in range(_FILLING_ROUNDS):
            for probe, at in self._probes:
                probe.read(self._values, at)
            _ = self._line % (0, *self._values)

    def _summary(self, call: int, result: Any) -> bytes:
        assert self._summarize is not None
        value = self._summarize(self.state, result)
        return encode({"record": "result", "call": call, "value": value})


def _reading(reading: Reading) -> bytes:
    return encode({"record": "settle", **asdict(reading)})


class _Inventory:
    """What there is at the end of the warm-up, to be compared with what there is at the end."""

    def __init__(self) -> None:
        self._mappings = mappings()
        self._types = _count_types()

    def growth(self) -> Iterator[bytes]:
        """Which types of tracked objects there are more of, and which mappings grew most."""
        types = (_count_types() - self._types).most_common(_TYPES_SHOWN)
        yield encode({"record": "note", "kind": "types", "growth": types})
        grown = [
            (kind, number - self._mappings.get(kind, (0, 0))[0], size - before)
            for kind, (number, size) in mappings().items()
            if size > (before := self._mappings.get(kind, (0, 0))[1])
        ]
        grown.sort(key=lambda entry: -entry[2])
        yield encode({"record": "note", "kind": "mappings", "growth": grown[:_MAPPINGS_SHOWN]})


def _count_types() -> Counter[str]:
    gc.collect()
    return Counter(objgraph.typestats(shortnames=False))


def _tell(appender: Appender, note: dict[str, Any]) -> None:
    with contextlib.suppress(DiskFull):  # the note is in the file all the same
        appender.append(encode({"record": "note", **note}))


def _error_note(error: Exception) -> dict[str, Any]:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"kind": "disk-full", "text": str(error)}
    code = error.exit_code if isinstance(error, LeakhuntError) else 8
    text = str(error) if isinstance(error, LeakhuntError) else _describe(error)
    return {"kind": "error", "text": text, "exit_code": code}


def _describe(error: BaseException) -> str:
    """``ValueError: no such key (scenario.py:31)``: the deepest frame of the scenario's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_SCENARIOS)]
    where = (own or frames)[-1] if frames else None
    place = f" ({Path(where.filename).name}:{where.lineno})" if where else ""
    text = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


if __name__ == "__main__":
    code = main()
    # Not through the interpreter's own end, which would wait for threads that a scenario left.
    ctypes.CDLL(None).fflush(None)
    os._exit(code)
