"""Files that leakhunt makes in folders of the machine: no service's."""

from __future__ import annotations

from typing import Final

# What the files end in that the guards of a service's workers share, in /dev/shm.
GUARD_SUFFIX: Final = ".leakhunt-guard"
