"""The fact in a run's environment that says which libraries were installed, in what version.

Only those that known causes of growth name: by allow-list, since nobody is to read what else a
machine has. One fact for all of them, so that a table of the environment stays short.
"""

from __future__ import annotations

from collections.abc import Mapping

LIBRARIES = "libraries"
# The fact of an interpreter without the GIL; of others there is none.
FREE_THREADING = "free threading"
NONE_INSTALLED = "none"
# What known causes name, beside the packages that have a fact each.
DISTRIBUTIONS = (
    "anyio",
    "av",
    "boto3",
    "botocore",
    "celery",
    "confluent-kafka",
    "ddtrace",
    "django",
    "google-api-python-client",
    "gradio",
    "grpcio",
    "jax",
    "langgraph-checkpoint",
    "loguru",
    "marshmallow",
    "numba",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
    "opentelemetry-sdk",
    "peft",
    "phonemizer",
    "phonemizer-fork",
    "prometheus-client",
    "pydantic",
    "pymongo",
    "redis",
    "sentry-sdk",
    "spacy",
    "sqlalchemy",
    "tensorflow",
    "tokenizers",
)


def libraries_fact(versions: Mapping[str, str]) -> str:
    """The fact for libraries of these versions: ``gradio 6.12.0, tokenizers 0.20.3``."""
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or NONE_INSTALLED


def library_versions(environment: Mapping[str, str]) -> dict[str, str]:
    """The versions that an environment tells, by distribution: of its own facts, and of libraries.

    Of Python it is the version without the implementation's name.
    """
    versions = {name: value.rpartition(" ")[2] for name, value in environment.items()}
    for each in environment.get(LIBRARIES, "").split(", "):
        name, _, version = each.partition(" ")
        if version:
            versions[name] = version
    return versions
