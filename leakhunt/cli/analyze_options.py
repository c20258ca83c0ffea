"""The options of ``analyze``."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.common_options import Command, with_options
from leakhunt.cli.format_option import formats_option
from leakhunt.reporting.registry import ANALYZE_RENDERERS

_OPTIONS = (
    click.option(
        "--from",
        "form",
        metavar="FORMAT",
        help="Format of the files: csv, parquet, psrecord, mprof, cgroup [default: by the file]",
    ),
    click.option("--prometheus", metavar="URL", help="Prometheus server, with --query"),
    click.option(
        "--query", metavar="PROMQL", help="Memory in bytes, such as 'process_resident_memory_bytes'"
    ),
    click.option("--since", default="7d", show_default=True, help="From this long ago until now"),
    click.option(
        "--step",
        metavar="DURATION",
        help="Distance of two points [default: as fine as is of use, 15s or more]",
    ),
    click.option("--limit", metavar="SIZE", help="Memory limit of each instance, such as '2 GiB'"),
    click.option(
        "--limit-query",
        metavar="PROMQL",
        help="Memory limit of each instance, such as 'container_spec_memory_limit_bytes'",
    ),
    click.option(
        "--start-query",
        metavar="PROMQL",
        help="Start time of each instance [default: process_start_time_seconds with the labels of"
        " --query]",
    ),
    click.option(
        "--token-file",
        metavar="FILE",
        help="Bearer token for Prometheus [default: $LEAKHUNT_PROMETHEUS_TOKEN]",
    ),
    click.option(
        "--user-file",
        metavar="FILE",
        help="A line user:password for Prometheus [default: $LEAKHUNT_PROMETHEUS_USER]",
    ),
    click.option(
        "--ca-file",
        metavar="FILE",
        help="Trusted certificate authorities, PEM [default: the system's]",
    ),
    click.option(
        "--timeout",
        default="60s",
        show_default=True,
        help="Longest wait for an answer of Prometheus",
    ),
    click.option(
        "--out", type=click.Path(path_type=Path), help="Output folder [default: reports/<when>-...]"
    ),
    formats_option(ANALYZE_RENDERERS),
)


def analyze_options(function: Command) -> Command:
    """Where the memory comes from, and what its report is like."""
    return with_options(function, _OPTIONS)
