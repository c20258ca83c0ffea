"""Whether the load landed: what failed, how fast it went, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conftest import HOSTILE, MakeRun
from made_soaks import Made, soak

from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.load_summary import fell, load_statements, load_summary
from leakhunt.model.run import Run


def statements(run: Run) -> str:
    return " ".join(map(str, load_statements(run, load_summary(run))))


def test_a_load_that_lands_is_counted_and_needs_no_word() -> None:
    run = soak(Made(milliseconds=20.0, users=4, doublings=2))
    summary = load_summary(run)
    assert summary is not None
    assert summary.requests == run.calls[-1] - run.calls[run.judged_from - 1]
    assert (summary.failed, summary.errors) == (0, ())
    assert summary.throughput_first_third == pytest.approx(200, rel=0.03)
    assert summary.throughput_last_third == pytest.approx(200, rel=0.03)
    assert summary.median_seconds == pytest.approx(0.020, rel=0.05)
    assert summary.p95_seconds == pytest.approx(0.032, rel=0.05)
    assert summary.p99_seconds == pytest.approx(0.042, rel=0.05)
    assert statements(run) == ""


def test_what_failed_is_told_with_its_reason_and_not_the_warm_up() -> None:
    run = soak(Made(failing=0.12))
    summary = load_summary(run)
    assert summary is not None
    assert summary.failed == sum(run.samples["failures"][run.judged_from :])
    assert summary.errors == (("500 Internal Server Error", sum(run.samples["failures"])),)
    assert f"% of {summary.requests:,} requests failed (500 Internal Server Error)" in statements(
        run
    )
    assert "requests failed" in str(judge(run).sentence)


def test_the_last_note_of_errors_holds() -> None:
    run = soak(Made(failing=0.12))
    first = {"record": "note", "kind": "errors", "errors": [["old", 1]]}
    summary = load_summary(replace(run, notes=(first, *run.notes)))
    assert summary is not None and summary.errors[0][0] == "500 Internal Server Error"


def test_a_soak_that_went_on_has_the_errors_of_both_parts() -> None:
    """The load that it went on with counts from nothing."""
    notes: list[dict[str, Any]] = [
        {"kind": "errors", "errors": [["500", 10]]},
        {"kind": "errors", "errors": [["500", 12], ["503", 1]]},
        {"kind": "resumed", "text": "resumed after request 60"},
        {"kind": "errors", "errors": [["500", 3]]},
    ]
    summary = load_summary(replace(soak(Made(failing=0.1)), notes=tuple(notes)))
    assert summary is not None and summary.errors == (("500", 15), ("503", 1))
    without_more = load_summary(replace(soak(Made(failing=0.1)), notes=tuple(notes[:3])))
    assert without_more is not None and without_more.errors == (("500", 12), ("503", 1))


def test_a_hostile_error_is_a_text_as_any() -> None:
    note = {"record": "note", "kind": "errors", "errors": [[HOSTILE, 300]]}
    run = replace(soak(Made(failing=0.3)), notes=(note,))
    assert HOSTILE in statements(run)


def test_a_pace_that_fell_is_told() -> None:
    assert "Throughput fell from" in statements(soak(Made(slowing=1.0)))
    assert not fell(soak(Made(slowing=0.1)))


def test_noise_is_no_fall() -> None:
    """Paces that jump by half from sample to sample, but do not fall."""
    jumping = {"elapsed": lambda calls: 40_000_000.0 * (calls.astype(int) % 7)}
    assert not any(fell(soak(Made(seed=seed, extra=jumping))) for seed in range(100))


def test_too_few_samples_say_nothing_of_the_pace() -> None:
    assert not fell(soak(Made(samples=40, slowing=3.0)))


def test_what_is_no_soak_has_no_landing(make_run: MakeRun) -> None:
    assert load_summary(make_run(rss=[1, 2, 3], duration=[1, 1, 1])) is None


def test_a_soak_without_a_sample_or_a_clock_has_none() -> None:
    run = soak(Made())
    empty = {name: values[:0] for name, values in run.samples.items()}
    assert load_summary(replace(run, samples=empty, calls=run.calls[:0], readings=())) is None
    stopped = {**run.samples, "elapsed": [0] * run.samples_done}
    assert load_summary(replace(run, samples=stopped)) is None


def test_one_sample_is_enough_for_a_count() -> None:
    run = soak(Made(failing=1.0))
    one = {name: values[:1] for name, values in run.samples.items()}
    cut = replace(run, samples=one, calls=run.calls[:1], phases=run.phases[:1], readings=())
    summary = load_summary(cut)
    assert summary is not None and summary.failed == summary.requests == cut.calls[0]
    assert summary.throughput_first_third == summary.throughput_last_third > 0


def response_times(sample: int, *times: tuple[int, int]) -> dict[str, object]:
    return {"record": "note", "kind": "response-times", "sample": sample, "times": list(times)}


def test_quantiles_are_those_of_all_judged_requests() -> None:
    """Of samples of five requests the 99th percentile is the slowest: their median says nothing."""
    run = soak(Made(samples=200))
    first = run.judged_from
    without = load_summary(run)
    assert first > 2 and without is not None and without.p99_seconds < 1
    requests = without.requests
    fast, slow = 10_000_000, 5_000_000_000
    notes = (
        response_times(0),
        response_times(first, (slow, 50)),  # the warm-up is left out
        response_times(first + 10, (fast, requests // 2), (slow, 52)),
        response_times(run.samples_done, (fast, requests - 20), (slow, 70)),
    )
    found = load_summary(replace(run, notes=notes))
    assert found is not None
    assert (found.median_seconds, found.p95_seconds) == (0.01, 0.01)
    assert found.p99_seconds == 5.0
    resumed = {"record": "note", "kind": "resumed", "text": "went on"}
    # Its load counts from nothing again.
    again = load_summary(
        replace(run, notes=(*notes, resumed, response_times(run.samples_done, (slow, 70))))
    )
    assert again is not None and again.p95_seconds == 5.0
    # Killed before the end, the last part was not noted: what the samples say is all there is.
    assert load_summary(replace(run, notes=notes[:-1])) == without
