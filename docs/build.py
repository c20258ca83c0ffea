"""Builds the pages in English and Chinese, with warnings as errors: ``make docs``.

::

    docs/build.py               the pages, into build/docs/<language>
    docs/build.py --catalogues  docs/locale as the pages are: new texts come without a
                                translation, what is no longer said goes

A page whose texts are not in its catalogue, or a catalogue with texts that no page says, is an
error: the catalogue is then brought up to date by ``make docs-catalogues`` and translated.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

HERE = Path(__file__).parent
BUILT = HERE.parent / "build" / "docs"
PAGES = "build/docs/en/index.html, build/docs/zh_CN/index.html"
LANGUAGES = ("en", "zh_CN")
TRANSLATED = HERE / "locale" / "zh_CN" / "LC_MESSAGES"
# Their Chinese is from the program's catalogue, or they are what programs and maintainers read.
GENERATED = "reference"
_HAND_WRITTEN = ("index", "built-in-systems", "platforms")


def main() -> int:
    """Build, or bring the catalogues up to date; return the exit code."""
    parser = argparse.ArgumentParser(description="Build the documentation.")
    parser.add_argument("--catalogues", action="store_true")
    wanted = parser.parse_args()
    built, now = BUILT / "digest", digest()
    if not wanted.catalogues and _content(built) == now:
        print(f"{PAGES} (nothing changed)")
        return 0
    if sphinx("gettext", "en", BUILT / "texts"):
        return 1
    if wanted.catalogues:
        for page in texts():
            update(page)
        return 0
    stale = [page for page in texts() if not is_complete(page)]
    if stale:
        print("The catalogues lack texts of:", *stale, "(make docs-catalogues)", file=sys.stderr)
        return 1
    code = max(sphinx("html", language, BUILT / language) for language in LANGUAGES)
    if code == 0:
        built.write_bytes(now)
        print(PAGES)
    return code


def digest() -> bytes:
    """A digest of all that the pages are made from."""
    root = HERE.parent
    folders = (HERE, root / "leakhunt", root / "reports" / "examples", root / "reports" / "truth")
    files = [root / "ARCHITECTURE.md", *(file for folder in folders for file in folder.rglob("*"))]
    kinds = (".py", ".md", ".po", ".toml", ".json", ".css", ".html", ".png")
    found = hashlib.sha256()
    for file in sorted(each for each in files if each.suffix in kinds):
        found.update(str(file).encode() + file.read_bytes())
    return found.hexdigest().encode()


def sphinx(builder: str, language: str, into: Path) -> int:
    """Run Sphinx; its warnings are errors."""
    doctrees = BUILT / "doctrees" / f"{builder}-{language}"
    command = [sys.executable, "-m", "sphinx", "--builder", builder, "--fail-on-warning"]
    command += ["--keep-going", "--quiet", "--doctree-dir", str(doctrees)]
    command += ["--define", f"language={language}", str(HERE), str(into)]
    return subprocess.run(command, check=False).returncode


def texts() -> Iterator[str]:
    """The pages that are translated here, by their names."""
    for file in sorted((BUILT / "texts").rglob("*.pot")):
        page = file.relative_to(BUILT / "texts").with_suffix("").as_posix()
        exists = (HERE / f"{page}.md").exists()
        folder, _, name = page.rpartition("/")
        if exists and (folder != GENERATED or name in _HAND_WRITTEN):
            yield page


def catalogue_of(page: str) -> Path:
    """The file with the translation of a page."""
    return TRANSLATED / f"{page}.po"


def fresh(page: str) -> Catalog:
    """The texts of a page, with the translations that there are."""
    template = _read(BUILT / "texts" / f"{page}.pot")
    file = catalogue_of(page)
    known = _read(file) if file.exists() else Catalog()
    made = Catalog("zh_CN", project="leakhunt", charset="utf-8", fuzzy=False, header_comment="")
    for message in template:
        if message.id:
            old = known.get(message.id)
            made.add(message.id, old.string if old is not None else "")
    return made


def is_complete(page: str) -> bool:
    """Whether the catalogue of a page has its texts and no others, however it is folded."""
    file = catalogue_of(page)
    return file.exists() and {m.id for m in _read(file)} - {""} == {m.id for m in fresh(page)} - {
        ""
    }


def written(page: str) -> bytes:
    """The catalogue of a page as it is when it is up to date."""
    stream = io.BytesIO()
    write_po(stream, fresh(page), width=100, no_location=True, omit_header=True)
    return _HEADER + stream.getvalue()


_HEADER = b"""msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

"""


def update(page: str) -> None:
    """Write the catalogue of a page, and say what it lacks."""
    file = catalogue_of(page)
    file.parent.mkdir(parents=True, exist_ok=True)
    content = written(page)
    if _content(file) != content:
        file.write_bytes(content)
    missing = sum(1 for message in _read(file) if message.id and not message.string)
    if missing:
        print(f"{file.relative_to(HERE.parent)}: {missing} without a translation")


def _read(file: Path) -> Catalog:
    with file.open("rb") as stream:
        return read_po(stream, locale="zh_CN")


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


if __name__ == "__main__":
    raise SystemExit(main())
