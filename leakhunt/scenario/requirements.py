"""What a scenario or a service needs and is not installed here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

from leakhunt.text.message import Message, message


class HasRequirements(Protocol):
    """A scenario or a service: the modules it needs, and the extra that installs them."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Modules."""

    @property
    def extra(self) -> str | None:
        """Of leakhunt."""


def missing_modules(described: HasRequirements) -> list[str]:
    """The modules it needs that are not installed; nothing is imported."""
    return [name for name in described.requires if not _is_there(name)]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # the package that it is in is not, or it is no name
        return False


def install_hint(described: HasRequirements) -> Message:
    """What to type to get them."""
    if described.extra:
        return message(
            "requirement.install-extra",
            "install with: pip install 'leakhunt-ml[{extra}]'",
            extra=described.extra,
        )
    return message(
        "requirement.install-modules",
        "install with: pip install {missing_modules}",
        missing_modules=" ".join(missing_modules(described)),
    )
