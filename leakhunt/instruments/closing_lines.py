"""The line of code that closes a cycle: where the reference that leads back is set.

Read from the source: the assignment to an attribute in a class, to a variable in a function, to a
key; else where the function or the class is defined.
"""

from __future__ import annotations

import ast
import linecache
import sys
import types
from collections.abc import Iterator
from functools import cache
from typing import Any

# File, line, function.
Place = tuple[str, int, str]


def of_attribute(holder: Any, name: str) -> Place | None:
    """Where an attribute of that name is set: in the holder's class, else in the same file."""
    kind = type(holder)
    for base in kind.__mro__:
        for function in _functions_of(base):
            code = function.__code__
            for line, last, where in _stores(code.co_filename):
                if where == name and _spans(code, line, last):
                    return code.co_filename, line, code.co_name
    for base in kind.__mro__:
        file = _file_of(base)
        found = [(line, last) for line, last, where in _stores(file) if where == name]
        if found:
            return file, found[0][0], _function_around(file, found[0][0])
    return None


def of_variable(code: types.CodeType, name: str) -> Place | None:
    """Where a local variable is set, the last such line of the function."""
    lines = [
        line
        for line, last, where in _stores(code.co_filename)
        if where == f"{name}=" and _spans(code, line, last)
    ]
    return (code.co_filename, max(lines), code.co_name) if lines else None


def of_definition(each: Any) -> Place | None:
    """Where a function or a class is defined."""
    if type(each) is types.FunctionType:
        code = each.__code__
        return code.co_filename, code.co_firstlineno, _outer(each.__qualname__)
    file, name = _file_of(each), type.__getattribute__(each, "__name__")
    line = next((line for line, where in _classes(file) if where == name), 0)
    return (file, line, _function_around(file, line)) if line else None


def _functions_of(kind: type) -> Iterator[types.FunctionType]:
    for each in list(vars(kind).values()):
        if type(each) is types.FunctionType:
            yield each


def _file_of(kind: type) -> str:
    """The file that a class of Python is from; empty where that cannot be told."""
    name = type.__getattribute__(kind, "__module__")
    module = sys.modules.get(name) if type(name) is str else None
    file = getattr(module, "__file__", None)
    return file if type(file) is str and file.endswith(".py") else ""


def _spans(code: types.CodeType, first: int, last: int) -> bool:
    """Whether lines of a file are within a function."""
    lines = [line for _, _, line in code.co_lines() if line]
    return bool(lines) and code.co_firstlineno <= first and last <= max(lines, default=0)


def _outer(qualname: str) -> str:
    """The function in which another is defined."""
    above = qualname.rpartition(".<locals>.")[0]
    return above.rpartition(".")[2] or "<module>"


@cache
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file))) if file else None
    except (SyntaxError, ValueError, RecursionError):
        return None


@cache
def _stores(file: str) -> tuple[tuple[int, int, str], ...]:
    """First and last line, and the name, of what is set to something else than None.

    ``name`` of an attribute or a key, ``name=`` of a variable.
    """
    tree = _tree(file)
    if tree is None:
        return ()
    return tuple(sorted(_stores_in(tree)))


def _stores_in(tree: ast.Module) -> Iterator[tuple[int, int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case (
                ast.AnnAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
            ):
                targets = [target]
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                targets = [target]
            case _:
                continue
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            continue
        last = node.lineno if isinstance(node, ast.For | ast.AsyncFor) else node.end_lineno
        for name in (name for target in targets for name in _names(target)):
            yield node.lineno, last or node.lineno, name


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Attribute(attr=name):
            yield name
        case ast.Name(id=name):
            yield f"{name}="
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            yield name
        case ast.Tuple(elts=items) | ast.List(elts=items):
            for each in items:
                yield from _names(each)
        case ast.Starred(value=inner):
            yield from _names(inner)


@cache
def _classes(file: str) -> tuple[tuple[int, str], ...]:
    tree = _tree(file)
    nodes = ast.walk(tree) if tree is not None else ()
    return tuple((node.lineno, node.name) for node in nodes if isinstance(node, ast.ClassDef))


def _function_around(file: str, line: int) -> str:
    tree = _tree(file)
    around = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno < line <= (node.end_lineno or 0)
    ]
    return max(around, key=lambda node: node.lineno).name if around else "<module>"
