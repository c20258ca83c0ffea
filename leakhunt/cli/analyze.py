"""``leakhunt analyze``: the verdict on memory that something else has measured."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.format_option import formats_option
from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import Notes, show_parts
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import ANALYZE_RENDERERS


@click.command("analyze", cls=Verb)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--from",
    "form",
    metavar="FORMAT",
    help="Format of the files: csv, parquet, psrecord, mprof, cgroup [default: by the file]",
)
@click.option("--prometheus", metavar="URL", help="Prometheus server, with --query")
@click.option(
    "--query", metavar="PROMQL", help="Memory in bytes, such as 'process_resident_memory_bytes'"
)
@click.option("--since", default="7d", show_default=True, help="From this long ago until now")
@click.option(
    "--step",
    metavar="DURATION",
    help="Distance of two points [default: as fine as is of use, 15s or more]",
)
@click.option("--limit", metavar="SIZE", help="Memory limit of each instance, such as '2 GiB'")
@click.option(
    "--limit-query",
    metavar="PROMQL",
    help="Memory limit of each instance, such as 'container_spec_memory_limit_bytes'",
)
@click.option(
    "--start-query",
    metavar="PROMQL",
    help="Start time of each instance [default: process_start_time_seconds with the labels of"
    " --query]",
)
@click.option(
    "--token-file",
    metavar="FILE",
    help="Bearer token for Prometheus [default: $LEAKHUNT_PROMETHEUS_TOKEN]",
)
@click.option(
    "--user-file",
    metavar="FILE",
    help="A line user:password for Prometheus [default: $LEAKHUNT_PROMETHEUS_USER]",
)
@click.option(
    "--ca-file", metavar="FILE", help="Trusted certificate authorities, PEM [default: the system's]"
)
@click.option(
    "--timeout", default="60s", show_default=True, help="Longest wait for an answer of Prometheus"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Output folder [default: reports/<when>-...]"
)
@formats_option(ANALYZE_RENDERERS)
def command(files: tuple[str, ...], out: Path | None, formats: str, **given: str | None) -> int:
    """Judge memory over time that something else has measured: files, or Prometheus.

    One line per instance, that which is out of memory first before the rest. Restarts are known
    from start times where Prometheus has them, else from drops. What recurs every day is no growth.
    """
    from leakhunt.engine.analyze import AnalyzeRequest, analyze
    from leakhunt.engine.formats import analyze_renderers_named
    from leakhunt.reporting.fleet import json_file
    from leakhunt.reporting.fleet.terminal import fleet_parts

    request = AnalyzeRequest(files, **given)  # type: ignore[arg-type]
    result = analyze(request, analyze_renderers_named(formats), Notes(), out=out)
    offer(lambda: json_file.render(result.report))
    show_parts(Console(), fleet_parts(result.report), reversed(result.files))
    return result.exit_code
