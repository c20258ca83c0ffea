"""The name that `leakhunt.agent` had before: services that name it keep working for a release."""

import warnings

from leakhunt.agent import listen

__all__ = ["listen"]

warnings.warn(
    "leakhunt.inside is now leakhunt.agent, and is removed in the next release. Use 'from leakhunt"
    " import agent'",
    DeprecationWarning,
    stacklevel=2,
)
