"""What the supervisor tells a worker, as lines of JSON on the worker's standard input."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import IO, Any

from leakhunt.model.attribution import Instrument
from leakhunt.model.run import Phase, Purpose
from leakhunt.model.series import AUDIO, INPUT
from leakhunt.scenario.contract import Context


@dataclass(frozen=True, slots=True)
class TestItem:
    """A test of pytest's, whose body is to be measured.

    `node` is its node id, `file` its file. `turn` is which use of the fixture `leakhunt` in it is
    measured; None: the body itself. `earlier` are the run files of the uses before that. pytest is
    started in `folder` with `path` as `sys.path`, with `arguments` and the `options` that its
    parent has come to; `options` are plain JSON. `whole`: the test is repeated with its fixtures,
    and no repeat is begun after `seconds`.
    """

    node: str
    file: str
    turn: int | None
    earlier: tuple[str, ...]
    folder: str
    path: tuple[str, ...]
    arguments: tuple[str, ...]
    options: Mapping[str, Any]
    whole: bool = False
    seconds: float = inf


@dataclass(frozen=True, slots=True)
class Order:
    """One worker's task.

    `supervisor` is the process that it ends with; 0: none. `run_file` is where it appends; for a
    `prepare` order it is where the answer goes. `function` is the variant's function in the
    scenario file, which is imported as `module` where it is part of a package; `plain`: it marks no
    variant. `devices` are those the scenario knows; `instrument` watches the run, if it is not to
    be measured; `tells_audio`: the scenario says how much audio a call's input is; `tells_input`: a
    call's input has a size, in `input_unit` where the scenario says so (else that of bytes, texts
    and arrays is found); `takes_peaks`: a few calls after the run show what each takes at its
    height; `environment` is added to the worker's. `interpreter` is the Python that runs it; empty:
    this one. `provider` names who finds what is called, where it is no variant of a scenario, as
    ``module:function``; the worker calls it with this order, the channel, the appender and the
    stop. `test` is then the test whose body is measured. `describes_to` is the descriptor of a
    pipe: the worker describes itself there (`worker.description`) and waits until the run file
    exists; -1: nobody asks. The steps of the run follow on the same channel, one each time the
    worker pauses.
    """

    prepare: bool
    supervisor: int
    scenario_file: str
    function: str
    devices: tuple[str, ...]
    run_file: Path
    context: Context
    instrument: Instrument | None = None
    tells_audio: bool = False
    tells_input: bool = False
    input_unit: str = ""
    takes_peaks: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: str = ""
    provider: str = ""
    test: TestItem | None = None
    module: str = ""
    plain: bool = False
    describes_to: int = -1

    @property
    def inputs(self) -> tuple[str, ...]:
        """The series that say how big a call's input is, in their order."""
        reported = {INPUT: self.tells_input, AUDIO: self.tells_audio}
        return tuple(name for name, is_reported in reported.items() if is_reported)


def write_order(order: Order) -> bytes:
    """The order as a line of JSON."""
    return json.dumps(asdict(order), default=str).encode() + b"\n"


def write_go() -> bytes:
    """That the run file exists, as a line of JSON."""
    return b"true\n"


def write_phase(phase: Phase | None) -> bytes:
    """What to do next, as a line of JSON; None: settle and end."""
    return json.dumps(None if phase is None else asdict(phase)).encode() + b"\n"


class Channel:
    """The worker's end: the order first, then a phase each time it asks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def order(self) -> Order:
        """The order that `write_order` wrote."""
        fields: dict[str, Any] = json.loads(self._stream.readline())
        context = fields.pop("context")
        context["scratch"] = Path(context["scratch"])
        context["folder"] = Path(context["folder"])
        fields["run_file"] = Path(fields["run_file"])
        fields["devices"] = tuple(fields["devices"])
        if fields["instrument"] is not None:
            fields["instrument"] = Instrument(fields["instrument"])
        if fields["test"] is not None:
            test = fields["test"]
            lists = {name: tuple(test[name]) for name in ("earlier", "path", "arguments")}
            fields["test"] = TestItem(**test | lists)
        return Order(**fields, context=Context(**context))

    def wait_for_run_file(self) -> bool:
        """Wait until the run file exists; False: the supervisor hung up."""
        return bool(self._stream.readline())

    def next_phase(self) -> Phase | None:
        """Wait for the next phase; None: settle and end, also where the supervisor hung up."""
        fields = json.loads(self._stream.readline() or b"null")
        return None if fields is None else Phase(**fields | {"purpose": Purpose(fields["purpose"])})


def open_channel() -> Channel:
    """Take standard input for ourselves; the scenario's own code finds it empty."""
    stream = os.fdopen(os.dup(0), "rb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return Channel(stream)
