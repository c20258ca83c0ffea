"""Reading claims.toml: what is there is kept, and what is wrong is told in one line."""

from __future__ import annotations

import re
import tomllib

import pytest

from leakhunt.config.claims_file import read_claims
from leakhunt.config.limits import parse_limit
from leakhunt.errors import BadFile
from leakhunt.model.claims import (
    MEASURES,
    About,
    Check,
    Claim,
    ClaimLimit,
    ClaimRun,
    Claims,
    LimitKind,
)

RUN = '[[run]]\nname = "r"\ncommand = "run null --calls 5"\n'
CLAIM = '[[claim]]\nid = "A1"\nclaim = "It grows"\nsource = "report A"\n'
CHECK = '[[claim.check]]\nrun = "r"\nmeasure = "growth"\nat_least = "50 MB/call"\n'
WHOLE = RUN + CLAIM + CHECK


def read(text: str) -> Claims:
    return read_claims(text.encode(), "claims.toml", "made")


def test_all_of_a_file_is_read() -> None:
    text = """
    [[run]]
    name = "same-clip"
    command = "run fsmn-vad:naive --lengths fixed"
    [[run]]
    name = "gpu"
    command = "hunt fsmn-vad:naive --with cuda"
    device = "cuda"
    [[claim]]
    id = "A1"
    claim = "RSS grows about 62 MB per call"
    source = "field report A"
    note = "a\\n note"
    [[claim.check]]
    run = "same-clip"
    measure = "growth"
    variant = "naive"
    series = "rss"
    at_least = "50 MB/call"
    at_most = "70 MB/call"
    claimed = "62 MB/call"
    [[claim.check]]
    run = "gpu"
    measure = "suspect"
    names = "cache_t"
    at_least = "70 %"
    about = "cause"
    [[claim.check]]
    run = "same-clip"
    measure = "ending"
    is = ["killed", "timeout"]
    [[claim]]
    id = "A8"
    claim = "72 hours"
    source = "field report A"
    not_measured = "too long"
    """
    same, gpu = (
        ClaimRun("same-clip", "run fsmn-vad:naive --lengths fixed"),
        ClaimRun("gpu", "hunt fsmn-vad:naive --with cuda", "cuda"),
    )
    first = Claim(
        "A1",
        "RSS grows about 62 MB per call",
        "field report A",
        (
            Check("same-clip", "growth", "naive", "rss", at_least=ClaimLimit(50e6, "50 MB/call"),
                  at_most=ClaimLimit(70e6, "70 MB/call"), claimed="62 MB/call"),
            Check("gpu", "suspect", names="cache_t", at_least=ClaimLimit(0.7, "70 %"),
                  about=About.CAUSE),
            Check("same-clip", "ending", words=("killed", "timeout")),
        ),
        "a note",
    )  # fmt: skip
    second = Claim("A8", "72 hours", "field report A", (), not_measured="too long")
    found = read(text)
    assert found == Claims("made", (same, gpu), (first, second))
    assert found.needed(first) == (same, gpu)
    assert found.needed(second) == ()


