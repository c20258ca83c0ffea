"""Carrying out the plans of a test: in fresh workers, or in this process."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from math import ceil, inf
from pathlib import Path

import pytest

from leakhunt.environment import available_cores
from leakhunt.model.options import WARM_UP_SHARE
from leakhunt.model.plan import TEST_SOURCE, Plan
from leakhunt.model.run import Ending, Run
from leakhunt.pytest_plugin import IN_WORKER, forwarded_options
from leakhunt.pytest_plugin.common import FAILED, NOTE, SKIPPED
from leakhunt.pytest_plugin.options import TestOptions
from leakhunt.runner.in_process import measure_here
from leakhunt.runner.supervisor import BY_THE_USER, HAD_TO_BE_KILLED, Starter, measure
from leakhunt.scenario.contract import Context
from leakhunt.storage import run_file as store
from leakhunt.text.language import tr
from leakhunt.worker.loop import Body
from leakhunt.worker.protocol import Order, TestItem

SEED = 0
# A test's body goes on for so long where something grows: tests are many.
_BUDGET_SECONDS = 10.0
# What finds the body of a test, in the worker.
_PROVIDER = "leakhunt.pytest_plugin.worker:run"
# Of a file's name, so much tells the test to people; a digest tells it for sure.
_LONGEST_NAME = 100
_DIGITS = 8


def plan_for(item: pytest.Item, options: TestOptions, turn: int | None) -> Plan:
    """What measuring a test means: its body, or that use of the fixture in it."""
    node = node_of(item)
    warmup = options.warmup
    if options.calls is not None and warmup is None:
        warmup = ceil(options.calls * WARM_UP_SHARE / (1 - WARM_UP_SHARE))
    return Plan(
        scenario=tr("tests of {project}", project=item.config.rootpath.name),
        variant=node if turn is None else f"{node} #{turn}",
        calls=None if options.calls is None else options.calls + (warmup or 0),
        warmup=warmup,
        seed=SEED,
        threads=available_cores(),
        device=options.device,
        options={},
        result_kind="equal",
        reference="",  # tests are not compared with one another
        source=f"{TEST_SOURCE}{node}",
        calls_per_sample=None if options.calls is None else 1,
        collect="auto" if options.calls is None else "never",
        timeout_seconds=options.timeout_seconds,
        budget_seconds=None if options.calls is not None else _BUDGET_SECONDS,
    )


def node_of(item: pytest.Item) -> str:
    """The node id as pytest has it: ``xdist --dist loadgroup`` puts the group's name behind it."""
    group = item.get_closest_marker("xdist_group")
    named = (*group.args, *group.kwargs.values()) if group is not None else ()
    return item.nodeid.removesuffix(f"@{named[0]}") if named else item.nodeid


@dataclass(frozen=True, slots=True)
class Place:
    """Where the runs of a test go: a folder, and which use of the fixture in it is measured.

    `earlier` are the run files of the uses before. `seconds`: the whole test is repeated, and no
    repeat is begun after them; None: only its body is measured, or that use of the fixture.
    """

    item: pytest.Item
    folder: Path
    turn: int | None = None
    earlier: tuple[str, ...] = ()
    seconds: float | None = None

    def run_file(self, plan: Plan, name: str) -> Path:
        """A name for a run file that no other test, worker of xdist or earlier run of it has."""
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        # Node ids that differ in what a file's name cannot hold are told apart by a digest.
        digest = hashlib.sha256(f"{plan.variant} {worker}".encode()).hexdigest()[:_DIGITS]
        file, _, rest = plan.variant.partition("::")
        stem = f"{Path(file).stem} {rest}"
        safe = re.sub(r"[^A-Za-z0-9_.]+", "-", stem).strip("-.")[:_LONGEST_NAME]
        base = f"{safe}-{digest}{name.removeprefix(plan.variant)}"
        names = (f"{base}.again-{turn}" if turn else base for turn in count())
        files = (self.folder / f"{name}{store.SUFFIX}" for name in names)
        return next(each for each in files if not each.exists())

    def order(self, plan: Plan, run_file: Path, scratch: Path, supervisor: int) -> Order:
        """The order of a plan."""
        config = self.item.config
        is_whole = self.seconds is not None
        context = Context(
            variant=plan.variant,
            calls=plan.calls,
            seed=plan.seed,
            threads=plan.threads,
            device=plan.device,
            options=plan.options,
            scratch=scratch,
            folder=scratch,
        )
        return Order(
            prepare=False,
            supervisor=supervisor,
            scenario_file=str(self.item.path),
            function="",
            devices=(plan.device,),
            run_file=run_file,
            context=context,
            instrument=plan.instrument,
            environment={**forwarded_options.environment(), **plan.environment},
            provider=_PROVIDER,
            test=TestItem(
                node=node_of(self.item),
                file=str(self.item.path),
                turn=self.turn,
                earlier=self.earlier,
                folder=str(config.invocation_params.dir),
                path=tuple(sys.path),
                arguments=forwarded_options.arguments(config),
                options=forwarded_options.options(config, scratch, IN_WORKER, is_whole),
                whole=is_whole,
                seconds=inf if self.seconds is None or plan.instrument else self.seconds,
            ),
        )


