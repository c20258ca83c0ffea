#!/bin/sh
# What needs a GPU, in at most ten minutes on one card: figures as one JSON file.
#
#   tests/gpu/run.sh             measures; the figures land in $OUT (default: reports/truth)/gpu.json
#   tests/gpu/run.sh --dry-run   says what would run, and whether each command is valid; no GPU
#
# Without a virtual environment one is made from pyproject.toml. It sees the packages of the machine,
# and where no index is in reach, wheels in GPU_WHEELS are installed from.
set -eu
cd "$(dirname "$0")/../.."
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"
OUT="${OUT:-reports/truth}"
if [ ! -x "$VENV/bin/python" ]; then
  "$PYTHON" -m venv --system-site-packages "$VENV"
  if [ -n "${GPU_WHEELS:-}" ]; then
    from="--no-index --find-links $GPU_WHEELS"
  else
    from=""
  fi
  # shellcheck disable=SC2086 # two words, or none
  timeout 240 "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check $from \
    --editable '.[fsmn-vad,image-recognition,soak]' ||
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check $from --editable .
fi
exec "$VENV/bin/python" tests/gpu/suite.py --out "$OUT/gpu.json" "$@"
