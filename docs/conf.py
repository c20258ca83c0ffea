"""Sphinx's settings for the pages in this folder; `docs/build.py` builds them in each language.

Pages of `docs/reference/` that are generated from the code have their Chinese from the program's
own catalogue: they are generated anew in it while they are read.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import reference_pages  # noqa: E402

import leakhunt  # noqa: E402

project = "leakhunt"
author = "the authors of leakhunt"
project_copyright = author
version = release = leakhunt.__version__
extensions = ["myst_parser"]
exclude_patterns = ["locale", "static", "templates"]
myst_heading_anchors = 3
# A block's first line says to `tests/docs_blocks.py` how it is run; Sphinx looks at its first word.
highlight_language = "text"
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_title = "leakhunt"
templates_path = ["templates"]
html_sidebars = {
    "**": [
        "sidebar/scroll-start.html",
        "sidebar/brand.html",
        "sidebar/language.html",
        "sidebar/search.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_static_path = ["static"]
html_css_files = ["leakhunt.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

locale_dirs = ["locale"]
# One catalogue for each page: two branches that translate different pages do not meet.
gettext_compact = False
gettext_location = True
gettext_uuid = False

_LANGUAGES = {"zh_CN": "zh"}
# A link to a Markdown file of the repository that is no page here.
_OUTSIDE = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<to>(?:\.\./)+[^)\s#]+\.md)\)")


def _speak(app: Any, docname: str, source: list[str]) -> None:
    language = _LANGUAGES.get(app.config.language or "")
    if language and docname in reference_pages.PAGES:
        source[0] = reference_pages.page(docname, language)
    folder = (HERE / docname).parent
    source[0] = _OUTSIDE.sub(lambda found: _inside(found, folder), source[0])
    if docname.endswith("index") and _is_complete(source[0], folder):
        source[0] = source[0].replace("\n*\n```", "\n```")


def _is_complete(index: str, folder: Path) -> bool:
    """Whether a table of contents names all pages of its folder, and ``*`` stands for none."""
    names = index.splitlines()
    return all(page.stem in (*names, "index") for page in folder.glob("*.md"))


def _inside(found: re.Match[str], folder: Path) -> str:
    """The link to a file that the built pages have a copy of: a report's page, where it has one."""
    file = (folder / found["to"]).resolve()
    if HERE in file.parents:
        return found[0]
    page = file.with_suffix(".html")
    to = found["to"].removesuffix(".md") + ".html" if page.exists() else found["to"]
    return f"{{download}}`{found['text'].replace('`', '')} <{to}>`"


def _spoken_anew(app: Any, env: Any, *_: object) -> list[str]:
    """The generated pages whose Chinese has changed: no file of theirs says so."""
    language = _LANGUAGES.get(app.config.language or "")
    if not language:
        return []
    before = getattr(env, "leakhunt_pages", {})
    env.leakhunt_pages = {
        docname: hashlib.sha256(reference_pages.page(docname, language).encode()).hexdigest()
        for docname in reference_pages.PAGES
    }
    return [name for name, digest in env.leakhunt_pages.items() if before.get(name) != digest]


def setup(app: Any) -> dict[str, Any]:
    """Tell Sphinx of what is done while a page is read."""
    app.connect("source-read", _speak)
    app.connect("env-get-outdated", _spoken_anew)
    return {"parallel_read_safe": True}
