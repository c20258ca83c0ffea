"""``hunt``: measure, and run again under the instruments that see what grows.

`under_instruments` is the only loop that hunts: of scenarios, of what is gated, of tests, of soaks
and of workloads of known truth.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from leakhunt.analysis.attribution.attribute import attribute, is_growing
from leakhunt.analysis.attribution.ceiling import ceiling_plan
from leakhunt.analysis.attribution.instrument_choice import next_instrument
from leakhunt.analysis.attribution.windows import instrumented_plan
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.cost import cost
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors import Executor
from leakhunt.engine.executors.local import LOCAL
from leakhunt.engine.remedies import remedies_named, try_remedies
from leakhunt.engine.run import RunResult, is_interrupted, measure_variants, result_of
from leakhunt.engine.session import Session, session
from leakhunt.engine.settings import RunRequest, settings_of
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.attribution import Instrument
from leakhunt.model.options import PAIRS
from leakhunt.model.plan import Plan
from leakhunt.model.run import Run
from leakhunt.model.verdict import Verdict
from leakhunt.reporting.registry import RunRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import Message, message

# A run past a ceiling that would be longer is not begun.
MOST_CEILING_CALLS = 200_000
MOST_CEILING_HOURS = 4.0

# Carries out a plan into the run file of that name, and gives the run.
Carrier = Callable[[Plan, str], Run]


def under_instruments(
    run: Run,
    verdict: Verdict,
    carry: Carrier,
    *,
    prefix: str = "",
    usable: Collection[Instrument] = tuple(Instrument),
    wanted: Sequence[Instrument] = (),
    plan_under: Callable[[Run, Instrument], Plan] = instrumented_plan,
) -> Iterator[Run]:
    """The same work again under one instrument after the other, until the growth is explained.

    Each run is given as it ends, so that who goes on may stop between two; one that was interrupted
    is the last. None comes where nothing grows, unless instruments are `wanted`: then those, in
    that order. `prefix` comes before the instrument in the names of the run files; default:
    ``VARIANT.under-``. `plan_under` is what a run under an instrument does.
    """
    prefix = prefix or f"{run.plan.variant}.under-"
    done: list[Run] = []
    while True:
        instrument = (
            next(iter(wanted[len(done) :]), None)
            if wanted
            else next_instrument(run, verdict, done, usable)
        )
        if instrument is None:
            return
        done.append(carry(plan_under(run, instrument), f"{prefix}{instrument}"))
        yield done[-1]
        if is_interrupted(done[-1]):
            return


def usable_on(device: str) -> tuple[Instrument, ...]:
    """The instruments that can be used here, of a run on that device."""
    return tuple(each for each in Instrument if why_not(each, device) is None)


def why_not(instrument: Instrument, device: str) -> Message | None:
    """Why an instrument cannot be used here, and what to do; None: it can."""
    if instrument is Instrument.MEMRAY and find_spec("memray") is None:
        return message(
            "instrument.memray-missing",
            "memray is not installed (Linux and macOS only). Install with: pip install memray",
        )
    if instrument is Instrument.CUDA and device != "cuda":
        return message(
            "instrument.no-cuda",
            "the scenario runs on {device} here; use --device cuda on a machine with a GPU",
            device=device,
        )
    return None


@dataclass(frozen=True, slots=True)
class HuntRequest:
    """What ``hunt`` is asked for, beside what is measured.

    `instruments` are used in this order, also where nothing grows; empty: those that see what
    grows. `remedies` are tried in `pairs` of runs, before and after: ``NAME=VALUE,...``
    (environment), ``option:NAME=VALUE``, ``variant:NAME``, ``allocators`` (glibc's settings and
    those that are installed), or the id of a known cause.
    `until_ceiling`: a bounded cache is verified by a run past its ceiling.
    """

    measured: RunRequest
    instruments: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    pairs: int = PAIRS
    until_ceiling: bool = False


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
        hunts = (_hunted(prepared, run, wanted, request.until_ceiling) for run in to_judge)
        tries = (try_remedies(prepared, run, remedies, request.pairs) for run in to_judge)
        further = chain.from_iterable(chain(hunts, tries))
        while not is_interrupted(runs[-1]) and (following := next(further, None)) is not None:
            runs.append(following)
    return result_of(folder, runs, to_judge, renderers)


def _instruments_named(words: Sequence[str]) -> tuple[Instrument, ...]:
    try:
        return tuple(map(Instrument, dict.fromkeys(words)))
    except ValueError:
        raise UsageError(
            message(
                "hunt.unknown-instrument",
                "--with {named}: unknown instrument. Use {instrument}",
                named=",".join(words),
                instrument=", ".join(Instrument),
            )
        ) from None


def _hunted(
    prepared: Session, run: Run, wanted: Sequence[Instrument], until_ceiling: bool
) -> Iterator[Run]:
    """A measured variant again: under instruments, and past the ceiling of its cache."""
    verdict = judge(run)
    if not run.calls_done or not (wanted or is_growing(verdict)):
        return
    variant = run.plan.variant
    usable = usable_on(run.plan.device)
    group = tuple(f"{variant}.under-{each}" for each in Instrument)
    found: list[Run] = []
    carry = partial(prepared.carry_out, group=group)
    for each in under_instruments(run, verdict, carry, usable=usable, wanted=wanted):
        found.append(each)
        yield each
    attribution = attribute(run, verdict, found)
    if until_ceiling and attribution.ceiling_calls is not None:
        too_far = _too_far(run, verdict, attribution.ceiling_calls)
        if too_far is not None:
            prepared.events.noted(
                message(
                    "hunt.not-until-ceiling",
                    "{variant}: ceiling not verified: {too_far}",
                    variant=variant,
                    too_far=too_far,
                )
            )
            return
        plan = ceiling_plan(run.plan, attribution.ceiling_calls)
        yield prepared.carry_out(plan, f"{variant}.until-ceiling")


def _too_far(run: Run, verdict: Verdict, ceiling_calls: int) -> Message | None:
    """Why a ceiling cannot be verified by a run past it; None: it can."""
    if verdict.forecast is not None and verdict.forecast.comes_within(ceiling_calls):
        return message(
            "hunt.ceiling-after-memory",
            "the ceiling is {ceiling_calls:,} calls away, and memory runs out before",
            ceiling_calls=ceiling_calls,
        )
    spent = cost(run, None)
    hours = ceiling_calls * (spent.median_seconds if spent else 0.0) / 3600
    if ceiling_calls > MOST_CEILING_CALLS or hours > MOST_CEILING_HOURS:
        return message(
            "hunt.ceiling-too-late",
            "the ceiling is {ceiling_calls:,} calls away, about {hours:,.1f} hours",
            ceiling_calls=ceiling_calls,
            hours=hours,
        )
    return None
