"""The templates of all pages: every text from outside is escaped by the engine.

In them `tr` and `ntr` are those of `leakhunt.text.language`, for texts of ours; `said` says a
message, or a word that stands in a variable, and what it returns is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leakhunt.text.language import ntr, tag, tr
from leakhunt.text.message import said

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup


def template(name: str) -> Template:
    """A template of ``templates/``; what it names and nobody gives is an error."""
    return _environment().get_template(name)


def text_of(name: str) -> str:
    """A file of ``templates/`` as it is: a script of somebody else's."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("leakhunt.reporting"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(tr=markup, ntr=_markup_of_number, said=said, tag=tag)
    return environment


def markup(text: str, /, **values: object) -> Markup:
    """A text of a template, which may hold tags; what fills its placeholders is escaped."""
    from markupsafe import Markup

    translated = Markup(tr(text))  # noqa: S704 - ours, and the catalogue's
    return translated.format(**values) if values else translated


def _markup_of_number(singular: str, plural: str, n: int, /) -> Markup:
    from markupsafe import Markup

    return Markup(ntr(singular, plural, n))  # noqa: S704 - ours, and a number
