"""What the pytest plugin and pytest in the worker have in common; imports next to nothing."""

from __future__ import annotations

import sys

# The plugin that answers the fixture ``leakhunt`` is registered with pytest under this name.
MEASURES = "leakhunt-measures"
# The note on how the test went in the worker: ``how`` is one of the words below.
NOTE = "test"
FAILED = "failed"
SKIPPED = "skipped"
XFAILED = "xfailed"


def is_unittest(owner: type | None) -> bool:
    """Whether methods of this class are called by unittest, and not by pytest."""
    unittest = sys.modules.get("unittest")
    return unittest is not None and owner is not None and issubclass(owner, unittest.TestCase)
