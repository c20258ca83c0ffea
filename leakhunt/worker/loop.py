"""The measured loop: call, read, write. It keeps nothing.

What is called is given: a variant of a scenario, or the body of a test.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sysconfig
import time
import traceback
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from leakhunt.errors import LeakhuntError
from leakhunt.instruments import Call
from leakhunt.model.run import Phase
from leakhunt.probes import PeakProbe, Probe, choose
from leakhunt.probes.peaks import PeakRssProbe
from leakhunt.scenario.find import builtin_folder
from leakhunt.storage.run_writer import DISK_IS_FULL, Appender, DiskFull, encode
from leakhunt.text.message import message
from leakhunt.worker.input_sizes import obvious_size, obvious_unit
from leakhunt.worker.peak_pass import peak_note
from leakhunt.worker.protocol import Order
from leakhunt.worker.recorder import MeasuredRecorder, UnderInstrument

_FILLING_ROUNDS = 3
_NANOSECONDS = 1_000_000_000
# Where the standard library, installed packages, leakhunt itself and frozen modules are.
_NOT_THE_SCENARIOS = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *(str(Path(__file__).parents[1] / part) for part in ("worker", "scenario", "pytest_plugin")),
    "<frozen",
)
_BUILTIN = f"{builtin_folder()}/"


class Stop:
    """Whether an early end was asked for; settling still follows."""

    def __init__(self) -> None:
        self.requested = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Ask for it, as a signal's handler."""
        self.requested = True


def stop_on_sigterm() -> Stop:
    """The supervisor asks a worker for an early end by that signal."""
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    return stop


def _the_number(state: Any, call: int) -> Any:
    return call


@dataclass(frozen=True, slots=True)
class Body:
    """What a run calls again and again.

    `function` is called with `state` and an input, which `make_input` makes of the state and the
    number of the call, outside the timing. `summarize`, `audio_seconds` and `input_size` are a
    scenario's, if it has them. `module` is the file's that it is in. `numbered_parameter`: of a
    plain function, what gets the number because nothing makes an input for it.
    """

    module: ModuleType
    state: Any
    function: Call
    make_input: Callable[[Any, int], Any] = _the_number
    summarize: Callable[[Any, Any], Any] | None = None
    audio_seconds: Callable[[Any, Any], float] | None = None
    input_size: Callable[[Any, Any], float] | None = None
    numbered_parameter: str = ""


def carry_out(
    order: Order,
    body: Body,
    next_phase: Callable[[], Phase | None],
    appender: Appender,
    stop: Stop,
) -> None:
    """Call the body phase by phase, as `next_phase` says at each pause, and write what is read.

    Raises:
        DiskFull: the disk takes no more samples.
        Exception: whatever the body raises.
    """
    calls = Calls(order, body, appender)
    observer = (
        UnderInstrument(order, body.module, calls) if order.instrument else MeasuredRecorder()
    )
    for line in observer.start():
        appender.append(line)
    while not stop.requested and (phase := next_phase()) is not None:
        appender.append(encode({"record": "phase", **asdict(phase)}))
        try:
            calls.run(phase, stop)
        except Exception:
            if body.numbered_parameter and not calls.done:
                write_note(appender, _advice(body.numbered_parameter))
            raise
        if note := calls.new_input_note():
            appender.append(encode({"record": "note", **note}))
        for line in observer.pause(phase):
            appender.append(line)
    for line in observer.end():
        appender.append(line)
    if stop.requested:
        appender.append(encode({"record": "note", "kind": "stopped"}))
    elif order.takes_peaks and not order.instrument and calls.reads_peaks:
        appender.append(encode({"record": "note", **peak_note(calls.once)}))


