"""`run` and `hunt` of the engine, by a scripted executor in place of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from conftest import MakeRun, WriteScenario
from made_findings import KERNEL, MALLOC, MINE, ONEDNN, finding

from leakhunt.analysis.verdict import judge
from leakhunt.engine import run as running
from leakhunt.engine.events import Events, RunStart, Silent
from leakhunt.engine.executors import Workplace
from leakhunt.engine.explain import under_instruments
from leakhunt.engine.formats import renderers_named
from leakhunt.engine.hunt import HuntRequest, hunt
from leakhunt.engine.interleave import interleaved
from leakhunt.engine.run import RunResult, run
from leakhunt.engine.session import session
from leakhunt.engine.settings import RunRequest, plan_of, settings_of
from leakhunt.environment import available_cores
from leakhunt.errors import INTERRUPTED, CannotWrite, LeakhuntError, UsageError
from leakhunt.model.attribution import Finding, Instrument
from leakhunt.model.options import BUDGET_SECONDS, TIMEOUT_SECONDS, Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Run
from leakhunt.model.verdict import Status
from leakhunt.runner.supervisor import Progress
from leakhunt.storage import run_file, run_writer
from leakhunt.storage.follow import Tail
from leakhunt.text.message import Text
from leakhunt.text.record import fields_of

TWO = """
\"\"\"Two ways.\"\"\"
from leakhunt import variant


@variant
def naive(state, item):
    pass


@variant
def fixed(state, item):
    pass
"""
OK = Outcome(Ending.OK)
CORES = available_cores()
SERIES = [
    {"name": name, "unit": unit, "title": name, "blind_to": ""}
    for name, unit in (("rss", "bytes"), ("live_heap", "bytes"), ("duration", "ns"))
]


class Scripted:
    """Writes run files of a given growth a call, by variant, in place of measuring."""

    def __init__(
        self, rates: Mapping[str, int], endings: Mapping[str, Outcome] | None = None
    ) -> None:
        self.rates = rates
        self.endings = endings or {}
        self.findings: Mapping[str, Sequence[Finding]] = {}
        self.plans: list[tuple[str, Plan]] = []

    def prepare(self, settings: Settings, folder: Path, scratch: Path, events: Events) -> Workplace:
        return _Desk(self, folder)

    def arrive(self, name: str) -> None:
        """What comes before a run."""


class _Desk:
    def __init__(self, script: Scripted, folder: Path) -> None:
        self._script = script
        self._folder = folder

    @property
    def device(self) -> str:
        return "cpu"

    def carry_out(self, plan: Plan, name: str, progress: Progress) -> Outcome:
        self._script.plans.append((name, plan))
        self._script.arrive(name)
        path = self._folder / f"{name}{run_file.SUFFIX}"
        outcome = self._script.endings.get(name, OK)
        assert plan.calls is not None and plan.warmup is not None
        run_writer.create(path, {"plan": asdict(plan), "series": SERIES})
        phases = (
            Phase(0, plan.warmup, Purpose.WARM_UP, 1, collects=False),
            Phase(plan.warmup, plan.calls - plan.warmup, Purpose.JUDGED, 1, collects=False),
        )
        with open(path, "ab") as stream:
            for phase in phases:
                stream.write(run_writer.encode({"record": "phase", **asdict(phase)}))
                for call in range(phase.first_sample, phase.first_sample + phase.samples):
                    grown = call * self._script.rates.get(plan.variant, 0)
                    values = [50_000_000 + grown, 5_000_000 + grown, 1000]
                    record = {"record": "sample", "call": call, "values": values}
                    stream.write(run_writer.encode(record))
            for each in self._script.findings.get(name, ()):
                record = {"record": "finding", **fields_of(each)}
                stream.write(run_writer.encode(record))
        run_writer.finish(path, outcome, 1.0)
        with Tail(path) as tail:
            tail.follow()
            progress(tail)
        return outcome

    def load(self, name: str) -> Run:
        return run_file.load(self._folder / f"{name}{run_file.SUFFIX}")


def cache_of_a_library(size: int) -> list[Finding]:
    """What memray finds of oneDNN's cache: an entry and its kernel per call."""
    entry = finding(1, 128, stack=(MALLOC, ONEDNN, MINE), key="1", instrument=Instrument.MEMRAY)
    kernel = (MALLOC, KERNEL, ONEDNN, MINE)
    rest = finding(1, size - 128, stack=kernel, key="2", instrument=Instrument.MEMRAY)
    return [entry, rest]


