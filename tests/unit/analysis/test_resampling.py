"""A soak that took its samples ever further apart is judged as a whole, at one distance."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from conftest import MakeRun
from made_soaks import MIB, WARM_UP, Made, soak

from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.resampling import distance, resampled
from leakhunt.model.run import Phase, Purpose, Run
from leakhunt.model.verdict import Status

SOAKS = [
    Made(samples=120, per_sample=3, doublings=3, users=1, failing=0.1, seed=1),
    Made(samples=101, per_sample=7, doublings=2, users=9, seed=2),
    Made(samples=90, per_sample=1, doublings=4, users=40, seed=3),
    Made(samples=64, per_sample=5, doublings=1, users=2, failing=0.9, seed=4),
]


@pytest.fixture(params=SOAKS, ids=lambda made: f"{made.users} users")
def dense(request: pytest.FixtureRequest) -> Run:
    made: Made = request.param
    return soak(made)


def test_nothing_that_was_counted_is_lost(dense: Run) -> None:
    even = resampled(dense)
    assert even.samples_done < dense.samples_done
    for name in ("failures", "elapsed", "duration"):
        assert sum(even.samples[name]) == sum(dense.samples[name])
    assert sum(even.samples["failures"][: even.judged_from]) == sum(
        dense.samples["failures"][: dense.judged_from]
    )


def test_the_order_and_the_readings_are_those_of_the_soak(dense: Run) -> None:
    even = resampled(dense)
    assert all(sooner < later for sooner, later in pairwise(even.calls))
    assert (even.calls[-1], even.judged_from) == (dense.calls[-1], dense.judged_from)
    places = {call: place for place, call in enumerate(dense.calls)}
    for name in ("rss", "live_heap", "threads"):
        expected = [dense.samples[name][places[call]] for call in even.calls]
        assert list(even.samples[name]) == expected


def test_twice_is_as_once(dense: Run) -> None:
    assert resampled(resampled(dense)) == resampled(dense)


def test_the_distance_is_that_of_the_last_phase(dense: Run) -> None:
    even = resampled(dense)
    (judged,) = (phase for phase in even.phases if phase.purpose is Purpose.JUDGED)
    each = dense.phases[-1].calls_per_sample
    assert (judged.first_sample, judged.calls_per_sample) == (WARM_UP, each)
    assert judged.samples == even.samples_done - WARM_UP
    users = dense.plan.load.users if dense.plan.load else 0
    steps = [later - sooner for sooner, later in pairwise(even.calls[WARM_UP:])]
    assert max(steps) <= each + users + each // 2
    assert distance(even) == pytest.approx(each, rel=0.1)


def test_the_quantiles_lie_between_those_of_their_parts(dense: Run) -> None:
    even = resampled(dense)
    places = {call: place for place, call in enumerate(dense.calls)}
    for name in ("p50", "p95", "p99"):
        begin = 0
        for place, call in enumerate(even.calls):
            parts = dense.samples[name][begin : places[call] + 1]
            assert min(parts) <= even.samples[name][place] <= max(parts)
            begin = places[call] + 1


def test_a_reading_stays_after_the_requests_that_it_came_after(dense: Run) -> None:
    even, each = resampled(dense), dense.phases[-1].calls_per_sample
    for before, after in zip(dense.readings, even.readings, strict=True):
        assert (before.step, before.values) == (after.step, after.values)
        assert bool(before.sample) == bool(after.sample)
        if before.sample:
            apart = dense.calls[before.sample - 1] - even.calls[after.sample - 1]
            assert 0 <= apart <= 2 * each


def test_a_soak_of_one_distance_and_what_is_no_soak_stay_as_they_are(make_run: MakeRun) -> None:
    even = soak(Made(samples=100))
    assert resampled(even) is even
    phases = (
        Phase(0, 50, Purpose.WARM_UP, 1, collects=False),
        Phase(50, 50, Purpose.JUDGED, 1, collects=False),
        Phase(100, 100, Purpose.JUDGED, 2, collects=False),
    )
    run = replace(make_run(rss=[1] * 200), phases=phases)
    assert resampled(run) is run
    assert run.judged_from == 100


@pytest.mark.parametrize("samples", [0, 1, 59, 60, 61, 180, 181, 182, 250])
def test_a_soak_that_was_killed_at_any_sample_is_thinned(samples: int) -> None:
    whole = soak(Made(samples=120, doublings=2, failing=0.2))
    begun = tuple(phase for phase in whole.phases if phase.first_sample <= samples)
    cut = replace(
        whole,
        samples={name: values[:samples] for name, values in whole.samples.items()},
        calls=whole.calls[:samples],
        phases=begun,
        readings=tuple(reading for reading in whole.readings if reading.sample <= samples),
    )
    even = resampled(cut)
    assert sum(even.samples["failures"]) == sum(cut.samples["failures"])
    assert judge(cut).trends.keys() == judge(whole).trends.keys()
    assert even.samples_done <= cut.samples_done == samples


def test_a_step_before_the_last_doubling_is_judged_with_the_rest() -> None:
    """What happened early counts: the last stretch alone would be flat and clean."""
    early = {"anonymous": lambda calls: 20 * MIB * (calls > 2000)}
    made = Made(samples=150, doublings=2, inside=False, extra=early)
    run = soak(made)
    assert run.calls[-1] - run.calls[run.judged_from] > 1.5 * 150 * 4 * made.per_sample
    trend = judge(run).trends["anonymous"]
    assert trend.net is not None and trend.net > 15 * MIB
    assert trend.status is not Status.LEAK


def test_the_rate_is_one_a_request_though_samples_come_late() -> None:
    """Every sample of five requests comes at the ninth: the rate is not twice what it is."""
    run = soak(Made(per_sample=9, retained=9000, users=1))
    phases = tuple(replace(phase, calls_per_sample=5) for phase in run.phases)
    verdict = judge(replace(run, phases=phases))
    assert verdict.trends["live_heap"].rate == pytest.approx(9000, rel=0.02)
