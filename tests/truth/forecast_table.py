"""How often the truth lies in the interval of a forecast: simulated curves, and a real process.

``python tests/truth/forecast_table.py`` writes the data of the table. With a run file of
``fsmn-vad:naive`` as its argument it takes the real curve anew from there. Everything else is
seeded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from curves import Curve, autocorrelated, white
from forecast_curves import AHEAD, HELD_OUT, TUNED_ON, Growth
from numpy.random import Generator

from leakhunt.analysis.verdict.growth_fits import Fits, fits
from leakhunt.model.series import RSS
from leakhunt.storage import run_file

DATA = Path(__file__).parents[2] / "reports" / "truth" / "forecast.json"
REAL = Path(__file__).parents[2] / "reports" / "truth" / "forecast_fsmn_vad.json"
LENGTHS = (60, 200, 500)
HORIZONS = (1, 3, AHEAD)
CURVES_A_FAMILY = 300
WARM_UP = 0.25
# Limits are this many times the growth of the judged part away.
ROOMS = (0.5, 1.0, 2.0, 4.0)
# The truth counts as met within this many sigma of one sample.
_NOISE = 2.0
# The real curve is judged from these calls on, up to these.
REAL_RUNS = ((62, 250), (125, 500), (250, 1000), (250, 1500), (375, 1500), (500, 2000), (750, 3000))
_REAL_STEP = 5


@dataclass(frozen=True)
class Coverage:
    """A family: in how many % of its curves the truth lay in the interval, at each horizon.

    `reached` is the same for the calls until a limit. `width` is the median width of the interval,
    in growth of the judged part.
    """

    family: str
    held_out: bool
    curves: int
    growth: Mapping[str, float]
    width: Mapping[str, float]
    reached: float


def coverage(family: str, growth: Growth, seed: int, curves: int, held_out: bool) -> Coverage:
    """One family."""
    rng = np.random.default_rng(seed)
    met: dict[int, list[bool]] = {ahead: [] for ahead in HORIZONS}
    widths: dict[int, list[float]] = {ahead: [] for ahead in HORIZONS}
    reached: list[bool] = []
    for turn in range(curves):
        length = LENGTHS[turn % len(LENGTHS)]
        truth = growth(rng, length)
        noise = (white, autocorrelated)[turn % 2](rng, length)
        first = int(length * WARM_UP)
        found = fits(range(first + 1, length + 1), _scaled(truth[first:length] + noise[first:]))
        assert found is not None
        grown = max(float(truth[length - 1] - truth[first]), 3.0)
        for ahead in HORIZONS:
            _, low, high = found.growth(ahead * length)
            true = truth[(ahead + 1) * length - 1] - truth[length - 1]
            met[ahead].append(low / _SCALE - _NOISE <= true <= high / _SCALE + _NOISE)
            widths[ahead].append((high - low) / _SCALE / grown)
        reached.append(_is_reached_in_time(rng, truth, length, grown, found))
    return Coverage(
        family,
        held_out,
        curves,
        {str(ahead): _percent(met[ahead]) for ahead in HORIZONS},
        {str(ahead): round(float(np.median(widths[ahead])), 2) for ahead in HORIZONS},
        _percent(reached),
    )


# Fits are of bytes: a sigma is so many.
_SCALE = 1000.0


def _scaled(values: Curve) -> Sequence[int]:
    return [round(_SCALE * value) for value in values]


def _is_reached_in_time(
    rng: Generator, truth: Curve, length: int, grown: float, found: Fits
) -> bool:
    room = grown * float(rng.choice(ROOMS))
    later = truth[length - 1 :] >= truth[length - 1] + room
    _, soonest, latest = found.calls_until(_SCALE * room)
    if not later.any():
        return bool(latest > AHEAD * length)
    return bool(soonest <= max(int(np.argmax(later)), 1) <= latest)


def _percent(hits: Sequence[bool]) -> float:
    return round(100 * sum(hits) / len(hits), 1)


def table(curves: int = CURVES_A_FAMILY) -> Iterator[Coverage]:
    """All families; their seeds are not those that the fits were tuned on."""
    for held_out, families in ((False, TUNED_ON), (True, HELD_OUT)):
        for place, (name, growth) in enumerate(families.items()):
            yield coverage(name, growth, 1000 + place + 100 * held_out, curves, held_out)


@dataclass(frozen=True)
class RealForecast:
    """What the calls up to `last` foresaw of a later call, and what came (MiB)."""

    first: int
    last: int
    call: int
    best: float
    low: float
    high: float
    true: float
    models: tuple[str, ...]


def real_forecasts() -> Iterator[RealForecast]:
    """What was foreseen of the real process at twice, three, ten times the calls, and its end."""
    document = json.loads(REAL.read_text("utf-8"))
    calls, rss = np.array(document["calls"]), np.array(document["rss_mib"])
    for first, last in REAL_RUNS:
        judged = (calls >= first) & (calls <= last)
        found = fits(calls[judged].tolist(), (rss[judged] * 2**20).astype(int).tolist())
        assert found is not None
        now = float(rss[judged][-1])
        for ahead in sorted({2 * last, 3 * last, 10 * last, int(calls[-1])}):
            if ahead <= calls[-1]:
                best, low, high = (now + each / 2**20 for each in found.growth(ahead - last))
                yield RealForecast(
                    first,
                    last,
                    ahead,
                    best=round(best, 1),
                    low=round(low, 1),
                    high=round(high, 1),
                    true=float(rss[int(np.searchsorted(calls, ahead))]),
                    models=tuple(dict.fromkeys(str(fit.model) for fit in found.fits)),
                )


def take_real_curve(file: Path) -> None:
    """The RSS of a run file, every fifth call, as data."""
    run = run_file.load(file)
    places = range(_REAL_STEP - 1, run.samples_done, _REAL_STEP)
    values = {
        "what": "RSS of fsmn-vad:naive, clips of ever new lengths, one thread",
        "started_at": run.started_at,
        "versions": {
            name: run.environment[name]
            for name in ("python", "torch", "funasr", "libc")
            if name in run.environment
        },
        "calls": [run.calls[place] for place in places],
        "rss_mib": [round(run.samples[RSS][place] / 2**20, 2) for place in places],
    }
    REAL.write_text(json.dumps(values) + "\n", "utf-8")


def main() -> None:
    """Write the data."""
    if len(sys.argv) > 1:
        take_real_curve(Path(sys.argv[1]))
    values = {
        "simulated": [asdict(each) for each in table()],
        "real": [asdict(each) for each in real_forecasts()],
    }
    DATA.write_text(json.dumps(values, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
