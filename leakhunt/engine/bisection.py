"""``bisect``: the version, or the commit, that introduced the growth of a scenario or ended it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from leakhunt.amounts import Seconds
from leakhunt.analysis.bisection import joint_probability, judged_step, next_place
from leakhunt.analysis.report import assemble
from leakhunt.engine.argument_checks import refuse_too_small, refuse_wrong_timeout
from leakhunt.engine.cells import CellOrder, carry_out, explain, record_of, run_in, runs_in
from leakhunt.engine.environments import PackageSet
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.report import GENERATOR, rendered
from leakhunt.engine.settings import RunRequest
from leakhunt.engine.versions import published_versions
from leakhunt.errors import INTERRUPTED, MissingRequirement, UsageError
from leakhunt.model.bisection import MAX_RUNS_OF_A_VERSION, BisectReport, BisectStep, Direction
from leakhunt.model.matrix import CellEnd
from leakhunt.model.options import AUTO, BUDGET_SECONDS, SEED, TIMEOUT_SECONDS
from leakhunt.model.run import Run
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.model.verdict import Status
from leakhunt.reporting.bisect.tables import notebook_card
from leakhunt.reporting.matrix.tables import WORDS
from leakhunt.reporting.registry import BISECT_RENDERERS, BisectRenderer
from leakhunt.runner.checkout import checked_out
from leakhunt.scenario import find
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_file
from leakhunt.text.message import Text, message, plural_message, word
from leakhunt.text.suggest import hint

INCONCLUSIVE = 3
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.]+")
_SHORT_COMMIT = 12


@dataclass(frozen=True, slots=True)
class BisectRequest:
    """What ``bisect`` is asked for.

    `good` and `bad` are versions of `package`, or revisions of the checkout `repo`: the scenario
    `target` (one variant) leaks with the one and not with the other, whichever is newer. A version
    that stays inconclusive is measured `most_runs` times.
    """

    target: str
    good: str
    bad: str
    _: KW_ONLY
    package: str = ""
    repo: str = ""
    requirements: tuple[str, ...] = ()
    isolated: bool = False
    calls: int | None = None
    budget: float = BUDGET_SECONDS
    device: str = AUTO
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    seed: int = SEED
    memory_limit: str | None = None
    timeout: float = TIMEOUT_SECONDS
    most_runs: int = MAX_RUNS_OF_A_VERSION
    hunt: bool = True


@dataclass(frozen=True, slots=True)
class BisectResult:
    """The report, its folder and its files, the first of which is for people."""

    report: BisectReport
    folder: Path
    files: tuple[Path, ...]

    @property
    def exit_code(self) -> int:
        """That of the verb: 0 (found), 3 (no boundary for certain), 130 (interrupted)."""
        if self.report.interrupted:
            return INTERRUPTED
        return 0 if self.report.is_found else INCONCLUSIVE

    def _repr_html_(self) -> str:
        return notebook_card(self.report)


def bisect(
    request: BisectRequest,
    renderers: Sequence[BisectRenderer] = BISECT_RENDERERS,
    events: Events = SILENT,
    *,
    out: Path | None = None,
) -> BisectResult:
    """Find the boundary between a version that leaks and one that does not.

    Raises:
        LeakhuntError: the request makes no sense, names what is not there, or the disk does not
            take the results.
    """
    begun = time.monotonic()
    scenario, variant = _checked(request)
    versions = _commits(request) if request.repo else _versions(request)
    folder = new_folder(out, "bisect")
    search = _Search(request, scenario, variant, versions, folder, events)
    try:
        search.go()
    except KeyboardInterrupt:
        search.interrupted = True
    report = replace(search.report(), seconds=round(time.monotonic() - begun, 3))
    files = tuple(
        write_file(folder / each.file_name, rendered(report, each.render, each.language), folder)
        for each in renderers
    )
    return BisectResult(report, folder, files)


def _checked(request: BisectRequest) -> tuple[Scenario, Variant]:
    """The scenario and its one variant."""
    refuse_too_small(
        calls=request.calls, threads=request.threads, seed=request.seed, most_runs=request.most_runs
    )
    refuse_wrong_timeout(request.timeout)
    if bool(request.package) == bool(request.repo):
        raise UsageError(message("bisect.what", "expected either --package NAME or --repo PATH"))
    scenario, variants = find.find(request.target)
    if len(variants) != 1:
        raise UsageError(
            message(
                "bisect.one-variant",
                "{target} has {count} variants. Name one: {names}",
                target=request.target,
                count=len(variants),
                names=", ".join(each.name for each in variants),
            )
        )
    find.settle_options(scenario, request.options)
    return scenario, variants[0]


def _versions(request: BisectRequest) -> tuple[str, ...]:
    """The published versions from one end to the other, the oldest first."""
    known = published_versions(request.package)
    for name, version in (("--good", request.good), ("--bad", request.bad)):
        if version not in known:
            raise UsageError(
                message(
                    "bisect.no-version",
                    "{name} {version}: no published version of {package}{hint}",
                    name=name,
                    version=version,
                    package=request.package,
                    hint=hint(version, known),
                )
            )
    first, last = sorted((known.index(request.good), known.index(request.bad)))
    if first == last:
        raise UsageError(
            message("bisect.same", "--good and --bad are the same. Name two different versions")
        )
    return known[first : last + 1]


def _commits(request: BisectRequest) -> tuple[str, ...]:
    """The commits from one end to the other, the oldest first; along first parents."""
    repo = Path(request.repo)
    good, bad = (
        _commit(repo, name, revision)
        for name, revision in (("--good", request.good), ("--bad", request.bad))
    )
    for first, last in ((good, bad), (bad, good)):
        if first != last and _git(repo, "merge-base", "--is-ancestor", first, last) is not None:
            listed = _git(repo, "rev-list", "--reverse", "--first-parent", f"{first}..{last}")
            return (first, *(listed or "").split())
    raise UsageError(
        message(
            "bisect.no-line",
            "--good {good} and --bad {bad}: the same, or neither is an ancestor of the other."
            " Name two commits of one branch",
            good=request.good,
            bad=request.bad,
        )
    )


def _commit(repo: Path, name: str, revision: str) -> str:
    found = None
    if not revision.startswith("-"):
        found = _git(repo, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not found:
        raise UsageError(
            message(
                "bisect.no-revision",
                "{name} {revision}: no such revision in {repo}. Check the path and the name",
                name=name,
                revision=revision,
                repo=repo,
            )
        )
    return found.strip()


def _git(repo: Path, *words: str) -> str | None:
    """What git says; None: it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(repo), *words],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
        )
    except OSError:
        raise MissingRequirement(
            message("bisect.no-git", "--repo needs git. Install git")
        ) from None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None


