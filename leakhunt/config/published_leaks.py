"""Reading a list of published leaks: strictly. The built-in one is ``published_leaks.toml``.

[[package]]
name = "multidict"
leaking = "6.9.0"            # a version that leaks
fixed = "6.9.1"              # and one that does not, both on the index
kind = "leak in Python"      # the class of the growth
leak = "multidict_itemsview_or2_impl: a reference to each pair's value"
found = "multidict_itemsview"    # a pattern of what names it
link = "https://..."         # the fix
also = ["six==1.16.0"]       # optional: further requirements
workload = '''
import multidict

def call():
    ...
'''

Where ``call`` takes an argument, the workload has ``make_input(state, call)``, which makes it.
"""

from __future__ import annotations

import re
from pathlib import Path

from leakhunt.errors import BadFile
from leakhunt.model.benchmark import PublishedLeak
from leakhunt.model.kinds import Kind
from leakhunt.text.message import message
from leakhunt.text.system import system_text
from leakhunt.toml_file import Table, read_table

BUILT_IN = Path(__file__).with_suffix(".toml")
_TEXTS = ("name", "leaking", "fixed", "kind", "leak", "found", "link")


def read_published(file: Path = BUILT_IN) -> tuple[PublishedLeak, ...]:
    """The packages of a list.

    Raises:
        BadFile: it cannot be read, is no TOML, or something in it is missing, unknown or wrong.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_text(error),
            )
        ) from error
    table = read_table(content, str(file))
    table.only(("package",))
    found = tuple(_package(each) for each in table.tables("package", "package"))
    if not found:
        table.bad(message("published.missing", "missing package. Add one as [[package]]"))
    table.refuse_twice("[[package]] name", "package", [each.name for each in found])
    return found


def _package(table: Table) -> PublishedLeak:
    table.only((*_TEXTS, "workload", "also"))
    texts = {key: table.needed(key) for key in _TEXTS}
    table.one_of("kind", texts["kind"], tuple(Kind))
    table.needed("workload")
    try:
        re.compile(texts["found"])
    except re.error as error:
        table.bad(
            message("published.pattern", "found: invalid pattern ({error})", error=error), "found"
        )
    return PublishedLeak(
        **texts, workload=str(table.items["workload"]), also=tuple(table.texts("also"))
    )
