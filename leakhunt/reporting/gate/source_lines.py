"""Where in a repository a frame, a suspect or an answer stands. Pure: its files come as a list.

A `Frame` names its file without the machine's folders: by the scenario's folder and what is below,
or by its last two parts. Both are the end of its path, so that the files of a repository tell which
of them is meant; where two could be, none is named, since a wrong line is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from leakhunt.model.attribution import Frame, Origin, Suspect
from leakhunt.model.gate import VariantResult


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a file, named from the repository's root; lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Repository:
    """The files of a repository, as its version control names them: from the root, with slashes.

    `folder` is the name of its root, which a file at the top is told by. `policy` is the file with
    the budgets, empty where it is not in the repository; `lines` says where in it the budgets of a
    scenario or of ``scenario:variant`` begin.
    """

    files: tuple[str, ...] = ()
    folder: str = ""
    policy: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)


def repository_path(file: str, repository: Repository) -> str | None:
    """The file of the repository that is meant; None: there is none, or more than one."""
    end = "/" + file.removeprefix("./")
    found = [known for known in repository.files if f"/{repository.folder}/{known}".endswith(end)]
    return found[0] if len(found) == 1 else None


def spot_of(suspect: Suspect, repository: Repository) -> Spot | None:
    """The deepest frame of the user's code that stands in the repository."""
    frames = (suspect.where, *suspect.stack, suspect.holder)
    spots = (_spot(frame, repository) for frame in frames if _is_yours(frame))
    return next((spot for spot in spots if spot is not None), None)


def suspect_spots(variant: VariantResult, repository: Repository) -> Iterator[tuple[Suspect, Spot]]:
    """The suspects that count and stand in the repository, the gravest first."""
    for suspect in variant.suspects:
        if (spot := spot_of(suspect, repository)) is not None:
            yield suspect, spot


def place(variant: VariantResult, repository: Repository) -> Spot | None:
    """Where to point to: at a suspect, else at the scenario's file, else at the policy.

    None: nothing of it stands in the repository.
    """
    for _, spot in suspect_spots(variant, repository):
        return spot
    return scenario_spot(variant, repository)


def scenario_spot(variant: VariantResult, repository: Repository) -> Spot | None:
    """The first line of the scenario's file, else where the policy has its budgets."""
    names = [variant.scenario, *(entry.run.plan.source for entry in variant.entries)]
    for name in names:
        path = repository_path(name, repository) if name.endswith(".py") else None
        if path is not None:
            return Spot(path, 1)
    if not repository.policy:
        return None
    lines = repository.lines
    return Spot(repository.policy, lines.get(variant.name, lines.get(variant.scenario, 1)))


def _is_yours(frame: Frame | None) -> bool:
    return frame is not None and frame.origin is Origin.YOURS


def _spot(frame: Frame | None, repository: Repository) -> Spot | None:
    path = repository_path(frame.file, repository) if frame is not None and frame.file else None
    return Spot(path, max(frame.line, 1)) if frame is not None and path is not None else None
