"""``leakhunt``: the group of verbs, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, TextIO, cast

import click

from leakhunt import __version__
from leakhunt.cli.click_errors import click_text
from leakhunt.cli.help import HelpContext
from leakhunt.cli.json_option import HELP as JSON_HELP
from leakhunt.cli.json_option import OPTION as JSON
from leakhunt.cli.json_option import answering, document_of, refuse, without_option
from leakhunt.cli.language_option import requested_language
from leakhunt.cli.stdout import TolerantStream
from leakhunt.cli.verb import EXIT_CODES, write_exit_codes
from leakhunt.errors import INTERRUPTED, CannotWrite, LeakhuntError
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.language import LANGUAGES, speaking, tr

# The verbs by what they are for, each with its line in the help.
_GROUPS = {
    "Measure": {
        "run": "Measure a function or a scenario, and report whether it leaks.",
        "hunt": "Find what retains the memory, and test whether a fix helps.",
        "matrix": "Measure every combination of versions, settings and machines.",
        "bisect": "Find the version or commit that introduced a leak, or ended it.",
        "list": "List the built-in scenarios and services, with their options.",
    },
    "Services": {
        "soak": "Load a running service, and report whether it leaks.",
        "watch": "Follow a process for days, and say when it leaks or memory gets short.",
        "analyze": "Judge memory that Prometheus or other tools have measured.",
        "attach": "Look into a running Python process, and leave it as it was.",
    },
    "Continuous integration": {
        "gate": "Check memory growth against budgets, baselines or a revision.",
        "baseline": "Save, update and show baselines for the gate.",
        "compare": "Compare runs of two versions, packages or machines.",
    },
    "Reports": {
        "report": "Render the reports of run files again.",
        "serve": "Show the reports of a folder in your browser.",
        "schema": "Print the JSON Schema of a file that leakhunt reads or writes.",
        "completion": "Print the completion script for bash, zsh or fish.",
    },
    "Maintainers": {
        "claims": "Check the claims of field reports against measurements.",
        "benchmark": "Compare leak detectors on published packages.",
        "truth": "Measure the error rates on workloads with a known ground truth.",
    },
}
_WIDEST = max(len(name) for verbs in _GROUPS.values() for name in verbs)
_VERBS = {name: line for verbs in _GROUPS.values() for name, line in verbs.items()}

# Where a verb is not in the module of its name.
_MODULES = {"truth": "leakhunt.cli.evaluate", "bisect": "leakhunt.cli.bisection"}


class _Verbs(click.Group):
    """Loads a verb's module only when that verb is used, so that --help answers at once."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        name = _MODULES.get(cmd_name, f"leakhunt.cli.{cmd_name}")
        module = importlib.import_module(name)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, which looks for what was meant among commands that are loaded."""
        close = get_close_matches(args[0], _VERBS, n=1) if args[0] not in _VERBS else []
        if close and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{_WIDEST}}", line) for name, line in verbs.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Start with"):
            formatter.write(f"{'':{formatter.current_indent}}leakhunt run my_service.py:handle\n")
        with formatter.section("Exit codes"):
            write_exit_codes(formatter, EXIT_CODES)


@click.group(cls=_Verbs)
@click.option(
    "--lang",
    metavar="|".join(LANGUAGES),
    expose_value=False,
    help="Language of the output [default: $LEAKHUNT_LANG or en]",
)
@click.option(JSON, is_flag=True, expose_value=False, help=JSON_HELP[1])
@click.version_option(__version__, prog_name="leakhunt")
def cli() -> None:
    """Find out whether a Python service leaks memory, what leaks, and whether a fix works."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing expected ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        language, rest = requested_language(given, os.environ)
    except LeakhuntError as error:
        return _say(str(error), error.exit_code)
    is_json, rest = without_option(rest)
    with speaking(language):
        if not is_json:
            return _run(rest)
        output = TolerantStream(sys.stdout)
        with contextlib.redirect_stdout(sys.stderr), answering(partial(_write, output)) as answer:
            code = _run(rest)
        if answer.document is None and not answer.is_written:
            answer.document = document_of({"error": answer.error, "exit_code": code})
        _write(output, answer.document or b"")
        return _exit_code(output, code)


def _write(output: TolerantStream, document: bytes) -> None:
    output.write(document.decode("utf-8", "backslashreplace"))
    output.flush()


def _run(arguments: Sequence[str]) -> int:
    output = TolerantStream(sys.stdout)
    try:
        with contextlib.redirect_stdout(cast("TextIO", output)):
            result: Any = cli.main(
                args=list(arguments), prog_name="leakhunt", standalone_mode=False
            )
        output.flush()
    except LeakhuntError as error:
        return _say(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        return _say(click_text(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _say(tr("interrupted"), INTERRUPTED)
    return _exit_code(output, result if isinstance(result, int) else 0)


def _exit_code(output: TolerantStream, exit_code: int) -> int:
    """That code, unless the output could not be written."""
    if output.failure is not None:
        reason = tr(str(output.failure.strerror))
        return _say(
            tr("output: {reason}. Write it elsewhere", reason=reason), CannotWrite.exit_code
        )
    return exit_code


def _say(text: str, exit_code: int) -> int:
    # Names and words from outside are in it, which must not steer the terminal.
    line = visible(" ".join(map(str.strip, text.splitlines())))
    refuse(line)
    click.echo(f"leakhunt: {line}", err=True)
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
