"""Command lines in files (``run fsmn-vad:naive --calls 400``), carried out by the engine.

A claim names the run that it needs as people would type it. The options are those of the verbs;
what they mean and whether they go together is checked where requests are.
"""

from __future__ import annotations

import shlex
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from leakhunt.engine.events import Events
from leakhunt.engine.hunt import HuntRequest, hunt
from leakhunt.engine.run import RunResult, run
from leakhunt.engine.settings import RunRequest, given_options
from leakhunt.engine.soak_request import Load, SoakRequest
from leakhunt.errors import UsageError
from leakhunt.model.options import JOBS
from leakhunt.reporting.registry import RunRenderer

# Carries out the words after a verb: into a folder, with these files of a report.
CommandLine = Callable[[Sequence[str], Path, Sequence[RunRenderer], Events], RunResult]


class _Parser(ArgumentParser):
    """Raises where argparse prints and exits."""

    def error(self, message: str) -> NoReturn:
        """Refuse the words.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.prog}: {message}")


def _measuring_parser(verb: str) -> _Parser:
    parser = _Parser(verb, add_help=False, allow_abbrev=False, argument_default=SUPPRESS)
    parser.add_argument("target")
    for name in ("calls", "warmup", "calls-per-sample", "threads", "seed"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("collect", "device", "memory-limit"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--resolve", action="store_true")
    # Options of scenarios.
    parser.add_argument("--option", action="append", default=[])
    for name in ("lengths", "audio"):
        parser.add_argument(f"--{name}", default=None)
    return parser


def _run_request(values: dict[str, object]) -> RunRequest:
    pairs = values.pop("option")
    named = {name: values.pop(name) for name in ("lengths", "audio")}
    options = given_options(pairs, named)  # type: ignore[arg-type]
    return RunRequest(options=options, **values)  # type: ignore[arg-type]


def _run(
    words: Sequence[str], out: Path, renderers: Sequence[RunRenderer], events: Events
) -> RunResult:
    values = vars(_measuring_parser("run").parse_args(words))
    # Claims are of times too.
    return run(_run_request(values), renderers, events, out=out, jobs=JOBS)


def _hunt(
    words: Sequence[str], out: Path, renderers: Sequence[RunRenderer], events: Events
) -> RunResult:
    parser = _measuring_parser("hunt")
    parser.add_argument("--with", dest="instruments", default="")
    parser.add_argument("--try", dest="remedies", action="append", default=[])
    parser.add_argument("--pairs", "--rounds", type=int)
    parser.add_argument("--until-ceiling", action="store_true")
    values = vars(parser.parse_args(words))
    instruments = values.pop("instruments")
    own = {name: values.pop(name) for name in ("pairs", "until_ceiling") if name in values}
    request = HuntRequest(
        instruments=tuple(instruments.split(",")) if instruments else (),
        remedies=tuple(values.pop("remedies")),
        measured=_run_request(values),
        **own,
    )
    return hunt(request, renderers, events, out=out)


def _soak(
    words: Sequence[str], out: Path, renderers: Sequence[RunRenderer], events: Events
) -> RunResult:
    from leakhunt.engine.soak import soak  # it needs psutil, which others do not

    parser = _Parser("soak", add_help=False, allow_abbrev=False, argument_default=SUPPRESS)
    parser.add_argument("target", nargs="?")
    for name in ("command", "url", "ready", "memory-limit", "locust"):
        parser.add_argument(f"--{name}")
    for name in ("pid", "seed"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--timeout", type=float)
    for name in ("hunt", "resolve", "leave-running", "by-route"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--no-agent", dest="agent", action="store_false")
    parser.add_argument("--option", action="append", default=[])
    for name in ("locustfile", "audio", "post", "field", "expect", "duration"):
        parser.add_argument(f"--{name}")
    for name in ("users", "requests"):
        parser.add_argument(f"--{name}", type=int)
    values = vars(parser.parse_args(words))
    options = given_options(values.pop("option"), {})
    of_the_load = {each.name: values.pop(each.name) for each in fields(Load) if each.name in values}
    further = tuple(shlex.split(values.pop("locust", "")))
    load = Load(**of_the_load, locust_options=further)
    request = SoakRequest(options=options, load=load, **values)
    return soak(request, renderers, events, out=out)


COMMAND_LINES: Mapping[str, CommandLine] = {"run": _run, "hunt": _hunt, "soak": _soak}
