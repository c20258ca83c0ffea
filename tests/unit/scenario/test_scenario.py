from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.errors import BadFile, UsageError
from leakhunt.model.kinds import Kind
from leakhunt.scenario import find
from leakhunt.scenario.describe import describe

HEAD = "from leakhunt import variant\n\ndef setup(context):\n    return None\n\n"
VARIANT = "@variant\ndef naive(state, item):\n    '''As it is.'''\n"


def write(folder: Path, text: str, name: str = "my_load.py") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_scenario_is_described_without_being_run(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '"""What it is.\n\nMore."""\nraise RuntimeError("was run")\n'
        'OPTIONS = {"size": ("3", ("3", "4"), "how much")}\nCALLS = 7\nRESULT = "intervals"\n'
        "JOBS = 2\n"
        'DEVICES = ("cpu", "cuda")\nEXTRA = "big"\nREQUIRES = ("torch",)\n'
        + HEAD
        + VARIANT
        + '@variant(name="other", devices=("cuda",))\ndef second(state, item):\n    pass\n'
        "def helper(state, item):\n    pass\n",
    )
    found = describe(file)
    assert (found.name, found.summary, found.default_calls) == ("my-load", "What it is.", 7)
    assert found.default_jobs == 2
    assert (found.extra, found.requires, found.result_kind) == ("big", ("torch",), "intervals")
    assert [(v.name, v.function, v.devices) for v in found.variants] == [
        ("naive", "naive", ("cpu", "cuda")),
        ("other", "second", ("cuda",)),
    ]
    assert found.variants[0].summary == "As it is."
    assert found.options[0].choices == ("3", "4")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("def broken(:\n", r"my_load.py:1: invalid Python \(invalid syntax\)"),
        ("\x00", "my_load.py: invalid Python"),
        (HEAD, "no function to measure"),
        ("def handle():\n    pass\n", r"missing function name\. Example: '.*my_load.py:handle'"),
        (
            HEAD + VARIANT + 'RESULT = "maybe"\n',
            "RESULT: expected one of equal, intervals, got 'maybe'",
        ),
        (HEAD + VARIANT + VARIANT, "two variants are named 'naive'"),
        (HEAD + VARIANT.replace("@variant", "@variant(name='../a')"), "variant name '../a'"),
        (HEAD + VARIANT + "CALLS = 0\n", "CALLS: expected a whole number above 0, got 0"),
        (HEAD + VARIANT + "JOBS = 0\n", "JOBS: expected a whole number above 0, got 0"),
        (HEAD + VARIANT + "CALLS = int('3')\n", "CALLS must be a literal"),
        (HEAD + VARIANT + 'DEVICES = "cpu"\n', "expected a tuple of words"),
        (HEAD + VARIANT + 'OPTIONS = {"a": "b"}\n', r"expected \(default, choices, help\)"),
        (HEAD + VARIANT + "OPTIONS = 3\n", "OPTIONS: expected a dict"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused_with_place_and_remedy(
    tmp_path: Path, text: str, cause: str
) -> None:
    with pytest.raises(BadFile, match=cause) as raised:
        describe(write(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_marked_variant_needs_no_setup(tmp_path: Path) -> None:
    found = describe(write(tmp_path, "from leakhunt import variant\n" + VARIANT))
    assert ([variant.name for variant in found.variants], found.plain) == (["naive"], False)


def test_a_wrong_name_is_answered_with_the_nearest_right_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'fsmn-vad'"):
        find.find("fsmn-vat")
    with pytest.raises(UsageError, match=r"did you mean 'chunked'.*Known variants: naive, cleaned"):
        find.find("fsmn-vad:chunkd")
    with pytest.raises(UsageError, match="scenario file not found"):
        find.find(str(tmp_path / "nowhere.py"))


def test_variants_are_chosen_in_the_order_asked_for() -> None:
    _, variants = find.find("fsmn-vad:streaming,naive")
    assert [variant.name for variant in variants] == ["streaming", "naive"]


def test_a_file_or_a_folder_is_found_by_path_with_variants(tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + VARIANT, "scenario.py")
    for place in (file, tmp_path):
        found, variants = find.find(f"{place}:naive")
        assert (found.file, len(variants)) == (str(file), 1)


def test_the_built_in_scenarios_are_there() -> None:
    names = {found.name: found for found in find.builtin()}
    assert {"fsmn-vad", "null"} <= names.keys()
    fsmn_vad = names["fsmn-vad"]
    assert [variant.name for variant in fsmn_vad.variants] == [
        "naive", "cleaned", "streaming", "reset-after", "preloaded", "all-fixes", "chunked",
        "fixed-shape", "kept-cuda-cache",
    ]  # fmt: skip
    assert fsmn_vad.extra == "fsmn-vad"
    assert all(variant.summary for variant in fsmn_vad.variants)


def test_options_are_checked_against_the_scenario() -> None:
    fsmn_vad, _ = find.find("fsmn-vad")
    assert find.settle_options(fsmn_vad, {"lengths": "fixed"})["lengths"] == "fixed"
    with pytest.raises(
        UsageError, match=r"unknown value\. Use one of varied, long-varied, fixed, half-hour"
    ):
        find.settle_options(fsmn_vad, {"lengths": "long"})
    with pytest.raises(UsageError, match=r"no option 'lenghts' \(did you mean 'lengths'\?\)"):
        find.settle_options(fsmn_vad, {"lenghts": "fixed"})


@pytest.mark.parametrize(
    "text",
    [
        VARIANT + 'OPTIONS = {"a": ("b", None, "help")}\n',
        VARIANT + "OPTIONS = {[]: 1}\n",
        VARIANT.replace("@variant", "@variant(devices=3)"),
        VARIANT.replace("@variant", "@variant(name=5)"),
        VARIANT.replace("@variant", '@variant(devices="cpu")'),
        VARIANT + "EXTRA = 3\n",
        VARIANT.replace("@variant", "@variant(rate='much')"),
    ],
    ids=["no choices", "unhashable", "devices", "name", "devices a word", "extra", "rate"],
)
def test_a_constant_of_the_wrong_kind_is_a_bad_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadFile):
        describe(write(tmp_path, HEAD + text))


@pytest.mark.parametrize(
    "head",
    [b"\xef\xbb\xbf", b"# -*- coding: latin-1 -*-\n# caf\xe9\n"],
    ids=["byte order mark", "declared encoding"],
)
def test_a_source_that_python_runs_is_described(tmp_path: Path, head: bytes) -> None:
    file = write(tmp_path, HEAD + VARIANT)
    file.write_bytes(head + file.read_bytes())
    compile(file.read_bytes(), file, "exec")
    assert describe(file).variants[0].name == "naive"


def test_a_long_list_of_variants_is_no_file_name(tmp_path: Path) -> None:
    names = [f"variant_{number:03}" for number in range(60)]
    marked = "".join(f"@variant\ndef {name}(state, item):\n    pass\n" for name in names)
    file = write(tmp_path, HEAD + marked)
    target = f"{file}:{','.join(names).replace('_', '-')}"
    assert len(find.find(target)[1]) == 60


def test_what_is_expected_of_a_variant_is_read(tmp_path: Path) -> None:
    mark = '@variant(expect=("clean", "bounded cache"), rate=2.5)'
    (found,) = describe(write(tmp_path, HEAD + VARIANT.replace("@variant", mark))).variants
    assert found.expect == (Kind.CLEAN, Kind.BOUNDED_CACHE)
    assert found.rate == 2.5


def test_scenarios_in_a_family_carry_its_name() -> None:
    assert "leak-zoo-python-heap" in {found.name for found in find.builtin()}
