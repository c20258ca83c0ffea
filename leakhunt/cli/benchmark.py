"""``leakhunt benchmark``: leak detectors on published packages."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.benchmark_options import benchmark_options
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import Notes, show_parts
from leakhunt.cli.verb import Verb


@click.command("benchmark", cls=Verb)
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@benchmark_options
def command(
    packages: tuple[str, ...], tools: tuple[str, ...], adapters: tuple[str, ...],
    listed: Path | None, calls: int, budget: float, timeout: float, out: Path | None, formats: str,
) -> int:  # fmt: skip
    """Compare leak detectors on published packages, a leaking and a fixed version of each."""
    from leakhunt.engine.benchmark import BenchmarkRequest, benchmark
    from leakhunt.engine.formats import benchmark_renderers_named
    from leakhunt.engine.settings import given_options
    from leakhunt.reporting.benchmark import json_file
    from leakhunt.reporting.benchmark.terminal import benchmark_parts

    request = BenchmarkRequest(
        packages, tools=tools, adapters=given_options(adapters, {}), listed=listed, calls=calls,
        budget=budget, timeout=timeout,
    )  # fmt: skip
    signals_are_interrupts()
    result = benchmark(request, benchmark_renderers_named(formats), Notes(), out=out)
    offer(lambda: json_file.render(result.report))
    show_parts(Console(), benchmark_parts(result.report), reversed(result.files))
    return result.exit_code
