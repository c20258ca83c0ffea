"""False alarms and detection on simulated curves: our rule and the others, side by side.

``python tests/truth/curve_table.py`` prints the table and writes it as data. Everything is seeded:
the same table comes out on every machine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import curves
import held_out_curves
import numpy as np
from curves import Curve
from rival_rules import RIVALS, Rule

from leakhunt.analysis.verdict.schedule import EARLIEST_CLEAN
from leakhunt.analysis.verdict.series import INTERIM_CHECKS, judge_series
from leakhunt.model.verdict import Status

# Growth per call that is called no leak, in sigma of one sample.
TOLERANCE = 0.05
SLOPES = (0.1, 0.3, 1.0)
LENGTHS = (100, 200, 500)
CURVES_A_CELL = 300
# The rules of others take their time on long series.
CURVES_A_CELL_OF_OTHERS = 100
OURS = "leakhunt"
DATA = Path(__file__).parents[2] / "reports" / "truth" / "curves.json"

SETS: dict[str, tuple[Mapping[str, curves.BoundedFamily], Mapping[str, curves.LeakingFamily]]] = {
    "tuned on": (curves.BOUNDED, curves.LEAKING),
    "held out": (held_out_curves.BOUNDED, held_out_curves.LEAKING),
}


@dataclass(frozen=True)
class Cell:
    """One rule on one set of families: shares in %, over all families and for each."""

    rule: str
    families: str
    samples: str
    false_alarms: Mapping[str, float]
    detected: Mapping[str, Mapping[str, float]]
    samples_taken: float

    @property
    def row(self) -> tuple[str, ...]:
        """Mean and worst false alarms, and detection at each slope."""
        alarms = list(self.false_alarms.values())
        found = [np.mean(list(self.detected[f"{slope:g}"].values())) for slope in SLOPES]
        return (
            self.rule,
            self.families,
            self.samples,
            f"{np.mean(alarms):.1f}",
            f"{max(alarms):.1f}",
            *(f"{share:.0f}" for share in found),
        )


def at_looks(values: Curve) -> tuple[bool, int]:
    """Our rule as a run uses it: look by look, until it knows; and how many samples it took."""
    for look in INTERIM_CHECKS:
        trend = judge_series(values[:look], unit="ns", tolerance=TOLERANCE, power=False)
        if trend.status is Status.LEAK:
            return True, look
        if trend.status is Status.NO_LEAK and look >= EARLIEST_CLEAN:
            return False, look
    return False, INTERIM_CHECKS[-1]


def ours(values: Curve) -> bool:
    """Our rule on a fixed number of samples."""
    trend = judge_series(values, unit="ns", tolerance=TOLERANCE, power=False)
    return trend.status is Status.LEAK


def cell(name: str, rule: Rule, families: str, length: int, count: int = CURVES_A_CELL) -> Cell:
    """`rule` on `count` curves of each family of a set."""
    bounded, leaking = SETS[families]
    return Cell(
        rule=name,
        families=families,
        samples=str(length),
        false_alarms={
            family: _share([rule(make(rng, length)) for rng in _sources(family, count)])
            for family, make in bounded.items()
        },
        detected={
            f"{slope:g}": {
                family: _share([rule(make(rng, length, slope)) for rng in _sources(family, count)])
                for family, make in leaking.items()
            }
            for slope in SLOPES
        },
        samples_taken=length,
    )


def cell_at_looks(families: str, count: int = CURVES_A_CELL) -> Cell:
    """Our rule at its looks, on `count` curves of each family of a set."""
    taken: list[int] = []

    def rule(values: Curve) -> bool:
        leak, samples = at_looks(values)
        taken.append(samples)
        return leak

    found = cell(OURS, rule, families, INTERIM_CHECKS[-1], count)
    return Cell(
        OURS, families, "looks", found.false_alarms, found.detected, round(float(np.mean(taken)), 1)
    )


def _sources(family: str, count: int) -> list[np.random.Generator]:
    seed = int.from_bytes(family.encode()[:8])
    return [np.random.default_rng([seed, number]) for number in range(count)]


def _share(answers: list[bool]) -> float:
    return round(100 * sum(answers) / len(answers), 2)


def _work() -> list[tuple[str, str, int, int]]:
    """Rule, set, length (0: at the looks) and number of curves of every cell."""
    cells = [(OURS, families, 0, CURVES_A_CELL) for families in SETS]
    for families in SETS:
        for length in LENGTHS:
            cells.append((OURS, families, length, CURVES_A_CELL))
            cells += [(name, families, length, CURVES_A_CELL_OF_OTHERS) for name in RIVALS]
    return cells


def _made(work: tuple[str, str, int, int]) -> Cell:
    name, families, length, count = work
    if not length:
        return cell_at_looks(families, count)
    return cell(name, {OURS: ours, **RIVALS}[name], families, length, count)


def table() -> list[Cell]:
    """Every rule on every set at every length, ours at its looks first."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(_made, _work()))


def main() -> int:
    """Print the table, and write the data."""
    cells = table()
    for each in cells:
        print(" | ".join(each.row))
    DATA.parent.mkdir(exist_ok=True)
    document = {
        "tolerance_sigma": TOLERANCE,
        "curves": CURVES_A_CELL,
        "curves_of_others": CURVES_A_CELL_OF_OTHERS,
        "looks": INTERIM_CHECKS,
        "cells": [asdict(each) for each in cells],
    }
    text = json.dumps(document).replace('{"rule"', '\n{"rule"')
    DATA.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