class Log(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def started(self, run: RunStart) -> None:
        self.lines.append(("started", run.name, run.calls, run.group))

    def sampled(self, name: str, tail: Tail) -> None:
        self.lines.append(("sampled", name, tail.calls))

    def noted(self, text: Text, *, warning: bool = False) -> None:
        self.lines.append(("noted", str(text), warning))

    def ended(self, name: str, outcome: Outcome) -> None:
        self.lines.append(("ended", name, outcome.ending))


@pytest.fixture
def target(write_scenario: WriteScenario) -> str:
    return str(write_scenario(TWO))


def measured(
    target: str,
    tmp_path: Path,
    script: Scripted,
    events: Events | None = None,
    hunt: bool = False,
) -> RunResult:
    request = RunRequest(target, calls=200)
    out, listener = tmp_path / "out", events or Silent()
    return run(request, (), listener, out=out, executor=script, hunt=hunt)


def test_what_was_measured_comes_back_and_nothing_is_printed(
    target: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    result = measured(target, tmp_path, Scripted({"naive": 40_960}), log)
    assert (result.exit_code, result.interrupted, result.files) == (0, False, ())
    assert result.verdict("naive").status is Status.LEAK
    assert result.verdict("fixed").status is Status.NO_LEAK
    assert [each.name for each in sorted(result.folder.iterdir())] == [
        "fixed.run.jsonl", "naive.run.jsonl",
    ]  # fmt: skip
    group = ("naive", "fixed")
    assert log.lines == [
        line
        for name in group
        for line in (
            ("started", name, 200, group),
            ("sampled", name, 200),
            ("ended", name, Ending.OK),
        )
    ]
    assert capfd.readouterr() == ("", "")
    assert "made:naive" in result._repr_html_()
    with pytest.raises(UsageError, match="naive, fixed"):
        result.verdict("other")
    with pytest.raises(UsageError, match="naive, fixed"):
        result.verdict()


def test_what_grows_runs_again_under_the_instrument_that_sees_it(
    target: str, tmp_path: Path
) -> None:
    script = Scripted({"naive": 40_960})
    result = measured(target, tmp_path, script, hunt=True)
    names = [name for name, _ in script.plans]
    assert names[:3] == ["naive", "fixed", "naive.under-memray"]
    assert not any(name.startswith("fixed.") for name in names)
    assert len(result.report.entries) == 2
    attribution = result.report.entries[0].attribution
    assert attribution is not None and Instrument.MEMRAY in attribution.instruments


def test_several_variants_at_a_time_come_to_the_same(target: str, tmp_path: Path) -> None:
    script = Scripted({"naive": 40_960, "fixed": 40_960})
    request = RunRequest(target, calls=200)
    result = run(request, out=tmp_path / "out", executor=script, jobs=2)
    names = [name for name, _ in script.plans]
    assert {"naive", "fixed", "naive.under-memray"} <= set(names)
    assert not any(name.startswith("fixed.under") for name in names)  # it grows as naive does
    assert [each.run.plan.variant for each in result.report.entries] == ["naive", "fixed"]
    assert "Same growth as naive" in str(result.verdict("fixed").sentence)
    assert {plan.threads for _, plan in script.plans} == {max(available_cores() // 2, 1)}
    with pytest.raises(UsageError, match="jobs=0"):
        run(request, out=tmp_path / "none", executor=script, jobs=0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_variant_that_grows_otherwise_is_explained_once(
    target: str, tmp_path: Path, jobs: int
) -> None:
    script = Scripted({"naive": 40_960, "fixed": 4_096})
    run(RunRequest(target, calls=200), out=tmp_path / "out", executor=script, jobs=jobs)
    names = [name for name, _ in script.plans]
    assert [names.count(f"{each}.under-memray") for each in ("naive", "fixed")] == [1, 1]


def test_the_first_of_several_variants_is_explained_beside_the_others(
    target: str, tmp_path: Path
) -> None:
    ended = {"naive.under-memray": Outcome(Ending.CRASHED, "SIGSEGV")}
    script = Scripted({"naive": 40_960}, ended)
    request = RunRequest(target, calls=200)
    result = run(request, out=tmp_path / "out", executor=script, jobs=2)
    # Its runs come before those of the next variant.
    assert [each.ending for each in result.outcomes][:2] == [Ending.OK, Ending.CRASHED]


class _Meeting(Scripted):
    """The first variant is measured beside the last; the hunts of those between have to meet."""

    def __init__(self) -> None:
        super().__init__({"naive": 40_960, "fixed": 4_096, "other": 8_192})
        self.last_begun = Event()
        self.hunts = Barrier(2, timeout=30)

    def arrive(self, name: str) -> None:
        """Hold up a run until what it waits for is there."""
        if name == "naive":
            assert self.last_begun.wait(30)
        elif name == "last":
            self.last_begun.set()
        elif name in ("fixed.under-memray", "other.under-memray"):
            self.hunts.wait()


def test_hunts_that_were_left_to_the_end_run_side_by_side(
    tmp_path: Path, write_scenario: WriteScenario
) -> None:
    more = "\n@variant\ndef {}(state, item):\n    pass\n"
    script = _Meeting()
    scenario = write_scenario(TWO + more.format("other") + more.format("last"))
    request = RunRequest(str(scenario), calls=200)
    result = run(request, out=tmp_path / "out", executor=script, jobs=2)
    assert result.exit_code == 0  # else the barrier is broken
    names = [name for name, _ in script.plans]
    assert names.index("last") < names.index("fixed.under-memray")


class _FullDisk(Scripted):
    """No variant can be measured."""

    def arrive(self, name: str) -> None:
        """Fail."""
        raise CannotWrite("the disk is full")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_hunt_does_not_wait_for_what_has_failed(target: str, tmp_path: Path, jobs: int) -> None:
    script = _FullDisk({"naive": 40_960})
    with pytest.raises(CannotWrite, match="the disk is full"):
        run(RunRequest(target, calls=200), out=tmp_path / "out", executor=script, jobs=jobs)
    assert not any("under" in name for name, _ in script.plans)


@pytest.mark.parametrize(
    ("text", "named", "cores", "jobs"),
    [
        ("", ":naive,fixed", 4, 1),
        ("JOBS = 2\n", ":naive,fixed", 4, 2),
        ("JOBS = 2\n", ":naive,fixed", 1, 1),
        ("JOBS = 2\n", ":naive", 4, 1),
        ('JOBS = 2\nDEVICES = ("cpu", "cuda")\n', ":naive,fixed", 4, 1),
    ],
)
def test_a_scenario_says_how_many_variants_run_side_by_side(
    tmp_path: Path,
    write_scenario: WriteScenario,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    named: str,
    cores: int,
    jobs: int,
) -> None:
    """Where there are as many cores, and no GPU that they would share."""
    monkeypatch.setattr(running, "available_cores", lambda: cores)
    monkeypatch.setattr(running, "sees_gpu", lambda variables: True)
    script = Scripted({})
    target = f"{write_scenario(TWO + text)}{named}"
    run(RunRequest(target, calls=200), out=tmp_path / "out", executor=script)
    assert {plan.threads for _, plan in script.plans} == {cores // jobs if jobs > 1 else CORES}


def test_a_run_ends_where_another_was_stopped(target: str, tmp_path: Path) -> None:
    settings = settings_of(RunRequest(target, calls=200))
    with session(settings, tmp_path, Silent(), Scripted({})) as prepared:
        stop = Event()
        plan = plan_of(settings, prepared.variants[0], "cpu")
        assert prepared.carry_out(plan, "first", (), stop).calls_done == 200
        stop.set()
        with pytest.raises(KeyboardInterrupt):
            prepared.carry_out(plan, "second", (), stop)


@pytest.mark.parametrize(
    ("calls", "verified"), [("CALLS = 200\n", True), ("", False)], ids=["budget", "asked for"]
)
def test_a_ceiling_is_verified_where_the_budget_allows(
    tmp_path: Path, write_scenario: WriteScenario, calls: str, verified: bool
) -> None:
    """A number of calls that was asked for is kept to; a scenario's own leaves the budget."""
    script = Scripted({"naive": 40_960})
    script.findings = {"naive.under-memray": cache_of_a_library(40_960)}
    target = str(write_scenario(f"{TWO}\n{calls}"))
    request = RunRequest(f"{target}:naive", calls=None if calls else 200)
    run(request, out=tmp_path / "out", executor=script)
    names = [name for name, _ in script.plans]
    assert ("naive.until-ceiling" in names) is verified


def test_a_ceiling_that_changes_nothing_is_not_looked_for(
    tmp_path: Path, write_scenario: WriteScenario
) -> None:
    """What is lost in every call grows on when the cache has filled."""
    script = Scripted({"naive": 40_960})
    lost = finding(1, 20_480, stack=(MALLOC, MINE), key="3", instrument=Instrument.MEMRAY)
    script.findings = {"naive.under-memray": [*cache_of_a_library(20_480), lost]}
    target = str(write_scenario(f"{TWO}\nCALLS = 200\n"))
    run(RunRequest(f"{target}:naive"), out=tmp_path / "out", executor=script)
    assert [name for name, _ in script.plans] == ["naive", "naive.under-memray"]


def test_nothing_is_looked_into_after_an_interrupt(target: str, tmp_path: Path) -> None:
    stopped = Outcome(Ending.INTERRUPTED, "interrupted by the user")
    script = Scripted({"naive": 40_960}, {"fixed": stopped})
    result = measured(target, tmp_path, script, hunt=True)
    assert result.interrupted
    assert [name for name, _ in script.plans] == ["naive", "fixed"]


def test_an_interrupt_ends_it_and_keeps_what_was_measured(target: str, tmp_path: Path) -> None:
    script = Scripted({}, {"naive": Outcome(Ending.INTERRUPTED, "interrupted by the user")})
    result = measured(target, tmp_path, script)
    assert result.interrupted and result.exit_code == INTERRUPTED
    assert [name for name, _ in script.plans] == ["naive"]
    assert result.verdict().status in Status


def test_a_crash_is_told_by_the_exit_code_after_all_variants(target: str, tmp_path: Path) -> None:
    script = Scripted({}, {"naive": Outcome(Ending.CRASHED, "SIGSEGV")})
    result = measured(target, tmp_path, script)
    assert [outcome.ending for outcome in result.outcomes] == [Ending.CRASHED, Ending.OK]
    assert (result.exit_code, result.interrupted) == (8, False)


def test_nothing_is_overwritten(target: str, tmp_path: Path) -> None:
    measured(target, tmp_path, Scripted({}))
    with pytest.raises(CannotWrite, match="not empty, and nothing is overwritten"):
        measured(target, tmp_path, Scripted({}))


def test_a_remedy_is_tried_in_turns_until_an_interrupt(target: str, tmp_path: Path) -> None:
    stopped = Outcome(Ending.INTERRUPTED, "interrupted by the user")
    script = Scripted({}, {"naive.try-1-before-2": stopped})
    request = HuntRequest(RunRequest(f"{target}:naive", calls=200), (), ("A=1",), 3)
    result = hunt(request, out=tmp_path / "out", executor=script)
    assert result.interrupted
    assert [name for name, _ in script.plans] == [
        "naive", "naive.try-1-before-1", "naive.try-1-after-1", "naive.try-1-after-2",
        "naive.try-1-before-2",
    ]  # fmt: skip
    assert [dict(plan.environment) for _, plan in script.plans[1:3]] == [{}, {"A": "1"}]


@pytest.mark.parametrize(
    ("word", "setting"),
    [("gc:freeze", "freeze"), ("gc:off", "off"), ("gc:50000,20,20", "50000,20,20")],
)
def test_the_collector_is_set_as_a_remedy(
    target: str, tmp_path: Path, word: str, setting: str
) -> None:
    script = Scripted({})
    request = HuntRequest(RunRequest(f"{target}:naive", calls=200), (), (word,), 2)
    hunt(request, out=tmp_path / "out", executor=script)
    tried = [dict(plan.environment) for _, plan in script.plans[1:]]
    assert tried == [{}, {"LEAKHUNT_GC": setting}, {"LEAKHUNT_GC": setting}, {}]


@pytest.mark.parametrize("word", ["gc:", "gc:often", "gc:1,2,3,4", "gc:-1", "gc:freeze,off"])
def test_what_is_no_setting_of_the_collector_is_refused(
    target: str, tmp_path: Path, word: str
) -> None:
    request = HuntRequest(RunRequest(f"{target}:naive", calls=200), (), (word,), 2)
    with pytest.raises(UsageError, match="expected gc:freeze, gc:off, or thresholds"):
        hunt(request, out=tmp_path / "out", executor=Scripted({}))


def test_a_hunt_uses_the_instruments_that_are_wanted_in_that_order(
    target: str, tmp_path: Path
) -> None:
    log, script = Log(), Scripted({})
    request = HuntRequest(
        RunRequest(f"{target}:naive", calls=200), ("resources", "tracemalloc", "resources")
    )
    hunt(request, (), log, out=tmp_path / "out", executor=script)
    assert [name for name, _ in script.plans] == [
        "naive", "naive.under-resources", "naive.under-tracemalloc",
    ]  # fmt: skip
    groups = [line[3] for line in log.lines if line[0] == "started"]
    assert groups[1] == groups[2] != groups[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"calls": 0}, "calls=0"),
        ({"warmup": -1}, "warmup=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"threads": 0}, "threads=0"),
        ({"timeout": float("inf")}, "inf"),
        ({"timeout": 0.0}, "0"),
        ({"device": "tpu"}, "tpu"),
        ({"collect": "often"}, "often"),
        ({"warmup": 5}, "--warmup"),
        ({"calls": 10, "resolve": True}, "--resolve"),
        ({"calls": 10, "calls_per_sample": 3}, "multiple"),
        ({"options": {"colour": "red"}}, "colour"),
        ({"budget": -1.0}, "--budget -1.0"),
        ({"budget": float("nan")}, "--budget nan"),
        ({"memory_limit": "much"}, "much"),
    ],
)
def test_what_the_command_line_refuses_is_refused(
    target: str, changes: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(LeakhuntError, match=words):
        settings_of(replace(RunRequest(target), **changes))


def test_a_request_has_the_defaults_of_the_command_line(target: str) -> None:
    settings = settings_of(RunRequest(target, memory_limit="2 GiB"))
    assert settings.timeout_seconds == TIMEOUT_SECONDS
    assert settings.memory_limit_bytes == 2 << 30
    assert (settings.sampling.calls, settings.sampling.collect) == (None, "auto")
    assert settings.sampling.budget_seconds == BUDGET_SECONDS
    assert settings_of(RunRequest(target, budget=0)).sampling.budget_seconds is None
    assert settings_of(RunRequest(target, calls=50)).sampling.budget_seconds is None
    assert settings_of(RunRequest(target, memory_limit=5)).memory_limit_bytes == 5


@pytest.mark.parametrize(("instruments", "pairs"), [(("gdb",), 3), ((), 1)])
def test_what_no_hunt_can_do_is_refused(
    target: str, tmp_path: Path, instruments: tuple[str, ...], pairs: int
) -> None:
    request = HuntRequest(RunRequest(target), instruments, (), pairs)
    with pytest.raises(UsageError):
        hunt(request, out=tmp_path / "out", executor=Scripted({}))
    assert not (tmp_path / "out").exists()


def test_turns_are_a_b_b_a() -> None:
    assert list(interleaved("a", "b", 3)) == [
        (1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "a"), (3, "b"),
    ]  # fmt: skip
    assert list(interleaved("a", "b", 1, start=4)) == [(4, "b"), (4, "a")]


def test_the_loop_stops_after_an_interrupted_run(target: str, tmp_path: Path) -> None:
    result = measured(target, tmp_path, Scripted({}))
    entry = result.report.entries[0]
    command: list[str] = []

    def carry(plan: Plan, name: str) -> Run:
        command.append(name)
        return replace(entry.run, plan=plan, outcome=Outcome(Ending.INTERRUPTED))

    wanted = (Instrument.RESOURCES, Instrument.TRACEMALLOC)
    runs = list(under_instruments(entry.run, entry.verdict, carry, prefix="x.", wanted=wanted))
    assert command == ["x.resources"] and len(runs) == 1
    assert runs[0].plan.instrument is Instrument.RESOURCES


@pytest.mark.parametrize(("seconds", "used"), [(1.0, 5), (61.0, 1)])
def test_a_rest_is_looked_for_while_there_is_time(
    make_run: MakeRun, seconds: float, used: int
) -> None:
    run = make_run(live_heap=[4096 * call for call in range(300)])
    little = finding(size=100, instrument=Instrument.MEMRAY, stack=(MINE,))
    times = iter(seconds * reading for reading in range(100))

    def carry(plan: Plan, name: str) -> Run:
        assert plan.instrument is not None
        return replace(run, plan=plan, findings=(replace(little, instrument=plan.instrument),))

    runs = list(under_instruments(run, judge(run), carry, clock=lambda: next(times)))
    instruments = [each.plan.instrument for each in runs]
    assert instruments[0] is Instrument.MEMRAY and len(instruments) == used
    assert len(set(instruments)) == used


def test_flame_graphs_are_among_the_files_where_asked_for(target: str, tmp_path: Path) -> None:
    script = Scripted({"naive": 4096})
    kept = finding(size=4096, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE))
    script.findings = {"naive.under-memray": [kept]}
    request = HuntRequest(RunRequest(f"{target}:naive", calls=200), flame=True)
    result = hunt(request, out=tmp_path / "out", executor=script)
    assert [file.name for file in result.files] == ["flame.html", "flame.speedscope.json"]
    plain = hunt(replace(request, flame=False), out=tmp_path / "plain", executor=script)
    assert plain.files == ()


def test_the_page_leads_to_the_flame_graph_where_there_is_one(target: str, tmp_path: Path) -> None:
    script = Scripted({"naive": 4096})
    kept = finding(size=4096, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE))
    script.findings = {"naive.under-memray": [kept]}
    link = 'href="flame.html"'
    for flame in (True, False):
        request = HuntRequest(RunRequest(f"{target}:naive", calls=200), flame=flame)
        out = tmp_path / str(flame)
        hunt(request, renderers_named("html"), out=out, executor=script)
        assert (link in (out / "report.html").read_text()) is flame


def test_captures_of_memray_are_among_the_files(target: str, tmp_path: Path) -> None:
    out = tmp_path / "out"

    class Capturing(Scripted):
        def prepare(
            self, settings: Settings, folder: Path, scratch: Path, events: Events
        ) -> Workplace:
            (folder / "naive.2.memray.bin").write_bytes(b"captured")
            return super().prepare(settings, folder, scratch, events)

    script = Capturing({"naive": 4096})
    kept = finding(size=4096, instrument=Instrument.MEMRAY, stack=(MALLOC, MINE))
    script.findings = {"naive.under-memray": [kept]}
    request = HuntRequest(RunRequest(f"{target}:naive", calls=200), flame=True)
    result = hunt(request, out=out, executor=script)
    assert result.files[-1] == out / "naive.2.memray.bin"
