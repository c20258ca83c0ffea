"""From what is asked for to what is measured: a request is checked, and plans are built here only.

    request = RunRequest("fsmn-vad:naive", calls=400)
    settings = settings_of(request)              # raises UsageError, MissingRequirement
    plan = plan_of(settings, variant, "cpu")     # what one worker does

Whatever else builds a `Plan` (a soak's, a test's) belongs into this module as well. Defaults are in
`leakhunt.model.options`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from leakhunt.amounts import parse_size
from leakhunt.engine.argument_checks import refuse_too_small, refuse_wrong_timeout
from leakhunt.engine.container_limit import limit_bytes
from leakhunt.environment import available_cores
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model import options as defaults
from leakhunt.model.options import Sampling, Settings
from leakhunt.model.plan import Plan, PlannedLoad
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.scenario import find
from leakhunt.scenario.requirements import install_hint, missing_modules
from leakhunt.text.message import message

if TYPE_CHECKING:  # locust and psutil are for who soaks
    from leakhunt.engine.soak_request import SoakEffort
    from leakhunt.engine.soak_target import Target

# A worker is ended by its process group, and stopped by signals.
HAS_WORKERS = os.name == "posix"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What ``run`` and ``hunt`` are asked for; every door builds one, and `settings_of` checks it.

    `target` is ``NAME_OR_FILE[:VARIANT,...]``. `calls` None: as many as the verdict needs, and with
    `resolve` until it is no longer inconclusive; the first `warmup` of them are not judged (None: a
    quarter). Where something grows, the calls of a variant go on for `budget` seconds.
    `memory_limit` is bytes or a size such as ``"2 GiB"``; a worker that takes no new sample for
    `timeout` seconds has hung. `limit` (bytes or a size) is the memory of a container to come:
    nothing enforces it, and the report says when it would be reached. The memory limit that is
    recommended allows for `concurrency` calls at the same time (None: one).
    """

    target: str
    _: KW_ONLY
    calls: int | None = None
    warmup: int | None = None
    calls_per_sample: int | None = None
    collect: str = defaults.AUTO
    resolve: bool = False
    budget: float = defaults.BUDGET_SECONDS
    device: str = defaults.AUTO
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    seed: int = defaults.SEED
    memory_limit: int | str | None = None
    timeout: float = defaults.TIMEOUT_SECONDS
    limit: int | str | None = None
    concurrency: int | None = None


def settings_of(request: RunRequest) -> Settings:
    """The settings that a request asks for.

    Raises:
        UsageError: it makes no sense, or names what is not there.
        MissingRequirement: what the scenario needs is not installed.
        BadFile: the file that it names is no scenario.
    """
    return settings_for(request, *find.find(request.target))


def settings_for(
    request: RunRequest,
    found: Scenario,
    variants: tuple[Variant, ...],
    in_process: bool = False,
    elsewhere: bool = False,
) -> Settings:
    """The settings of a request for a scenario that is found already.

    `elsewhere`: the modules that it needs are another environment's.

    Raises:
        UsageError: it makes no sense.
        MissingRequirement: what the scenario needs is not installed.
    """
    _refuse_wrong_values(request)
    limit = request.memory_limit or None
    settings = Settings(
        scenario=found,
        variants=variants,
        named=len(variants) < len(found.variants),
        sampling=sampling_of(
            request.calls or (None if request.resolve else found.default_calls),
            request.warmup,
            request.calls_per_sample,
            request.collect,
            request.resolve,
            # A number of calls that was asked for is kept to.
            request.budget if request.calls is None else 0,
        ),
        seed=request.seed,
        threads=request.threads or available_cores(),
        device=request.device,
        options=find.settle_options(found, request.options),
        memory_limit_bytes=parse_size(limit) if isinstance(limit, str) else limit,
        timeout_seconds=request.timeout,
        limit_bytes=limit_bytes(request.limit),
        concurrency=request.concurrency,
    )
    refuse_what_cannot_be(settings, in_process, elsewhere)
    return settings


def _refuse_wrong_values(request: RunRequest) -> None:
    """What the command line refuses while it reads its options."""
    refuse_wrong_timeout(request.timeout)
    if not isfinite(request.budget) or request.budget < 0:
        raise UsageError(
            message(
                "argument.budget",
                "--budget {budget}: expected seconds, 0 or more",
                budget=request.budget,
            )
        )
    refuse_too_small(
        calls=request.calls,
        warmup=request.warmup,
        calls_per_sample=request.calls_per_sample,
        threads=request.threads,
        seed=request.seed,
        memory_limit=request.memory_limit,
        limit=request.limit,
        concurrency=request.concurrency,
    )
    for name, choices in (("device", defaults.DEVICES), ("collect", defaults.COLLECT)):
        value = getattr(request, name)
        if value not in choices:
            raise UsageError(
                message(
                    "argument.unknown-value",
                    "{name}={value!r}: unknown value. Use one of {choices}",
                    name=name,
                    value=value,
                    choices=", ".join(choices),
                )
            )


