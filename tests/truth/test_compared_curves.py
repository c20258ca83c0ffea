"""How often two runs that leak alike are said to differ, and how often a difference is found.

Both curves of a pair are drawn by themselves, so nothing falls out between them as it does for runs
on the same inputs. Over 200 pairs of each of 128 families and slopes (`curves`, `held_out_curves`),
in % (`python tests/truth/test_compared_curves.py 200` counts them again, in some minutes):

    judged samples                                    150     338     507
    equals said to differ, in the mean               0.04    0.03    0.04
    ... in the worst family                           2.5     1.0     2.0
    what is said to show is found, in the mean         95      96      95
    twice as much is found, in the mean                98      98      98
    ... in the worst family (whole pages, one step)    73      74      77

The level asked for is 1: independent noise makes the interval too wide, growth of random size or at
random calls makes it as wide as it says.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from functools import cache

import curves
import held_out_curves
import numpy as np
import pytest
from curves import Curve
from numpy.random import Generator

from leakhunt.analysis.comparison.metrics import lines
from leakhunt.model.comparison import Conclusion, Metric
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Plan
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Run
from leakhunt.model.series import Series, Unit
from leakhunt.model.verdict import Status, Verdict

Family = Callable[[Generator, int], Curve]

PAIRS = 20
LENGTHS = (150, 338, 507)
# The shortest shows what the longer ones show, and takes the fewest.
TRIED = (LENGTHS[0], *(pytest.param(length, marks=pytest.mark.long) for length in LENGTHS[1:]))
SLOPES = (0.1, 1.0)
# What moves in a bounded curve is over by then.
WARM_UP = 100
# A standard deviation in bytes: the tolerance of 256 bytes a call is then next to nothing.
SIGMA_BYTES = 1_000_000
# Without noise, exactly what would show does not show, and anything above it does.
BARELY = 1.01
# Its curves start to leak at a call of their own, so their rates differ in the judged calls.
NOT_ALIKE = ("starting late",)


def families() -> Iterator[tuple[str, Family]]:
    """Pairs of each leak alike, whether at all or not."""
    for module in (curves, held_out_curves):
        yield from module.BOUNDED.items()
        for name, make in module.LEAKING.items():
            for slope in SLOPES:
                if name not in NOT_ALIKE:
                    yield f"{name} {slope:g}", _sloping(make, slope)


def _sloping(make: Callable[[Generator, int, float], Curve], slope: float) -> Family:
    return lambda rng, n: make(rng, n, slope)


FAMILIES = dict(families())


def judged(curve: Curve) -> JudgedRun:
    """A run that read this live heap, of a verdict that says nothing."""
    heap = array("q", np.round(curve * SIGMA_BYTES).astype(int).tolist())
    plan = Plan(
        scenario="made", variant="naive", calls=len(heap), warmup=WARM_UP, seed=0, threads=1,
        device="cpu", options={}, result_kind="equal", reference="naive",
    )  # fmt: skip
    run = Run(
        plan=plan,
        outcome=Outcome(Ending.OK),
        series=(Series("live_heap", Unit.BYTES, "live heap", "nothing"),),
        samples={"live_heap": heap},
        calls=range(1, len(heap) + 1),
        phases=(
            Phase(0, WARM_UP, Purpose.WARM_UP, 1, collects=False),
            Phase(WARM_UP, len(heap) - WARM_UP, Purpose.JUDGED, 1, collects=False),
        ),
    )
    verdict = Verdict(Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), "", {})
    return JudgedRun(run, verdict, ledger=None, difference=None, cost=None)


def line_of(before: Curve, after: Curve) -> Metric:
    (line,) = lines([judged(before)], [judged(after)])
    return line


def pair(family: Family, samples: int, number: int) -> tuple[Curve, Curve]:
    """Two curves of one family, neither of which knows of the other."""
    first, second = (np.random.default_rng([number, side, samples]) for side in (1, 2))
    return family(first, WARM_UP + samples), family(second, WARM_UP + samples)


@cache
def false_differences(samples: int, pairs: int) -> dict[str, float]:
    """The share of pairs of equals that are said to differ, by family."""
    return {
        name: float(
            np.mean(
                [
                    line_of(*pair(family, samples, number)).conclusion
                    is not Conclusion.NO_DIFFERENCE
                    for number in range(pairs)
                ]
            )
        )
        for name, family in FAMILIES.items()
    }


@cache
def found_differences(samples: int, pairs: int, times: float) -> dict[str, float]:
    """Of pairs that differ by `times` what another pair would show, the share found, by family."""
    found: dict[str, list[bool]] = {}
    for name, family in FAMILIES.items():
        for number in range(pairs):
            limit = line_of(*pair(family, samples, number)).would_show
            assert limit is not None
            before, after = pair(family, samples, number + pairs)
            more = times * limit / SIGMA_BYTES * np.arange(len(after))
            line = line_of(before, after + more)
            found.setdefault(name, []).append(line.conclusion is Conclusion.INCREASE)
    return {name: float(np.mean(each)) for name, each in found.items()}


@pytest.mark.parametrize("samples", TRIED)
def test_equals_are_said_to_differ_in_one_pair_of_a_hundred_at_most(samples: int) -> None:
    shares = false_differences(samples, PAIRS)
    assert np.mean(list(shares.values())) <= 0.01
    # Three of twenty in one of 128 families: one chance in eight at the level promised.
    assert max(shares.values()) <= 3 / PAIRS, max(shares, key=lambda name: shares[name])


@pytest.mark.parametrize("samples", TRIED)
def test_what_is_said_to_show_is_found_and_twice_as_much_in_more_than_95_of_100(
    samples: int,
) -> None:
    assert np.mean(list(found_differences(samples, PAIRS, BARELY).values())) >= 0.93
    twice = found_differences(samples, PAIRS, 2)
    assert np.mean(list(twice.values())) >= 0.95
    assert min(twice.values()) >= 0.5, min(twice, key=lambda name: twice[name])


def main() -> None:
    """Print the figures of the docstring."""
    pairs = int(sys.argv[1])
    for samples in LENGTHS:
        false = false_differences(samples, pairs)
        worst = sorted(false, key=lambda name: -false[name])[:4]
        print(samples, "false", np.mean(list(false.values())), [(n, false[n]) for n in worst])
        for times in (BARELY, 2):
            found = found_differences(samples, pairs, times)
            missed = sorted(found, key=lambda name: found[name])[:6]
            mean = np.mean(list(found.values()))
            print("  found", times, mean, [(name, found[name]) for name in missed])


if __name__ == "__main__":
    main()
