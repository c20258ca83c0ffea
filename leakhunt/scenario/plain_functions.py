"""Plain functions as variants: found in a module's source by their names, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

from leakhunt.errors import BadFile, UsageError
from leakhunt.model.scenario import Variant
from leakhunt.scenario.arguments import HOOKS, arguments_of, arguments_of_hook, parameters_of
from leakhunt.text.message import message
from leakhunt.text.suggest import hint

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_SHOWN = 5
# All public functions that can be called with what a call is given.
EVERY = ("*",)
# Bodies of these are part of the module's top level.
_BLOCKS = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While)


class Names:
    """What a module defines at its top level, as far as its source says so."""

    def __init__(self, tree: ast.Module) -> None:
        self.functions: dict[str, FunctionNode] = {}
        self.classes: set[str] = set()
        # Bound by an assignment or an import: what they are shows when the module is run.
        self.others: set[str] = set()
        self.may_have_more = False
        self._read(tree.body)

    def _read(self, statements: Sequence[ast.stmt]) -> None:
        for node in statements:
            if isinstance(node, FunctionNode):
                self.functions[node.name] = node
                self.may_have_more |= node.name == "__getattr__"
            elif isinstance(node, ast.ClassDef):
                self.classes.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.asname or alias.name.split(".")[0] for alias in node.names]
                self.may_have_more |= "*" in names
                self.others.update(names)
            elif isinstance(node, _BLOCKS):
                for block in ("body", "handlers", "orelse", "finalbody"):
                    inner = getattr(node, block, [])
                    for each in inner:
                        self._read(each.body if isinstance(each, ast.ExceptHandler) else [each])
            else:
                self.others.update(
                    each.id
                    for each in ast.walk(node)
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                )

    def public(self) -> list[str]:
        """The functions that a user may mean, the hooks of a scenario left out."""
        return [
            name for name in self.functions if not name.startswith("_") and not self.has_hook(name)
        ]

    def has_hook(self, name: str) -> bool:
        """Whether there is this optional function of a scenario, and no other of the same name."""
        node = self.functions.get(name)
        if name not in HOOKS or node is None or node.decorator_list:
            return False
        return arguments_of_hook(name, parameters_of(node)) is not None


def plain_variants(
    names: Names, wanted: Sequence[str], place: str, devices: tuple[str, ...]
) -> Iterator[Variant]:
    """A variant for each function that is wanted, by name or by a pattern.

    `place` is the file or the module, as errors name it.

    Raises:
        BadFile: no function is wanted, since nobody said which.
        UsageError: there is no such function, or it cannot be called.
    """
    if tuple(wanted) == EVERY:
        wanted = [name for name in names.public() if _is_callable(names, name, place)]
    if not wanted:
        public = names.public()
        shown = ", ".join((*public[:_SHOWN], *(["..."] if len(public) > _SHOWN else [])))
        raise BadFile(
            message(
                "scenario.missing-function",
                "{place}: missing function name. Example: '{place}:{first}'. Known functions:"
                " {known}",
                place=place,
                first=public[0],
                known=shown,
            )
            if public
            else message("scenario.no-function", "{place}: no function to measure", place=place)
        )
    for name in _expanded(names, wanted):
        node = names.functions.get(name)
        _check(names, name, place)
        yield Variant(
            name=name,
            function=name,
            summary=(ast.get_docstring(node) or "").partition("\n")[0] if node else "",
            devices=devices,
        )


def is_pattern(name: str) -> bool:
    """Whether it may fit several names."""
    return any(sign in name for sign in "*?[")


def _expanded(names: Names, wanted: Sequence[str]) -> Iterator[str]:
    """Each name once; for a pattern those of the public functions that fit."""
    found: dict[str, None] = {}
    for each in wanted:
        fits = [name for name in names.public() if fnmatchcase(name, each)]
        found.update(dict.fromkeys(fits if is_pattern(each) and fits else [each]))
    yield from found


def _is_callable(names: Names, name: str, place: str) -> bool:
    try:
        _check(names, name, place)
    except UsageError:
        return False
    return True


def _check(names: Names, name: str, place: str) -> None:
    """Refuse what cannot be called, as far as the source says so."""
    owner, dot, _ = name.partition(".")
    if dot and owner in names.classes:
        raise UsageError(
            message(
                "scenario.method",
                "{place}:{name}: is a method. Measure a function that creates the object once"
                " and calls it",
                place=place,
                name=name,
            )
        )
    node = names.functions.get(name)
    if node is not None:
        if not node.decorator_list:
            arguments_of(f"{place}:{name}", parameters_of(node))
    elif name in names.classes:
        raise UsageError(
            message(
                "scenario.class",
                "{place}:{name}: is a class. Measure a function that uses it",
                place=place,
                name=name,
            )
        )
    elif name not in names.others and not (names.may_have_more and name.isidentifier()):
        known = names.public()
        raise UsageError(
            message(
                "scenario.no-function",
                "{place}: function {name!r} not found{hint}. Known functions: {known}",
                place=place,
                name=name,
                hint=hint(name, known),
                known=", ".join(known[:_SHOWN]) or message("scenario.none", "none"),
            )
        )