def sampling_of(
    calls: int | None,
    warmup: int | None,
    each: int | None,
    collect: str,
    resolve: bool,
    budget: float = defaults.BUDGET_SECONDS,
) -> Sampling:
    """How many calls, and how they are sampled.

    Raises:
        UsageError: what was asked for cannot go together.
    """
    if calls is None:
        if warmup is not None:
            raise UsageError(
                message(
                    "settings.warmup-needs-calls",
                    "--warmup needs --calls (without --calls, warm-up ends by itself)",
                )
            )
        return Sampling(None, None, each, collect, resolve, budget or None)
    if resolve:
        raise UsageError(
            message(
                "settings.resolve-with-calls",
                "--resolve cannot be combined with --calls: it runs until the verdict is clear",
            )
        )
    each = each or 1
    if calls % each:
        raise UsageError(
            message(
                "settings.calls-no-multiple",
                "--calls {calls} is not a multiple of --calls-per-sample {each}",
                calls=calls,
                each=each,
            )
        )
    unjudged = int(calls * defaults.WARM_UP_SHARE) if warmup is None else warmup
    if unjudged >= calls:
        raise UsageError(
            message(
                "settings.warmup-too-long",
                "--warmup {unjudged} leaves no measured call of {calls}. Use a smaller value",
                unjudged=unjudged,
                calls=calls,
            )
        )
    collect = "always" if collect == "always" else "never"
    return Sampling(calls, unjudged, each, collect, resolve, budget or None)


def given_options(pairs: Sequence[str], named: Mapping[str, str | None]) -> dict[str, str]:
    """Options by name, from ``NAME=VALUE`` and from options of their own.

    Raises:
        UsageError: one is not written so.
    """
    given = {name: value for name, value in named.items() if value is not None}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(
                message(
                    "argument.option",
                    "--option {pair!r}: expected NAME=VALUE",
                    pair=pair,
                )
            )
        given[name] = value
    return given


def refuse_what_cannot_be(
    settings: Settings, in_process: bool = False, elsewhere: bool = False
) -> None:
    """Refuse what cannot be measured on this machine: a worker needs signals and process groups.

    `elsewhere`: the modules that it needs are another environment's.

    Raises:
        MissingRequirement: the system, or a module that the scenario needs.
        UsageError: the scenario does not run on that device.
    """
    if not (HAS_WORKERS or in_process):
        raise MissingRequirement(
            message(
                "requirement.no-posix",
                "a worker needs Linux or macOS. On this system, measure in process"
                " (in_process=True)",
            )
        )
    missing = [] if elsewhere else missing_modules(settings.scenario)
    if missing:
        raise MissingRequirement(
            message(
                "requirement.modules",
                "scenario {name} needs {missing}; {install_hint}",
                name=settings.scenario.name,
                missing=", ".join(missing),
                install_hint=install_hint(settings.scenario),
            )
        )
    if settings.device not in (*settings.scenario.devices, "auto"):
        raise UsageError(
            message(
                "requirement.device",
                "scenario {name} runs on {devices}, not on {device}. Choose another --device",
                name=settings.scenario.name,
                devices=", ".join(settings.scenario.devices),
                device=settings.device,
            )
        )


def plan_of(settings: Settings, variant: Variant, device: str) -> Plan:
    """What measuring a variant means, on the device that ``auto`` settled for."""
    return Plan(
        scenario=settings.scenario.name,
        variant=variant.name,
        **asdict(settings.sampling),
        seed=settings.seed,
        threads=settings.threads,
        device=device,
        options=settings.options,
        result_kind=settings.scenario.result_kind,
        reference=settings.scenario.variants[0].name,
        source=_source(settings.scenario),
        memory_limit_bytes=settings.memory_limit_bytes,
        timeout_seconds=settings.timeout_seconds,
        limit_bytes=settings.limit_bytes,
        concurrency=settings.concurrency,
    )


def soak_plan(target: Target, effort: SoakEffort, url: str, limit_bytes: int | None) -> Plan:
    """What soaking a service means that listens at `url`, under the limit that is in force."""
    return Plan(
        scenario=target.name,
        variant=target.variant,
        calls=effort.requests,
        warmup=None,
        seed=effort.seed,
        threads=available_cores(),
        device="cpu",
        options=target.options,
        result_kind="equal",
        reference=target.reference,
        source=target.source,
        calls_per_sample=None,
        resolve=effort.resolve,
        memory_limit_bytes=limit_bytes,
        timeout_seconds=effort.timeout_seconds,
        limit_bytes=effort.planned_limit_bytes,
        load=PlannedLoad(
            target=url,
            service=target.command,
            requests_from=target.requests_from,
            users=effort.users,
            duration_seconds=effort.duration_seconds,
            agent=effort.agent,
            by_route=effort.by_route,
        ),
    )


def _source(described: Scenario) -> str:
    file = Path(described.file)
    if find.builtin_folder() in file.parents:
        return described.name
    if described.module and described.name == described.module.replace("_", "-"):
        return described.module  # it was named so, and not by its file
    return file.name if file.name != "scenario.py" else f"{file.parent.name}/{file.name}"
