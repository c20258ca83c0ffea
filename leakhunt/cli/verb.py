"""How the help of a verb is laid out: options by what they are for, two examples, exit codes.

One table of each, so that a new option or verb needs a line here and nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

import click

from leakhunt.cli.help import HelpContext, write_example
from leakhunt.cli.json_option import HELP as JSON_HELP

# Where an option stands in the help; one that is in none of these stands under "Other".
_SECTIONS: Mapping[str, frozenset[str]] = {
    "What to run": frozenset(
        ("device", "lengths", "audio", "option", "threads", "seed", "memory-limit",
         "limit", "command", "by-route", "agent",
         "pid", "from", "prometheus", "query", "start-query", "token-file",
         "user-file", "ca-file", "limit-query",
         "url", "ready", "locustfile", "post", "field", "expect", "users", "locust",
         "concurrency", "leave-running", "resume", "policy", "scenario", "changed", "against",
         "against-python", "jobs",
         "vary", "exclude", "isolated", "on", "package", "repo", "good", "bad", "tool", "adapter",
         "id", "list", "label")
    ),
    "How long": frozenset(
        ("calls", "warmup", "budget", "calls-per-sample", "collect", "resolve", "requests",
         "duration", "timeout", "since", "step", "interval", "wait",
         "repeats", "clean-repeats", "pairs", "for", "trace", "no-touch", "most-runs", "diff")
    ),
    "Cause and fix": frozenset(("hunt", "no-hunt", "with", "try", "until-ceiling", "retained")),
    "Budgets and baselines": frozenset(
        ("max-growth", "series", "baselines", "no-baseline", "into", "despite-leak",
         "despite-differences", "fdr")
    ),
    "Output": frozenset(
        ("alert-command", "webhook", "attach", "out", "format", "flame", "live", "port",
         "problems", "plan")
    ),
}  # fmt: skip
_OTHER = "Other"

EXIT_CODES: Mapping[int, str] = {
    0: "success",
    1: "over budget (truth: a wrong verdict)",
    2: "wrong usage",
    3: "inconclusive",
    4: "nothing measured",
    5: "missing requirement",
    6: "invalid file",
    7: "cannot write",
    8: "the scenario's own code failed",
    9: "not comparable",
    130: "interrupted",
}
_MEASURING = (0, 2, 4, 5, 6, 7, 8, 130)
_CODES: Mapping[str, tuple[int, ...]] = {
    "run": _MEASURING,
    "hunt": _MEASURING,
    "soak": _MEASURING,
    "attach": (0, 2, 5, 7, 8, 130),
    "watch": (0, 2, 4, 5, 6, 7, 8, 130),
    "analyze": (0, 2, 4, 5, 6, 7, 130),
    "matrix": (0, 2, 4, 5, 6, 7, 130),
    "bisect": (0, 2, 3, 5, 6, 7, 130),
    "benchmark": (0, 2, 4, 5, 6, 7, 130),
    "gate": tuple(code for code in EXIT_CODES if code != 9),
    "truth": (0, 1, 2, 4, 5, 6, 7, 8, 130),
    "claims": _MEASURING,
    "compare": (0, 2, 4, 6, 7, 9),
    "report": (0, 2, 4, 6, 7),
    "baseline save": (0, 2, 4, 6, 7),
    "baseline update": (0, 2, 4, 6, 7),
    "baseline show": (0, 2, 6),
    "list": (0, 2, 6),
    "schema": (0, 2, 7),
    "serve": (0, 2, 7),
    "completion": (0, 2, 7),
}

# What is done, and the command that does it: two for each verb.
EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "run": (
        ("Measure a function of your own until the verdict is clear",
         "leakhunt run my_service.py:handle"),
        ("Compare two variants of a built-in scenario over 400 calls",
         "leakhunt run fsmn-vad:naive,cleaned --calls 400"),
    ),
    "hunt": (
        ("Find what retains the memory", "leakhunt hunt my_service.py:handle"),
        ("Try a fix, in interleaved runs before and after",
         "leakhunt hunt fsmn-vad:naive --try ONEDNN_PRIMITIVE_CACHE_CAPACITY=8"),
    ),
    "soak": (
        ("Load a service that leakhunt starts, with your own locustfile",
         "leakhunt soak --command 'uvicorn app:app --port {port}' --locustfile load.py"),
        ("Load a service that runs already, for ten minutes",
         "leakhunt soak --pid 4711 --url http://127.0.0.1:8000 --locustfile load.py"
         " --duration 10m"),
    ),
    "attach": (
        ("Where the memory of a running process is", "leakhunt attach 4711"),
        ("Watch the process of gunicorn's app for a verdict",
         "leakhunt attach app:server --for 10m --limit '2 GiB'"),
    ),
    "watch": (
        ("Follow a process; at an alarm call a command and look inside",
         "leakhunt watch 4711 --alert-command 'logger -s leak' --attach"),
        ("Start a service and follow it; the same --out resumes",
         "leakhunt watch --out watched -- uvicorn app:app"),
    ),
    "analyze": (
        ("All instances of a job, the first out of memory first",
         "leakhunt analyze --prometheus http://localhost:9090"
         " --query 'process_resident_memory_bytes{job=\"vad\"}' --limit '2 GiB'"),
        ("A log of psrecord, mprof or a CSV", "leakhunt analyze memory.csv --limit '512 MiB'"),
    ),
    "matrix": (
        ("Two variants under two allocators, with one and two threads",
         "leakhunt matrix my_service.py --vary variant=old,new --vary allocator=glibc,jemalloc"
         " --vary threads=1,2"),
        ("All versions of a package that match, on a Ray cluster",
         "leakhunt matrix fsmn-vad:naive --with 'funasr==1.3.*' --on ray"),
    ),
    "benchmark": (
        ("All packages of the list, all tools that are installed", "leakhunt benchmark"),
        ("Two packages with two tools",
         "leakhunt benchmark msgpack ujson --tool leakhunt --tool memray"),
    ),
    "bisect": (
        ("The version of a package that ended a leak",
         "leakhunt bisect my_service.py:handle --package multidict --bad 6.0.4 --good 6.9.1"),
        ("The commit of your repository that introduced one",
         "leakhunt bisect my_service.py:handle --repo . --good v1.0 --bad HEAD"),
    ),
    "list": (
        ("All built-in scenarios and services", "leakhunt list"),
        ("The variants and options of one file", "leakhunt list my_service.py"),
    ),
    "report": (
        ("Render the reports of a folder again", "leakhunt report reports/2026-11-28-run"),
        ("One Chinese page of two folders",
         "leakhunt --lang zh report before after --out both --format html"),
    ),
    "claims": (
        ("List the claims of all built-in scenarios", "leakhunt claims --list"),
        ("Check two claims of one scenario", "leakhunt claims fsmn-vad --id A1,A3"),
    ),
    "compare": (
        ("Compare two folders of runs", "leakhunt compare before after"),
        ("Compare three versions, with labels",
         "leakhunt compare v1 v2 v3 --label 1.0 --label 2.0 --label 3.0"),
    ),
    "schema": (
        ("The schema of report.json", "leakhunt schema report"),
        ("The schema of leakhunt.toml, for your editor",
         "leakhunt schema policy > leakhunt.schema.json"),
    ),
    "serve": (
        ("Show all reports of a folder", "leakhunt serve reports"),
        ("The same on a fixed port", "leakhunt serve reports --port 8080"),
    ),
    "completion": (
        ("Complete in every new bash", "leakhunt completion bash >> ~/.bashrc"),
        ("Complete in fish",
         "leakhunt completion fish > ~/.config/fish/completions/leakhunt.fish"),
    ),
    "truth": (
        ("Evaluate the built-in leak zoo", "leakhunt truth"),
        ("Also hunt, with four seeds per leak",
         "leakhunt truth leak-zoo-native --hunt --repeats 4"),
    ),
    "gate": (
        ("Measure what the policy names, and check its budgets", "leakhunt gate"),
        ("Fail only on regressions since the main branch", "leakhunt gate --against origin/main"),
    ),
    "baseline save": (
        ("Save a baseline from a run", "leakhunt baseline save reports/2026-11-28-run"),
        ("Save it into another folder", "leakhunt baseline save out --into ci/baselines"),
    ),
    "baseline update": (
        ("Replace a baseline by a new run", "leakhunt baseline update reports/2026-11-28-run"),
        ("Replace it in another folder", "leakhunt baseline update out --into ci/baselines"),
    ),
    "baseline show": (
        ("Show the baselines of this repository", "leakhunt baseline show"),
        ("Show those of another folder", "leakhunt baseline show ci/baselines"),
    ),
}  # fmt: skip


# How options were spelled before: understood for a release, and shown nowhere.
OLD_SPELLINGS: Mapping[str, str] = {"--rounds": "--pairs"}


class Verb(click.Command):
    """A command whose help ends with two examples and its exit codes."""

    context_class = HelpContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with options that were spelled otherwise before."""
        return super().parse_args(ctx, [_spelled_now(word) for word in args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, in sections."""
        rows: dict[str, list[tuple[str, str]]] = {name: [] for name in (*_SECTIONS, _OTHER)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                rows[_section_of(parameter)].append(record)
        rows["Output"].append(JSON_HELP)
        for name, records in rows.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, and the exit codes that this verb has."""
        path = verb_of(ctx)
        with formatter.section("Examples"):
            for purpose, line in EXAMPLES.get(path, ()):
                write_example(formatter, purpose, line)
        with formatter.section("Exit codes"):
            write_exit_codes(formatter, _CODES[path])


class VerbGroup(click.Group):
    """Verbs below a verb, such as those of ``leakhunt baseline``."""

    context_class = HelpContext

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs, each with the first sentence of its help."""
        rows = [(name, first_sentence(each)) for name, each in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def first_sentence(command: click.Command) -> str:
    """The first paragraph of a command's help."""
    return inspect.cleandoc(command.help or "").partition("\n\n")[0]


def write_exit_codes(formatter: click.HelpFormatter, codes: Iterable[int]) -> None:
    """The exit codes, a line each, with what they mean."""
    formatter.write_dl([(str(code), EXIT_CODES[code]) for code in codes])


def verb_of(ctx: click.Context) -> str:
    """``run``, ``baseline save``: the words after ``leakhunt``."""
    words: list[str] = []
    here: click.Context | None = ctx
    while here is not None and here.parent is not None:
        words.insert(0, str(here.info_name))
        here = here.parent
    return " ".join(words)


def _spelled_now(word: str) -> str:
    name, equals, value = word.partition("=")
    return OLD_SPELLINGS.get(name, name) + equals + value


def _section_of(parameter: click.Parameter) -> str:
    names = {name.lstrip("-") for name in parameter.opts}
    return next((title for title, members in _SECTIONS.items() if names & members), _OTHER)