class _Search:
    """A bisection while it goes on: two ends that are known, ever nearer to each other."""

    def __init__(
        self,
        request: BisectRequest,
        scenario: Scenario,
        variant: Variant,
        versions: tuple[str, ...],
        folder: Path,
        events: Events,
    ) -> None:
        self._request = request
        self._scenario = scenario
        self._variant = variant
        self._versions = versions
        self._folder = folder
        self._events = events
        self._tried: dict[int, BisectStep] = {}
        self._ends = (0, len(versions) - 1)
        self._is_known = False
        self._suspect: Text = ""
        self._stop = Event()
        self.interrupted = False

    @property
    def _direction(self) -> Direction:
        first = self._versions[0]
        is_good = first.startswith(self._request.good) or first == self._good
        return Direction.INTRODUCED if is_good else Direction.ENDED

    @property
    def _good(self) -> str:
        """The good end as it is listed."""
        if not self._request.repo:
            return self._request.good
        return _commit(Path(self._request.repo), "--good", self._request.good)

    def go(self) -> None:
        """Measure both ends, then between them, until two neighbours differ."""
        count = len(self._versions)
        self._events.noted(
            message(
                "bisect.plan",
                "{count} versions from {first} to {last}: about {steps} steps after both ends",
                count=count,
                first=_shown(self._versions[0]),
                last=_shown(self._versions[-1]),
                steps=max(count - 2, 0).bit_length(),
            )
        )
        before, after = self._wanted()
        ends = [self._measured(0), self._measured(count - 1)]
        self._is_known = [end.status for end in ends] == [before, after]
        if not self._is_known:
            return
        low, high = self._ends
        while (place := next_place(low, high, self._tried)) is not None:
            step = self._measured(place)
            if step.status is before:
                low = place
            elif step.status is after:
                high = place
            self._ends = (low, high)
        if self._request.hunt:
            self._hunt(low if before is Status.LEAK else high)

    def report(self) -> BisectReport:
        """What is known so far."""
        low, high = self._ends
        between = tuple(self._versions[low + 1 : high])
        found = self._is_known and not self.interrupted
        deciding = [step for step in self._tried.values() if step.is_decided]
        return BisectReport(
            scenario=self._scenario.name,
            variant=self._variant.name,
            subject=self._request.package or Path(self._request.repo).resolve().name,
            versions=self._versions,
            good=self._request.good,
            bad=self._request.bad,
            direction=self._direction,
            steps=tuple(self._tried.values()),
            generator=GENERATOR,
            last=self._versions[low] if found else "",
            first=self._versions[high] if found else "",
            between=between if found else (),
            confidence=joint_probability(deciding) if found else None,
            suspect=self._suspect,
            interrupted=self.interrupted,
        )

    def _wanted(self) -> tuple[Status, Status]:
        """What the oldest and the newest version have to be."""
        if self._direction is Direction.INTRODUCED:
            return Status.NO_LEAK, Status.LEAK
        return Status.LEAK, Status.NO_LEAK

    def _measured(self, place: int) -> BisectStep:
        """A version, again with another seed while its verdict is inconclusive."""
        version = self._versions[place]
        begun = time.monotonic()
        runs: list[Run] = []
        step = BisectStep(version, place, None, 0)
        for attempt in range(1, self._request.most_runs + 1):
            at = self._place_of(place, attempt)
            with self._order(version, attempt) as order:
                carry_out(order, at, self._stop)
            record, run = record_of(at), run_in(at)
            if record.end is CellEnd.NOT_RUN:
                raise KeyboardInterrupt
            if run is None or not run.samples_done:
                step = BisectStep(version, place, None, attempt if run else 0, reason=record.reason)
                break
            runs.append(run)
            step = judged_step(version, place, runs)
            if step.is_decided:
                break
        folder = self._place_of(place, max(len(runs), 1)).relative_to(self._folder).as_posix()
        step = replace(step, seconds=round(time.monotonic() - begun, 3), folder=folder)
        self._tried[place] = step
        self._note_step(step)
        return step

    def _note_step(self, step: BisectStep) -> None:
        number = len(self._tried)
        seconds = Seconds(step.seconds)
        if step.status is None:
            self._events.noted(
                message(
                    "bisect.skipped",
                    "[{number}] {version}: skipped, {reason} ({seconds})",
                    number=number,
                    version=_shown(step.version),
                    reason=step.reason,
                    seconds=seconds,
                )
            )
            return
        self._events.noted(
            message(
                "bisect.step",
                "[{number}] {version}: {status}, {runs}, confidence {confidence:.4%} ({seconds})",
                number=number,
                version=_shown(step.version),
                status=word(WORDS[step.status]),
                runs=plural_message("bisect.runs", "{n} run", "{n} runs", step.runs),
                confidence=step.confidence or 0.0,
                seconds=seconds,
            )
        )

    def _hunt(self, place: int) -> None:
        """Who retains the growth, of the version beside the boundary that leaks."""
        at = self._place_of(place, self._tried[place].runs)
        with self._order(self._versions[place], self._tried[place].runs) as order:
            explain(order, at, self._stop)
        entry = next(iter(assemble(tuple(runs_in(at)), GENERATOR).entries), None)
        growing = entry.attribution.growing if entry and entry.attribution else ()
        self._suspect = growing[0].title if growing else ""

    def _place_of(self, place: int, attempt: int) -> Path:
        name = _NOT_IN_NAMES.sub("-", _shown(self._versions[place]))
        return self._folder / "steps" / f"{place:03d}-{name}-r{attempt}"

    @contextmanager
    def _order(self, version: str, attempt: int) -> Iterator[CellOrder]:
        """What measures a version; a commit is checked out for as long as this lasts."""
        request = self._request
        measured = RunRequest(
            f"{find.split_target(request.target)[0]}:{self._variant.name}",
            calls=request.calls,
            resolve=attempt > 1 and request.calls is None,
            budget=request.budget,
            device=request.device,
            options=request.options,
            threads=request.threads or 1,
            seed=request.seed + attempt - 1,
            memory_limit=request.memory_limit,
            timeout=request.timeout,
        )
        facts = {"bisect": f"{request.package or 'commit'} {_shown(version)}"}
        if request.package:
            wanted = (f"{request.package}=={version}", *request.requirements)
            packages = PackageSet(
                wanted,
                isolated=request.isolated,
                extra=(self._scenario.extra or "") if request.isolated else "",
            )
            yield CellOrder(version, measured, packages, facts=facts)
            return
        with TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
            repo = Path(request.repo)
            with checked_out(version, repo, Path(scratch) / "revision") as revision:
                file = Path(self._scenario.file).resolve()
                there = file
                if file.is_relative_to(revision.repository):
                    there = revision.counterpart(file)
                if there.is_file() and there != file:
                    target = f"{there}:{self._variant.name}"
                    measured = replace(measured, target=target)
                yield CellOrder(
                    version,
                    measured,
                    PackageSet(request.requirements),
                    facts=facts,
                    variables_of_code=revision.variables(os.environ),
                )


def _shown(version: str) -> str:
    """A version; of a commit the first digits."""
    is_commit = len(version) >= 40 and re.fullmatch(r"[0-9a-f]+", version)
    return version[:_SHORT_COMMIT] if is_commit else version