class Calls:
    """The measured loop, with everything it needs looked up beforehand."""

    def __init__(self, order: Order, body: Body, appender: Appender) -> None:
        self._supervisor = order.supervisor
        self.state = body.state
        self.function = body.function
        self.done = 0
        self._make_input = body.make_input
        self._summarize = body.summarize
        self._write = appender.append
        kinds = choose(order.context.device).kinds
        self._probes: list[tuple[Probe, int]] = []
        width = 0
        for kind in kinds:
            self._probes.append((kind(), width))
            width += len(kind.series)
        # The high-water marks are set back before the first call of a sample.
        probes = (probe for probe, _ in self._probes)
        self._resets = [probe.reset for probe in probes if isinstance(probe, PeakProbe)]
        self.reads_peaks = PeakRssProbe in kinds
        self._audio_seconds = body.audio_seconds if order.tells_audio else None
        self._input_size = body.input_size
        self._input_unit = order.input_unit
        # What the calls of a sample are told or take comes last: input, audio, time.
        self._input_at = width if order.tells_input else None
        self._is_input_reported = False
        count = width + order.tells_input + order.tells_audio + 1
        self._added = range(width, count)
        self._values = array("q", [0]) * count
        self._line = b'{"record":"sample","call":%d,"values":['
        self._line += b",".join([b"%d"] * count)
        self._line += b"]}\n"

    def run(self, phase: Phase, stop: Stop) -> None:
        """Call, read, write, until the samples are taken or an early end is asked for."""
        values = self._values
        self._fill_free_lists()
        for _ in range(phase.samples):
            if stop.requested or (self._supervisor and os.getppid() != self._supervisor):
                return
            for at in self._added:
                values[at] = 0
            is_first = True
            for _ in range(phase.calls_per_sample):
                call = self.done
                result = self._call(call, is_first)
                self.done = call + 1
                is_first = False
            summary = b"" if self._summarize is None else self._summary(call, result)
            del result
            if phase.collects:
                gc.collect()
            for probe, at in self._probes:
                probe.read(values, at)
            self._write(self._line % (call, *values) + summary)
            del summary

    def new_input_note(self) -> dict[str, Any] | None:
        """In which unit the inputs are measured, once it is known."""
        if self._input_at is None or self._is_input_reported or not self._input_unit:
            return None
        self._is_input_reported = True
        return {"kind": "input", "unit": self._input_unit}

    def once(self, begin: Callable[[], None]) -> int:
        """Make one call, `begin` between its input and it; the size of its input.

        In what the scenario tells: nanoseconds of audio, or the unit of its inputs; 0 if neither.
        """
        item = self._make_input(self.state, self.done)
        begin()
        self.function(self.state, item)
        self.done += 1
        if self._audio_seconds is not None:
            return round(self._audio_seconds(self.state, item) * _NANOSECONDS)
        if self._input_at is None:
            return 0
        return self._size_of(item)

    def _call(self, call: int, is_first: bool) -> Any:
        """The result of one call; its time is added to the sample's."""
        item = self._make_input(self.state, call)
        if self._input_at is not None:
            self._measure(item, self._input_at)
        if is_first:
            for reset in self._resets:
                reset()
        started = time.perf_counter_ns()
        result = self.function(self.state, item)
        self._values[-1] += time.perf_counter_ns() - started
        if self._audio_seconds is not None:
            self._values[-2] += round(self._audio_seconds(self.state, item) * _NANOSECONDS)
        return result

    def _measure(self, item: Any, at: int) -> None:
        """The size of the largest input of a sample."""
        self._values[at] = max(self._values[at], self._size_of(item))

    def _size_of(self, item: Any) -> int:
        if self._input_size is not None:
            return round(self._input_size(self.state, item))
        size = obvious_size(item)
        if size and not self._input_unit:
            self._input_unit = obvious_unit(item)
        return size

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


def write_note(appender: Appender, note: dict[str, Any]) -> None:
    """Write a note, on a full disk as well."""
    with contextlib.suppress(DiskFull):  # the note is in the file all the same
        appender.append(encode({"record": "note", **note}))


def _advice(parameter: str) -> dict[str, Any]:
    """What to do where the first call failed with the call's number as an argument."""
    text = message(
        "run.number-as-argument",
        "Parameter {parameter!r} was given the number of the call (0). Measure a function that"
        " calls this one with what it takes, or add make_input(state, call), which returns that",
        parameter=parameter,
    )
    return {"kind": "advice", "text": text}


def error_note(error: Exception) -> dict[str, Any]:
    """The note on what ended a run."""
    if isinstance(error, OSError) and error.errno in DISK_IS_FULL:
        return {"kind": "disk-full", "text": str(error)}
    code = error.exit_code if isinstance(error, LeakhuntError) else 8
    text = error.text if isinstance(error, LeakhuntError) else describe(error)
    return {"kind": "error", "text": text, "exit_code": code}


def describe(error: BaseException) -> str:
    """``ValueError: no such key (scenario.py:31)``: the deepest frame of the scenario's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_the_scenarios(frame.filename)]
    where = (own or frames)[-1] if frames else None
    place = f" ({Path(where.filename).name}:{where.lineno})" if where else ""
    text = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _is_the_scenarios(file: str) -> bool:
    """Whether it may be a file of the user's, or of a built-in scenario in the package."""
    return file.startswith(_BUILTIN) or not file.startswith(_NOT_THE_SCENARIOS)
