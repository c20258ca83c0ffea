"""The programs that make the pages are imported from where they are."""

import sys

from docs_blocks import DOCS

sys.path.append(str(DOCS))
