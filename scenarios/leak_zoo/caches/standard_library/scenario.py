"""Caches inside the standard library and numpy: each fills within 3,000 calls and is level then."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib
import linecache
import logging
import random
import re
import sqlite3
import sys
import urllib.parse
import xml.parsers.expat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from leakhunt import Context, variant

REQUIRES = ("numpy",)
FILES = 300
MODULES = 150
ROWS = 3000


@dataclass
class State:
    """What the service keeps from call to call."""

    folder: Path
    random: random.Random
    statements: sqlite3.Connection
    rows: sqlite3.Connection
    tags: dict[str, str] = field(default_factory=dict)


def setup(context: Context) -> State:
    """Two databases, the sources of templates, and a folder of plugins."""
    for number in range(FILES):
        lines = "".join(f"{{{{ value_{number}_{line} }}}}\n" for line in range(200))
        (context.folder / f"template_{number}.txt").write_text(lines, encoding="utf-8")
    for number in range(MODULES):
        functions = "".join(
            f"def handle_{step}(request):\n    return (request, {number}, {step})\n\n\n"
            for step in range(20)
        )
        (context.folder / f"zoo_plugin_{number}.py").write_text(functions, encoding="utf-8")
    sys.path.insert(0, str(context.folder))
    rows = sqlite3.connect(context.folder / "rows.db", cached_statements=0)
    rows.execute("PRAGMA cache_size = 1500")
    rows.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB)")
    rows.executemany(
        "INSERT INTO item VALUES (?, ?)", ((number, bytes(3800)) for number in range(ROWS))
    )
    rows.commit()
    rows.close()
    rows = sqlite3.connect(context.folder / "rows.db")
    rows.execute("PRAGMA cache_size = 1500")
    statements = sqlite3.connect(":memory:", cached_statements=600)
    statements.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT)")
    return State(context.folder, random.Random(context.seed), statements, rows)


def teardown(state: State) -> None:
    """Close the databases."""
    state.statements.close()
    state.rows.close()


def work() -> bytes:
    """Some 3 ms, as a real call takes."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 9000)


@variant(expect=("bounded cache", "clean"))
def patterns_compiled(state: State, item: int) -> bool:
    """Re keeps the last 512 patterns; each request brings one of its own."""
    work()
    return re.search(f"(?P<id>[a-z]{{3}}-{item})(?:=(?:yes|no|[0-9]+))?", "abc-1") is None


@variant(expect=("bounded cache", "clean"))
def globs_compiled(state: State, item: int) -> bool:
    """Fnmatch keeps patterns by name, of 1,500 tenants."""
    work()
    return fnmatch.fnmatch("file.txt", f"tenant-{item * 7 % 1500}-*.[a-z]??")


@variant(expect=("bounded cache", "clean"))
def urls_split(state: State, item: int) -> str:
    """urllib.parse keeps the last 128 URLs; each is a kilobyte long."""
    work()
    query = "&".join(f"field{number}={item}" for number in range(80))
    return urllib.parse.urlsplit(f"https://host.invalid/items/{item}?{query}").path


@variant(expect=("bounded cache", "clean"))
def sqlite_statements(state: State, item: int) -> None:
    """A connection keeps 600 prepared statements; each call's text is new."""
    work()
    text = f"SELECT id, length(body) FROM item WHERE id = {item} AND body > ?"  # noqa: S608 - an int
    state.statements.execute(text, ("a",)).fetchall()


@variant(expect=("bounded cache", "clean"))
def sqlite_pages(state: State, item: int) -> int:
    """SQLite keeps 1,500 pages of the database, of 3,000 that are read at random."""
    work()
    found = state.rows.execute(
        "SELECT length(body) FROM item WHERE id = ?", (state.random.randrange(ROWS),)
    )
    return int(found.fetchone()[0])


@variant(expect=("bounded cache", "clean"))
def loggers_of_tenants(state: State, item: int) -> None:
    """Logging keeps a logger for each of 800 tenants and each of their parts."""
    work()
    logging.getLogger(f"zoo.tenants.{item * 7 % 800}.requests").debug("served %d", item)


@variant(expect=("bounded cache", "clean"))
def tags_interned_by_expat(state: State, item: int) -> None:
    """Parsers that share a table of names: 2,000 tags and as many attributes."""
    work()
    parser = xml.parsers.expat.ParserCreate(intern=state.tags)
    parser.StartElementHandler = lambda tag, attributes: None
    name = f"{item * 7 % 2000}-" + "n" * 150
    parser.Parse(f"<tag{name} attribute{name}='{item}'/>", True)


@variant(expect=("bounded cache", "clean"))
def sources_of_templates(state: State, item: int) -> str:
    """Linecache keeps the lines of 300 files that errors were shown from."""
    work()
    return linecache.getline(str(state.folder / f"template_{item * 7 % FILES}.txt"), 1)


@variant(expect=("bounded cache", "clean"))
def plugins_imported(state: State, item: int) -> Any:
    """Each of 150 plugins is imported when it is first asked for, one in two calls."""
    work()
    if item % 2:
        return None
    return importlib.import_module(f"zoo_plugin_{item // 2 % MODULES}").handle_0(item)


@variant(expect=("bounded cache", "clean"))
def small_arrays(state: State, item: int) -> int:
    """Numpy keeps seven free blocks of each size below 1,024 bytes."""
    work()
    size = item * 7 % 1023 + 1
    return len([np.empty(size, dtype=np.uint8) for _ in range(8)])
