"""What there is: scenarios, and the schemas of files."""

from __future__ import annotations

from leakhunt.engine.argument_types import checks_arguments
from leakhunt.errors import UsageError
from leakhunt.model.scenario import Scenario
from leakhunt.scenario import find
from leakhunt.storage.schema_files import SCHEMAS, schema_text
from leakhunt.text.message import message


@checks_arguments
def scenarios(*names: str) -> tuple[Scenario, ...]:
    """Scenarios with their variants and options, read without running them; default: built-in ones.

    Raises:
        UsageError: there is no such scenario.
        BadFile: a file is no scenario.
    """
    return tuple(map(find.listed, names)) if names else tuple(find.builtin())


@checks_arguments
def schema(name: str) -> str:
    """The JSON Schema of a file.

    Args:
        name: ``report``, ``retained``, ``claims``, ``compare``, ``suite``, ``gate``,
            ``run-file`` or ``policy``.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in SCHEMAS:
        raise UsageError(
            message(
                "argument.unknown-value",
                "{name}={value!r}: unknown value. Use one of {choices}",
                name="name",
                value=name,
                choices=", ".join(SCHEMAS),
            )
        )
    return schema_text(name)