def carry_out_fresh(place: Place, plan: Plan, name: str) -> Run:
    """Carry out a plan in a fresh worker.

    Raises:
        CannotWrite: the disk does not take the run file.
        KeyboardInterrupt: the user ended it.
        pytest.fail.Exception: the test itself fails, is skipped or is expected to fail.
    """
    run = carry_out(place, plan, name)
    # What fails under an instrument only explains nothing; it is no failure of the test.
    if plan.instrument is None:
        _heed(run, Path(run.file), log_of(Path(run.file)))
    return run


def carry_out(place: Place, plan: Plan, name: str, start: Starter | None = None) -> Run:
    """Carry out a plan in a worker, which `start` starts; None: a fresh one.

    Raises:
        CannotWrite: the disk does not take the run file.
        KeyboardInterrupt: the user ended it.
    """
    run_file = place.run_file(plan, name)
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        order = place.order(plan, run_file, Path(scratch), os.getpid())
        outcome = measure(plan, order, log_of(run_file), _facts(), lambda tail: None, start=start)
    if outcome.reason in (BY_THE_USER, HAD_TO_BE_KILLED):
        raise KeyboardInterrupt
    return store.load(run_file)


def carry_out_here(place: Place, body: Body, plan: Plan, name: str) -> Run:
    """Carry out a plan in this process.

    Raises:
        CannotWrite: the disk does not take the run file.
        BaseException: whatever the body raises.
    """
    run_file = place.run_file(plan, name)
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        order = place.order(plan, run_file, Path(scratch), 0)  # this process ends with nobody
        measure_here(plan, order, body, _facts())
    return store.load(run_file)


def log_of(run_file: Path) -> Path:
    """Where a worker's output goes."""
    return run_file.with_name(f"{run_file.name.removesuffix(store.SUFFIX)}.log")


def _facts() -> Mapping[str, str]:
    return {"pytest": pytest.__version__}


def _heed(run: Run, run_file: Path, log: Path) -> None:
    """The test's own end in the worker is its end here."""
    note = next((each for each in run.notes if each.get("kind") == NOTE), None)
    if note is None:
        return
    text = str(note.get("text", ""))
    if note.get("how") == FAILED:
        ended = str(run.outcome.reason) if run.outcome.ending is not Ending.OK else ""
        headline = tr("leakhunt: in its worker the test failed: {ended}", ended=ended)
        pytest.fail(
            f"{headline.rstrip(': ')}\n\n{text}\n\n{tr('log: {log}', log=log)}", pytrace=False
        )
    if note.get("how") == SKIPPED:
        run_file.unlink()
        log.unlink(missing_ok=True)
        raise pytest.skip.Exception(text, _use_item_location=True)  # where the test is, not here
    pytest.xfail(text)
