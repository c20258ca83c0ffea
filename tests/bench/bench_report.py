"""How long the formats of a report take, how large they are, and when a browser shows the page.

    make bench            (or: python tests/bench/bench_report.py)

Times are of this machine at this moment; what to compare is the growth from one row to the next.
"Text" is when a reader can read the verdict, "drawn" when the curves answer to the mouse; both need
Playwright and a Chromium on the path.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import _make_run

from leakhunt.analysis.report import assemble
from leakhunt.model.report import Report
from leakhunt.reporting.registry import RENDERERS, RunRenderer

SIZES = ((1, 300), (6, 300), (6, 10_000), (1, 1_000_000))
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def report(variants: int, samples: int) -> Report:
    """Runs whose heap grows under noise, with a spike that must not be lost."""
    rng = np.random.default_rng(0)
    runs = []
    for variant in range(variants):
        heap = (50_000_000 + 300 * variant * np.arange(samples)).astype(int)
        noise = rng.integers(0, 20_000, samples)
        noise[samples // 2] += 9_000_000
        runs.append(
            _make_run(
                plan_changes={
                    "variant": f"variant-{variant}", "calls": samples, "warmup": samples // 4,
                    "reference": "variant-0",
                },
                live_heap=(heap + noise).tolist(),
                rss=(heap * 2 + 7 * noise).tolist(),
                python_blocks=(5000 + noise // 1000).tolist(),
                duration=(20_000_000 + 500 * noise).tolist(),
            )
        )  # fmt: skip
    return assemble(runs, "bench")


def renderers() -> Iterator[RunRenderer]:
    """Those that can work here."""
    for each in RENDERERS:
        if all(shutil.which(name) or _is_installed(name) for name in each.requires):
            yield each


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def in_a_browser(page: bytes) -> tuple[float, float] | None:
    """Seconds until the text and until the curves are there."""
    chromium = shutil.which("chromium")
    if chromium is None or not _is_installed("playwright"):
        return None
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        file = Path(folder) / "report.html"
        file.write_bytes(page)
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.goto(file.as_uri())
        opened.wait_for_selector("html[data-drawn-ms]")
        text = opened.evaluate(PAINTED)
        drawn = float(opened.evaluate("document.documentElement.dataset.drawnMs"))
        browser.close()
    return text / 1e3, drawn / 1e3


def main() -> None:
    """Print a table a size."""
    for variants, samples in SIZES:
        started = time.perf_counter()
        made = report(variants, samples)
        judged = time.perf_counter() - started
        print(f"\n{variants} x {samples:,} samples: made and judged in {judged:.1f} s")
        for renderer in renderers():
            started = time.perf_counter()
            rendered = renderer.render(made)
            seconds = time.perf_counter() - started
            line = f"  {renderer.file_name:16} {seconds:8.2f} s {len(rendered) / 2**20:8.2f} MiB"
            if renderer.file_name == "report.html" and (shown := in_a_browser(rendered)):
                line += f"   text after {shown[0]:.2f} s, drawn after {shown[1]:.2f} s"
            print(line, flush=True)


if __name__ == "__main__":
    main()
