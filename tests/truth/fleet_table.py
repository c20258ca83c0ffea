"""How often ``analyze`` is right about a fleet, beside the alert that most people have.

``python tests/truth/fleet_table.py`` makes the memory of 300 instances over seven days, a point a
minute: deploys and restarts, daily tides, caches that fill, and leaks of known rates. Each is
judged by ``analyze`` at the end, and by ``predict_linear(memory[6h], 86400) > limit`` for an hour,
evaluated every ten minutes as a rule of Prometheus is. The table goes to
``reports/truth/fleet.json``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leakhunt.analysis.fleet.fleet import judged_instance
from leakhunt.foreign.streamed import StreamedSeries
from leakhunt.model.fleet import Course, JudgedInstance

OUT = Path(__file__).parents[2] / "reports" / "truth" / "fleet.json"
DAYS = 7
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
EACH = 30
# The rules were made with the seeds below; the table is of others.
HELD_OUT = 1_000_000
MIB = float(1 << 20)
LIMIT = 2048 * MIB
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Instance:
    """One made instance: its kind, and its memory a point a minute."""

    kind: str
    leaks: bool
    seconds: Floats
    memory: Floats


@dataclass(frozen=True, slots=True)
class Made:
    """What memory is made of."""

    leak: bool = False
    deploys: bool = False
    daily_cycle: bool = False
    cache: bool = False
    garbage: bool = False


KINDS: Mapping[str, Made] = {
    "leak": Made(leak=True),
    "leak, deploys": Made(leak=True, deploys=True),
    "leak, tide": Made(leak=True, daily_cycle=True),
    "leak, tide, deploys": Made(leak=True, daily_cycle=True, deploys=True),
    "flat": Made(),
    "deploys": Made(deploys=True),
    "tide": Made(daily_cycle=True),
    "tide, deploys": Made(daily_cycle=True, deploys=True),
    "cache": Made(cache=True, daily_cycle=True),
    "cache, deploys": Made(cache=True, deploys=True),
}


def instance(kind: str, seed: int) -> Instance:
    """The memory of an instance of that kind."""
    made = KINDS[kind]
    source = np.random.default_rng(seed)
    seconds = np.arange(0, DAYS * DAY, MINUTE)
    births = _births(source, made.deploys)
    base = source.uniform(150, 600) * MIB
    start, warm = base * source.uniform(0.1, 0.4), source.uniform(300, 3600)
    # The room is filled in one to fourteen days.
    rate = (LIMIT - base) / (source.uniform(1, 14) * DAY) if made.leak else 0.0
    bound = base * source.uniform(0.3, 1.0) if made.cache else 0.0
    slow = source.uniform(0.1, 1.2) * DAY
    over = _noise(len(seconds), source) * base * source.uniform(0.002, 0.02)
    if made.daily_cycle:
        wave = np.sin(2 * np.pi * seconds / DAY + source.uniform(0, 2 * np.pi))
        weekend = np.where((seconds // DAY) % 7 >= 5, 0.5, 1.0)
        over += base * source.uniform(0.05, 0.3) * weekend * np.maximum(wave, -0.5)
    while True:
        ages = seconds - births[np.searchsorted(births, seconds, side="right") - 1]
        memory = base + start * (1 - np.exp(-ages / warm)) + rate * ages + over
        memory += bound * (1 - np.exp(-ages / slow))
        killed = np.flatnonzero(memory >= LIMIT)
        if not len(killed):
            return Instance(kind, made.leak, seconds, memory)
        # Killed by the limit, and started again.
        births = np.sort(np.append(births, seconds[killed[0]]))


def _births(source: np.random.Generator, deploys: bool) -> Floats:
    """When processes begin: by deploys at working hours of most days."""
    births = [-source.uniform(0, HOUR)]
    if deploys:
        for day in range(DAYS):
            births += [day * DAY + source.uniform(9, 18) * HOUR for _ in range(source.poisson(0.9))]
    return np.array(sorted(births))


def _noise(count: int, source: np.random.Generator) -> Floats:
    """Requests in flight: noise that remembers ten minutes, and spikes upwards."""
    white = source.normal(size=count)
    noise = np.empty(count)
    level = 0.0
    for at in range(count):
        level = 0.9 * level + 0.436 * white[at]
        noise[at] = level
    spikes = source.random(count) < 0.005
    return noise + spikes * source.exponential(5, size=count)


def judged(made: Instance) -> JudgedInstance:
    """By the engine of ``analyze``."""
    series = StreamedSeries(made.kind)
    for seconds, size in zip(made.seconds.tolist(), made.memory.tolist(), strict=True):
        series.add(seconds, size)
    measured = series.measured()
    assert measured is not None
    return judged_instance(measured, int(LIMIT))


def predict_linear(made: Instance) -> bool:
    """Whether the alert fired at any time: a day ahead by six hours, for an hour."""
    window, each = int(6 * HOUR / MINUTE), 10
    firing = 0
    for end in range(window, len(made.seconds), each):
        values = made.memory[end - window : end]
        times = made.seconds[end - window : end] - made.seconds[end - 1]
        slope, height = np.polyfit(times, values, 1)
        firing = firing + 1 if height + slope * DAY > LIMIT else 0
        if firing * each * MINUTE > HOUR:
            return True
    return False


def rows(each: int = EACH, kinds: Mapping[str, Made] = KINDS) -> Iterator[dict[str, object]]:
    """A row for each kind of instance."""
    for number, kind in enumerate(kinds):
        courses: dict[str, int] = {}
        alerts = 0
        for turn in range(each):
            made = instance(kind, HELD_OUT + 1000 * number + turn)
            course = judged(made).course
            courses[course.value] = courses.get(course.value, 0) + 1
            alerts += predict_linear(made)
        yield {
            "kind": kind,
            "leaks": kinds[kind].leak,
            "instances": each,
            "grows": courses.get(Course.GROWS.value, 0),
            "courses": courses,
            "predict_linear": alerts,
        }


def summary(table: list[dict[str, object]]) -> dict[str, object]:
    """Error rates of both over all kinds."""

    def share(name: str, leaks: bool, of: Callable[[int, int], int]) -> float:
        chosen = [row for row in table if row["leaks"] is leaks]
        total = sum(int(str(row["instances"])) for row in chosen)
        hits = sum(of(int(str(row[name])), int(str(row["instances"]))) for row in chosen)
        return round(hits / total, 4) if total else 0.0

    return {
        name: {
            "false_positive_rate": share(column, False, lambda hit, all_of: hit),
            "missed": share(column, True, lambda hit, all_of: all_of - hit),
        }
        for name, column in (("analyze", "grows"), ("predict_linear", "predict_linear"))
    }


def main() -> None:
    started = time.monotonic()
    each = int(sys.argv[1]) if len(sys.argv) > 1 else EACH
    table = list(rows(each))
    document = {
        "about": "300 made instances over seven days; limit 2 GiB; predict_linear(memory[6h], 1d)"
        " > limit for 1h, at any time of the seven days",
        "summary": summary(table),
        "kinds": table,
    }
    if each == EACH:
        OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for row in table:
        print(row["kind"], row["courses"], "predict_linear", row["predict_linear"])
    print(json.dumps(document["summary"]), f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
