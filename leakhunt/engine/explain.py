"""A measured run again, to see who keeps what grows: under instruments, and past a ceiling.

`under_instruments` is the only loop that hunts: of scenarios, of what is gated, of tests, of soaks
and of workloads of known truth.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from threading import Event
from time import monotonic

from leakhunt.analysis.attribution.attribute import attribute
from leakhunt.analysis.attribution.ceiling import CEILING_LENGTH, ceiling_plan
from leakhunt.analysis.attribution.few_calls import growing_resources
from leakhunt.analysis.attribution.garbage import leaves_garbage
from leakhunt.analysis.attribution.growing_part import growing_part
from leakhunt.analysis.attribution.growth import grows_visibly
from leakhunt.analysis.attribution.instrument_choice import instruments_for, next_instrument
from leakhunt.analysis.attribution.same_growth import growth_difference
from leakhunt.analysis.attribution.windows import exact_counts_plan, instrumented_plan
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.cost import cost
from leakhunt.analysis.verdict.effort import has_slow_calls
from leakhunt.engine.events import Events
from leakhunt.engine.session import Session
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Instrument
from leakhunt.model.plan import Plan
from leakhunt.model.run import Run
from leakhunt.model.series import DURATION
from leakhunt.model.verdict import Verdict
from leakhunt.text.message import Message, message

# A run past a ceiling that would be longer is not begun: where it was asked for, and elsewhere.
MAX_CEILING_CALLS = 200_000
MAX_CEILING_HOURS = 4.0
# A further instrument is not begun once those before it took longer than the measured calls, and
# than this.
MAX_SECONDS = 60.0
# What counts allocations of few calls exactly, the first that is usable.
_EXACT = (Instrument.CUDA, Instrument.MEMRAY, Instrument.TRACEMALLOC)

# Carries out a plan into the run file of that name, and gives the run.
Carrier = Callable[[Plan, str], Run]


def under_instruments(
    run: Run,
    verdict: Verdict,
    carry: Carrier,
    *,
    prefix: str = "",
    usable: Collection[Instrument] = GROWTH_INSTRUMENTS,
    wanted: Sequence[Instrument] = (),
    plan_under: Callable[[Run, Instrument], Plan] = instrumented_plan,
    clock: Callable[[], float] = monotonic,
) -> Iterator[Run]:
    """The same work again under one instrument after the other, until the growth is explained.

    What sees what grows is always used; what may explain a rest, while there is time.

    Each run is given as it ends, so that who goes on may stop between two; one that was interrupted
    is the last. None comes where nothing grows, unless instruments are `wanted`: then those, in
    that order. `prefix` comes before the instrument in the names of the run files; default:
    ``VARIANT.under-``. `plan_under` is what a run under an instrument does.
    """
    prefix = prefix or f"{run.plan.variant}.under-"
    done: list[Run] = []
    until = clock() + max(MAX_SECONDS, run.plan.budget_seconds or 0.0, _seconds_of_calls(run))
    while True:
        instrument = (
            next(iter(wanted[len(done) :]), None)
            if wanted
            else next_instrument(run, verdict, done, usable)
        )
        if instrument is None:
            return
        used = [each.plan.instrument for each in done]
        is_further = bool(done) and not wanted and not instruments_for(verdict, usable, used)
        if is_further and clock() > until:
            return
        done.append(carry(plan_under(run, instrument), f"{prefix}{instrument}"))
        yield done[-1]
        if done[-1].is_interrupted:
            return


def _seconds_of_calls(run: Run) -> float:
    """What the measured calls took."""
    return sum(run.samples.get(DURATION, ())[: run.samples_done]) / 1e9


def usable_on(device: str) -> tuple[Instrument, ...]:
    """The instruments that can be used here, of a run on that device."""
    return tuple(each for each in GROWTH_INSTRUMENTS if why_not(each, device) is None)


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


def explained(
    prepared: Session,
    run: Run,
    wanted: Sequence[Instrument] = (),
    *,
    until_ceiling: bool = False,
    first: Run | None = None,
    stop: Event | None = None,
) -> Iterator[Run]:
    """A measured variant again: under instruments, and past the ceiling of its cache.

    Nothing where nothing grows, unless instruments are `wanted`; nor where a `first` variant
    was looked into, and this one grows as that does, or has a cache that has filled. The run past a
    ceiling comes where the budget of the plan allows it, or if `until_ceiling` asks for it.
    Once `stop` is set, a run ends as if the user had ended it.
    """
    verdict = judge(run)
    grown, verdict_then = growing_part(run, verdict) or (run, verdict)
    if not run.calls_done or not (wanted or _is_open(run, verdict, grown, first)):
        return
    variant = run.plan.variant
    usable = usable_on(run.plan.device)
    group = tuple(f"{variant}.under-{each}" for each in GROWTH_INSTRUMENTS)
    found: list[Run] = []
    carry = partial(prepared.carry_out, group=group, stop=stop)
    plan_under, is_asked = instrumented_plan, bool(wanted)
    if has_slow_calls(run):
        plan_under = exact_counts_plan
        exact = [Instrument.RESOURCES] if growing_resources(run) else _EXACT
        wanted = wanted or [each for each in exact if each in usable][:1]
    for each in under_instruments(
        grown, verdict_then, carry, usable=usable, wanted=wanted, plan_under=plan_under
    ):
        found.append(each)
        yield each
    if not is_asked and _is_garbage_open(run, verdict, found, usable):
        found.append(
            carry(
                instrumented_plan(run, Instrument.GARBAGE), f"{variant}.under-{Instrument.GARBAGE}"
            )
        )
        yield found[-1]
    attribution = attribute(grown, verdict_then, found, has_filled=grown is not run)
    ceiling_calls = attribution.ceiling_calls
    is_worth_it = attribution.bounded and grown is run
    if ceiling_calls is None or not (is_worth_it or until_ceiling):
        return
    too_far = _too_far(run, verdict, ceiling_calls, until_ceiling)
    if too_far is None:
        plan = ceiling_plan(run.plan, ceiling_calls)
        yield prepared.carry_out(plan, f"{variant}.until-ceiling", stop=stop)
    elif until_ceiling:
        _note_unverified(prepared.events, variant, too_far)


def _note_unverified(events: Events, variant: str, too_far: Message) -> None:
    events.noted(
        message(
            "hunt.not-until-ceiling",
            "{variant}: ceiling not verified: {too_far}",
            variant=variant,
            too_far=too_far,
        )
    )


def _is_garbage_open(
    run: Run, verdict: Verdict, found: Sequence[Run], usable: Collection[Instrument]
) -> bool:
    """Whether slow calls leave garbage that nobody has looked at, and may be looked at."""
    if not has_slow_calls(run) or any(each.is_interrupted for each in found):
        return False
    used = {each.plan.instrument for each in found}
    return Instrument.GARBAGE in set(usable) - used and leaves_garbage(run, verdict)


def _is_open(run: Run, verdict: Verdict, grown: Run, first: Run | None) -> bool:
    """Whether there is growth, or garbage, to be explained that the `first` run does not have."""
    if grown is not run or leaves_garbage(run, verdict):
        return first is None
    if has_slow_calls(run):
        return True
    return grows_visibly(run, verdict) and (first is None or growth_difference(run, first) is None)


def _too_far(run: Run, verdict: Verdict, ceiling_calls: int, until_ceiling: bool) -> Message | None:
    """Why a ceiling cannot be verified by a run past it; None: it can."""
    if verdict.forecast is not None and verdict.forecast.comes_within(ceiling_calls):
        return message(
            "hunt.ceiling-after-memory",
            "the ceiling is {ceiling_calls:,} calls away, and memory runs out before",
            ceiling_calls=ceiling_calls,
        )
    spent = cost(run, None)
    seconds = ceiling_calls * CEILING_LENGTH * (spent.median_seconds if spent else 0.0)
    most = MAX_CEILING_HOURS * 3600 if until_ceiling else run.plan.budget_seconds or 0.0
    if ceiling_calls > MAX_CEILING_CALLS or seconds > most:
        return message(
            "hunt.ceiling-too-late",
            "the ceiling is {ceiling_calls:,} calls away, about {hours:,.1f} hours",
            ceiling_calls=ceiling_calls,
            hours=seconds / 3600,
        )
    return None
