"""``hunt``: measure, find out who keeps what grows, and try remedies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors import Executor
from leakhunt.engine.executors.local import LOCAL
from leakhunt.engine.explain import explained, why_not
from leakhunt.engine.formats import with_flames
from leakhunt.engine.remedies import remedies_named, try_remedies
from leakhunt.engine.run import RunResult, measure_variants, result_of
from leakhunt.engine.session import session
from leakhunt.engine.settings import RunRequest, settings_of
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Instrument
from leakhunt.model.options import PAIRS
from leakhunt.reporting.registry import RunRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import message


@dataclass(frozen=True, slots=True)
class HuntRequest:
    """What ``hunt`` is asked for, beside what is measured.

    `instruments` are used in this order, also where nothing grows; empty: those that see what
    grows. `remedies` are tried in `pairs` of runs, before and after: ``NAME=VALUE,...``
    (environment), ``option:NAME=VALUE``, ``variant:NAME``, ``allocators`` (glibc's settings and
    those that are installed), ``gc:freeze`` (after setup), ``gc:off``, ``gc:50000,20,20`` (the
    collector's thresholds), or the id of a known cause. `until_ceiling`: a bounded cache is
    verified by a run past its ceiling. `flame`: flame graphs of what stays are among the files, as
    a page and for speedscope, and memray's captures for its own.
    """

    measured: RunRequest
    instruments: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    pairs: int = PAIRS
    until_ceiling: bool = False
    flame: bool = False


def hunt(
    request: HuntRequest,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    executor: Executor = LOCAL,
) -> RunResult:
    """Measure as `run` does; where something grows, find out who keeps it, and try the remedies.

    Raises:
        LeakhuntError: as for `run`; also where an instrument or a remedy makes no sense here.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    wanted = _instruments_named(request.instruments)
    measured = request.measured
    if Instrument.CUDA in wanted and measured.device == "auto":
        measured = replace(measured, device="cuda")
    settings = settings_of(measured)
    for instrument in wanted:
        if (reason := why_not(instrument, settings.device)) is not None:
            raise MissingRequirement(
                message(
                    "hunt.instrument",
                    "--with {instrument}: {reason}",
                    instrument=instrument,
                    reason=reason,
                )
            )
    remedies = remedies_named(request.remedies, settings)
    if request.pairs < 2:
        raise UsageError(
            message(
                "argument.too-few-pairs", "pairs={pairs}: expected 2 or more", pairs=request.pairs
            )
        )
    folder = new_folder(out, settings.scenario.name)
    with session(settings, folder, events, executor) as prepared:
        runs = measure_variants(prepared)
        to_judge = tuple(runs)
        hunts = (
            explained(prepared, run, wanted, until_ceiling=request.until_ceiling)
            for run in to_judge
        )
        tries = (try_remedies(prepared, run, remedies, request.pairs) for run in to_judge)
        further = chain.from_iterable(chain(hunts, tries))
        while not runs[-1].is_interrupted and (following := next(further, None)) is not None:
            runs.append(following)
    if not request.flame:
        return result_of(folder, runs, to_judge, renderers)
    result = result_of(folder, runs, to_judge, with_flames(renderers))
    return replace(result, files=(*result.files, *_captures(result)))


def _captures(result: RunResult) -> Iterator[Path]:
    """Memray's own files of what the flame graphs show."""
    for entry in result.report.entries:
        for flame in entry.flames:
            if flame.capture and (file := result.folder / flame.capture).is_file():
                yield file


def _instruments_named(words: Sequence[str]) -> tuple[Instrument, ...]:
    if set(words) <= set(GROWTH_INSTRUMENTS):
        return tuple(map(Instrument, dict.fromkeys(words)))
    raise UsageError(
        message(
            "hunt.unknown-instrument",
            "--with {named}: unknown instrument. Use {instrument}",
            named=",".join(words),
            instrument=", ".join(GROWTH_INSTRUMENTS),
        )
    )