def check_with(*lines: str) -> str:
    """The file with these lines in place of the check's measure and limit."""
    return RUN + CLAIM + '[[claim.check]]\nrun = "r"\n' + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        (
            "[[run",
            "claims.toml",
            "invalid TOML (Expected ']]' at the end of an array declaration). Fix the syntax",
        ),
        ("\ufeff" + "x = 1", "the file", "unknown key 'x'"),
        (RUN, "the file", "missing claim. Add one as [[claim]]"),
        (
            "run = 1\n" + CLAIM + 'not_measured="x"',
            "the file",
            "run: expected a list of tables. Write each as [[run]]",
        ),
        (WHOLE.replace("[[claim.check]]", "[claim.check]"), "A1", "[[claim.check]]"),
        (
            RUN + RUN + CLAIM + CHECK,
            "the file",
            "the file: [[run]] name 'r' is defined twice. Rename one",
        ),
        (
            WHOLE + CLAIM + CHECK,
            "the file",
            "the file: [[claim]] id 'A1' is defined twice. Rename one",
        ),
        (
            WHOLE.replace('name = "r"', 'name = "R 1"'),
            "[[run]] 1",
            "name: invalid name 'R 1'. Use a-z, 0-9 and hyphens",
        ),
        (
            WHOLE.replace('name = "r"', 'name = "../r"'),
            "[[run]] 1",
            "name: invalid name '../r'. Use a-z, 0-9 and hyphens",
        ),
        (WHOLE.replace('name = "r"\n', ""), "[[run]] 1", "missing name. Add it as a quoted text"),
        (
            WHOLE.replace('"run null', '"serve null'),
            "run r",
            "command: unknown value 'serve'. Known values: run, hunt, soak",
        ),
        (
            WHOLE.replace('"run null', '"'),
            "run r",
            "command: unknown value '--calls'. Known values: run, hunt, soak",
        ),
        (
            WHOLE.replace("--calls 5", "--out x"),
            "run r",
            "command: --out is set by 'claims'. Remove it",
        ),
        (
            WHOLE.replace("--calls 5", "--format=md"),
            "run r",
            "command: --format is set by 'claims'. Remove it",
        ),
        (
            WHOLE.replace("--calls 5", "'"),
            "run r",
            "command: invalid command line (No closing quotation). Fix the quoting",
        ),
        (
            WHOLE.replace(RUN, RUN + 'device = "tpu"\n'),
            "run r",
            "device: unknown value 'tpu'. Known values: cuda",
        ),
        (
            WHOLE.replace('"A1"', '"A 1"'),
            "[[claim]] 1",
            "id: invalid name 'A 1'. Use letters, digits, '-', '_' and '.'",
        ),
        (
            WHOLE.replace('claim = "It grows"\n', ""),
            "claim A1",
            "missing claim. Add it as a quoted text",
        ),
        (
            WHOLE.replace('source = "report A"\n', "source = 5\n"),
            "claim A1",
            "source: expected a quoted text, got 5",
        ),
        (WHOLE.replace("source =", "sauce ="), "claim A1", "did you mean 'source'?"),
        (
            RUN + CLAIM,
            "claim A1",
            "missing check. Add [[claim.check]], or not_measured with the reason",
        ),
        (
            RUN + CLAIM + 'not_measured = "x"\n' + CHECK,
            "claim A1",
            "not_measured cannot be combined with checks. Remove one of them",
        ),
        (
            WHOLE.replace('run = "r"\n', 'run = "q"\n'),
            "claim A1, check 1",
            "run: unknown value 'q'. Known values: r",
        ),
        (WHOLE.replace('"growth"', '"grow"'), "claim A1, check 1", "did you mean 'growth'?"),
        (
            WHOLE.replace("50 MB/call", "50 MB"),
            "claim A1, check 1",
            "at_least: invalid value '50 MB'. Example: '50 MB/call'",
        ),
        (
            check_with('measure = "growth"'),
            "check 1",
            "missing at_least or at_most. Add one, for example '50 MB/call'",
        ),
        (
            check_with('measure = "growth"', "at_least = true"),
            "check 1",
            "at_least: invalid value True. Example: '50 MB/call'",
        ),
        (
            check_with('measure = "spread"', 'at_most = "x MB"'),
            "check 1",
            "at_most: invalid value 'x MB'. Example: '5 MB'",
        ),
        (
            check_with('measure = "growth"', 'series = "threads"', 'at_least = "5 MB/call"'),
            "check 1",
            "at_least: invalid value '5 MB/call'. Example: '0.5/call'",
        ),
        (
            check_with('measure = "saving"', "at_least = 0.7"),
            "check 1",
            "missing reference. Add it as a quoted text",
        ),
        (
            check_with('measure = "saving"', 'reference = "x"', 'at_least = "70"'),
            "check 1",
            "at_least: invalid value '70'. Example: '70 %'",
        ),
        (
            check_with('measure = "growth"', 'at_least = "2 MB/call"', 'at_most = "1 MB/call"'),
            "check 1",
            "at_least 2 MB/call is larger than at_most 1 MB/call",
        ),
        (check_with('measure = "growth"', 'names = "x"'), "check 1", "unknown key 'names'"),
        (check_with('measure = "ending"', "at_least = 5"), "check 1", "unknown key 'at_least'"),
        (
            check_with('measure = "ending"'),
            "check 1",
            "is: expected a list of words, for example ['ok']",
        ),
        (
            check_with('measure = "ending"', "is = []"),
            "check 1",
            "is: expected a list of words, for example ['ok']",
        ),
        (check_with('measure = "ending"', 'is = ["kiled"]'), "check 1", "mean 'killed'?"),
        (
            check_with('measure = "suspect"', "at_least = 0.5"),
            "check 1",
            "missing names. Add it as a quoted text",
        ),
        (
            check_with(
                'measure = "largest_finding"',
                'names = "x"',
                'instrument = "y"',
                'at_least = "1 MB"',
            ),
            "check 1",
            "instrument: unknown value 'y'. Known values: tracemalloc, objgraph, memray, cuda,",
        ),
        (
            check_with('measure = "total_growth"', "from_call = 0", 'at_least = "1 MB"'),
            "check 1",
            "from_call: expected a whole number, 1 or more, got 0",
        ),
        (
            check_with('measure = "growth"', 'at_least = "1 MB/call"', 'about = "me"'),
            "check 1",
            "about: unknown value 'me'. Known values: effect, cause",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place(
    text: str, place: str, expected: str
) -> None:
    with pytest.raises(BadFile) as caught:
        read(text)
    message = str(caught.value)
    assert re.match(r"claims\.toml:\d+: ", message)
    assert place in message and expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (RUN.replace("--calls 5", "--out x") + CLAIM + CHECK, 3),
        (RUN + RUN + CLAIM + CHECK, 4),
        (WHOLE.replace("50 MB/call", "50 MB"), 11),
        (WHOLE.replace('run = "r"\n', ""), 8),
        (WHOLE + "\nfrom_call = 0\n", 13),
        (RUN + CLAIM + CHECK + CHECK.replace("growth", "grow"), 14),
    ],
)
def test_the_line_of_what_is_wrong_is_named(text: str, line: int) -> None:
    with pytest.raises(BadFile, match=rf"^claims\.toml:{line}: "):
        read(text)


