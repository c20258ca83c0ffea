"""Running a measured run again under instruments, until what it grows by is explained."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.util import find_spec

from leakhunt.analysis.attribution.instrument_choice import next_instrument
from leakhunt.analysis.attribution.windows import watched_plan
from leakhunt.model.attribution import Instrument
from leakhunt.model.plan import Plan
from leakhunt.model.run import Run
from leakhunt.model.verdict import Verdict
from leakhunt.text.language import tr

# Carries out a plan into the run file of that name, and gives the run.
Carrier = Callable[[Plan, str], Run]


def watch(
    run: Run,
    verdict: Verdict,
    name: str,
    carry: Carrier,
    usable: Collection[Instrument] = tuple(Instrument),
) -> list[Run]:
    """The runs of the same plan under one instrument after the other; none where nothing grows."""
    watched: list[Run] = []
    while (instrument := next_instrument(run, verdict, watched, usable)) is not None:
        watched.append(carry(watched_plan(run, instrument), f"{name}.under-{instrument}"))
    return watched


def usable_on(device: str) -> tuple[Instrument, ...]:
    """The instruments that can be used here, of a run on that device."""
    return tuple(each for each in Instrument if why_not(each, device) is None)


def why_not(instrument: Instrument, device: str) -> str | None:
    """Why an instrument cannot be used here, and what to do; None: it can."""
    if instrument is Instrument.MEMRAY and find_spec("memray") is None:
        return tr("memray is not installed here (it works on Linux and macOS); pip install memray")
    if instrument is Instrument.CUDA and device != "cuda":
        return tr(
            "the scenario runs on {device} here; use --device cuda on a machine with a GPU",
            device=device,
        )
    return None
