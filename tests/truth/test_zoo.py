"""The leak zoo: a quick part of it for real, and the committed table of all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Leakhunt

from leakhunt.analysis.evaluation import score
from leakhunt.model.kinds import Kind
from leakhunt.reporting.evaluation.tables import from_json, wrong
from leakhunt.scenario import find

DATA = Path(__file__).parents[2] / "reports" / "truth" / "zoo.json"
HUNTS = DATA.with_name("hunts.json")
# The caches have tables of their own: see test_caches.py.
CACHES = "leak-zoo-caches"
ZOO = [
    found
    for found in find.builtin()
    if found.name.startswith("leak-zoo-") and not found.name.startswith(CACHES)
]
# One of each kind of leak and of what is none; `QUICK` has more of each.
BRIEF = (
    "leak-zoo-python-heap:list-append,list-cleared",
    "leak-zoo-native:malloc-lost,malloc-freed",
    "leak-zoo-resources:files-left-open,tasks-finished",
    "leak-zoo-bounded:lru-cache-that-fills,one-late-step",
    "leak-zoo-services:tokens-never-reset",
)
QUICK = (
    "leak-zoo-python-heap:list-append,list-cleared,tiny-object,cycles-dropped,one-call-in-ten,"
    "beneath-a-sawtooth,starting-late,exceptions-with-tracebacks",
    "leak-zoo-native:malloc-lost,malloc-freed,mmap-kept,reference-leaked-in-c,views-that-pin",
    "leak-zoo-resources:files-left-open,threads-that-never-end,children-not-waited-for,tasks-finished",
    "leak-zoo-bounded:lru-cache-that-fills,vocabulary-that-saturates,one-late-step,cyclic-trees,"
    "json-re-numpy",
    "leak-zoo-services:tokens-never-reset,tokens-reset,logger-for-each-request",
    "leak-zoo-services-tasks:finished-tasks-kept,queue-with-bound",
    "leak-zoo-services-web:middleware-that-keeps-requests,middleware-that-counts",
)


@pytest.mark.parametrize(
    ("part", "clean", "leaking"),
    [(BRIEF, 5, 4), pytest.param(QUICK, 12, 17, marks=pytest.mark.long)],
    ids=["brief", "quick"],
)
def test_a_quick_part_of_the_zoo_is_judged_right(
    leakhunt: Leakhunt, part: tuple[str, ...], clean: int, leaking: int
) -> None:
    done = leakhunt("truth", *part)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"0 false positives in {clean} runs" in done.stdout
    assert f"{leaking} of {leaking} found, {leaking} with the right class" in done.stdout


def test_the_committed_trials_cover_the_zoo_and_are_right() -> None:
    trials = from_json(DATA.read_bytes())
    tried = {(trial.scenario, trial.variant) for trial in trials}
    known = {
        (found.name, variant.name)
        for found in ZOO
        if "cpu" in found.devices
        for variant in found.variants
    }
    assert tried == known
    found = score(trials)
    assert (found.false_alarms, found.found) == (0, found.leaking_runs)
    assert found.clean_runs >= 500
    assert not wrong(trials)


# What each instrument finds, and one that has nothing to be found.
BRIEFLY_HUNTED = (
    "leak-zoo-python-heap:dict-of-new-keys",
    "leak-zoo-native:malloc-lost,malloc-freed",
    "leak-zoo-resources:threads-that-never-end",
)
HUNTED = (
    "leak-zoo-python-heap:dict-of-new-keys,cache-without-bound,logging-handlers,one-call-in-ten,"
    "generators-closed",
    "leak-zoo-native:malloc-lost,mmap-kept,views-that-pin,malloc-freed",
    "leak-zoo-resources:threads-that-never-end,executors-not-shut-down,thread-locals-kept",
    "leak-zoo-services:contexts-of-requests-kept,database-connections-kept,tokens-reset",
    "leak-zoo-services-tasks:finished-tasks-kept,loop-for-each-request",
    "leak-zoo-services-web:middleware-that-keeps-requests",
)


@pytest.mark.parametrize(
    ("part", "leaking"),
    [(BRIEFLY_HUNTED, 3), pytest.param(HUNTED, 15, marks=pytest.mark.long)],
    ids=["brief", "quick"],
)
def test_a_quick_part_of_the_zoo_is_hunted_right(
    leakhunt: Leakhunt, part: tuple[str, ...], leaking: int
) -> None:
    done = leakhunt("truth", "--hunt", *part)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{leaking} of {leaking} found, {leaking} with the right class" in done.stdout


def test_the_committed_hunts_cover_the_zoo_and_are_right() -> None:
    trials = from_json(HUNTS.read_bytes())
    hunted = {f"{each.scenario}:{each.variant}": each.hunted for each in trials}
    known = {
        f"{found.name}:{variant.name}": variant
        for found in ZOO
        if "cpu" in found.devices
        for variant in found.variants
    }
    assert set(hunted) == set(known)
    for name, variant in known.items():
        found = hunted[name]
        assert found is not None and found.is_right, name
        assert (found.culprit, found.cause) == (variant.culprit, variant.cause), name
        assert bool(found.suspects) == variant.expect[0].is_leak, name


def test_every_workload_of_the_zoo_says_what_to_expect() -> None:
    for found in ZOO:
        for variant in found.variants:
            assert variant.expect, f"{found.name}:{variant.name}"
            assert (variant.rate > 0) == variant.expect[0].is_leak, f"{found.name}:{variant.name}"
            assert bool(variant.culprit) == variant.expect[0].is_leak
            assert variant.summary


def test_the_zoo_has_forty_workloads_and_every_class() -> None:
    expected = [variant.expect for found in ZOO for variant in found.variants]
    assert len(expected) >= 40
    missing = set(Kind) - {kind for kinds in expected for kind in kinds}
    # What a limit or an open end makes of a run is no workload's own.
    of_limits = {Kind.KILLED, Kind.SPIKE, Kind.FILLS_LIMIT}
    # Of services, their processes and their container.
    of_services = {
        Kind.OUTSIDE_GROWTH, Kind.COPY_ON_WRITE, Kind.PAGE_CACHE, Kind.SHARED_MEMORY,
    }  # fmt: skip
    assert missing <= {Kind.INCONCLUSIVE, *of_services, *of_limits}


def test_a_wrong_answer_is_told_and_fails(leakhunt: Leakhunt, tmp_path: Path) -> None:
    (tmp_path / "lying.py").write_text(
        '"""Made."""\nfrom leakhunt import variant\n\ndef setup(context):\n    return []\n\n'
        '@variant(expect="clean")\ndef leaks(state, item):\n    state.append(bytearray(5000))\n'
    )
    done = leakhunt("truth", "lying.py", "--out", "trials.json")
    assert done.returncode == 1
    assert "wrong: lying:leaks seed 0: expected clean, found leak, leak in Python" in done.stdout
    assert score(from_json((tmp_path / "trials.json").read_bytes())).false_alarms == 1
    again = leakhunt("truth", "lying.py", "--out", "trials.json")
    assert (again.returncode, again.stderr.count("\n")) == (7, 1)


def test_a_scenario_that_does_not_say_what_to_expect_is_refused(leakhunt: Leakhunt) -> None:
    done = leakhunt("truth", "null")
    assert done.returncode == 2
    assert "no workload with a ground truth" in done.stderr


@pytest.mark.parametrize("word", ["'leak'", "['clean', 3]", "3"])
def test_an_expectation_that_is_no_class_is_refused(
    leakhunt: Leakhunt, tmp_path: Path, word: str
) -> None:
    (tmp_path / "odd.py").write_text(
        '"""Made."""\nfrom leakhunt import variant\n\ndef setup(context):\n    return []\n\n'
        f"@variant(expect={word})\ndef odd(state, item):\n    pass\n"
    )
    done = leakhunt("truth", "odd.py")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert "Use one of leak in Python" in done.stderr