def test_no_bytes_of_a_file_end_in_a_traceback() -> None:
    for content in (b"\xff\xfe", b"\x00", b"a = " + b"[" * 5000):
        with pytest.raises(BadFile):
            read_claims(content, "claims.toml", "made")


@pytest.mark.parametrize(
    ("written", "kind", "series", "amount"),
    [
        ("50 MB/call", LimitKind.RATE, "rss", 50e6),
        ("4 KiB/call", LimitKind.RATE, "live_heap", 4096),
        ("0.5 blocks/call", LimitKind.RATE, "python_blocks", 0.5),
        ("1/call", LimitKind.RATE, "threads", 1),
        ("0 B/call", LimitKind.RATE, "rss", 0),
        ("5 MB", LimitKind.SIZE, "rss", 5e6),
        ("-5 MB", LimitKind.SIZE, "rss", -5e6),
        (0, LimitKind.SIZE, "rss", 0),
        ("3", LimitKind.SIZE, "threads", 3),
        ("70 %", LimitKind.SHARE, "rss", 0.7),
        ("70%", LimitKind.SHARE, "rss", 0.7),
        (0.25, LimitKind.SHARE, "rss", 0.25),
        (1.3, LimitKind.RATIO, "rss", 1.3),
        ("10", LimitKind.COUNT, "rss", 10),
        ("2 s", LimitKind.SECONDS, "rss", 2),
        ("300 ms", LimitKind.SECONDS, "rss", 0.3),
        ("1.5 min", LimitKind.SECONDS, "rss", 90),
        ("72 h", LimitKind.SECONDS, "rss", 259_200),
        ("50 ms", LimitKind.MILLISECONDS, "rss", 50),
        ("0.05 s", LimitKind.MILLISECONDS, "rss", 50),
    ],
)
def test_a_limit_is_read_in_the_unit_of_its_measure(
    written: object, kind: LimitKind, series: str, amount: float
) -> None:
    limit = parse_limit(written, kind, series)
    assert limit is not None
    assert limit.amount == pytest.approx(amount)
    assert limit.text == str(written)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("", LimitKind.SIZE),
        ("5 MB/call", LimitKind.SIZE),
        ("70", LimitKind.SHARE),
        ("70 MB", LimitKind.SHARE),
        ("2", LimitKind.SECONDS),
        ("2 parsecs", LimitKind.SECONDS),
        ("1.3 x", LimitKind.RATIO),
        (True, LimitKind.COUNT),
        (None, LimitKind.COUNT),
        ([1], LimitKind.COUNT),
        (float("nan"), LimitKind.RATIO),
        (float("inf"), LimitKind.RATIO),
        ("9" * 400, LimitKind.COUNT),
        ("9" * 400 + " MB/call", LimitKind.RATE),
    ],
)
def test_what_is_no_limit_is_none(written: object, kind: LimitKind) -> None:
    assert parse_limit(written, kind, "rss") is None


def test_the_example_of_each_kind_is_one() -> None:
    for name, measure in MEASURES.items():
        if not measure.words:
            assert parse_limit(measure.limit.value, measure.limit, "rss"), name


def test_the_example_in_the_docstring_can_be_read() -> None:
    from leakhunt.config import claims_file

    assert claims_file.__doc__ is not None
    indented = claims_file.__doc__.split("\n\n")[1:-1]
    text = "\n".join(line.removeprefix("    ") for part in indented for line in part.splitlines())
    assert tomllib.loads(text)
    assert read(text).claims[0].id == "A1"
