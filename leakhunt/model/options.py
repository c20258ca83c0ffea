"""How variants are measured, checked: and every default that more than one door has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from leakhunt.model.scenario import Scenario, Variant

# A worker that takes no new sample for so many seconds has hung.
TIMEOUT_SECONDS = 600.0
# A service that is not ready, or answers nothing, for so many seconds has hung.
SERVICE_TIMEOUT_SECONDS = 120.0
# Calls of a variant go on for so many seconds where something grows.
BUDGET_SECONDS = 60.0
# The part of a fixed number of calls that is warm-up and not judged.
WARM_UP_SHARE = 0.25
# Runs of a remedy, or of another revision: so many before and as many after.
PAIRS = 3
# Users of a service that send requests at the same time.
USERS = 4
# The form field for uploads to a service, and the seed of inputs.
UPLOAD_FIELD = "file"
SEED = 0
# Variants that are measured at the same time, and runs of a workload of known truth.
JOBS = 1
REPEATS = 1
# The least value of what is a number; a size may be text instead.
MINIMUMS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("warmup", "seed", "memory_limit", "limit"), 0),
        **dict.fromkeys(("calls", "calls_per_sample", "threads", "concurrency"), 1),
        **dict.fromkeys(("users", "requests", "pid"), 1),
        **dict.fromkeys(("jobs", "pairs", "repeats", "clean_repeats", "most_runs"), 1),
    }
)
# What a worker's collector is set by, and to: or else to thresholds, ``50000,20,20``.
COLLECTOR_VARIABLE = "LEAKHUNT_GC"
FREEZE = "freeze"
COLLECTOR_OFF = "off"
# Devices that can be asked for, and when a collection comes before each reading.
DEVICES = ("cpu", "cuda", "auto")
COLLECT = ("auto", "always", "never")
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many calls, and how they are sampled, as in `Plan`."""

    calls: int | None
    warmup: int | None
    calls_per_sample: int | None
    collect: str
    resolve: bool
    budget_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How the variants of a scenario are measured, checked.

    `named`: the variants were asked for by their names. `device` is ``cpu``, ``cuda`` or ``auto``.
    A worker that has no new sample for `timeout_seconds` has hung. `limit_bytes` is the
    memory of a container to come, which nothing enforces. `concurrency`: calls at the same time.
    """

    scenario: Scenario
    variants: tuple[Variant, ...]
    named: bool
    sampling: Sampling
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    memory_limit_bytes: int | None
    timeout_seconds: float
    limit_bytes: int | None = None
    concurrency: int | None = None
