"""``python -m leakhunt``."""

from leakhunt.cli.main import main

raise SystemExit(main())
