"""What one worker does: everything that decides the readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from leakhunt.model.attribution import Instrument
from leakhunt.text.language import mark


class Role(StrEnum):
    """What a run is for: a verdict, or to verify a ceiling or a remedy."""

    MEASURE = mark("measure")
    CEILING = mark("ceiling")
    BEFORE = mark("before")
    AFTER = mark("after")


# A run of a test's body has for its `Plan.source` this and the node id.
TEST_SOURCE = "pytest "
# The option of a plan that repeats a whole test, and not its body alone.
WHOLE_TEST = "whole"


class Work(StrEnum):
    """What a run does again and again: calls, or requests to a service; or it only looks on."""

    CALL = mark("call")
    REQUEST = mark("request")
    SECOND = mark("second")

    @property
    def is_timed(self) -> bool:
        """Whether the time of each is a figure: a second that is looked on takes one."""
        return self is not Work.SECOND


def work_in(plan: Mapping[str, object]) -> Work:
    """What the calls of a plan are, from its fields as a file has them: `Plan.work`."""
    if plan.get("visit") is not None or plan.get("watch") is not None:
        return Work.SECOND
    return Work.CALL if plan.get("load") is None else Work.REQUEST


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """The load on a running service: what `soak` drives, beside its `Plan`.

    `target` is the address that requests go to. `service` is the command that started it, with
    ``{port}`` where its port was put, or ``pid N`` of one that ran already. `requests_from` names
    what made the requests: a locustfile by its name without folders, or ``upload`` for the built-in
    one, which posts recordings. `users` are those that send requests at the same time;
    `duration_seconds`: so long and no longer; None: until `Plan.calls`, or the verdict is known.
    `agent`: it starts in every Python process of a service that is started. `by_route`: the tasks
    of the locustfile take turns.
    """

    target: str
    service: str
    requests_from: str
    users: int
    duration_seconds: float | None = None
    agent: bool = True
    by_route: bool = False


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """The visit of a process that runs already: what `attach` does, beside its `Plan`.

    `process` is its command line, cut short. Its calls are the seconds that it is watched for
    (`duration_seconds`); 0: it is looked at once. `touches`: garbage is collected in it, and malloc
    trimmed.
    """

    pid: int
    process: str
    duration_seconds: float
    touches: bool


@dataclass(frozen=True, slots=True)
class PlannedWatch:
    """What is followed from outside, beside its `Plan`: a process tree, or a series from elsewhere.

    `process` is what was asked for, or where the series comes from; `command`: it was started by
    us. Its calls are seconds, `interval_seconds` apart at first.
    """

    process: str
    interval_seconds: float
    command: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What one worker does. Everything that decides the readings is in here.

    `calls` is a number that is kept to, of which the first `warmup` are not judged; None: as many
    as the verdict needs, and with `resolve` until it is no longer inconclusive. `calls_per_sample`
    is None where it is chosen by how long a call takes; `collect` says whether a full collection
    comes before each reading: ``always``, ``never`` or ``auto``. Where something grows, the calls
    go on for `budget_seconds`; None: they do not.

    `source` is how the scenario is named on the command line: a built-in one's name, or a file's
    name without its folders, which are nobody else's business. `instrument` is what watches the
    run, whose memory is then not judged; `environment` are variables that the worker is started
    with, beside its own. `role` is what the run is for; of a `remedy` that is tried, there are
    rounds of a run before and one after. `load` is what drives a running service, if the run is a
    soak: its calls are then the requests that were completed. `concurrency` is how many calls the
    recommended memory limit allows for at the same time; None: one, of a soak the users.
    `limit_bytes` is the memory of a container to come: what the run takes is set against it, and
    nothing enforces it. `visit` is that of a process that ran already, `watch` what is followed
    from outside: their calls are seconds.
    """

    scenario: str
    variant: str
    calls: int | None
    warmup: int | None
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    result_kind: str
    reference: str
    source: str = ""
    calls_per_sample: int | None = 1
    collect: str = "never"
    resolve: bool = False
    budget_seconds: float | None = None
    memory_limit_bytes: int | None = None
    timeout_seconds: float | None = None
    instrument: Instrument | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    role: Role = Role.MEASURE
    remedy: str = ""
    round: int = 0
    load: PlannedLoad | None = None
    concurrency: int | None = None
    limit_bytes: int | None = None
    visit: PlannedVisit | None = None
    watch: PlannedWatch | None = None

    @property
    def is_of_a_service(self) -> bool:
        """Whether it reads processes that serve on their own, all of them together."""
        return self.load is not None or self.watch is not None

    @property
    def is_measured(self) -> bool:
        """Whether its run is there to be judged, and not to explain or to verify."""
        return self.instrument is None and self.role is Role.MEASURE

    @property
    def test(self) -> str:
        """The node id of the test whose body is called; empty: it is a scenario's."""
        is_test = self.source.startswith(TEST_SOURCE)
        return self.source.removeprefix(TEST_SOURCE) if is_test else ""

    @property
    def pytest_option(self) -> str:
        """The option of pytest's that measures its test."""
        return "--leakhunt-all" if WHOLE_TEST in self.options else "--leakhunt"

    @property
    def work(self) -> Work:
        """What its calls are."""
        if self.visit is not None or self.watch is not None:
            return Work.SECOND
        return Work.CALL if self.load is None else Work.REQUEST
