"""What is kept of runs: the same conclusions as from the runs themselves, and nothing half."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HOSTILE, MakeRun, hostile_run

from leakhunt.analysis.comparison.metrics import lines
from leakhunt.analysis.gate.baseline import baseline_variant, derived, environment_of, unfit_reason
from leakhunt.analysis.gate.baseline_diff import (
    against_baseline,
    choose,
    differing_facts,
    no_baseline,
)
from leakhunt.analysis.report import assemble
from leakhunt.analysis.verdict.trend import BLOCKS
from leakhunt.errors import BadFile
from leakhunt.model.baseline import Baseline, BaselineVariant
from leakhunt.model.comparison import Conclusion, Matter, Metric
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, Run
from leakhunt.reporting.baseline.rows import row_of
from leakhunt.storage import baseline_writer, run_file
from leakhunt.storage.baseline_folder import file_name, slug
from leakhunt.storage.baseline_reader import read_variant
from leakhunt.storage.baseline_writer import checksum, text_of

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"
MIB = 1 << 20
# A tenth of a byte per call, where without noise nothing is between two runs.
ROUNDED = 0.1
ENVIRONMENT = {
    "python": "CPython 3.11.7",
    "system": "Linux 6.1.0 x86_64",
    "libc": "glibc 2.36",
    "cpu": "Some CPU",
    "env OMP_NUM_THREADS": "1",
}
MakeEntry = Callable[..., JudgedRun]


@pytest.fixture
def entry(make_run: MakeRun) -> MakeEntry:
    """A judged run that grows by `rate` bytes a call, with garbage that collections take away."""

    def make(rate: int = 4096, seed: int = 0, calls: int = 300, **changes: Any) -> JudgedRun:
        rng = np.random.default_rng([7, seed])
        heap = 50 * MIB + rate * np.arange(calls) + rng.normal(0, 3000, calls)
        times = 1e7 * np.exp(rng.normal(0, 0.03, calls))
        readings = [Reading("start", {"rss": 100 * MIB, "live_heap": 50 * MIB}, 0)]
        for sample in (calls // 3, calls // 2, calls - 60, calls):
            left = 50 * MIB + rate * sample + int(rng.normal(0, 300))
            values = {"live_heap": left, "python_live": 10 * MIB + int(rng.normal(0, 300))}
            readings.append(Reading("look_collected", values, sample))
        end = {"rss": 100 * MIB + rate * calls + int(rng.normal(0, MIB))}
        readings.append(Reading("end", end, calls))
        made = make_run(
            live_heap=heap.astype(int).tolist(),
            rss=(heap * 1.2 + rng.normal(0, 1e5, calls)).astype(int).tolist(),
            descriptors=[9] * calls,
            duration=times.astype(int).tolist(),
            readings=readings,
            plan_changes={"calls": calls, "warmup": 75, **changes},
        )
        made = replace(made, environment=ENVIRONMENT, started_at=f"2026-11-2{seed}T09:00:00")
        return assemble([made], "test").entries[0]

    return make


def with_run(entry: JudgedRun, **changes: Any) -> JudgedRun:
    return replace(entry, run=replace(entry.run, **changes))


@cache
def example(name: str, folder: str = "fsmn-vad-cpu") -> JudgedRun:
    run = run_file.load(EXAMPLES / folder / f"{name}.run.jsonl")
    return assemble([run], "test").entries[0]


def through_the_file(entries: Sequence[JudgedRun]) -> BaselineVariant:
    return derived(read_variant(text_of(baseline_variant(entries)), "file.toml"))


def assert_alike(kept_lines: Sequence[Metric], run_lines: Sequence[Metric]) -> None:
    """The same figures, conclusions and reasons, but for what a file rounds."""
    assert [line.name for line in kept_lines] == [line.name for line in run_lines]
    for one, other in zip(kept_lines, run_lines, strict=True):
        assert (one.conclusion, one.reason) == (other.conclusion, other.reason), one.name
        assert (one.difference is None) == (other.difference is None), one.name
        if one.difference is None or other.difference is None:
            continue
        width = other.difference.high - other.difference.low
        for mine, its in (
            (one.difference.estimate, other.difference.estimate),
            (one.difference.low, other.difference.low),
            (one.difference.high, other.difference.high),
            (one.would_show, other.would_show),
        ):
            assert mine == pytest.approx(its, abs=width / 1000 + ROUNDED), one.name


# What a baseline says, and what the runs themselves say


def test_one_run_of_the_same_calls_gives_the_interval_of_the_runs_themselves(
    entry: MakeEntry,
) -> None:
    before, after = entry(0), entry(900, seed=1)
    found, refusing = against_baseline(through_the_file([before]), [after])
    assert refusing == ()
    assert_alike(found, list(lines([before], [after])))
    heap = found[0]
    assert heap.name == "live_heap" and heap.conclusion is Conclusion.INCREASE
    assert "the same 225 calls of one run each" in str(heap.reason)


def test_a_longer_run_is_paired_over_the_calls_that_were_kept(entry: MakeEntry) -> None:
    before, after = entry(), entry(seed=1, calls=420)
    found, _ = against_baseline(through_the_file([before]), [after])
    assert_alike(found, list(lines([before], [after])))
    assert "the same 225 calls" in str(found[0].reason)


def test_a_run_of_other_calls_gives_welchs_interval_of_the_runs_themselves(
    entry: MakeEntry,
) -> None:
    before, made = entry(), entry(800, seed=1).run
    phases = (
        Phase(0, 75, Purpose.WARM_UP, 1, collects=False),
        Phase(75, 225, Purpose.JUDGED, 2, collects=False),
    )
    calls = [*range(1, 76), *range(77, 527, 2)]
    after = assemble([replace(made, phases=phases, calls=calls)], "test").entries[0]
    found, _ = against_baseline(through_the_file([before]), [after])
    assert_alike(found, list(lines([before], [after])))
    assert "compared by their own bounds" in str(found[0].reason)


def test_a_shorter_run_than_the_one_kept_is_taken_by_itself(entry: MakeEntry) -> None:
    found, _ = against_baseline(through_the_file([entry()]), [entry(seed=1, calls=200)])
    assert found[0].conclusion is Conclusion.NO_DIFFERENCE
    assert "compared by their own bounds" in str(found[0].reason)


@pytest.mark.parametrize(("many", "few"), [(3, 1), (3, 3), (1, 3), (2, 2)])
def test_repeats_give_the_interval_of_the_runs_themselves(
    entry: MakeEntry, many: int, few: int
) -> None:
    before = [entry(seed=seed) for seed in range(many)]
    after = [entry(4600, seed=seed) for seed in range(5, 5 + few)]
    found, _ = against_baseline(through_the_file(before), after)
    assert_alike(found, list(lines(before, after)))
    assert "spread between runs" in str(found[0].reason)


@pytest.mark.parametrize(
    ("before", "after"),
    [("naive", "cleaned"), ("cleaned", "fixed-shape"), ("chunked", "chunked")],
)
def test_real_runs_give_the_intervals_of_the_runs_themselves(before: str, after: str) -> None:
    found, _ = against_baseline(through_the_file([example(before)]), [example(after)])
    assert_alike(found, list(lines([example(before)], [example(after)])))


def test_a_soak_is_kept_and_held_against_another(entry: MakeEntry) -> None:
    folder = "fsmn-vad-service-gradio"
    file = min((EXAMPLES / folder).glob("*.run.jsonl"))
    soak = example(file.name.removesuffix(run_file.SUFFIX), folder)
    assert soak.run.plan.load is not None
    again = through_the_file([soak])
    assert again.profiles[0].calls is None
    found, refusing = against_baseline(again, [soak])
    assert refusing == ()
    anonymous = next(each for each in found if each.name == "anonymous")
    assert "one soak each, compared by their own bounds" in str(anonymous.reason)


@pytest.mark.parametrize("name", ["naive", "fixed-shape", "streaming"])
def test_a_file_read_and_written_again_is_the_same_file_and_short(name: str) -> None:
    text = text_of(baseline_variant([example(name)]))
    assert text_of(derived(read_variant(text, "file.toml"))) == text
    assert len(text.splitlines()) <= 30


def test_what_is_read_is_what_the_file_says_and_rates_follow_from_that() -> None:
    one = baseline_variant([example("naive")])
    read = read_variant(text_of(one), "file.toml").profiles[0].courses["live_heap"]
    assert (read.rate, read.rate_after_gc) == (None, None) and read.steps and read.points
    again = through_the_file([example("naive")]).profiles[0].courses["live_heap"]
    was = one.profiles[0].courses["live_heap"]
    assert again.rate == pytest.approx(was.rate, abs=ROUNDED)
    assert again.rate_after_gc == pytest.approx(was.rate_after_gc, abs=ROUNDED)


def test_a_file_has_as_many_blocks_as_the_verdict_looks_at() -> None:
    assert baseline_writer.BLOCKS == BLOCKS


def test_the_file_keeps_every_fact(entry: MakeEntry) -> None:
    one = example("naive")
    assert through_the_file([one]).profiles[0].facts == baseline_variant([one]).profiles[0].facts
    assert differing_facts(through_the_file([one]), [one.run]) == ()


def test_hostile_texts_come_back_or_are_told_apart(entry: MakeEntry) -> None:
    clean = HOSTILE.encode("utf-8", "replace").decode()
    one = entry()
    hostile = replace(hostile_run(one.run), outcome=Outcome(Ending.OK))
    again = through_the_file([replace(one, run=hostile)])
    assert (again.scenario, again.variant) == (clean, clean)
    assert again.profiles[0].facts["weights"] == (clean, Matter.INPUTS)


# What forbids a conclusion


@pytest.mark.parametrize(
    ("fact", "value", "kept_value"),
    [("seed", 3, "0"), ("threads", 4, "1"), ("device", "cuda", "cpu")],
)
def test_other_inputs_or_another_way_to_manage_memory_forbid_every_conclusion(
    entry: MakeEntry, fact: str, value: Any, kept_value: str
) -> None:
    after = entry(seed=1)
    changes: dict[str, Any] = {fact: value}
    after = with_run(after, plan=replace(after.run.plan, **changes))
    found, refusing = against_baseline(through_the_file([entry()]), [after])
    assert [(each.fact, each.before, each.after) for each in refusing] == [
        (fact, kept_value, str(value))
    ]
    values = {line.name: line.conclusion for line in found}
    assert values.pop("rss_total") is Conclusion.INCONCLUSIVE
    assert set(values.values()) == {Conclusion.NOT_COMPARABLE}
    assert f"{fact}: {kept_value} and {value}" in str(found[0].reason)


def test_another_processor_forbids_conclusions_on_time_alone(entry: MakeEntry) -> None:
    after = with_run(entry(seed=1), environment=ENVIRONMENT | {"cpu": "Another CPU"})
    found, refusing = against_baseline(through_the_file([entry()]), [after])
    assert [each.fact for each in refusing] == ["cpu"]
    values = {line.name: line.conclusion for line in found}
    assert values["time"] is Conclusion.NOT_COMPARABLE
    assert values["live_heap"] is Conclusion.NO_DIFFERENCE


def test_another_version_of_a_package_is_told_and_forbids_nothing(entry: MakeEntry) -> None:
    before, after = (
        with_run(entry(seed=seed), environment=ENVIRONMENT | {"torch": version})
        for seed, version in enumerate(("2.10", "2.11"))
    )
    again = through_the_file([before])
    assert against_baseline(again, [after])[1] == ()
    assert "package torch" in [each.fact for each in differing_facts(again, [after.run])]


def test_repeats_on_two_machines_are_kept_with_both(entry: MakeEntry) -> None:
    before = [
        with_run(entry(seed=seed), environment=ENVIRONMENT | {"cpu": f"CPU {seed}"})
        for seed in range(2)
    ]
    after = with_run(entry(seed=3), environment=ENVIRONMENT | {"cpu": "CPU 0"})
    _, refusing = against_baseline(through_the_file(before), [after])
    assert [(each.fact, str(each.before)) for each in refusing] == [("cpu", "CPU 0 / CPU 1")]


# Which runs are a baseline


def test_runs_that_did_not_end_by_themselves_are_no_baseline(entry: MakeEntry) -> None:
    assert unfit_reason([entry()]) == ""
    for ending in (Ending.KILLED, Ending.CRASHED, Ending.INTERRUPTED, Ending.TIMEOUT):
        reason = unfit_reason(
            [entry(), with_run(entry(seed=1), outcome=Outcome(ending, "out of memory"))]
        )
        assert f"the run was {ending} (out of memory)" in str(reason)


def test_a_run_of_too_few_samples_is_no_baseline(entry: MakeEntry) -> None:
    assert "49 measured samples; needs 50" in str(unfit_reason([entry(calls=124)]))


def test_repeats_that_differ_are_no_baseline(entry: MakeEntry) -> None:
    other = entry(seed=1)
    other = with_run(other, plan=replace(other.run.plan, seed=3))
    assert "seed: 0 and 3" in str(unfit_reason([entry(), other]))


def test_a_leak_that_is_accepted_is_said_in_the_file_and_in_the_table(entry: MakeEntry) -> None:
    leaking, clean = baseline_variant([entry()]), baseline_variant([entry(0)])
    assert leaking.accepts_leak and not clean.accepts_leak
    assert b"# IT ACCEPTS A LEAK" in text_of(leaking)
    assert b'verdict = ["leak in native code"]' in text_of(leaking)
    assert b"ACCEPTS" not in text_of(clean)
    assert row_of(leaking).accepts_leak


def test_of_repeats_the_mean_is_shown_with_least_and_most(entry: MakeEntry) -> None:
    row = row_of(baseline_variant([entry(rate, seed=n) for n, rate in enumerate((2048, 4096))]))
    assert row.calls == "2 runs of 300 calls"
    assert row.measured == "measured 2026-11-20, 2026-11-21"
    figures = dict(row.figures)
    assert figures["live heap"].startswith("3.0") and "(2.0" in figures["live heap"]
    assert "descriptors" not in figures


# Environments


def changed(run: Run, **facts: str) -> Run:
    return replace(run, environment={**run.environment, **facts})


def test_what_decides_about_memory_makes_another_environment(entry: MakeEntry) -> None:
    run = entry().run
    here = environment_of(run)
    assert here == {
        "system": "Linux x86_64", "python": "CPython 3.11", "libc": "glibc 2.36", "device": "cpu",
    }  # fmt: skip
    assert slug(here).startswith("linux-x86_64-cpython3.11-glibc2.36-cpu-")
    for facts in (
        {"python": "CPython 3.12.1"},
        {"libc": "musl 1.2"},
        {"system": "Linux 6.1.0 aarch64"},
        {"env MALLOC_ARENA_MAX": "1"},
        {"env OMP_NUM_THREADS": "8"},
    ):
        other = environment_of(changed(run, **facts))
        assert other != here and slug(other) != slug(here)
    for facts in (
        {"python": "CPython 3.11.9"},
        {"system": "Linux 6.9.9 x86_64"},
        {"cpu": "Another"},
        {"torch": "3"},
        {"env PYTHONHASHSEED": "0"},
        {"env CUDA_VISIBLE_DEVICES": "1"},
    ):
        assert environment_of(changed(run, **facts)) == here


def test_a_variable_that_the_plan_sets_is_no_other_environment(entry: MakeEntry) -> None:
    run = entry().run
    plan = replace(run.plan, environment={"MALLOC_ARENA_MAX": "1"})
    own = replace(changed(run, **{"env MALLOC_ARENA_MAX": "1"}), plan=plan)
    assert environment_of(own) == environment_of(run)


def test_an_environment_of_which_nothing_is_known_has_a_name(make_run: MakeRun) -> None:
    assert slug(environment_of(make_run(live_heap=[1]))).startswith("cpu-")


def test_no_two_variants_have_one_file_and_no_name_leaves_the_folder() -> None:
    names = [
        ("a", "b"), ("a.b", "c"), ("a", "b.c"), ("../a", "b"), (".._a", "b"), ("", "b"),
        ("a/b", "c"), ("a" * 300, "b"), ("a" * 299, "b"), (HOSTILE, HOSTILE),
    ]  # fmt: skip
    files = [file_name(*each) for each in names]
    assert len(set(files)) == len(files)
    assert files[0] == "a.b.toml"
    assert all(
        "/" not in each and len(each) < 150 and not each.startswith(".") for each in files[:5]
    )


def test_the_baseline_of_the_environment_is_chosen(entry: MakeEntry) -> None:
    run = entry().run
    baselines = [
        Baseline("x/musl", environment_of(changed(run, libc="musl 1.2")), ()),
        Baseline("x/here", environment_of(run), ()),
    ]
    assert choose(baselines, run) is baselines[1]
    assert choose(baselines[:1], run) is None


def test_without_one_the_nearest_is_named_with_what_differs(entry: MakeEntry) -> None:
    run = entry().run
    near = Baseline("x/near", environment_of(changed(run, libc="musl 1.2")), ())
    far = Baseline("x/far", environment_of(changed(run, libc="musl 1.2", python="PyPy 3.11.1")), ())
    refusal = no_baseline([far, near], run, "x")
    assert "the nearest, x/near, differs in libc: musl 1.2 and glibc 2.36" in str(refusal)
    assert "'leakhunt baseline save RUN_FOLDER'" in str(refusal)
    assert "no baseline. Create one with 'leakhunt baseline save RUN_FOLDER'" in str(
        no_baseline([], run, "x")
    )


# Files that are not what they should be


def calls(work: str, made: str, per_sample: int, more: str) -> str:
    return (
        f'{{ work = "{work}", made = [{made}], samples = [1], per_sample = [{per_sample}],'
        f" collects = [true]{more} }}"
    )


def refusal(text: bytes) -> str:
    with pytest.raises(BadFile) as found:
        read_variant(text, "b.toml")
    message = str(found.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "=======", ">>>>>>> other", "||||||| base"])
def test_marks_of_a_conflict_are_named_with_their_line(entry: MakeEntry, mark: str) -> None:
    lines_of_file = text_of(baseline_variant([entry()])).decode().splitlines()
    message = refusal("\n".join([*lines_of_file[:6], mark, *lines_of_file[6:]]).encode())
    assert message.startswith(
        f"b.toml:7: invalid TOML ({mark[:7]}: unresolved merge conflict)."
        " Resolve the merge conflict"
    )
    assert "'leakhunt baseline save' again" in message


def test_a_file_cut_off_anywhere_is_refused(entry: MakeEntry) -> None:
    text = text_of(baseline_variant([entry()]))
    for end in range(0, len(text) - 1, 7):
        assert refusal(text[:end]).startswith("b.toml:")


def test_a_line_that_is_gone_is_refused(entry: MakeEntry) -> None:
    lines_of_file = text_of(baseline_variant([entry()])).splitlines(keepends=True)
    for gone in range(len(lines_of_file)):
        refusal(b"".join(lines_of_file[:gone] + lines_of_file[gone + 1 :]))


def test_figures_mixed_from_two_measurements_are_refused(entry: MakeEntry) -> None:
    one, other = (text_of(baseline_variant([entry(seed=seed)])).splitlines() for seed in range(2))
    mixed = [*one[:-3], *other[-3:-1], one[-1]]
    message = refusal(b"\n".join(mixed))
    assert message.startswith(
        f"b.toml:{len(one)}: checksum mismatch: the file was edited, or merged from two. Resolve"
    )


def test_what_an_editor_changes_at_the_ends_of_lines_does_not_matter(entry: MakeEntry) -> None:
    text = text_of(baseline_variant([entry()]))
    for other in (text.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + text, text + b"\n", text[:-1]):
        assert text_of(derived(read_variant(other, "b.toml"))) == text


def test_a_newer_format_is_refused(entry: MakeEntry) -> None:
    text = text_of(baseline_variant([entry()])).replace(b"format = 1", b"format = 2\nnew = 3")
    assert refusal(text) == (
        "b.toml: baseline format 2 is newer than this leakhunt (format 1). Update leakhunt"
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("format", '"1"', "expected a number"),
        ("variant", "7", "expected a text"),
        ("measured", "[]", "missing run"),
        ("verdict", '["clean", "clean"]', "expected one entry for each of 1 runs"),
        ("environment", "{}", "missing system"),
        ("environment", '"Linux"', "expected a table"),
        ("inputs", "{ seed = 0 }", "expected a list of texts"),
        ("calls", calls("nap", made="1", per_sample=1, more=""), "expected call or request"),
        ("calls", calls("call", made="0", per_sample=1, more=""), "expected numbers of 1 or more"),
        ("calls", calls("call", made="9", per_sample=2, more=", judged = [1, 8]"), "expected the"),
        ("calls", calls("call", made="true", per_sample=1, more=""), "unexpected value"),
        ("live_heap", "{ steps = [1, 2, 3] }", "unexpected value"),
        ("live_heap", "{ steps = [1, 2, 3, 4, 5, 6, nan] }", "unexpected value"),
        ("live_heap", f"{{ steps = [1, 2, 3, 4, 5, 6, {10**400}] }}", "unexpected value"),
        ("live_heap", "{ collected = [[9, 0], [8, 0]] }", "unexpected value"),
        ("live_heap", "7", "expected a table"),
        ("rss_total", '["many"]', "expected a list of numbers"),
        ("time", "{ milliseconds = [0] }", "times must be above 0"),
        ("time", "{ milliseconds = [1, 2] }", "unexpected value"),
        ("checksum", '"0"', "checksum mismatch"),
        ("checksum", "[[", "invalid TOML"),
    ],
)  # fmt: skip
def test_a_mistyped_value_is_named_with_its_line(
    entry: MakeEntry, key: str, value: str, expected: str
) -> None:
    lines_of_file = text_of(baseline_variant([entry()])).decode().splitlines()
    (number,) = (n for n, line in enumerate(lines_of_file, 1) if line.startswith(f"{key} = "))
    lines_of_file[number - 1] = f"{key} = {value}"
    if key != "checksum":
        lines_of_file[-1] = f'checksum = "{checksum(lines_of_file[:-1])}"'
    message = refusal("\n".join(lines_of_file).encode())
    assert expected in message
    if expected != "invalid TOML":
        assert message.startswith(f"b.toml:{number}: ")


def test_an_unknown_key_and_a_file_of_something_else_are_refused(entry: MakeEntry) -> None:
    text = text_of(baseline_variant([entry()]))
    assert "unknown key 'a.b'" in refusal(b'"a.b" = 1\n' + text)
    for other in (b"", b"\xff\xfe", b"[project]\nname = 'x'\n", b"{}", b"\x00"):
        refusal(other)
