"""The dashboard, alerts and manifests of docs/static/guard name what the guard really tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from leakhunt.guard import Guard, GuardConfig
from leakhunt.guard.growth import GrowthRate
from leakhunt.guard.metrics import exposition
from leakhunt.guard.status import GuardStatus

FOLDER = Path(__file__).parents[3] / "docs" / "static" / "guard"
NAME = re.compile(r"leakhunt_guard_\w+")
PATHS = {"/health", "/health/live", "/health/ready", "/metrics"}


@pytest.fixture(scope="module")
def told() -> set[str]:
    """The names of all metrics that a guard may tell."""
    guard = Guard(GuardConfig(min_gpu_free="1 GiB"))
    status = guard.status

    def all_known() -> GuardStatus:
        from dataclasses import replace

        rate = GrowthRate(100.0, 50.0, 150.0, 60.0)
        return replace(status(), growth=rate, gpu_free_bytes=1, live_heap_bytes=1)

    guard.status = all_known  # type: ignore[method-assign]
    text = exposition(guard).decode()
    names = set(re.findall(r"^# TYPE (\S+)", text, flags=re.MULTILINE))
    assert "leakhunt_guard_time_to_oom_seconds" in names
    return names | {"leakhunt_guard_request_seconds_bucket"}


@pytest.mark.parametrize(
    "file", ["grafana-dashboard.json", "prometheus-alerts.yml", "prometheus-alerts-test.yml"]
)
def test_every_metric_that_is_asked_for_is_told(file: str, told: set[str]) -> None:
    named = set(NAME.findall((FOLDER / file).read_text(encoding="utf-8")))
    assert named
    assert named <= told


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    panels: list[dict[str, Any]] = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["targets"] and all(each["expr"] for each in panel["targets"])
    variables = {each["name"] for each in board["templating"]["list"]}
    assert variables == {"datasource", "job", "instance"}


@pytest.mark.parametrize(
    "words",
    [
        ["check", "rules", "prometheus-alerts.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "prometheus-alerts-test.yml"],
    ],
    ids=["rules", "config", "alerts"],
)
def test_promtool_takes_the_rules_and_their_alerts_fire(words: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    done = subprocess.run(
        [promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    queries = [each["expr"] for panel in board["panels"] for each in panel["targets"]]
    rules = [{"record": f"query:{number}", "expr": q} for number, q in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_exposition() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    text = exposition(Guard())
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manifests_ask_paths_that_the_guard_answers() -> None:
    (deployment,) = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    probes = {name: each for name, each in container.items() if name.endswith("Probe")}
    assert {each["httpGet"]["path"] for each in probes.values()} <= PATHS
    assert probes["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert probes["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert pod["metadata"]["annotations"]["prometheus.io/path"] in PATHS
    # The limit that the guard reads is one that the pod is guaranteed.
    resources = container["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]

    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["vad"]
    assert service["mem_limit"] == service["memswap_limit"]
    assert "/health/live" in service["healthcheck"]["test"][-1]
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
