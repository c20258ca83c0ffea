"""Makes the pages of `docs/reference/` that are generated from the code.

``python docs/reference_pages.py`` writes them in English, which is what is committed. `make docs`
makes their Chinese from the same functions, with the catalogue of the program.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import click

import leakhunt
from leakhunt.cli.help import Help, HelpContext
from leakhunt.cli.main import cli
from leakhunt.cli.verb import EXIT_CODES
from leakhunt.model.series import SERIES
from leakhunt.storage.schema_files import SCHEMAS, schema_text
from leakhunt.text.language import ENGLISH, speaking, spoken, tr

HERE = Path(__file__).parent
CAUSES = Path(leakhunt.__file__).parent / "analysis" / "attribution" / "known_causes.toml"
_CHINESE = {
    "Command line": "命令行",
    "Exit codes": "退出码",
    "Results have exit codes of their own, so that a script can tell a leak from a mistake.": (
        "结果各有自己的退出码，脚本因此能区分泄漏与用法错误。"
    ),
    "code": "代码",
    "meaning": "含义",
    "By verb": "按命令",
    "verb": "命令",
    "exit codes": "退出码",
    "Series": "序列",
    "A series is one number that is read at every sample. Judged series have a verdict, and can"
    " have a budget.": "序列是每次采样时读取的一个数。参与判定的序列有判定，也可以设预算。",
    "name": "名称",
    "title": "标题",
    "unit": "单位",
    "judged": "参与判定",
    "blind spot": "盲区",
    "yes": "是",
    "Known causes": "已知原因",
    "A leak suspect that matches one of these has its reason, its fix and how to verify it.": (
        "泄漏嫌疑与其中一项相符时，会附上它的原因、修复与验证方法。"
    ),
    "fix": "修复",
    "verify": "验证",
    "concerns": "涉及",
    "versions": "版本",
    "`{command}` prints the JSON Schema (draft 2020-12) of this page.": (
        "`{command}` 打印本页的 JSON Schema（draft 2020-12）。"
    ),
    "One of:": "取值之一：",
    "Type:": "类型：",
    "Budgets": "预算",
    "budget": "预算",
    "property": "属性",
    "type": "类型",
    "Measures": "度量",
    "Python API": "Python API",
    "Every verb is a function with the same names, defaults and checks. None prints or exits. An"
    " error is a `LeakhuntError` with the verb's `exit_code`.": (
        "每条命令都是一个函数，名称、默认值和检查相同。它们既不打印，也不退出进程。"
        "错误是 `LeakhuntError`，带有该命令的 `exit_code`。"
    ),
    "This page is generated from the code by `make reference`.": (
        "本页由 `make reference` 从代码生成。"
    ),
}
NOTE = "This page is generated from the code by `make reference`."


def _said(text: str) -> str:
    """A text of these pages in the language spoken."""
    return text if spoken() == ENGLISH else _CHINESE[text]


class MarkdownHelp(Help):
    """Writes help as Markdown: options in tables, what is called in blocks."""

    level = 2

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line that says how a command is called."""
        del prefix
        words = args.replace("[OPTIONS]", self.say("[OPTIONS]"))
        words = words.replace("COMMAND [ARGS]...", self.say("COMMAND [ARGS]..."))
        self.write(f"```text\n{prog} {words}\n```\n")

    def write_heading(self, heading: str) -> None:
        """The title of a section: no heading of the page, which would have each many times."""
        self.write(f"\n**{self.say(heading)}**\n\n")

    def write_text(self, text: str) -> None:
        """Paragraphs."""
        for paragraph in text.split("\n\n"):
            self.write(f"\n{_plain(self.say(paragraph))}\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Terms and what they mean."""
        del col_max, col_spacing
        self.write("| | |\n| --- | --- |\n")
        for term, text in rows:
            self.write(f"| `{_cell(term.strip(), code=True)}` | {_cell(self._explained(text))} |\n")


class MarkdownContext(HelpContext):
    """A context whose help is Markdown."""

    formatter_class = MarkdownHelp


_EXAMPLE = re.compile(r"(?m)(?:^ {2,}\S.*\n)+")


def command_line() -> Iterator[str]:
    """Every verb with its options."""
    yield "# " + _said("Command line")
    for name, context in _verbs():
        yield f"## `leakhunt{f' {name}' if name else ''}`"
        formatter = MarkdownHelp()
        context.command.format_help(context, formatter)
        text = formatter.getvalue()
        yield _EXAMPLE.sub(lambda found: f"```sh\n{textwrap.dedent(found[0])}```\n", text).strip()


def _verbs() -> Iterator[tuple[str, click.Context]]:
    waiting = [("", MarkdownContext(cli, info_name="leakhunt"))]
    for name, context in waiting:
        yield name, context
        if isinstance(context.command, click.Group):
            for each in context.command.list_commands(context):
                command = context.command.get_command(context, each)
                if command is not None:
                    inner = MarkdownContext(command, info_name=each, parent=context)
                    waiting.append((f"{name} {each}".strip(), inner))


def exit_codes() -> Iterator[str]:
    """The exit codes, and which verb has which."""
    yield "# " + _said("Exit codes")
    yield _said(
        "Results have exit codes of their own, so that a script can tell a leak from a mistake."
    )
    yield _table((_said("code"), _said("meaning")), (
        (f"`{code}`", tr(text)) for code, text in EXIT_CODES.items()
    ))  # fmt: skip
    from leakhunt.cli.verb import _CODES

    yield "## " + _said("By verb")
    yield _table((_said("verb"), _said("exit codes")), (
        (f"`leakhunt {name}`", ", ".join(map(str, codes))) for name, codes in _CODES.items()
    ))  # fmt: skip


def series() -> Iterator[str]:
    """What is read, and what it cannot see."""
    yield "# " + _said("Series")
    yield _said(
        "A series is one number that is read at every sample. Judged series have a verdict, and"
        " can have a budget."
    )
    yield _table(
        (
            _said("name"),
            _said("title"),
            _said("unit"),
            _said("judged"),
            _said("blind spot"),
        ),
        (
            (
                f"`{row.name}`",
                tr(row.title),
                tr(row.unit.value),
                _said("yes") if row.is_judged else "–",
                tr(row.blind_to),
            )
            for row in SERIES.values()
        ),
    )


def known_causes() -> Iterator[str]:
    """The catalogue of causes: reason, fix, how to verify it."""
    causes = tomllib.loads(CAUSES.read_text("utf-8"))["cause"]
    yield "# " + _said("Known causes")
    yield _said(
        "A leak suspect that matches one of these has its reason, its fix and how to verify it."
    )
    for cause in causes:
        yield f"## {_plain(tr(cause['title']))}"
        yield _plain(tr(cause["reason"]))
        rows = [
            f"- **{_said('fix')}**: {_plain(tr(cause['remedy']['text']))}",
            f"- **{_said('verify')}**: {_plain(tr(cause['verify']))}",
        ]
        if cause.get("distributions"):
            named = ", ".join(f"`{each}`" for each in cause["distributions"])
            rows.append(f"- **{_said('concerns')}**: {named}")
        if cause.get("versions"):
            rows.append(f"- **{_said('versions')}**: {_plain(cause['versions'])}")
        rows.append(f"- id: `{cause['id']}`, <{cause['link']}>")
        yield "\n".join(rows)


def of_schema(name: str) -> Callable[[], Iterator[str]]:
    """The page of a file that has a JSON Schema."""

    def made() -> Iterator[str]:
        schema = json.loads(schema_text(name))
        title = schema["title"].removeprefix("leakhunt ")
        yield f"# {title[0].upper() + title[1:] if name == 'run-file' else title}"
        yield _plain(schema.get("description", ""))
        schema_line = "`{command}` prints the JSON Schema (draft 2020-12) of this page."
        yield _said(schema_line).format(command=f"leakhunt schema {name}")
        if name == "policy":
            yield from _policy_example()
        if schema.get("properties"):
            yield _properties(schema)
        for title, definition in schema.get("$defs", {}).items():
            yield f"## {title}"
            yield _plain(definition.get("description", ""))
            if definition.get("properties"):
                yield _properties(definition)
            elif definition.get("enum"):
                yield _said("One of:") + " " + ", ".join(f"`{v}`" for v in definition["enum"])
            elif definition:
                shape = _shape({k: v for k, v in definition.items() if k != "description"})
                yield _said("Type:") + f" {shape}"

    return made


def _policy_example() -> Iterator[str]:
    from leakhunt.config import budgets, policy_file

    yield from (part for part in _of_docstring(policy_file) if part.startswith("```"))
    yield "## " + _said("Budgets")
    rows = re.findall(r"(?m)^(``.+?)  +(.+)$", inspect.getdoc(budgets) or "")
    yield _table((_said("budget"), _said("meaning")), (
        (term.strip().replace("``", "`"), text.replace("``", "`")) for term, text in rows
    ))  # fmt: skip


def _properties(schema: Mapping[str, Any]) -> str:
    return _table(
        (_said("property"), _said("type"), _said("meaning")),
        (
            (f"`{name}`", _shape(each), each.get("description", ""))
            for name, each in schema["properties"].items()
        ),
    )


def _shape(each: Mapping[str, Any]) -> str:  # noqa: PLR0911 - a case each
    """The type of a value, in a few words."""
    if "$ref" in each:
        name = each["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in each:
            return " or ".join(dict.fromkeys(_shape(one) for one in each[several]))
    if "const" in each:
        return f"`{json.dumps(each['const'])}`"
    if "enum" in each:
        return " or ".join(f"`{value}`" for value in each["enum"])
    kind = each.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array" and isinstance(each.get("items"), dict):
        return f"list of {_shape(each['items'])}"
    inner = each.get("additionalProperties")
    if kind == "object" and isinstance(inner, dict):
        return f"object of {_shape(inner)}"
    return str(kind)


def _of_docstring(module: Any) -> Iterator[str]:
    """What stands in a module's docstring: paragraphs, and after ``::`` or indented its example."""
    text = inspect.getdoc(module) or ""
    for part in re.split(r"\n(?=\S)", text):
        head, _, example = part.partition("\n\n    ")
        paragraphs = head.replace("``", "`").removesuffix("::").strip()
        if paragraphs:
            yield " ".join(paragraphs.split())
        if example:
            yield f"```toml\n{textwrap.dedent('    ' + example).strip()}\n```"


def service_toml() -> Iterator[str]:
    """The format of ``service.toml``."""
    from leakhunt.config import service_file

    yield "# service.toml"
    yield from _of_docstring(service_file)


def matrix_toml() -> Iterator[str]:
    """The format of a file that describes a matrix."""
    from leakhunt.config import matrix_file

    yield "# matrix.toml"
    yield from _of_docstring(matrix_file)


def claims_toml() -> Iterator[str]:
    """The format of ``claims.toml``."""
    from leakhunt.config import claims_file
    from leakhunt.model.claims import MEASURES

    yield "# claims.toml"
    yield from _of_docstring(claims_file)
    yield "## " + _said("Measures")
    rows = []
    for name, measure in MEASURES.items():
        title = getattr(measure, "title", "")
        rows.append((f"`{name}`", tr(str(title))))
    yield _table((_said("name"), _said("meaning")), rows)


def python_api() -> Iterator[str]:
    """Every public name, with its signature and docstring."""
    yield "# " + _said("Python API")
    yield _said(
        "Every verb is a function with the same names, defaults and checks. None prints or"
        " exits. An error is a `LeakhuntError` with the verb's `exit_code`."
    )
    listed = [name for name in leakhunt.__all__ if not name.startswith("_")]
    agent = importlib.import_module("leakhunt.agent")
    things = [(f"leakhunt.{name}", getattr(leakhunt, name)) for name in listed]
    guard = importlib.import_module("leakhunt.guard")
    things.append(("leakhunt.agent.listen", agent.listen))
    things.extend((f"leakhunt.guard.{name}", getattr(guard, name)) for name in guard.__all__)
    for name, thing in things:
        yield f"## {name}"
        yield f"```python\n{_signature(name, thing)}\n```"
        yield from _docstring(thing)


def _signature(name: str, thing: Any) -> str:
    if isinstance(thing, type) and not dataclasses.is_dataclass(thing):
        return f"class {name.rpartition('.')[2]}"
    signature = inspect.signature(thing)
    shown = []
    star = False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        default = "" if each.default is each.empty else f" = {_default(each.default)}"
        stars = "*" if each.kind is each.VAR_POSITIONAL else ""
        star = star or bool(stars)
        shown.append(f"{stars}{each.name}: {each.annotation}{default}")
    short = name.rpartition(".")[2]
    result = signature.return_annotation
    end = "" if result is signature.empty or isinstance(thing, type) else f" -> {result}"
    line = f"{short}({', '.join(shown)}){end}"
    if len(line) <= 80:
        return line
    rows = "".join(f"    {each},\n" for each in shown)
    return f"{short}(\n{rows}){end}"


def _default(value: Any) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if callable(value) or dataclasses.is_dataclass(value):
        return "..."
    return repr(value.value) if isinstance(value, Enum) else repr(value)


def _docstring(thing: Any) -> Iterator[str]:
    """A docstring in Google's style as Markdown: its sections as lists."""
    text = (inspect.getdoc(thing) or "").replace("``", "`")
    body, *sections = re.split(r"\n\n(?=(?:Args|Raises|Returns):\n)", text)
    yield from re.split(r"\n\n", body)
    for section in sections:
        title, _, rows = section.partition(":\n")
        items = re.split(r"\n(?=    \S)", rows)
        listed = []
        for item in items:
            term, colon, meaning = " ".join(item.split()).partition(": ")
            listed.append(f"- `{term}`: {meaning}" if colon else f"- {term}")
        yield f"**{title}**"
        yield "\n".join(listed)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    lines += [f"| {' | '.join(_cell(each) for each in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str, *, code: bool = False) -> str:
    text = " ".join(text.split()).replace("|", r"\|")
    return text if code else _plain(text)


def _plain(text: str) -> str:
    """A text of ours in Markdown: what is no markup there is none here. Keeps links and code."""
    parts = re.split(r"(`[^`]*`|\[[^\]]*\]\(#[^)]*\)|\*\*[^*]+\*\*)", text)
    return "".join(
        part if index % 2 else re.sub(r"(?<!\\)([<*_])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def _page_of(schema: str) -> str:
    """What the page of a schema is called: two are no JSON files that a verb writes at its end."""
    return schema if schema in ("policy", "run-file") else f"{schema}-json"


_MAKERS: Mapping[str, Callable[[], Iterator[str]]] = {
    "cli": command_line,
    "python-api": python_api,
    "exit-codes": exit_codes,
    "series": series,
    "known-causes": known_causes,
    "service-toml": service_toml,
    "claims-toml": claims_toml,
    "matrix-toml": matrix_toml,
    **{_page_of(name): of_schema(name) for name in SCHEMAS},
}
PAGES = tuple(f"reference/{name}" for name in _MAKERS)


def page(docname: str, language: str = "en") -> str:
    """The Markdown of one of `PAGES`, in a language."""
    with speaking(language):
        parts = list(_MAKERS[docname.removeprefix("reference/")]())
        parts.insert(1, _said(NOTE))
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def main() -> None:
    """Write the pages in English."""
    for docname in PAGES:
        file = HERE / f"{docname}.md"
        text = page(docname)
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")
            print(file.relative_to(HERE.parent))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
