"""The verdict on a soak: from inside as on any run; from outside what can be said, and no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from made_gates import checked_rate
from made_soaks import MIB, Made, ended, soak

from leakhunt.analysis.verdict import judge
from leakhunt.model.gate import GateAnswer
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Ending, Run
from leakhunt.model.verdict import Status

KEPT = 10 << 10
GROWING = Made(inside=False, retained=KEPT)


def without(run: Run, *names: str) -> Run:
    return replace(
        run,
        series=tuple(series for series in run.series if series.name not in names),
        samples={name: values for name, values in run.samples.items() if name not in names},
    )


def test_growth_that_is_only_seen_from_outside_is_no_leak_yet() -> None:
    verdict = judge(soak(GROWING))
    assert (verdict.status, verdict.kind) == (Status.INCONCLUSIVE, Kind.OUTSIDE_GROWTH)
    assert "anonymous memory grows by 11.0 KiB/" in str(verdict.sentence)
    assert "from leakhunt import agent; agent.listen()" in str(verdict.sentence)
    assert verdict.calls_needed is None


def test_the_same_growth_seen_from_inside_is_a_leak() -> None:
    verdict = judge(soak(replace(GROWING, inside=True)))
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.NATIVE_LEAK)


def test_where_anonymous_memory_is_not_read_rss_stands_for_it() -> None:
    verdict = judge(without(soak(GROWING), "anonymous"))
    assert verdict.kind is Kind.OUTSIDE_GROWTH
    assert "RSS grows by 11.0 KiB/" in str(verdict.sentence)


def test_growth_on_the_gpu_counts_as_growth() -> None:
    growing = {"cuda_process": lambda calls: 300 * MIB + 9000 * calls}
    verdict = judge(soak(Made(inside=False, extra=growing)))
    assert verdict.kind is Kind.OUTSIDE_GROWTH
    assert "GPU memory grows by 8.79 KiB/" in str(verdict.sentence)


def test_a_flat_service_is_clean_and_the_verdict_says_what_is_not_seen() -> None:
    verdict = judge(soak(Made(inside=False)))
    assert (verdict.status, verdict.kind) == (Status.NO_LEAK, Kind.CLEAN)
    assert "(external metrics only): anonymous memory: at most" in str(verdict.sentence)
    assert "reuses free pages is not visible in external metrics" in str(verdict.sentence)


def test_a_service_without_any_memory_that_can_be_read_is_inconclusive() -> None:
    verdict = judge(without(soak(GROWING), "anonymous", "rss", "pss"))
    assert (verdict.status, verdict.kind) == (Status.INCONCLUSIVE, Kind.INCONCLUSIVE)
    assert "No external memory metric can be read" in str(verdict.sentence)


def test_a_service_that_was_killed_while_growing_is_said_to_have_been() -> None:
    verdict = judge(ended(soak(GROWING), Ending.KILLED))
    assert (verdict.kind, verdict.also) == (Kind.KILLED, (Kind.OUTSIDE_GROWTH,))


def test_a_worker_that_is_recycled_makes_a_sawtooth_and_no_leak() -> None:
    """It keeps 200 KiB a request and is replaced after 150 requests."""
    teeth = {"anonymous": lambda calls: 200_000 * (calls % 150)}
    verdict = judge(soak(Made(samples=507, inside=False, extra=teeth)))
    assert verdict.kind not in (Kind.OUTSIDE_GROWTH, Kind.KILLED)
    assert verdict.status is not Status.LEAK


def test_descriptors_that_leak_are_a_leak_from_outside_too() -> None:
    leaking = {"descriptors": lambda calls: calls // 3}
    verdict = judge(soak(replace(GROWING, extra=leaking)))
    assert (verdict.status, verdict.kind) == (Status.LEAK, Kind.RESOURCE_GROWTH)
    assert verdict.also == (Kind.OUTSIDE_GROWTH,)
    assert "Anonymous memory grows" in str(verdict.sentence)


def test_a_limit_is_met_in_seconds_that_pass_not_in_those_of_all_requests_together() -> None:
    """Four users at once: 50 requests per second, each of 80 ms."""
    run = soak(replace(GROWING, milliseconds=80.0))
    ahead = judge(run).forecast
    assert ahead is not None and ahead.seconds is not None and ahead.calls is not None
    assert ahead.seconds / ahead.calls == pytest.approx(0.020, rel=0.05)
    room = run.limits["the memory limit"] - run.samples["pss"][-1]
    assert ahead.calls == pytest.approx(room / (1.1 * KEPT), rel=0.02)


def test_a_service_group_is_what_meets_its_limit() -> None:
    grouped = {"cgroup": lambda calls: 4000 * MIB + 0 * calls}
    ahead = judge(soak(replace(GROWING, extra=grouped))).forecast
    assert ahead is not None
    assert ahead.calls == pytest.approx(96 * MIB / (1.1 * KEPT), rel=0.02)


@pytest.mark.parametrize("per_request", [0.0, KEPT])
def test_a_service_that_mostly_failed_is_not_judged_by_its_memory(per_request: float) -> None:
    verdict = judge(soak(Made(inside=False, failing=0.7, retained=per_request)))
    assert (verdict.status, verdict.kind) == (Status.INCONCLUSIVE, Kind.INCONCLUSIVE)
    assert "Inconclusive: most requests failed" in str(verdict.sentence)
    assert "500 Internal Server Error" in str(verdict.sentence)


def test_a_service_that_fails_and_leaks_leaks() -> None:
    verdict = judge(soak(Made(failing=0.7, retained=KEPT)))
    assert verdict.status is Status.LEAK
    assert "requests failed" in str(verdict.sentence)


def test_a_service_that_fails_grows_and_is_killed_was_killed() -> None:
    verdict = judge(ended(soak(Made(inside=False, failing=0.7, retained=KEPT)), Ending.KILLED))
    assert verdict.kind is Kind.KILLED


def test_the_gate_takes_the_growth_that_is_seen() -> None:
    run = soak(GROWING)
    assert checked_rate(run, "anonymous", 4096.0).answer is GateAnswer.OVER_BUDGET
    assert checked_rate(run, "anonymous", 20_480.0).answer is GateAnswer.WITHIN_BUDGET
    result = checked_rate(run, "live_heap", 4096.0)
    assert result.answer is GateAnswer.NOT_MEASURED
    assert "use the series anonymous" in str(result.reason)


# What is in flight when a sample is read is noise of users times the size of a request. Of clean
# soaks, at most 1.5 % may be called a leak or growing; a leak of 10 KiB a request is found.
SEEDS = range(25)
LOADS = [
    Made(users=4, in_flight=100 << 10, per_sample=5),
    Made(users=16, in_flight=256 << 10, per_sample=5),
    Made(users=16, in_flight=1 << 20, per_sample=20),
    Made(users=50, in_flight=200 << 10, per_sample=20, doublings=1),
]


def kinds(made: Made) -> Counter[Kind]:
    verdicts = (judge(soak(replace(made, seed=seed)), power=False) for seed in SEEDS)
    return Counter(verdict.kind for verdict in verdicts)


def test_what_is_in_flight_is_no_leak() -> None:
    found: Counter[Kind] = Counter()
    for made in LOADS:
        found += kinds(made) + kinds(replace(made, inside=False))
    assert found.total() == 200
    wrong = sum(count for kind, count in found.items() if kind.is_leak)
    assert wrong + found[Kind.OUTSIDE_GROWTH] <= 0.015 * found.total()


def test_a_leak_of_ten_kibibytes_a_request_shows_through_what_is_in_flight() -> None:
    for made in LOADS:
        inside = kinds(replace(made, retained=KEPT))
        outside = kinds(replace(made, retained=KEPT, inside=False))
        leaks = sum(count for kind, count in inside.items() if kind.is_leak)
        assert min(leaks, outside[Kind.OUTSIDE_GROWTH]) >= 0.95 * len(SEEDS), made
