"""A workload and the ways of calling it, as read from its file without running it."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.kinds import Kind


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of calling the workload. `devices` are those it makes sense on.

    Where the truth about it is known, `expect` is what a right verdict says (any of them), `rate`
    the growth a call, in bytes or a count of what grows, `culprit` what the first suspect must name
    (part of a chain or of a line) and `cause` the id of its known cause.
    """

    name: str
    function: str
    summary: str
    devices: tuple[str, ...]
    expect: tuple[Kind, ...] = ()
    rate: float = 0
    culprit: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a scenario: `default` and, where only some words are allowed, `choices`."""

    name: str
    default: str
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workload, as read from its file without running it. The first variant is the reference.

    Unless the user says otherwise there are `default_calls` (None: as many as the verdict needs),
    and `default_jobs` variants are measured at the same time.
    `input_unit` is what its inputs are measured in, where it says so (`tells_input`).
    `module` is the dotted name it is imported by, where it is part of a package; `plain`: no
    function of the file is marked as a variant, and the variants are functions that were named.
    """

    name: str
    file: str
    summary: str
    variants: tuple[Variant, ...]
    options: tuple[Option, ...]
    devices: tuple[str, ...]
    extra: str | None
    requires: tuple[str, ...]
    result_kind: str
    default_calls: int | None
    prepares: bool
    tells_audio: bool = False
    tells_input: bool = False
    input_unit: str = ""
    module: str = ""
    plain: bool = False
    default_jobs: int = 1
