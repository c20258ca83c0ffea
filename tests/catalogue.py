"""Makes the catalogues of `leakhunt/locale/`: every text of ours, and the translations kept.

``python tests/catalogue.py`` (``make translations``) reads the package's Python files
(`tr`, `ntr`, `mark`, `message`, `plural_message`), its templates, the catalogue of known causes,
what the system says and the help of every verb, brings each ``.po`` up to date and compiles the
``.mo`` beside it, which is what is read. What is no longer said is dropped; what is new comes
without a translation, and the tests say so.
"""

from __future__ import annotations

import io
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from leakhunt.cli.help import Help, HelpContext
from leakhunt.cli.main import cli
from leakhunt.text import system

PACKAGE = Path(__file__).parents[1] / "leakhunt"
CAUSES = PACKAGE / "analysis" / "attribution" / "known_causes.toml"
FILES = sorted((PACKAGE / "locale").glob("*/LC_MESSAGES/leakhunt.po"))
_PYTHON_KEYWORDS = {
    "tr": None, "ntr": (1, 2), "mark": None, "message": (2,), "plural_message": (2, 3),
}  # fmt: skip
_TEMPLATE_KEYWORDS = {"tr": None, "ntr": (1, 2)}

Found = tuple[str | tuple[str, ...], str]


def messages() -> Catalog:
    """Every text that is translated, with the files that say it."""
    catalogue = Catalog(charset="utf-8")
    for text, file in (*_of_python(), *_of_templates(), *_of_causes(), *_of_system(), *_of_help()):
        catalogue.add(text, locations=[(file, 0)])
    return catalogue


def _of_python() -> Iterator[Found]:
    for file in sorted(PACKAGE.rglob("*.py")):
        with file.open("rb") as stream:
            for _, text, *_ in extract("python", stream, _PYTHON_KEYWORDS):
                yield text, _name(file)


def _of_templates() -> Iterator[Found]:
    for file in sorted(PACKAGE.rglob("*.j2")):
        with file.open("rb") as stream:
            for *_, text, _ in babel_extract(stream, list(_TEMPLATE_KEYWORDS), (), {}):
                found = tuple(filter(None, text if isinstance(text, tuple) else (text,)))
                yield found if len(found) > 1 else found[0], _name(file)


def _of_causes() -> Iterator[Found]:
    for cause in tomllib.loads(CAUSES.read_text("utf-8"))["cause"]:
        for text in (cause["title"], cause["reason"], cause["remedy"]["text"], cause["verify"]):
            yield text, _name(CAUSES)


def _of_system() -> Iterator[Found]:
    for number in system.TRANSLATED:
        yield os.strerror(number), _name(Path(system.__file__))


def _of_help() -> Iterator[Found]:
    for name, context in help_contexts():
        for text in recorded_help(context):
            yield text, f"leakhunt {name} --help"


def help_contexts() -> Iterator[tuple[str, click.Context]]:
    """``leakhunt`` and every verb, by the words that call it."""
    waiting = [("", HelpContext(cli, info_name="leakhunt"))]
    for name, context in waiting:
        yield name, context
        if isinstance(context.command, click.Group):
            for each in context.command.list_commands(context):
                command = context.command.get_command(context, each)
                assert command is not None
                inner = HelpContext(command, info_name=each, parent=context)
                waiting.append((f"{name} {each}".strip(), inner))


def recorded_help(context: click.Context) -> list[str]:
    """The texts of a command's help, as they stand in the catalogue."""
    recorded: list[str] = []

    class Recorder(Help):
        def say(self, text: str) -> str:
            recorded.append(" ".join(text.split()))
            return super().say(text)

    context.command.format_help(context, Recorder())
    return recorded


def _name(file: Path) -> str:
    return file.relative_to(PACKAGE.parent).as_posix()


def read(file: Path) -> Catalog:
    """The catalogue of a ``.po`` file."""
    with file.open("rb") as stream:
        return read_po(stream, locale=file.parents[1].name)


def updated(catalogue: Catalog) -> Catalog:
    """`catalogue` with every text that is said now and no other, in their order."""
    fresh = Catalog(
        catalogue.locale,
        header_comment=catalogue.header_comment,
        project="leakhunt",
        creation_date=catalogue.creation_date,
        revision_date=catalogue.revision_date,
        charset="utf-8",
        fuzzy=False,
    )
    for message in messages():
        if message.id:
            known = catalogue.get(_key(message))
            translation = known.string if known is not None and not known.fuzzy else None
            is_plural = not isinstance(message.id, str)
            same = translation is not None and is_plural == (not isinstance(known.id, str))
            fresh.add(message.id, translation if same else "", locations=message.locations)
    return fresh


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


# Headers that Babel writes and nobody reads, or that change with its version.
_OF_NO_USE = (
    b'"Report-Msgid-Bugs-To',
    b'"Last-Translator',
    b'"Language-Team',
    b'"PO-Revision-Date',
    b'"Generated-By',
)


def compiled(catalogue: Catalog) -> bytes:
    """The ``.mo`` of a catalogue: the same bytes for the same texts."""
    stream = io.BytesIO()
    with patch("babel.messages.catalog.VERSION", "2"):  # which it writes into the header
        write_mo(stream, catalogue)
    return stream.getvalue()


def written(catalogue: Catalog) -> bytes:
    """The ``.po`` of a catalogue, by the alphabet and without places: two branches then merge."""
    stream = io.BytesIO()
    write_po(stream, catalogue, width=100, no_location=True, sort_output=True)
    lines = stream.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(_OF_NO_USE))


def main() -> None:
    """Bring every catalogue up to date, compile it, and say what has no translation."""
    for file in FILES:
        catalogue = updated(read(file))
        file.write_bytes(written(catalogue))
        file.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = [
            message.id for message in catalogue if message.id and not _is_translated(message)
        ]
        print(f"{file}: {len(catalogue)} texts, {len(missing)} without a translation")
        for text in missing:
            print(f"  {text!r}")


def _is_translated(message: Message) -> bool:
    strings = (message.string,) if isinstance(message.string, str) else message.string
    return bool(strings) and all(strings)


if __name__ == "__main__":
    main()
