"""Exit codes: each failure has its own, and none can be taken for a result."""

from __future__ import annotations

from click.testing import CliRunner

from leakhunt import errors
from leakhunt.cli.main import cli
from leakhunt.errors import BY_EXIT_CODE, INTERRUPTED, LeakhuntError
from leakhunt.model.gate import GateAnswer

# Those of the guard are raised into the service that imports it, and end no command.
KINDS = [
    kind
    for kind in LeakhuntError.__subclasses__()
    if not kind.__module__.startswith("leakhunt.guard.")
]


def test_each_failure_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in KINDS] + [INTERRUPTED]
    assert len(codes) == len(set(codes)) == 7


def test_every_failure_is_found_by_its_exit_code() -> None:
    assert set(BY_EXIT_CODE.values()) == set(KINDS)
    assert all(kind.exit_code == code for code, kind in BY_EXIT_CODE.items())


def test_no_failure_looks_like_a_result() -> None:
    results = {GateAnswer.WITHIN_BUDGET, GateAnswer.OVER_BUDGET, GateAnswer.INCONCLUSIVE}
    assert not results & {*BY_EXIT_CODE, INTERRUPTED}
    assert errors.NothingMeasured.exit_code == GateAnswer.NOT_MEASURED


def test_the_help_names_every_exit_code() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output
    for code in {*BY_EXIT_CODE, *map(int, GateAnswer), INTERRUPTED}:
        assert f"\n  {code} " in output
