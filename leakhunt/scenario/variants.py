"""Choosing variants by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from leakhunt.errors import UsageError
from leakhunt.text.message import Text, message
from leakhunt.text.suggest import hint


class Named(Protocol):
    """What goes by a name."""

    @property
    def name(self) -> str:
        """The name."""


_Variant = TypeVar("_Variant", bound=Named)


def variants_named(owner: Text, names: str, variants: Sequence[_Variant]) -> tuple[_Variant, ...]:
    """The variants that `names`, with commas between them, stand for; all where it is empty.

    Raises:
        UsageError: `owner` has no such variant, or one is named twice.
    """
    known = {variant.name: variant for variant in variants}
    listed = names.split(",") if names else list(known)
    for name in listed:
        if listed.count(name) > 1:
            raise UsageError(
                message(
                    "scenario.variant-twice",
                    "variant {twice} is named twice; name each once",
                    twice=name,
                )
            )
        if name not in known:
            raise UsageError(
                message(
                    "scenario.no-variant",
                    "{owner} has no variant {name!r}{hint}. Known variants: {known}",
                    owner=owner,
                    name=name,
                    hint=hint(name, known),
                    known=", ".join(known),
                )
            )
    return tuple(known[name] for name in listed)
