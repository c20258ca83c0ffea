"""What machine, versions and settings a run was made with: facts that a report must show.

Environment variables are kept by allow-list only, so that no secret reaches a file; neither host
name nor user name nor paths are kept.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from leakhunt import __version__
from leakhunt.model.allocators import JEMALLOC, MIMALLOC, TCMALLOC
from leakhunt.model.libraries import DISTRIBUTIONS, FREE_THREADING, LIBRARIES, libraries_fact

_PACKAGES = (
    "numpy",
    "psutil",
    "memray",
    "soundfile",
    "torch",
    "torchaudio",
    "torchvision",
    "funasr",
    "modelscope",
    "transformers",
)
# Settings that change how memory behaves. LD_PRELOAD is told by its file names alone.
_VARIABLES = (
    "PYTHONMALLOC",
    "PYTHONHASHSEED",
    "MALLOC_ARENA_MAX",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "GLIBC_TUNABLES",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
    "LRU_CACHE_CAPACITY",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_MODULE_LOADING",
)


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Facts by name, in reading order; `variables` are the environment of the worker.

    Imports none of the packages it names.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    threading = {FREE_THREADING: "on"} if sysconfig.get_config_var("Py_GIL_DISABLED") else {}
    return {
        "python": python, **threading, **_machine(), **_packages(), **_settings(variables),
    }  # fmt: skip


def describe_environment_of_service(
    variables: Mapping[str, str], is_our_interpreter: bool
) -> dict[str, str]:
    """The facts that are known of a process that this one only watches, as above."""
    if is_our_interpreter:
        return describe_environment(variables)
    return {**_machine(), "leakhunt": __version__, **_settings(variables)}


def _machine() -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "cpu": _cpu(),
        "cores": str(available_cores()),
        "memory": _memory(),
    }


def _packages() -> dict[str, str]:
    """The versions of this interpreter's packages."""
    return {
        "leakhunt": __version__,
        **_versions(_PACKAGES),
        LIBRARIES: libraries_fact(_versions(DISTRIBUTIONS)),
    }


def _versions(distributions: Sequence[str]) -> dict[str, str]:
    """The versions of those that are installed."""
    versions = {name: _version(name) for name in distributions}
    return {name: version for name, version in versions.items() if version}


def _settings(variables: Mapping[str, str]) -> dict[str, str]:
    facts = {}
    for name in _VARIABLES:
        if name in variables:
            facts[f"env {name}"] = variables[name]
    preload = variables.get("LD_PRELOAD", "")
    if preload:
        names = (Path(part).name for part in preload.replace(":", " ").split())
        facts["env LD_PRELOAD"] = " ".join(names)
    return facts


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """The processor's model: times of another one cannot be compared."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or "unknown"


def _memory() -> str:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{total / (1 << 30):.1f} GiB"


def sees_gpu(variables: Mapping[str, str]) -> bool:
    """Whether this machine has a GPU of NVIDIA's that is not hidden; imports no framework."""
    if variables.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    places = (Path("/dev").glob("nvidia[0-9]*"), Path("/proc/driver/nvidia/gpus").glob("*"))
    # Where Linux runs inside Windows, the GPU has another door.
    return any(any(found) for found in places) or Path("/dev/dxg").exists()


# The allocators that can be preloaded: the names of their libraries, the best first.
_PRELOADABLE = {
    JEMALLOC: ("jemalloc",),
    TCMALLOC: ("tcmalloc_minimal", "tcmalloc"),
    MIMALLOC: ("mimalloc",),
}
# Where libraries are that the loader's cache does not know, such as those of a conda environment.
_LIBRARY_FOLDERS = (
    Path(sys.prefix, "lib"),
    *(Path(folder) for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/lib")),
)


def installed_allocators() -> dict[str, str]:
    """What to put into LD_PRELOAD, by the name of each allocator that is installed here."""
    if sys.platform != "linux":
        return {}
    found = ((name, _library(stems)) for name, stems in _PRELOADABLE.items())
    return {name: library for name, library in found if library is not None}


def _library(stems: Sequence[str]) -> str | None:
    """A library by its name, where the loader knows it, else by its path."""
    from ctypes.util import find_library

    for stem in stems:
        if (known := find_library(stem)) is not None:
            return known
        for folder in _LIBRARY_FOLDERS:
            for file in sorted(folder.glob(f"lib{stem}.so*")):
                return str(file)
    return None
