"""Places in code, told without the folders of the machine."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Origin


def test_frames_are_told_without_the_folders_of_the_machine(tmp_path: Path) -> None:
    scenario = tmp_path / "mine" / "scenario.py"
    scenario.parent.mkdir()
    scenario.write_text("def f():\n    return [1]\n")
    places = Places(str(scenario))
    own = places.frame(str(scenario), 2)
    assert own is not None
    assert (own.file, own.function, own.source, own.origin) == (
        "mine/scenario.py", "f", "return [1]", Origin.YOURS,
    )  # fmt: skip
    stdlib = places.frame(f"{sysconfig.get_path('stdlib')}/copy.py", 1, "deepcopy")
    assert stdlib is not None and stdlib.file == "copy.py"
    assert stdlib.origin is Origin.INTERPRETER
    library = places.frame(f"{sysconfig.get_path('purelib')}/torch/nn/x.py", 1, "forward")
    assert library is not None and library.file == "torch/nn/x.py"
    assert library.origin is Origin.LIBRARY
    other = places.frame("/somewhere/else/helpers/tool.py", 1, "g")
    assert other is not None and other.file == "helpers/tool.py"


def test_an_environment_in_the_scenarios_folder_is_not_the_users_code(tmp_path: Path) -> None:
    places = Places(str(tmp_path / "service.py"))
    inside = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "vendor" / "x.py"
    frame = places.frame(str(inside), 4, "made")
    assert frame is not None
    assert (frame.file, frame.origin) == ("vendor/x.py", Origin.LIBRARY)


def test_a_built_in_scenario_in_the_installed_package_is_the_users_code() -> None:
    package = Path(str(sys.modules["leakhunt"].__file__)).parent
    scenario = package / "scenarios" / "leak_zoo" / "resources" / "scenario.py"
    places = Places(str(scenario))
    frame = places.frame(str(scenario), 55, "files_left_open")
    assert frame is not None
    assert (frame.file, frame.origin) == ("resources/scenario.py", Origin.YOURS)
    beside = places.frame(str(package / "scenarios" / "fsmn_vad" / "clips.py"), 3, "clip")
    assert beside is not None
    assert (beside.file, beside.origin) == ("fsmn_vad/clips.py", Origin.YOURS)


def test_native_frames_are_a_librarys_and_the_interpreters_loop_is_left_out() -> None:
    places = Places(__file__)
    native = places.frame("<unknown>", 0, "dnnl::impl::malloc(unsigned long)")
    assert native is not None and native.origin is Origin.LIBRARY and native.file == ""
    assert places.frame("Python/ceval.c", 12, "_PyEval_EvalFrameDefault") is None
    assert places.frame("<unknown>", 0, "_start") is None
    frozen = places.frame("<frozen runpy>", 198, "_run_module_as_main")
    assert frozen is not None and frozen.origin is Origin.INTERPRETER
    own_file = sys.modules["leakhunt.storage.run_file"].__file__
    assert places.frame(str(own_file), 1, "append") is None


def test_the_interpreters_extension_modules_are_told_by_where_it_was_built() -> None:
    built = sysconfig.get_config_var("abs_srcdir")
    places = Places(__file__)
    assert places.frame(f"{built}/Modules/_datetimemodule.c", 1129, "new_delta_ex") is None
    library = places.frame("/project/Modules/timezone.c", 74, "FixedOffset_utcoffset")
    assert library is not None
    assert (library.file, library.origin) == ("timezone.c", Origin.LIBRARY)
