"""Finding and choosing claims: of the built-in scenarios, or of a file or folder that is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.config.claims_file import read_claims
from leakhunt.config.service_file import builtin_services
from leakhunt.errors import BadFile, UsageError
from leakhunt.model.claims import Claims
from leakhunt.scenario import find
from leakhunt.text.message import message
from leakhunt.text.suggest import hint
from leakhunt.text.system import system_text

FILE_NAME = "claims.toml"


@dataclass(frozen=True, slots=True)
class ClaimsFile:
    """The claims of a file, and the folder it is in."""

    claims: Claims
    folder: Path


def find_claims(names: Sequence[str], ids: Sequence[str]) -> list[ClaimsFile]:
    """The claims about these scenarios with these ids; without names or ids all there are.

    Raises:
        UsageError: there is no such scenario, file or claim, or one is named twice.
        BadFile: a file of claims is none.
    """
    found = [_read(*_place(name)) for name in names] if names else _builtin()
    if not found:
        raise UsageError(
            message(
                "claims-file.none-built-in",
                "no built-in scenario has claims. Pass a {file}",
                file=FILE_NAME,
            )
        )
    scenarios = [file.claims.scenario for file in found]
    twice = next((name for name in scenarios if scenarios.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            message(
                "claims-file.two-scenarios-named",
                "two scenarios are named {name}. Check their claims one at a time",
                name=twice,
            )
        )
    return _chosen(found, ids) if ids else found


def _chosen(found: Sequence[ClaimsFile], ids: Sequence[str]) -> list[ClaimsFile]:
    known = [claim.id for file in found for claim in file.claims.claims]
    for name in ids:
        if name not in known:
            raise UsageError(
                message(
                    "claims-file.no-such-claim",
                    "--id {name!r}: claim not found{hint}. Known claims: {known}",
                    name=name,
                    hint=hint(name, known),
                    known=", ".join(known),
                )
            )
    wanted = [
        replace(
            file,
            claims=replace(
                file.claims,
                claims=tuple(claim for claim in file.claims.claims if claim.id in ids),
            ),
        )
        for file in found
    ]
    return [file for file in wanted if file.claims.claims]


def _builtin() -> list[ClaimsFile]:
    return [_read(name, path) for name, path in _builtin_places().items() if path.is_file()]


def _builtin_places() -> dict[str, Path]:
    """Where the claims about the built-in scenarios and services would be, by their names."""
    files = [(each.name, Path(each.file)) for each in find.builtin()]
    files += [(each.name, each.file) for each in builtin_services()]
    return {name: file.with_name(FILE_NAME) for name, file in files}


def _place(name: str) -> tuple[str, Path]:
    """The scenario or service that is named and where its claims are."""
    builtin = _builtin_places()
    if name in builtin:
        return name, builtin[name]
    path = Path(name)
    if path.is_dir():
        path = path / FILE_NAME
    elif path.suffix == ".py":
        path = path.with_name(FILE_NAME)
    elif path.suffix != ".toml":
        raise UsageError(
            message(
                "claims-file.no-such-scenario",
                "{name!r}: no such scenario or claims file. List them with 'leakhunt claims"
                " --list'",
                name=name,
            )
        )
    return path.resolve().parent.name.replace("_", "-") or "claims", path


def _read(name: str, path: Path) -> ClaimsFile:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            message(
                "claims-file.not-found",
                "{name}: {path} not found. Choose a scenario with claims",
                name=name,
                path=path.name,
            )
        ) from error
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{path}: {strerror}. Check the path",
                path=path,
                strerror=system_text(error),
            )
        ) from error
    return ClaimsFile(read_claims(content, str(path), name), path.parent)
