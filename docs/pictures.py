"""Makes the pictures of the pages: ``make pictures`` runs what they show, and draws it.

Each is a figure or a page that leakhunt itself makes; nothing is drawn by hand.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
# The two versions of the quickstart, as variants of one scenario, so that one figure has both.
QUICKSTART = '''"""The quickstart's function, and its fix."""

from collections import deque

from leakhunt import variant

HISTORY = []
BOUNDED = deque(maxlen=100)


@variant
def leaking(state, call):
    HISTORY.append(f"answer {call:6} ".encode() * 100)


@variant
def fixed(state, call):
    BOUNDED.append(f"answer {call:6} ".encode() * 100)
'''


def main() -> None:
    """Make them all."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        (folder / "quickstart.py").write_text(QUICKSTART, "utf-8")
        leakhunt(folder, "run", "quickstart.py", "--calls", "600", "--no-hunt", "--out", "run")
        shutil.copy(folder / "run" / "curves.png", PICTURES / "quickstart.png")
        leakhunt(folder, "run", "quickstart.py:leaking", "--calls", "600", "--out", "report")
        screenshot(folder / "report" / "report.html", PICTURES / "report.png", 1000, 900)


def leakhunt(folder: Path, *words: str) -> None:
    """Run a command in a folder."""
    subprocess.run([sys.executable, "-m", "leakhunt", *words], cwd=folder, check=True)


def screenshot(page: Path, picture: Path, width: int, height: int) -> None:
    """What a browser shows of a page, by the system's Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("pictures: chromium is missing. Install it")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
    line = [chromium, *options, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(line, check=True, capture_output=True)


if __name__ == "__main__":
    main()
