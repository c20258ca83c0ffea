"""The published versions of a package, as the index has them for this Python; prereleases out."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec

from leakhunt.engine.environments import uv_command
from leakhunt.errors import UsageError
from leakhunt.text.message import message

_LISTED = re.compile(r"^Available versions: (?P<versions>.+)$", re.MULTILINE)
_SECONDS = 120


def published_versions(package: str) -> tuple[str, ...]:
    """The versions that can be installed, the oldest first.

    Raises:
        UsageError: the index has no such package, or does not answer.
        MissingRequirement: there is neither pip nor uv.
    """
    from packaging.version import Version

    has_pip = find_spec("pip") is not None
    pip = [sys.executable, "-m", "pip"] if has_pip else [*uv_command(), "tool", "run", "pip"]
    words = [*pip, "index", "versions", "--disable-pip-version-check", "--", package]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace"
        )
        found = _LISTED.search(done.stdout)
    except subprocess.TimeoutExpired:
        found = None
    if found is None:
        raise UsageError(
            message(
                "versions.unknown-package",
                "package {package!r}: the index lists no version. Check the name and the network",
                package=package,
            )
        )
    versions = {each.strip() for each in found["versions"].split(",")}
    return tuple(sorted((v for v in versions if not Version(v).is_prerelease), key=Version))


def versions_matching(package: str, specifier: str) -> tuple[str, ...]:
    """The published versions that a specifier such as ``==1.3.*`` allows, the oldest first.

    Raises:
        UsageError: it is no specifier, or none does.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise UsageError(
            message(
                "versions.invalid-specifier",
                "{package}: invalid versions {specifier!r}; examples: '==1.3.*', '>=1.2,<2'",
                package=package,
                specifier=specifier,
            )
        ) from error
    found = tuple(each for each in published_versions(package) if each in allowed)
    if not found:
        raise UsageError(
            message(
                "versions.none-matches",
                "{package}: no published version matches {specifier}."
                " Check the package and the versions",
                package=package,
                specifier=specifier,
            )
        )
    return found
